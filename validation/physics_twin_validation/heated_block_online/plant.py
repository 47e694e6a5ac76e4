"""The Temperature Control Lab as a twin is given it: record, samples, prior, noise, and what is injected."""

import datetime as dt
import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import physics_twin as pt
from physics_twin import datasets
from physics_twin.assimilation.method import Method
from physics_twin.errors import DataError
from physics_twin.twin.samples import samples_of
from physics_twin.verification import NotAvailable
from physics_twin_models.heated_block import experiment, heated_block

FILE = "mimo_1s_600.csv"
UNKNOWN = ("film_coefficient", "exchange_coefficient", "heater_1_gain", "heater_2_gain")
SENSORS = ("temperature_1", "temperature_2")
STATES = ("heater_1_temperature", "heater_2_temperature", "sensor_1", "sensor_2")
AT = dt.datetime(2026, 11, 20, 6, tzinfo=dt.UTC)
SECOND = 1_000_000_000
START = round(AT.timestamp()) * SECOND
# From the first 300 s; the other 300 s judge. Noise of the sensors: second differences of the last 100 s of them, since
# that of sensor 2 is 0.07 K cold and twice that warm. Walks: maximum likelihood of the innovations, rounded
# (`Twin.estimate_walks`).
NOISE = {"temperature_1": "0.065 K", "temperature_2": "0.145 K"}
WALKS = {
    "heater_1_temperature": pt.RandomWalk("1.0 K", per="1 min"),
    "heater_2_temperature": pt.RandomWalk("0.56 K", per="1 min"),
}
# Nobody knows the room: one that warms or cools by 2 K in ten minutes is nothing unusual.
ROOM = {"ambient_temperature": pt.RandomWalk("2 K", per="10 min")}
FILTERS: dict[str, Method] = {
    "extended": pt.ExtendedKalman(),
    "unscented": pt.UnscentedKalman(steps=pt.RungeKutta("5 s")),
    "ensemble": pt.EnsembleKalman(),
    "moving horizon": pt.MovingHorizon(10, pt.RealTimeIteration()),
}


def path(file: str) -> Path:
    """Where a file of the data set lies; raises NotAvailable where it cannot be had."""
    try:
        return datasets.load("tclab").path(file)
    except DataError as error:
        raise NotAvailable(str(error)) from None


@functools.cache
def record() -> pt.Experiment:
    """The measured record with a time zero; raises NotAvailable where it cannot be had."""
    return replace(experiment(path(FILE)), t0_utc=AT)


@functools.cache
def samples() -> tuple[pt.Sample, ...]:
    """All readings and inputs of the record."""
    return tuple(entry for entry in samples_of(record()) if isinstance(entry, pt.Sample))


@functools.cache
def offline() -> pt.Posterior:
    """The fit of the whole record at once, with noise that remembers."""
    level = pt.EstimatedNoise("0.5 K", shared="thermistor")
    ran = experiment(path(FILE), noise=pt.Noise(level, correlation_time=pt.Estimated("20 s")))
    return pt.calibrate(heated_block(), ran, unknown=UNKNOWN, rng=7)


def prior(room: pt.Parameter | None = None) -> pt.Posterior:
    """Before any reading: each coefficient and gain within a factor of two or so; room: what is known of it, if that is
    uncertain too.
    """
    p = heated_block().parameters
    declared = [
        p["film_coefficient"].replace(prior=pt.LogNormal("6 W/m^2/K", 0.5)),
        p["exchange_coefficient"].replace(prior=pt.LogNormal("10 W/m^2/K", 0.7)),
        p["heater_1_gain"].replace(prior=pt.LogNormal("0.008 W/percent", 0.4)),
        p["heater_2_gain"].replace(prior=pt.LogNormal("0.006 W/percent", 0.4)),
    ]
    if room is not None:
        declared.append(room)
    return pt.Posterior.from_prior(declared, 400, rng=1)


def started(method: str = "unscented", *, room: bool = False) -> pt.Twin:
    """The twin before the first reading; room: the ambient temperature is unknown too (within 4 K), and wanders."""
    ambient = heated_block().parameters["ambient_temperature"].replace(prior=pt.Normal("22 degC", "2 K"))
    return pt.Twin.start(
        heated_block(),
        prior(ambient if room else None),
        at=AT,
        channels=[pt.Channel(name, unit="degC", noise=noise) for name, noise in NOISE.items()],
        initial_sd=dict.fromkeys(STATES, "3 K"),
        process_noise=WALKS,
        drift=ROOM if room else None,
        method=FILTERS[method],
        seed=7,
    )


@functools.cache
def run(method: str = "unscented", *, room: bool = False) -> tuple[pt.Twin, pt.Innovation]:
    """The twin after the whole record as it was measured."""
    return started(method, room=room).assimilate(samples(), budget=None)


def elapsed(sample: pt.Sample) -> float:
    """Seconds since the beginning of the record."""
    return (sample.time - START) / SECOND


def changed(channel: str, begin: float, end: float, as_shown: Callable[[float, float], float]) -> list[pt.Sample]:
    """The record with the readings of a channel between two times, s, replaced by as_shown(time, reading in degC)."""
    found = []
    for s in samples():
        t = elapsed(s)
        hit = s.channel == channel and begin <= t < end
        found.append(pt.Sample(s.channel, s.time, as_shown(t, s.value), s.unit) if hit else s)
    return found


def reading(channel: str, time: float) -> float:
    """The measured value nearest to a time, degC."""
    return min((s for s in samples() if s.channel == channel), key=lambda s: abs(elapsed(s) - time)).value


def distances(first: pt.Twin, second: pt.Twin) -> list[float]:
    """Of each parameter, in standard deviations of the second."""
    return [abs(first.parameters[n] - second.parameters[n]) / float(second.spread[n]) for n in UNKNOWN]


def warmer(begin: float, *, room: float = 0.0, blocks: float = 0.0) -> list[pt.Sample]:
    """The record as if from a time on, s, the room were warmer, or both blocks had been warmed at once, K.

    What the model, as fitted offline, says of that is added to the readings: noise and what the model misses stay real.
    """
    ran, model = record(), heated_block()
    values: dict[str, Any] = {n: (offline().values.scalar(n), model.parameters[n].unit.si_text) for n in UNKNOWN}
    times = np.array(ran["temperature_1"].times)
    before = pt.simulate(model, times, ran.recipe, values=values)
    first = int(np.searchsorted(times, begin))
    rest = times[first:] - times[first]
    heating = {
        n: (np.array([_held(n, t) for t in times[first:]]), "percent", pt.HOLD) for n in ("heater_1", "heater_2")
    }
    shown = {"sensor_1": "temperature_1", "sensor_2": "temperature_2"}
    found = []
    for plus, hotter in ((0.0, 0.0), (room, blocks)):
        initial = {n: (float(before[shown.get(n, n)].values[first]) + hotter, "K") for n in STATES}
        given = values | {"ambient_temperature": (model.parameters["ambient_temperature"].value + plus, "K")}
        recipe = pt.Recipe.from_table(rest, heating, hold_after=True).replace(initial=initial)
        found.append(pt.simulate(model, rest, recipe, values=given))
    added = {c: found[1][c].values - found[0][c].values for c in SENSORS}
    at = {START + round(t * SECOND): k for k, t in enumerate(times[first:])}
    return [
        pt.Sample(s.channel, s.time, s.value + added[s.channel][at[s.time]], s.unit)
        if s.channel in SENSORS and s.time in at
        else s
        for s in samples()
    ]


def _held(name: str, time: float) -> float:
    """An input at a time, s, as last read, percent."""
    rows = [s for s in samples() if s.channel == name and elapsed(s) <= time]
    number, unit = rows[-1].value, pt.Unit(rows[-1].unit)
    return float(pt.Unit("percent").from_si(unit.to_si(number)))
