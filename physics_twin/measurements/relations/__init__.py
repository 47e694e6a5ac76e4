"""What samples say of one another: delays, redundant and dependent channels, compression."""
