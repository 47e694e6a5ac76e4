"""Two heaters and two sensors on one board (the Temperature Control Lab)."""

from physics_twin_models.heated_block.model import experiment, heated_block

__all__ = ["experiment", "heated_block"]
