"""The equations of a process model: a frozen record of CasADi functions in SI.

All functions take (t, x, z, u, p, q):
    t time in s; x differential states and accumulators; z algebraic variables; u inputs;
    p parameters and initial values; q discrete values and the modes of the switches.
"""

from dataclasses import dataclass

import casadi as ca


@dataclass(frozen=True)
class Equations:
    """What moving-horizon estimation, optimal control and the integrators work on."""

    parameters: tuple[str, ...]
    """Order of p; initial values are called initial.<state>."""
    inputs: tuple[str, ...]
    differential: tuple[str, ...]
    """Order of x; the accumulators come last."""
    n_accumulators: int
    algebraic: tuple[str, ...]
    discrete: tuple[str, ...]
    extremes: tuple[str, ...]
    """Running maxima and minima."""
    extreme_signs: tuple[float, ...]
    """+1 for a maximum, -1 for a minimum."""
    outputs: tuple[str, ...]
    events: tuple[str, ...]
    n_switches: int
    rate: ca.Function
    """-> dx/dt (n_x,)"""
    residual: ca.Function
    """-> algebraic residuals (n_z,)"""
    output: ca.Function
    """-> outputs (n_y,)"""
    guard: ca.Function
    """-> conditions of the switches, then of the events; they hold where >= 0"""
    jump: ca.Function
    """-> ((n_x + n_discrete), n_events) new values when an event acts"""
    extreme: ca.Function
    """-> quantities whose running extremes are kept"""
    initial: ca.Function
    """p -> x, z (guess), discrete"""
