"""Cool a steel shaft after tempering: fast enough for its core, not so fast that it is overstressed.

Tempered at 600 degC, the steel embrittles where it lingers between 575 and 375 degC, so the core has to be through
soon. Faster cooling, by a colder or a faster stream of the bath, puts the surface under tension. Which baths do?

A field model of a quarter of the shaft answers: heat with properties over temperature, and elastic stress (the limit
lies below two thirds of the yield stress, and tempered steel does not transform). What the stream takes away is not
known and is found from the records of two quenches with a thermocouple in the core; they are made up here, from a film
that the fit does not see. The search simulates some thousand quenches on two processes, for minutes, and says how far
it is. It may be killed at any moment: called again with the same folder it goes on, to the same envelope.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

import physics_twin as pt
from physics_twin import fem

STREAM = pt.Setting("stream", "m/s", bounds=(0.2, 1.4))
BATH = pt.Setting("bath", "degC", bounds=(20, 140))
HERE = {"bath": "80 degC"}
"""What the small version holds: it asks for the stream only."""
VARIATION = {"film": "80 W/m^2/K", "expansion": "3e-7 1/K"}
"""Standard deviations: no two days have the same film, no two heats of steel the same expansion."""
BUDGET = pt.Budget(n_search=32, n_certification=120, n_points=44, n_scouts=64)
SMALL = pt.Budget(n_search=8, n_certification=20, n_points=8, n_nodes=12, n_scouts=4)
"""Draws and settings; fewer scouts than usual, since a simulation takes a tenth of a second and not a thousandth."""
RECIPE = pt.Recipe.constant(speed=STREAM, bath_temperature=BATH, duration="4 min")
LIMITS = [
    pt.Limit("stress", upper="450 MPa", over=pt.peak, name="peak stress"),
    pt.Limit("core", upper="160 s", over=pt.time_above("375 degC"), name="core above 375 degC"),
]


def shaft(cells: int = 6, tolerance: str = "2 K") -> fem.ThermoMechanics:
    """100 mm thick and 150 mm long, cooled all around; a quarter of the section is meshed, finer toward the surface.

    With 6 x 6 cells the peak stress is 0.5 % above that with 40 x 40 cells and steps of 0.5 K, the time of the core
    within 0.2 s.
    """
    steel = fem.Solid(
        name="42CrMo4",
        density="7850 kg/m^3",
        conductivity=fem.Tabulated(([20, 300, 650], "degC"), ([42, 39, 34], "W/m/K")),
        heat_capacity=fem.Tabulated(([20, 300, 650], "degC"), ([470, 560, 780], "J/kg/K")),
        youngs_modulus=fem.Tabulated(([20, 300, 650], "degC"), ([210, 190, 150], "GPa")),
        poissons_ratio=0.29,
        thermal_expansion=pt.Parameter("expansion", "1.35e-5 1/K", bounds=("1e-5 1/K", "2e-5 1/K")),
    ).with_outside(fem.Outside.HOLD)
    mesh = fem.mesh.cylinder("50 mm", "75 mm", cells=(cells, cells), axisymmetric=True, grading=(0.5, 0.5))
    film = pt.Parameter("film", "1 kW/m^2/K", bounds=("100 W/m^2/K", "10 kW/m^2/K"), description="at 0.5 m/s")
    power = pt.Parameter("film_power", 0.6, unit="1", bounds=(0.2, 1.0), description="film ~ speed ^ film_power")
    speed = pt.Signal("speed", "m/s")
    cooled = fem.Convection(
        lambda film, speed, film_power: film * pt.power(speed / "0.5 m/s", film_power),
        ambient=pt.Signal("bath_temperature", "degC"),
    )
    thermal = fem.HeatConduction(
        mesh=mesh,
        materials={"body": steel},
        boundaries={"side": cooled, "top": cooled},
        initial="600 degC",
        sensors={"core": fem.Point("0 mm", "0 mm"), "surface": fem.Point("50 mm", "0 mm")},
        stepping=fem.Adaptive(tolerance),
        degree=2,
        parameters=[film, power],
        inputs=[speed],
    )
    body = fem.Elasticity(
        mesh=mesh,
        materials={"body": steel},
        boundaries={"bottom": fem.Symmetry()},
        temperature=fem.Driven(degree=2),
        reference_temperature="600 degC",
        sensors={"stress": fem.LargestVonMises("body")},
    )
    return fem.ThermoMechanics(thermal, body, name="shaft")


def records(model: fem.ThermoMechanics) -> list[pt.Experiment]:
    """Two quenches with a thermocouple in the core, good to 3 K; made up with a film of 1.12 kW/m^2/K ~ speed^0.55."""
    seconds, rng = np.linspace(0.0, 240.0, 21), np.random.default_rng(11)
    truth: dict[str, Any] = {"film": "1.12 kW/m^2/K", "film_power": 0.55}
    found: list[pt.Experiment] = []
    for name, speed in (("slow", "0.3 m/s"), ("fast", "1.0 m/s")):
        recipe = pt.Recipe.constant(speed=speed, bath_temperature="60 degC", duration="4 min")
        core = pt.simulate(model, seconds, recipe, truth)["core"].values + rng.normal(0.0, 3.0, seconds.size)
        channel = pt.Channel("core", unit="degC", noise="3 K")
        found.append(
            pt.Experiment.from_arrays(name, seconds, {"core": core - 273.15}, recipe=recipe, channels=[channel])
        )
    return found


def find_envelope(
    model: fem.ThermoMechanics, posterior: pt.Posterior, folder: str | None, small: bool = False
) -> pt.Envelope:
    """The baths and streams that keep both limits, in `folder` what was simulated; small: one setting, fewer draws."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as workers:
        return pt.find_envelope(
            model,
            posterior,
            recipe=RECIPE,
            settings=[STREAM] if small else [STREAM, BATH],
            values=HERE if small else None,
            limits=LIMITS,
            probability=0.5 if small else 0.9,
            batch_variation=VARIATION,
            budget=SMALL if small else BUDGET,
            rng=7,
            executor=workers,
            progress=True,
            checkpoint=folder,
        )


def mesh_errors(envelope: pt.Envelope, small: bool = False) -> dict[str, float]:
    """By how much each end of the stream reads the peak stress too high, in MPa, beside a mesh of 40 x 40 cells."""
    seconds, found = np.linspace(0.0, 240.0, 241), {}
    low, high = envelope.box["stream"]
    for end, speed in (("slow", low), ("fast", high)):
        values: dict[str, Any] = {
            "stream": (speed, "m/s"),
            "bath": HERE["bath"] if small else (envelope.box["bath"][0], "K"),
        }
        models = (shaft(2), shaft()) if small else (shaft(), shaft(40, "0.5 K"))
        ours, finer = (pt.simulate(m, seconds, RECIPE, values)["stress"].values.max() for m in models)
        found[end] = float(ours - finer) / 1e6
    return found


def main(picture: str, folder: str | None = None, small: bool = False) -> tuple[pt.Envelope, dict[str, float]]:
    """Return the envelope and what the mesh adds to the peak stress; raises StoppedError for the folder of another."""
    model = shaft(2) if small else shaft()
    posterior = pt.calibrate(model, records(model), unknown=["film", "film_power"], rng=7)
    print(posterior)
    envelope = find_envelope(model, posterior, folder, small)
    print(envelope)
    envelope.plot().savefig(picture, dpi=120)
    errors = mesh_errors(envelope, small)
    for end, error in errors.items():
        print(f"{end} end of the stream: the mesh of the search reads {error:+.1f} MPa beside a finer one")
    return envelope, errors


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("quench")
    folder.mkdir(exist_ok=True)
    main(str(folder / "quench_envelope.png"), str(folder / "simulations"))
