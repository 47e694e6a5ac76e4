"""The Oregonator: the Belousov-Zhabotinskii reaction, with spikes over five decades."""

import physics_twin as pt
from physics_twin.verification import Case, Measured
from physics_twin_validation.reference import TEST_SET, end_values, reference

INTEGRATOR = pt.Sundials(rtol=1e-10, atol=1e-14, max_steps=100_000)


def oregonator() -> pt.ProcessModel:
    """Field and Noyes (1974) in the scaled form of the test set, time in s."""
    m = pt.ProcessBuilder("oregonator", version="1.0", description="Belousov-Zhabotinskii reaction")
    per_second = m.constant("1 1/s")
    a, b, c = (m.state(name, "1", initial=start) for name, start in (("a", 1.0), ("b", 2.0), ("c", 3.0)))
    m.rate(a, 77.27 * per_second * (b + a * (1 - 8.375e-6 * a - b)))
    m.rate(b, per_second * (c - (1 + a) * b) / 77.27)
    m.rate(c, 0.161 * per_second * (a - c))
    for name, value in {"a": a, "b": b, "c": c}.items():
        m.output(name, value)
    return m.build()


def _end() -> Measured:
    return end_values(oregonator(), 360.0, INTEGRATOR)


CASES = (
    Case(
        name="oregonator",
        claim="The Oregonator at 360 s agrees with the reference to 7 digits in every component.",
        requirement="7 digits at rtol 1e-10",
        source=TEST_SET + ", problem OREGO",
        quantity="scaled concentrations at 360 s",
        expected=reference("oregonator"),
        tolerance=1e-7,
        acceptance="7 digits, relative, component by component",
        compute=_end,
    ),
)
