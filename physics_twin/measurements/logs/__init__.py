"""Exports of historians and loggers: read as they are, with a flag on every sample and the format shown."""
