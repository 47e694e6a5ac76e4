"""A reaction of second order, whose solution is known, and twins' dynamics of any small model."""

import numpy as np

import physics_twin as pt
from physics_twin.assimilation.belief import Start
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.dynamics import Dynamics
from physics_twin.simulation import complete_values


def decay(initial=2.0):
    """dc/dt = -k c^2: one state, one parameter."""
    m = pt.ProcessBuilder("decay", version="1.0")
    k = m.parameter("k", "0.1 L/mol/s", bounds=("0.01 L/mol/s", "0.3 L/mol/s"))
    c = m.state("c", "mol/L", initial=f"{initial} mol/L", scale="1 mol/L", lower="0 mol/L")
    m.rate(c, -k * c * c)
    m.output("c", c)
    return m.build()


def of_model(model, names, recipe=None, *, frozen=False):
    recipe = recipe or pt.Recipe.constant()
    parameters = [model.parameters[name] for name in names]
    fixed = dict(complete_values(model, recipe, {}))
    return Dynamics(model, recipe, fixed, Coordinates.of(model, parameters, frozen=frozen))


def started(of, sd, n_draws=1):
    state = of.model.initial_state(0.0, of.recipe, of.fixed)
    own = np.array([[of.fixed[name] for name in of.coordinates.parameters]])
    return Start(np.tile(state, (n_draws, 1)), np.tile(own, (n_draws, 1)), np.asarray(sd, dtype=float) ** 2)
