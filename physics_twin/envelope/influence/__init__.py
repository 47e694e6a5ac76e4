"""What limits an envelope, and what it would buy to know something better."""
