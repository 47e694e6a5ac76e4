"""An exothermic reactor with one, two or three steady states and a limit cycle."""

import numpy as np
import numpy.typing as npt
from scipy.optimize import root

import physics_twin as pt
from physics_twin.verification import RELATIVE, Case, Measured
from physics_twin_models.jacketed_reactor import jacketed_reactor
from physics_twin_validation.reference import reference

_FEED = {"feed_temperature": "350 K", "feed_concentration": "1 mol/L", "feed_flow": "100 L/min"}
_SOURCE = "model of Henson and Seborg, Nonlinear Process Control (1997), ch. 1; states recomputed"
_COOLANT = (300.0, 300.0, 300.0, 302.0, 302.0, 302.0, 290.0, 305.0, 310.0)
# Where each state is sought, K and mol/L: read off the book's figures, no more than two digits.
_GUESSES = (
    (325.0, 0.88), (350.0, 0.50), (370.0, 0.21), (329.0, 0.83), (343.0, 0.62), (374.0, 0.17),
    (313.0, 0.95), (378.0, 0.14), (384.0, 0.10),
)  # fmt: skip
_STABLE = ("290 K", "300 K", "302 K", "310 K")


State = npt.NDArray[np.float64]


def _steady_state(model: pt.ProcessModel, coolant: float, guess: tuple[float, float]) -> State:
    """Temperature (K) and concentration (mol/L) at which the rates of the model vanish."""
    eq = model.equations
    order = [eq.differential.index(name) for name in ("temperature", "concentration")]
    inputs = {"coolant_temperature": coolant, "feed_temperature": 350.0, "feed_concentration": 1000.0}
    u = [inputs.get(name, 0.1 / 60.0) for name in eq.inputs]
    p = [model.parameters[name].value for name in eq.parameters]

    def rate(state: State) -> State:
        x = np.empty(2)
        x[order] = state[0], 1000.0 * state[1]
        found = eq.rate(0.0, x, [], u, p, []).full()[order, 0]
        return np.array([found[0], found[1] / 1000.0])

    return np.asarray(root(rate, guess, tol=1e-13).x, dtype=float)


def _steady_states() -> Measured:
    """Roots of the model's own equations."""
    model = jacketed_reactor()
    found: list[float] = []
    for coolant, guess in zip(_COOLANT, _GUESSES, strict=True):
        found += _steady_state(model, coolant, guess).tolist()
    return Measured(found, {"fingerprint": model.fingerprint})


def _steady_starts() -> Measured:
    """Where a run settles whose recipe begins with the steady state."""
    model = jacketed_reactor()
    found: list[float] = []
    for coolant in _STABLE:
        recipe = pt.Recipe.constant(coolant_temperature=coolant, duration="1 h", **_FEED).replace(initial=pt.STEADY)
        run = pt.simulate(model, np.array([0.0, 3600.0]), recipe)
        found += [float(run["temperature"][k]) for k in (0, -1)]
    return Measured(found, {"fingerprint": model.fingerprint})


def _eigenvalues() -> Measured:
    """Of the upper state at 300 K, from the measured growth and period of a small disturbance."""
    model = jacketed_reactor().with_integrator(pt.Sundials(rtol=1e-11, atol=1e-13))
    steady = _steady_state(model, 300.0, (370.0, 0.21))
    begin = {"temperature": (float(steady[0]) + 1e-5, "K"), "concentration": (float(steady[1]), "mol/L")}
    recipe = pt.Recipe.constant(coolant_temperature="300 K", **_FEED).replace(initial=begin)
    minutes = np.linspace(0.0, 4.0, 33)
    run = pt.simulate(model, minutes * 60.0, recipe)
    # Two linear modes: three samples in a row obey d2 = 2 a d1 - b d0 with a, b fixed by the eigenvalues.
    d = np.asarray(run["temperature"]) - steady[0]
    rows = np.column_stack([d[1:-1], d[:-2]])
    (trace, minus_det), *_ = np.linalg.lstsq(rows, d[2:])
    multipliers = np.roots([1.0, -trace, -minus_det])
    eigenvalues = np.log(multipliers.astype(complex)) / (minutes[1] - minutes[0])
    return Measured([float(eigenvalues[0].real), float(abs(eigenvalues[0].imag))], {"fingerprint": model.fingerprint})


CASES = (
    Case(
        name="jacketed_reactor_steady_states",
        claim="The reactor has the nine steady states that were computed independently, the unstable ones included.",
        requirement="published steady states of the exothermic stirred tank",
        source=_SOURCE,
        quantity="temperature (K) and concentration (mol/L) for coolant at 300, 302, 290, 305 and 310 K",
        expected=reference("jacketed_reactor", "state"),
        tolerance=6e-10,
        acceptance="half a unit of the last digit of the reference, 5e-11, beside the smallest value, 0.099",
        compute=_steady_states,
        measure=RELATIVE,
    ),
    Case(
        name="jacketed_reactor_steady_start",
        claim='A recipe with initial="steady" starts in the stable steady state and stays there for an hour.',
        requirement="a run may start from the steady state of its inputs",
        source=_SOURCE,
        quantity="temperature (K) at 0 and 1 h for coolant at 290, 300, 302 and 310 K",
        expected=reference("jacketed_reactor", "settled"),
        tolerance=1e-7,
        acceptance="the default rtol 1e-8 times ten for an hour of standing still",
        compute=_steady_starts,
    ),
    Case(
        name="jacketed_reactor_eigenvalues",
        claim="A disturbance of the upper state at 300 K coolant grows and turns as its eigenvalues say.",
        requirement="limit cycle of the exothermic stirred tank",
        source=_SOURCE,
        quantity="real and imaginary part of the eigenvalue, 1/min",
        expected=reference("jacketed_reactor", "eigenvalue"),
        tolerance=1e-3,
        acceptance="the reference gives four digits",
        compute=_eigenvalues,
    ),
)
