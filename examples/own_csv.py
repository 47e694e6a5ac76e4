"""From a CSV file to a calibrated model.

`write_log` stands for your plant; everything after it is what you would write.
"""

from pathlib import Path

import numpy as np

import physics_twin as pt


def write_log(path: Path) -> None:
    """Write the log of a tank that cools from 80 degC with 12 W/K, read every two minutes to 0.1 K."""
    minutes = np.arange(0, 122, 2)
    noise = np.random.default_rng(3).normal(0.0, 0.2, minutes.size)
    water = 20.0 + 60.0 * np.exp(-12.0 * 60.0 * minutes / (50.0 * 4180.0)) + noise
    rows = [f"{m},{t:.1f}" for m, t in zip(minutes, water, strict=True)]
    path.write_text("\n".join(["minute,TI-101", *rows]), encoding="utf-8")


def main(path: Path = Path("cooling.csv")) -> pt.Posterior:
    """Return the calibrated heat loss."""
    write_log(path)

    m = pt.ProcessBuilder("cooling_tank", version="1.0")
    heat_loss = m.parameter("heat_loss", "5 W/K", bounds=("0.1 W/K", "100 W/K"))
    water = m.state("water", "degC", initial="80 degC")
    m.rate(water, -heat_loss * (water - "20 degC") / m.constant("209 kJ/K"))
    m.output("water_temperature", water)
    model = m.build()

    log = pt.Experiment.from_csv(
        path,
        time=pt.Column("minute", "min"),
        channels=[pt.Channel("water_temperature", column="TI-101", unit="degC", noise="0.2 K")],
    )
    print(pt.compare(model, log))
    start = pt.Parameter("initial.water", "80 degC", bounds=("70 degC", "90 degC"))
    posterior = pt.calibrate(model, log, unknown=["heat_loss", start], rng=7)
    print(posterior)
    return posterior


if __name__ == "__main__":
    main()
