"""The first look at an export: what it holds, and how to read it."""
