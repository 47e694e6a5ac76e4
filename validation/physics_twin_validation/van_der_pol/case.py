"""Van der Pol's oscillator at mu = 1000: slow drifts and jumps."""

import physics_twin as pt
from physics_twin.verification import Case, Measured
from physics_twin_validation.reference import TEST_SET, end_values, reference

# The velocity is 1e-3 on the slow branches and 1e3 in the jumps.
INTEGRATOR = pt.Sundials(rtol=1e-10, atol=1e-12, max_steps=100_000)


def van_der_pol(mu: float = 1000.0) -> pt.ProcessModel:
    """x'' = mu (1 - x^2) x' - x from (2, 0), time in s."""
    m = pt.ProcessBuilder("van_der_pol", version="1.0", description="Relaxation oscillator")
    per_second = m.constant("1 1/s")
    x = m.state("x", "1", initial=2.0)
    v = m.state("v", "1", initial=0.0, scale=1e-3)
    m.rate(x, per_second * v)
    m.rate(v, per_second * (mu * (1 - x * x) * v - x))
    m.output("x", x)
    m.output("v", v)
    return m.build()


def _end() -> Measured:
    return end_values(van_der_pol(), 2000.0, INTEGRATOR)


CASES = (
    Case(
        name="van_der_pol_1000",
        claim="Van der Pol's oscillator with mu = 1000 at 2000 s agrees with the reference to 7 digits.",
        requirement="7 digits at rtol 1e-10",
        source=TEST_SET + ", problem VDPOL (unscaled form)",
        quantity="x and dx/dt at 2000 s",
        expected=reference("van_der_pol"),
        tolerance=1e-7,
        acceptance="7 digits, relative, component by component",
        compute=_end,
    ),
)
