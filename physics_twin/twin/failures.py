"""What a model or a filter may raise on the data of a plant."""

import numpy as np

from physics_twin.errors import PhysicsTwinError

FAILURES = (PhysicsTwinError, ArithmeticError, np.linalg.LinAlgError)
"""The twin says so and goes on as a prediction. Anything else is a mistake of the program, and is raised."""
