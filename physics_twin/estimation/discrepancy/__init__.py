"""What a model does not know about its outputs, as Gaussian processes beside its equations."""

from physics_twin.estimation.discrepancy.declaration import Discrepancy
from physics_twin.estimation.discrepancy.wrapper import WithDiscrepancy, with_discrepancy

__all__ = ["Discrepancy", "WithDiscrepancy", "with_discrepancy"]
