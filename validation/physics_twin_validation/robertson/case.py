"""Robertson's chemical kinetics: rate constants over nine decades."""

import physics_twin as pt
from physics_twin.verification import Case, Measured
from physics_twin_validation.reference import TEST_SET, end_values, reference

# The absolute tolerance is per unit of a state's scale. At t = 1e11 s two components are 2e-8 and 8e-14 and still
# rule the third; a tolerance that stands above them loses their digits (at atol = 1e-12 four are left).
INTEGRATOR = pt.Sundials(rtol=1e-10, atol=1e-18, max_steps=100_000)


def robertson() -> pt.ProcessModel:
    """Three species, A -> B, 2 B -> B + C, B + C -> A + C, as fractions of the charge."""
    m = pt.ProcessBuilder("robertson", version="1.0", description="Robertson's autocatalytic reaction")
    a = m.state("a", "1", initial=1.0)
    b = m.state("b", "1", initial=0.0, scale=1e-5)
    c = m.state("c", "1", initial=0.0)
    slow, fast, middle = m.constant("0.04 1/s"), m.constant("3e7 1/s"), m.constant("1e4 1/s")
    m.rate(a, -slow * a + middle * b * c)
    m.rate(b, slow * a - middle * b * c - fast * b * b)
    m.rate(c, fast * b * b)
    for name, fraction in {"a": a, "b": b, "c": c}.items():
        m.output(name, fraction)
    return m.build()


def _at_40() -> Measured:
    return end_values(robertson(), 40.0, INTEGRATOR)


def _at_1e11() -> Measured:
    return end_values(robertson(), 1e11, INTEGRATOR)


CASES = (
    Case(
        name="robertson_40",
        claim="Robertson's kinetics at 40 s agree with the reference to 7 digits in every component.",
        requirement="7 digits at rtol 1e-10",
        source="recomputed with SciPy's Radau; problem of " + TEST_SET,
        quantity="fractions a, b, c at 40 s",
        expected=reference("robertson", "40 s"),
        tolerance=1e-7,
        acceptance="7 digits, relative, component by component; rtol 1e-10 leaves three digits for error growth",
        compute=_at_40,
    ),
    Case(
        name="robertson_1e11",
        claim="Robertson's kinetics at 1e11 s agree with the reference to 7 digits in every component.",
        requirement="7 digits at rtol 1e-10",
        source=TEST_SET + ", problem ROBER",
        quantity="fractions a, b, c at 1e11 s",
        expected=reference("robertson", "1e11 s"),
        tolerance=1e-7,
        acceptance="7 digits, relative, component by component, down to b = 8e-14: no absolute part",
        compute=_at_1e11,
    ),
)
