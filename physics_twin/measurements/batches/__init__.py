"""Production batches: lists, tags and laboratory values; a log cut into experiments, one a batch."""
