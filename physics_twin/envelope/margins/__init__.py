"""Margins by simulation: what every possible next batch keeps of every limit."""
