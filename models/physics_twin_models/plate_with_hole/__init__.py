"""A steel plate with a hole under tension, measured by digital image correlation."""

from physics_twin_models.plate_with_hole.model import Cloud, experiment, plate_with_hole, read_cloud

__all__ = ["Cloud", "experiment", "plate_with_hole", "read_cloud"]
