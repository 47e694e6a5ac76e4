"""Chemical Akzo Nobel: two species react with carbon dioxide; one of six equations is algebraic (index 1)."""

import physics_twin as pt
from physics_twin.verification import Case, Measured
from physics_twin_validation.reference import TEST_SET, end_values, reference

# Components lie between 4e-4 and 0.2.
INTEGRATOR = pt.Sundials(rtol=1e-10, atol=1e-12, max_steps=100_000)

_START = (0.444, 0.00123, 0.0, 0.007, 0.0)
_KS = 115.83


def akzo_nobel() -> pt.ProcessModel:
    """Concentrations as numbers (mol/L in the source), time in s; y6 = Ks y1 y4."""
    m = pt.ProcessBuilder("akzo_nobel", version="1.0", description="Chemical Akzo Nobel problem")
    per_second = m.constant("1 1/s")
    y = [m.state(f"y{k}", "1", initial=start, scale=1e-2) for k, start in enumerate(_START, start=1)]
    y1, y2, y3, y4, y5 = y
    y6 = m.algebraic("y6", "1", guess=_KS * _START[0] * _START[3])
    m.equation("equilibrium", _KS * y1 * y4, y6)
    k1, k2, k3, k4, equilibrium, transfer, pressure, henry = 18.7, 0.58, 0.09, 0.42, 34.4, 3.3, 0.9, 737.0
    r1 = k1 * y1**4 * pt.sqrt(y2)
    r2 = k2 * y3 * y4
    r3 = k2 / equilibrium * y1 * y5
    r4 = k3 * y1 * y4**2
    r5 = k4 * y6**2 * pt.sqrt(y2)
    feed = transfer * (pressure / henry - y2)
    rates = (
        -2 * r1 + r2 - r3 - r4,
        -0.5 * r1 - r4 - 0.5 * r5 + feed,
        r1 - r2 + r3,
        -r2 + r3 - 2 * r4,
        r2 - r3 + r5,
    )
    for state, rate in zip(y, rates, strict=True):
        m.rate(state, per_second * rate)
    for k, value in enumerate((*y, y6), start=1):
        m.output(f"y{k}", value)
    return m.build()


def _end() -> Measured:
    return end_values(akzo_nobel(), 180.0, INTEGRATOR)


CASES = (
    Case(
        name="akzo_nobel",
        claim="The Chemical Akzo Nobel DAE at 180 s agrees with the reference to 7 digits in every component.",
        requirement="7 digits at rtol 1e-10",
        source=TEST_SET + ", problem CHEMAKZO",
        quantity="y1 to y5 and the algebraic y6 at 180 s",
        expected=reference("akzo_nobel"),
        tolerance=1e-7,
        acceptance="7 digits, relative, component by component, the algebraic one included",
        compute=_end,
    ),
)
