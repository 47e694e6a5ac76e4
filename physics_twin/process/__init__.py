"""Process models: ODE and DAE systems written as equations with units, solved by SUNDIALS."""

from physics_twin.process.builder import ProcessBuilder
from physics_twin.process.controller import PI, with_controller
from physics_twin.process.equations import Equations
from physics_twin.process.function_model import FunctionModel
from physics_twin.process.process_model import ProcessModel
from physics_twin.process.sundials import Sundials

__all__ = ["PI", "Equations", "FunctionModel", "ProcessBuilder", "ProcessModel", "Sundials", "with_controller"]
