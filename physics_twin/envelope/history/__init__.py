"""Past batches against an envelope."""
