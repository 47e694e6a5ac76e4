"""A plant of one state, with functions that fail in all ways that an asset can: imported by workers of tests."""

import ctypes
import datetime as dt
import functools
import time
from pathlib import Path

import numpy as np

import physics_twin as pt
from physics_twin.twin.moments import SECOND

T0 = dt.datetime(2025, 11, 20, 6, tzinfo=dt.UTC)
CHANNEL = pt.Channel("T", unit="degC", noise="0.1 K")
TAGS = 'tag = [{ channel = "T", unit = "degC" }, { channel = "power", unit = "W" }]'


@functools.cache
def model() -> pt.ProcessModel:
    m = pt.ProcessBuilder("small_plant", version="1.0")
    power = m.input("power", "W")
    loss = m.parameter("loss", "1 W/K", bounds=("0.1 W/K", "10 W/K"))
    room, heat = m.parameter("room", "20 degC"), m.parameter("heat", "500 J/K")
    t = m.state("T", "degC", initial="20 degC")
    m.rate(t, (power - loss * (t - room)) / heat)
    m.output("T", t)
    return m.build()


def start(asset: str, at: int) -> pt.Twin:
    draws = np.exp(0.2 * np.random.default_rng(1).standard_normal((200, 1)))
    return pt.Twin.start(
        model(),
        pt.Posterior.from_draws([model().parameters["loss"]], draws),
        at=at,
        channels=[CHANNEL],
        initial_sd={"T": "1 K"},
        process_noise={"T": pt.RandomWalk("0.05 K", per="1 min")},
        method=pt.ExtendedKalman(),
    )


def aborting(asset: str, at: int) -> pt.Twin:
    """A twin whose native code ends the process."""
    ctypes.CDLL(None).abort()
    raise AssertionError("not reached")


def hanging(asset: str, at: int) -> pt.Twin:
    """A twin whose native code never comes back."""
    time.sleep(1e6)
    raise AssertionError("not reached")


def missing() -> pt.ProcessModel:
    raise pt.ModelError("the table of film coefficients is missing")


def temperature(k: int) -> float:
    """What the sensor shows in second k: the plant at 50 W, with a fixed pattern of noise."""
    return 20.0 + 40.0 * (1.0 - np.exp(-k * 1.25 / 500.0)) + 0.1 * np.sin(12.9898 * k)


def samples(first: int, end: int, step: int = 1, begin: dt.datetime = T0) -> list[pt.Sample]:
    """Both tags from second `first` on."""
    origin = round(begin.timestamp()) * SECOND
    found = []
    for k in range(first, end, step):
        found.append(pt.Sample("T", origin + k * SECOND, temperature(k), "degC"))
        found.append(pt.Sample("power", origin + k * SECOND, 50.0, "W"))
    return found


def write(path: Path, first: int, end: int, begin: dt.datetime = T0, step: int = 1) -> None:
    """A historian's export of the seconds first to end; other sensors stay in it."""
    path.parent.mkdir(exist_ok=True)
    rows = ["time,T,power"]
    for k in range(first, end, step):
        stamp = (begin + dt.timedelta(seconds=k)).isoformat().replace("+00:00", "Z")
        rows.append(f"{stamp},{temperature(k):.4f},50")
    new = path.with_suffix(".part")
    new.write_text("\n".join(rows) + "\n")
    new.replace(path)


def configuration(*assets: str, **settings: str) -> str:
    """A configuration for tests: a free port, short waits, and tables of assets as `asset` gives them."""
    top = "\n".join(f"{key} = {value}" for key, value in settings.items() if "." not in key)
    return (
        f'journal = "plant.journal"\nstates = "twins"\nreport_every = "0.2 s"\n{top}\n[web]\nport = 0\n'
        '[workers]\nn = 2\nbackoff = "0.2 s"\nhung_after = "60 s"\n' + "\n".join(assets)
    )


def asset(name: str, *, start: str = "start", model: str = "model", extra: str = "", tags: str = TAGS) -> str:
    """One asset."""
    return f'[[asset]]\nname = "{name}"\nmodel = "{__name__}:{model}"\nstart = "{__name__}:{start}"\n{extra}\n{tags}\n'


def brought_back(target: str, name: str) -> pt.Twin:
    """The twin that a journal holds; what its budget had left over at the stop is gone through."""
    with pt.Journal(target, read_only=True) as journal:
        twin = journal.resume(name, model())
        assert twin is not None
        return twin.assimilate([], budget=None, journal=journal.of(name))[0]


def straight(found: list[pt.Sample]) -> pt.Twin:
    """The twin that was given everything at once and never stopped."""
    ordered = sorted(found, key=lambda one: one.key)
    return start("straight", ordered[0].time).assimilate(ordered, budget=None)[0]
