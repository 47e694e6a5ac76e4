"""The next batch: what the probability of an envelope is taken over."""
