"""From a historian export and a batch list to a calibrated model.

The plant is made up by `plant_export.py`, dirt included; docs/plant-log.md explains every step. Run it with
`python examples/plant_log.py`: it writes the export into the folder plant/, a picture of it and one of the batches.
"""

import sys
from pathlib import Path

import physics_twin as pt
from physics_twin_models.jacketed_reactor import jacketed_reactor

sys.path.insert(0, str(Path(__file__).parent))
from plant_export import write_plant

ZONE = "Europe/Berlin"
KNOWN = {"volume": "2000 L", "heat_capacity": "2 J/g/K"}
SHUT = {"feed_flow": "0 L/min", "feed_temperature": "20 degC", "feed_concentration": "0 mol/L"}
UNKNOWN = [
    "wall_conductance",
    pt.Parameter("rate_factor", "5e10 1/min", bounds=("1e9 1/min", "1e12 1/min")),
    "heat_of_reaction",
]
ME = "R. Berger"
EXCLUDED = {
    "B103": [pt.Exclusion("80 min", "118 min", "transmitter frozen at 56.3 degC", ME, ("temperature",))],
    "B104": [pt.Exclusion("200 min", "300 min", "end not written down; the vessel is empty", ME)],
    "B105": [pt.Exclusion("59.5 min", "60.5 min", "spike: welding at the gallery", ME, ("temperature",))],
}
HELD_BACK = ("B104", "B110")


def read(folder: Path) -> pt.Experiments:
    """Return the batches of the plant, dirt flagged, with what the operators and the laboratory wrote."""
    log = pt.read_log(folder / "historian.csv", layout=pt.Layout(zone=ZONE), tags=folder / "tags.toml")
    batches = pt.read_batches(
        folder / "batches.xlsx",
        zone=ZONE,
        phases={"heating": "Start", "reaction": "Reaction from", "cooling": "Cooling from"},
        open_end="next",
    )
    laboratory = pt.read_laboratory(
        folder / "laboratory.csv",
        output="concentration",
        value="Concentration mol/L",
        unit="mol/L",
        uncertainty="0.02 mol/L",
        batch="Batch",
        sampled_at="Sampled",
        reported_at="Reported",
        zone=ZONE,
    )
    return pt.experiments_from(
        log,
        batches=batches,
        laboratory=laboratory,
        inputs=SHUT,
        initial={
            "concentration": pt.FromContext("Charge mol/L", "mol/L"),
            "temperature": pt.FromContext("Charge degC", "degC"),
        },
        exclude=EXCLUDED,
    )


def fit(runs: list[pt.Experiment]) -> pt.Posterior:
    """Return three parameters of the reactor and the biases of its two thermocouples."""
    return pt.calibrate(jacketed_reactor(), runs, unknown=UNKNOWN, values=KNOWN, rng=7)


def main(folder: Path = Path("plant")) -> tuple[pt.Experiments, pt.HoldOut]:
    """Return the batches as read, and the fit to eight of them with its check on two that it has not seen."""
    write_plant(folder)

    look = pt.inspect(folder / "historian.csv", layout=pt.Layout(zone=ZONE))
    print(look)
    look.plot().savefig(folder / "historian.png")

    batches = read(folder)
    print(batches)
    batches.plot().savefig(folder / "batches.png")

    means = {run.name: run.average("5 min", outputs=["temperature"]) for run in batches}
    check = pt.holdout(
        jacketed_reactor(),
        [run for name, run in means.items() if name not in HELD_BACK],
        held=[means[name] for name in HELD_BACK],
        fit=fit,
        n_draws=300,
        rng=7,
    )
    print(check.posterior)
    print(check)
    return batches, check


if __name__ == "__main__":
    main()
