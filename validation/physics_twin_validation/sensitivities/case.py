"""Derivatives across what makes them jump: a dose, a switch, a phase that ends on a level, and all of them together."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import physics_twin as pt
from physics_twin.simulation import complete_values
from physics_twin.verification import AT_LEAST, Case, Measured, taylor_test

# Taylor remainders can be followed from 3e-2 down to the noise of the outputs; the tighter, the longer.
_INTEGRATOR = pt.Sundials(rtol=1e-11, atol=1e-13)


def reactor() -> pt.ProcessModel:
    """A semi-batch tank: a reactant is dosed and reacts; above a temperature the jacket boils and cools half as well.

    Less cooling above the threshold drives the temperature on, so that the switch has no sliding mode.
    """
    m = pt.ProcessBuilder(
        "semi_batch_tank", version="1.0", description="Dosed exothermic reaction in a jacket that may boil"
    )
    rate_constant = m.parameter("rate_constant", "0.02 1/min")
    cooling = m.parameter("cooling", "0.03 1/min")
    threshold = m.parameter("threshold", "310 K")
    jacket = m.input("jacket_temperature", "K")
    amount = m.state("amount", "mol", initial="1 mol")
    temperature = m.state("temperature", "K", initial="300 K", scale="10 K")
    heat = m.constant("20 K/mol")
    rate = rate_constant * amount * (temperature / m.constant("300 K")) ** 8
    factor = pt.where(temperature >= threshold, 0.5, 1.0)
    m.rate(amount, -rate)
    m.rate(temperature, heat * rate - factor * cooling * (temperature - jacket))
    m.output("amount", amount)
    m.output("temperature", temperature)
    return m.build(integrator=_INTEGRATOR)


_DOSE = pt.Setting("dose_size", "mol", bounds=(0.1, 5), value="1 mol")
_WHEN = pt.Setting("dose_time", "min", bounds=(1, 30), value="10 min")
_LEVEL = pt.Setting("end_level", "mol", bounds=(0.1, 0.9), value="0.6 mol")
_JACKET = pt.Setting("jacket_level", "K", bounds=(280, 340), value="295 K")
_HOLD = pt.Setting("hold_time", "min", bounds=(1, 60), value="20 min")


def _dosed() -> pt.Recipe:
    return pt.Recipe(
        [pt.Phase("run", jacket_temperature="295 K", duration="60 min", at=[(_WHEN, [pt.dose("amount", _DOSE)])])]
    )


def _switched() -> pt.Recipe:
    return pt.Recipe([pt.Phase("run", jacket_temperature=_JACKET, duration="60 min")], initial={"amount": "4 mol"})


def _until() -> pt.Recipe:
    return pt.Recipe(
        [
            pt.Phase("wait", jacket_temperature="295 K", until=pt.falls_to("amount", _LEVEL), at_most="10 h"),
            pt.Phase("rest", jacket_temperature=pt.ramp("295 K", _JACKET, over="5 min"), duration="60 min"),
        ]
    )


def _all() -> pt.Recipe:
    return pt.Recipe(
        [
            pt.Phase("wait", jacket_temperature="300 K", until=pt.falls_to("amount", _LEVEL), at_most="10 h"),
            pt.Phase("dose", start=[pt.dose("amount", "3 mol")], duration=_HOLD),
            pt.Phase("heat", jacket_temperature=_JACKET, duration="60 min", at=[(_WHEN, [pt.dose("amount", _DOSE)])]),
        ]
    )


@dataclass(frozen=True)
class Crossing:
    """A run, and the minutes at which outputs are compared; none of them lies where an event passes it."""

    recipe: Callable[[], pt.Recipe]
    minutes: tuple[float, ...]


RUNS = {
    "dose": Crossing(_dosed, (5.0, 15.0, 31.0, 59.0)),
    "switch": Crossing(_switched, (2.0, 15.0, 40.0, 59.0)),
    "level": Crossing(_until, (5.0, 47.0, 60.0, 75.0)),
    "everything": Crossing(_all, (5.0, 60.0, 79.0, 95.0)),
}


def _order(run: str) -> Measured:
    model, recipe = reactor(), RUNS[run].recipe()
    values = complete_values(model, recipe)
    bound = [] if recipe.initial is pt.STEADY else list(recipe.initial)
    names = [name for name in model.parameters.names if name.removeprefix("initial.") not in bound]
    wrt = [*names, *recipe.settings, "time"]
    tested = taylor_test(model, 60.0 * np.array(RUNS[run].minutes), recipe, values, wrt, accuracy=1e-9)
    lowest = min(tested.rows, key=lambda row: row.order)
    return Measured(
        [tested.order], {"fingerprint": model.fingerprint, "lowest": str(lowest), "rows": str(len(tested.rows))}
    )


_SAID = {
    "dose": "a dose whose size and time are settings",
    "switch": "a switch of the equations (pt.where)",
    "level": "a phase that ends on a level",
    "everything": "a phase that ends on a level, doses that move with it, a switch and a phase of variable length",
}

CASES = tuple(
    Case(
        name=f"sensitivities_{run}",
        claim=f"Derivatives with respect to every parameter, initial value, setting and time are exact across {said}.",
        requirement="sensitivities, Taylor tests of order 2",
        source="Taylor's theorem; Hiskens and Pai, IEEE Trans. Circuits Syst. I 47, 204 (2000) for the jumps",
        quantity="lowest order of the Taylor remainders over all names and outputs",
        expected=(2.0,),
        tolerance=0.1,
        acceptance="a wrong derivative gives order 1; noise at 1/20 of the remainders moves the slope by 0.1",
        compute=functools.partial(_order, run),
        measure=AT_LEAST,
    )
    for run, said in _SAID.items()
)
