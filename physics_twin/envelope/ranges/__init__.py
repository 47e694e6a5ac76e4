"""Ranges inside the region: boxes, polytopes, and ranges of single settings."""
