"""Process models: ODE and DAE systems written as equations with units, solved by SUNDIALS."""

from physics_twin.process.builder import ProcessBuilder
from physics_twin.process.process_model import ProcessModel
from physics_twin.process.sundials import Sundials

__all__ = ["ProcessBuilder", "ProcessModel", "Sundials"]
