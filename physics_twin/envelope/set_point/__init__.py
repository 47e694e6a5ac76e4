"""The best point: inside a certified range, or alone; objectives and fronts of several."""
