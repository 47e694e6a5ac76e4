"""A tank that is heated while cold water flows through it: the plant of this example, and the twin of it.

`python plant.py history` writes two hours of a historian's export up to now, as the plant would.
`python plant.py publish HOST PORT` goes on every second over MQTT.
"""

import argparse
import csv
import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import physics_twin as pt

CHANNELS = [pt.Channel("tank", unit="degC", noise="0.1 K"), pt.Channel("wall", unit="degC", noise="0.2 K")]
TRUE = {"loss": "14 W/K", "efficiency": 0.88}
"""What the invented plant has, and the twin is to find out."""
UNITS = {"tank": "degC", "wall": "degC", "power": "kW", "feed": "kg/min"}


def model() -> pt.ProcessModel:
    """Energy of the water and of the wall around it."""
    m = pt.ProcessBuilder("heated_tank", version="1.0")
    power, feed = m.input("power", "kW"), m.input("feed", "kg/min")
    loss = m.parameter("loss", "10 W/K", bounds=("1 W/K", "100 W/K"))
    efficiency = m.parameter("efficiency", 0.8, bounds=(0.3, 1.0))
    to_wall = m.parameter("to_wall", "120 W/K")
    room, cold = m.parameter("room", "20 degC"), m.parameter("cold", "12 degC")
    water, shell = m.parameter("water", "209 kJ/K"), m.parameter("shell", "12 kJ/K")
    c = m.parameter("c", "4.18 kJ/(kg K)")
    tank, wall = m.state("tank", "degC", initial="30 degC"), m.state("wall", "degC", initial="28 degC")
    m.rate(tank, (efficiency * power - feed * c * (tank - cold) - to_wall * (tank - wall)) / water)
    m.rate(wall, (to_wall * (tank - wall) - loss * (wall - room)) / shell)
    m.output("tank", tank)
    m.output("wall", wall)
    return m.build()


def start(asset: str, at: int) -> pt.Twin:
    """The twin as it takes over: a posterior as a fit has left it, every input live."""
    tank = model()
    rng = np.random.default_rng(1)
    chosen = [tank.parameters[name] for name in ("loss", "efficiency")]
    draws = np.array([10.0, 0.8]) * np.exp(np.array([0.3, 0.1]) * rng.standard_normal((500, 2)))
    draws[:, 1] = np.minimum(draws[:, 1], 0.99)
    return pt.Twin.start(
        tank,
        pt.Posterior.from_draws(chosen, draws),
        at=at,
        channels=CHANNELS,
        initial_sd={"tank": "3 K", "wall": "3 K"},
        drift={"loss": pt.RandomWalk("2 %", per="1 d"), "efficiency": pt.RandomWalk("1 %", per="1 d")},
        process_noise={"tank": pt.RandomWalk("0.05 K", per="1 min"), "wall": pt.RandomWalk("0.05 K", per="1 min")},
    )


def record(n: int, step: float = 5.0, seed: int = 7) -> dict[str, np.ndarray]:
    """(n,) each: what the plant's historian has, a row every `step` seconds, in the units of UNITS."""
    rng = np.random.default_rng(seed)
    times = step * np.arange(n)
    power = np.where((times // 1200.0).astype(int) % 2 == 0, 6.0, 3.0)
    feed = np.where((times // 3000.0).astype(int) % 2 == 0, 1.0, 1.6)
    rows = {"power": (power, "kW", pt.HOLD), "feed": (feed, "kg/min", pt.HOLD)}
    run = pt.simulate(model(), times, pt.Recipe.from_table(times, rows, hold_after=True), values=TRUE)
    noise = {"tank": 0.1, "wall": 0.2}
    found = {name: run.in_units()[name].values + sd * rng.standard_normal(n) for name, sd in noise.items()}
    return {"time": times, **found, "power": power, "feed": feed}


def lines(begin: dt.datetime, n: int, step: float = 5.0) -> Iterator[list[str]]:
    """The rows of an export, stamps in UTC."""
    table = record(n, step)
    yield ["time", *UNITS]
    for k in range(n):
        stamp = begin + dt.timedelta(seconds=float(table["time"][k]))
        yield [stamp.isoformat().replace("+00:00", "Z"), *(f"{table[name][k]:.3f}" for name in UNITS)]


def write_history(path: Path, begin: dt.datetime, n: int, step: float = 5.0) -> None:
    """Write an export of n rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf8") as file:
        csv.writer(file).writerows(lines(begin, n, step))


def main() -> None:
    """Write a history beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["history"])
    parser.add_argument("--hours", type=float, default=2.0)
    given = parser.parse_args()
    n = round(given.hours * 720)
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    write_history(Path(__file__).parent / "history" / "tank.csv", now - dt.timedelta(seconds=5 * n), n)


if __name__ == "__main__":
    main()
