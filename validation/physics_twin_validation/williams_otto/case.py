"""The most profitable steady state of the Williams-Otto reactor, free and under limits on two mass fractions."""

import functools

import physics_twin as pt
from physics_twin.verification import ABSOLUTE, RELATIVE, Case, Measured
from physics_twin_validation.reference import reference

_SOURCE = (
    "Williams and Otto, AIEE Transactions 79 (1960) 458, in the form of Zhang and Forbes, Computers and Chemical "
    "Engineering 24 (2000) 2399"
)
_RECOMPUTED = "balances written out with CasADi and solved with IPOPT to 1e-13, without this library"
COMPONENTS = ("A", "B", "C", "P", "E", "G")
FEED_B = pt.Setting("feed_b", "kg/s", bounds=(3, 6))
TEMPERATURE = pt.Setting("reactor_temperature", "degC", bounds=(70, 100))


@functools.cache
def williams_otto() -> pt.ProcessModel:
    """A + B -> C, B + C -> P + E, P + C -> G in a stirred tank of constant mass; mass fractions and profit.

    Rates are per mass of the contents, of the first-named reactant. Profit has no currency: 1/s stands for $ per s.
    """
    m = pt.ProcessBuilder("williams_otto", version="1.0", description="Three reactions in a stirred tank, with prices")
    mass = m.constant("2105 kg")
    factors = [m.constant(f"{k} 1/s") for k in (1.6599e6, 7.2117e8, 2.6745e12)]
    energies = (6666.7, 8333.3, 11111.0)  # activation energies over the gas constant, K
    feed_a = m.input("feed_a", "kg/s")
    feed_b = m.input("feed_b", "kg/s")
    temperature = m.input("temperature", "K")
    start = {"A": 0.09, "B": 0.39, "C": 0.015, "P": 0.11, "E": 0.29, "G": 0.105}
    x = {name: m.state(f"x_{name}", "1", initial=start[name], lower=0.0) for name in COMPONENTS}

    discharge = feed_a + feed_b
    k1, k2, k3 = (k * pt.exp(-m.constant(f"{e} K") / temperature) for k, e in zip(factors, energies, strict=True))
    first, second, third = k1 * x["A"] * x["B"], k2 * x["B"] * x["C"], k3 * x["C"] * x["P"]
    m.rate(x["A"], (feed_a - discharge * x["A"]) / mass - first)
    m.rate(x["B"], (feed_b - discharge * x["B"]) / mass - first - second)
    m.rate(x["C"], -discharge * x["C"] / mass + 2.0 * first - 2.0 * second - third)
    m.rate(x["P"], -discharge * x["P"] / mass + second - 0.5 * third)
    m.rate(x["E"], -discharge * x["E"] / mass + 2.0 * second)
    m.rate(x["G"], -discharge * x["G"] / mass + 1.5 * third)

    for name in COMPONENTS:
        m.output(f"x_{name}", x[name])
    price = {name: m.constant(f"{p} 1/kg") for name, p in (("P", 1143.38), ("E", 25.92), ("a", 76.23), ("b", 114.34))}
    earned = (price["P"] * x["P"] + price["E"] * x["E"]) * discharge
    m.output("profit", earned - price["a"] * feed_a - price["b"] * feed_b, unit="1/s")
    return m.build()


RECIPE = pt.Recipe.constant(feed_a="1.8275 kg/s", feed_b=FEED_B, temperature=TEMPERATURE, duration="1 s").replace(
    initial=pt.STEADY
)


@functools.cache
def best(constrained: bool = False) -> pt.SetPoint:
    """The most profitable steady state, with x_A <= 0.12 and x_G <= 0.08 or without."""
    limits = [pt.Limit("x_A", upper=0.12, over=pt.final), pt.Limit("x_G", upper=0.08, over=pt.final)]
    return pt.find_set_point(
        williams_otto(),
        recipe=RECIPE,
        settings=[FEED_B, TEMPERATURE],
        objectives=pt.Maximize("profit"),
        limits=limits if constrained else (),
    )


def _run(feed_b: float, temperature: float) -> pt.Run:
    values = {"feed_b": (feed_b, "kg/s"), "reactor_temperature": (temperature, "K")}
    return pt.simulate(williams_otto(), [0.0], RECIPE, values)


def _profit() -> Measured:
    return Measured([float(_run(4.0, 353.15)["profit"][0])], {"fingerprint": williams_otto().fingerprint})


def _optimum(constrained: bool = False) -> Measured:
    found = best(constrained)
    settings = [value for value, _ in found.in_units()["settings"].values()]
    details = {"fingerprint": williams_otto().fingerprint, "search": found.message}
    multipliers = [b.multiplier for b in found.binding]
    return Measured([*settings, found.objectives[0].value, *multipliers], details)


def _fractions() -> Measured:
    found = best()
    run = _run(found["feed_b"], found["reactor_temperature"])
    return Measured([float(run[f"x_{name}"][0]) for name in COMPONENTS], {"fingerprint": williams_otto().fingerprint})


_OPTIMUM = "feed of B (kg/s), temperature (degC), profit (1/s, $ per s)"
CASES = (
    Case(
        name="williams_otto_profit",
        claim="The reactor at 4 kg/s of B and 80 degC earns what the equations say.",
        requirement="steady states and what is computed from them",
        source=f"{_SOURCE}; {_RECOMPUTED}",
        quantity="profit (1/s, $ per s)",
        expected=reference("williams_otto", "profit"),
        tolerance=3e-9,
        acceptance="half a unit of the last digit of the reference, 5e-7 of 176",
        compute=_profit,
        measure=RELATIVE,
    ),
    Case(
        name="williams_otto_published_optimum",
        claim="The most profitable settings are the published ones.",
        requirement="the best point for an economic objective",
        source=_SOURCE,
        quantity=_OPTIMUM,
        expected=reference("williams_otto", "published"),
        tolerance=1.05e-4,
        acceptance="half a unit of the last published digit of the feed, 0.0005 of 4.787",
        compute=_optimum,
        measure=RELATIVE,
    ),
    Case(
        name="williams_otto_optimum",
        claim="The most profitable settings are known to seven digits, and every start ends there.",
        requirement="the best point for an economic objective, to the digits of the simulation",
        source=f"{_SOURCE}; {_RECOMPUTED}",
        quantity=_OPTIMUM,
        expected=reference("williams_otto", "optimum"),
        tolerance=1e-8,
        acceptance="two units of the last digit of the reference of the feed, 1e-8 of 4.8",
        compute=_optimum,
        measure=RELATIVE,
    ),
    Case(
        name="williams_otto_fractions",
        claim="The mass fractions at the optimum agree with those that were computed independently.",
        requirement="steady states and what is computed from them",
        source=f"{_SOURCE}; {_RECOMPUTED}",
        quantity="mass fractions of A, B, C, P, E, G",
        expected=reference("williams_otto", "fraction"),
        tolerance=2e-9,
        acceptance="the optimum is known to 1e-8 of its settings, a fraction changes by less than 0.2 over their range",
        compute=_fractions,
        measure=ABSOLUTE,
    ),
    Case(
        name="williams_otto_constrained",
        claim="Under x_A <= 0.12 and x_G <= 0.08 the limit on G holds the profit, and its worth is known.",
        requirement="the best point under limits, the ones that bind and their multipliers",
        source=f"{_SOURCE}; {_RECOMPUTED}",
        quantity=f"{_OPTIMUM}, profit for each unit that the limit on x_G gives way (1/s)",
        expected=reference("williams_otto", "constrained"),
        tolerance=1e-7,
        acceptance="multipliers carry fewer digits than the optimum: slopes at 1e-8 of their size",
        compute=functools.partial(_optimum, True),
        measure=RELATIVE,
    ),
)
