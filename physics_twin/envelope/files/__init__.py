"""Envelopes as files: whole, for other systems, and in one folder with posterior and experiments."""
