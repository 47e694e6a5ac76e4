"""The region in which limits are kept: learned from few settings, only ever steering."""
