"""A service around twins: samples in, durable before they act, and what the twins say out."""
