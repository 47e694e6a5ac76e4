"""Small plants with twins, for the tests of the twin."""

import functools

import numpy as np

import physics_twin as pt
from physics_twin.twin.moments import SECOND, moment

START = moment("2026-11-20T06:00:00Z")


@functools.cache
def heater_block():
    """Two heated bodies in a room, as a temperature control lab: heater powers live, a meter of the energy put in."""
    m = pt.ProcessBuilder("heater_block", version="1.0")
    q1, q2 = m.input("q1", "W"), m.input("q2", "W")
    ua = m.parameter("UA", "0.05 W/K", bounds=("0.01 W/K", "0.5 W/K"))
    link = m.parameter("link", "0.02 W/K", bounds=("0.001 W/K", "0.2 W/K"))
    room = m.parameter("room", "23 degC")
    c = m.parameter("C", "8 J/K")
    t1 = m.state("T1", "degC", initial="23 degC")
    t2 = m.state("T2", "degC", initial="23 degC")
    energy = m.accumulator("energy", "J", q1 + q2)
    m.rate(t1, (q1 - ua * (t1 - room) - link * (t1 - t2)) / c)
    m.rate(t2, (q2 - ua * (t2 - room) - link * (t2 - t1)) / c)
    m.output("T1", t1)
    m.output("T2", t2)
    m.output("energy", energy)
    return m.build()
