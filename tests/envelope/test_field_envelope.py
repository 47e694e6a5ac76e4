"""An envelope of a field model: a quench between a stress that is too high and a core that is too slow."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

import physics_twin as pt

fem = pytest.importorskip("physics_twin.fem")

STREAM = pt.Setting("stream", "m/s", bounds=(0.1, 2.0))
RECIPE = pt.Recipe.constant(speed=STREAM, duration="4 min")
LIMITS = [
    pt.Limit("stress", upper="300 MPa", over=pt.peak, name="stress"),
    pt.Limit("core", upper="350 degC", over=pt.final, name="core"),
]
FILM, SPREAD = 500.0, 0.04
"""W/m^2/K at 0.5 m/s, and the standard deviation of its logarithm."""


def shaft():
    """A shaft of 100 mm with four cells of its section."""
    steel = fem.Solid(
        density="7850 kg/m^3",
        conductivity="38 W/m/K",
        heat_capacity="600 J/kg/K",
        youngs_modulus="190 GPa",
        poissons_ratio=0.29,
        thermal_expansion="1.35e-5 1/K",
    )
    mesh = fem.mesh.cylinder("50 mm", "75 mm", cells=(2, 2), axisymmetric=True)
    film = pt.Parameter("film", (FILM, "W/m^2/K"), bounds=("50 W/m^2/K", "10 kW/m^2/K"))
    speed = pt.Signal("speed", "m/s")
    cooled = fem.Convection(lambda film, speed: film * (speed / "0.5 m/s") ** 0.6, ambient="60 degC")
    thermal = fem.HeatConduction(
        mesh=mesh,
        materials={"body": steel},
        boundaries={"side": cooled, "top": cooled},
        initial="600 degC",
        sensors={"core": fem.Point("0 mm", "0 mm")},
        stepping=fem.Adaptive("2 K"),
        parameters=[film],
        inputs=[speed],
    )
    body = fem.Elasticity(
        mesh=mesh,
        materials={"body": steel},
        boundaries={"bottom": fem.Symmetry()},
        temperature=fem.Driven(),
        reference_temperature="600 degC",
        sensors={"stress": fem.LargestVonMises("body")},
        degree=1,
    )
    return fem.ThermoMechanics(thermal, body, name="shaft")


def find(model, folder, workers=None):
    """The envelope; its simulations are kept in `folder`."""
    draws = FILM * np.exp(SPREAD * np.random.default_rng(3).standard_normal(28))
    return pt.find_envelope(
        model,
        pt.Posterior.from_draws([model.parameters["film"]], draws[:, None]),
        recipe=RECIPE,
        settings=[STREAM],
        limits=LIMITS,
        probability=0.5,
        rng=1,
        budget=pt.Budget(n_search=8, n_certification=20, n_points=8, n_nodes=24, n_scouts=4),
        checkpoint=folder,
        executor=workers,
    )


def kept(model, stream):
    """True probability of both limits at a stream in m/s: the films between which the model keeps them."""
    seconds = 240.0 * np.linspace(0.0, 1.0, 65) ** 1.5

    def excess(log_film, output, reduced):
        values = {"stream": (stream, "m/s"), "film": (float(np.exp(log_film)), "W/m^2/K")}
        return reduced(pt.simulate(model, seconds, RECIPE, values)[output].values)

    around = np.log(FILM) - 0.8, np.log(FILM) + 0.8
    most = brentq(lambda x: excess(x, "stress", np.max) / 1e6 - 300.0, *around, xtol=1e-3)
    least = brentq(lambda x: excess(x, "core", lambda y: y[-1]) - 623.15, *around, xtol=1e-3)
    below, above = norm.cdf((np.array([least, most]) - np.log(FILM)) / SPREAD)
    return above - below


@pytest.mark.slow
def test_a_quench_has_a_certified_box_and_goes_on_where_it_was_stopped(tmp_path):
    """At both ends the true probability is the required one or more, and not all of it: the limits end the range.

    The journal is cut in the middle, as by a kill, and a worker process goes on from there: the bytes are the same.
    """
    model = shaft()
    found = find(model, tmp_path / "simulations")
    assert found.certificate.passed
    assert found.binding["stream"] == ("core", "stress")
    found.save(tmp_path / "whole.nc")
    for end in found.box["stream"]:
        assert 0.5 <= kept(model, end) < 0.9999

    journal = tmp_path / "simulations" / "simulations.journal"
    journal.write_bytes(journal.read_bytes()[: journal.stat().st_size // 2])
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as worker:
        find(model, tmp_path / "simulations", worker).save(tmp_path / "resumed.nc")
    assert (tmp_path / "resumed.nc").read_bytes() == (tmp_path / "whole.nc").read_bytes()
