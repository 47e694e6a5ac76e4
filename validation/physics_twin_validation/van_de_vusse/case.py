"""Van de Vusse's reactions in a stirred tank: steady states, and the flow that gives the most intermediate."""

import functools

import physics_twin as pt
from physics_twin.verification import Case, Measured
from physics_twin_validation.reference import reference

_SOURCE = "van de Vusse, Chemical Engineering Science 19 (1964) 994; the optimum in closed form"
DILUTION = pt.Setting("dilution", "1/h", bounds=(5, 200), value=34.3)


@functools.cache
def van_de_vusse() -> pt.ProcessModel:
    """A -> B -> C and 2 A -> D at constant temperature, 10 mol/L of A in the feed."""
    m = pt.ProcessBuilder("van_de_vusse", version="1.0", description="A -> B -> C and 2 A -> D in a stirred tank")
    k1, k2, k3 = m.constant("50 1/h"), m.constant("100 1/h"), m.constant("10 L/mol/h")
    dilution = m.input("dilution_rate", "1/h", description="feed over volume")
    a = m.state("a", "mol/L", initial="3 mol/L", lower="0 mol/L")
    b = m.state("b", "mol/L", initial="1 mol/L", lower="0 mol/L")
    m.rate(a, dilution * (m.constant("10 mol/L") - a) - k1 * a - k3 * a * a)
    m.rate(b, k1 * a - k2 * b - dilution * b)
    m.output("a", a)
    m.output("b", b)
    return m.build()


RECIPE = pt.Recipe.constant(dilution_rate=DILUTION, duration="1 s").replace(initial=pt.STEADY)


def _shown(run: pt.Run) -> list[float]:
    return [float(run[name][0]) / 1000.0 for name in ("a", "b")]


def _steady() -> Measured:
    return Measured(_shown(pt.simulate(van_de_vusse(), [0.0], RECIPE)), {"fingerprint": van_de_vusse().fingerprint})


def _optimum() -> Measured:
    found = pt.find_set_point(
        van_de_vusse(), recipe=RECIPE, settings=[DILUTION], objectives=pt.Maximize("b", over=pt.final)
    )
    dilution, _ = found.in_units()["settings"]["dilution"]
    run = pt.simulate(van_de_vusse(), [0.0], RECIPE, {"dilution": (dilution, "1/h")})
    details = {"fingerprint": van_de_vusse().fingerprint, "search": found.message}
    return Measured([dilution, *_shown(run)], details)


CASES = (
    Case(
        name="van_de_vusse_steady",
        claim="The steady state at a dilution of 34.3 1/h is the known one.",
        requirement="steady states of a stirred tank",
        source=_SOURCE,
        quantity="concentrations of A and B (mol/L)",
        expected=reference("van_de_vusse", "steady"),
        tolerance=5e-11,
        acceptance="half a unit of the last digit of the reference",
        compute=_steady,
    ),
    Case(
        name="van_de_vusse_optimum",
        claim="The most intermediate is made at the dilution that follows in closed form.",
        requirement="the best point for a quality objective, to the digits of the simulation",
        source=_SOURCE,
        quantity="dilution (1/h), concentrations of A and B there (mol/L)",
        expected=reference("van_de_vusse", "optimum"),
        tolerance=1e-9,
        acceptance="the steady state is solved to 1e-11; its slope at the optimum, which tells where that is, to 1e-10",
        compute=_optimum,
    ),
)
