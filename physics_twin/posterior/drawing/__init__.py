"""How draws are made from what a fit found, so that a posterior can be drawn anew without its model."""
