"""Limits: what a plant must keep to, as people write them and as numbers with a sign."""
