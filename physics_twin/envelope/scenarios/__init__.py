"""What if: envelopes side by side."""
