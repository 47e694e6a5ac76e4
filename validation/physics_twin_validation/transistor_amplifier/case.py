"""The transistor amplifier: eight node voltages, five capacitors, so three equations are algebraic (index 1).

The test set writes M y' = f(y) with a singular M: each capacitor between two nodes couples two rows, whose sum has no
derivative. With the voltages of the capacitors as states,

    u1 = y1 - y2, y3, u2 = y4 - y5, y6, u3 = y7 - y8,

the rows of the capacitors give the rates, and the three sums (Kirchhoff's law where a capacitor joins two nodes) are
the algebraic equations for y2, y5 and y8.
"""

import math

import physics_twin as pt
from physics_twin import Expression
from physics_twin.verification import Case, Measured
from physics_twin_validation.reference import TEST_SET, end_values, reference

INTEGRATOR = pt.Sundials(rtol=1e-10, atol=1e-12, max_steps=100_000)


def transistor_amplifier() -> pt.ProcessModel:
    """Node voltages over time for an input of 0.1 V at 100 Hz."""
    m = pt.ProcessBuilder("transistor_amplifier", version="1.0", description="Two-transistor amplifier")
    supply, thermal = m.constant("6 V"), m.constant("0.026 V")
    gain, saturation = 0.99, m.constant("1e-6 A")
    r0, r = m.constant("1000 ohm"), m.constant("9000 ohm")
    capacitors = [m.constant(f"{k} uF") for k in range(1, 6)]
    source = m.constant("0.1 V") * pt.sin(200.0 * math.pi * m.time / m.constant("1 s"))

    u1 = m.state("u1", "V", initial="-3 V", description="over capacitor 1")
    y3 = m.state("y3", "V", initial="3 V", description="over capacitor 2")
    u2 = m.state("u2", "V", initial="3 V", description="over capacitor 3")
    y6 = m.state("y6", "V", initial="3 V", description="over capacitor 4")
    u3 = m.state("u3", "V", initial="6 V", description="over capacitor 5")
    y2 = m.algebraic("y2", "V", guess="3 V")
    y5 = m.algebraic("y5", "V", guess="3 V")
    y8 = m.algebraic("y8", "V", guess="0 V")
    y1, y4, y7 = u1 + y2, u2 + y5, u3 + y8

    def emitter(voltage: Expression) -> Expression:
        return saturation * (pt.exp(voltage / thermal) - 1)

    first, second = emitter(y2 - y3), emitter(y5 - y6)
    f1 = (y1 - source) / r0
    f2 = -supply / r + 2 * y2 / r - (gain - 1) * first
    f3 = -first + y3 / r
    f4 = (y4 - supply) / r + gain * first
    f5 = -supply / r + 2 * y5 / r - (gain - 1) * second
    f6 = -second + y6 / r
    f7 = (y7 - supply) / r + gain * second
    f8 = y8 / r
    for state, current, capacitor in zip((u1, y3, u2, y6, u3), (f1, f3, f4, f6, f7), capacitors, strict=True):
        m.rate(state, -current / capacitor)
    m.equation("base of the first", f1, -f2)
    m.equation("base of the second", f4, -f5)
    m.equation("output", f7, -f8)
    for k, voltage in enumerate((y1, y2, y3, y4, y5, y6, y7, y8), start=1):
        m.output(f"y{k}", voltage, unit="V")
    return m.build()


def _end() -> Measured:
    return end_values(transistor_amplifier(), 0.2, INTEGRATOR)


CASES = (
    Case(
        name="transistor_amplifier",
        claim="The transistor amplifier DAE at 0.2 s agrees with the reference to 7 digits in every node.",
        requirement="7 digits at rtol 1e-10",
        source=TEST_SET + ", problem TRANSAMP",
        quantity="node voltages y1 to y8 at 0.2 s, V",
        expected=reference("transistor_amplifier"),
        tolerance=1e-7,
        acceptance="7 digits, relative, node by node, also y1 = -6 mV beside volts",
        compute=_end,
    ),
)
