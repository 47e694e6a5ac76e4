"""pyrolyzing_slab: mass, energy, the steady foil, Beer and Lambert, the mesh, and the records of CAPA II."""

import functools

import numpy as np
import pytest

import physics_twin as pt
from physics_twin import datasets
from physics_twin_models.pmma_decomposition import pmma_decomposition
from physics_twin_models.pyrolyzing_slab import gasification, kinetics_from, pyrolyzing_slab
from tests.data_marks import needs_data

SIGMA = 5.670374419e-8
SET = "macfp_pmma_capa"
UNDER_60 = pt.Recipe.constant(flux="60 kW/m^2", gas_temperature="365 K", back_gas_temperature="303 K")


@functools.cache
def slab():
    return pyrolyzing_slab()


@functools.cache
def burnt():
    """400 s under 60 kW/m^2: all of it."""
    return pt.simulate(slab(), np.linspace(0.0, 400.0, 401), UNDER_60)


def test_mass_that_leaves_is_mass_that_was_lost():
    """The integral of the loss rate is initial minus remaining mass; what remains is the residue."""
    run = burnt()
    mass, rate = run["mass"].values, run["mass_loss_rate"].values
    assert mass[0] == pytest.approx(1190.0 * 5.8e-3, rel=1e-9)
    # Local states are followed to 1e-3 in each step; at a third of that, this holds to 1e-3.
    assert np.trapezoid(rate, np.linspace(0.0, 400.0, 401)) == pytest.approx(mass[0] - mass[-1], rel=5e-3)
    residue = slab().parameters["residue_fraction"].value
    assert mass[-1] == pytest.approx(mass[0] * residue, rel=1e-3)


def test_energy_is_conserved():
    """Stored, light under way included, is supplied, to the tolerance of Newton's method."""
    run = burnt()
    supplied = np.abs(run["supplied_energy"].values).max()
    np.testing.assert_allclose(run["energy_imbalance"].values, 0.0, rtol=0, atol=1e-6 * supplied)


def test_what_is_left_of_a_slab_is_a_foil_in_balance():
    """In the end all that enters is emitted and convected by both faces."""
    p, run = slab().parameters, burnt()
    front, back = run["front_temperature"].values[-1], run["back_temperature"].values[-1]
    eps, eps_b = p["emissivity"].value, p["back_emissivity"].value
    lost = eps * SIGMA * (front**4 - 290.0**4) + p["film_coefficient"].value * (front - 365.0)
    lost += eps_b * SIGMA * (back**4 - 303.0**4) + p["back_film_coefficient"].value * (back - 303.0)
    assert run["mass"].values[-1] < 0.01
    assert lost == pytest.approx(eps * 60e3, rel=1e-4)


def test_a_slab_that_absorbs_at_once_is_hotter_in_front():
    """With ten times the absorption the front is hotter, loses more, and less mass is lost at first."""
    times, strong = [0.0, 15.0, 60.0], {"absorption": "2e4 1/m"}
    deep = pt.simulate(slab(), times, UNDER_60)
    shallow = pt.simulate(slab(), times, UNDER_60, values=strong)
    assert shallow["front_temperature"].values[1] > deep["front_temperature"].values[1] + 30.0
    assert shallow["back_temperature"].values[2] < deep["back_temperature"].values[2]


def test_without_decomposition_a_slab_heats_to_its_balance():
    """With rates of next to nothing it is a wall: the heat that passes it is that of a wall of its conductance."""
    values = dict.fromkeys(("volatile_rate", "weak_rate", "main_rate"), "1e-6 1/s")
    values |= {"foaming_temperature": "680 K", "absorption": "2e4 1/m"}
    cool = pt.Recipe.constant(flux="2 kW/m^2", gas_temperature="300 K", back_gas_temperature="300 K")
    run = pt.simulate(slab(), [0.0, 3.0], cool, values=values)
    assert run["mass"].values[-1] == pytest.approx(run["mass"].values[0], rel=1e-9)
    still = pt.simulate(slab(), [0.0, 7200.0], cool, values=values)
    front, back = still["front_temperature"].values[-1], still["back_temperature"].values[-1]
    passed = 0.95 * SIGMA * (back**4 - 300.0**4) + 4.0 * (back - 300.0)
    # In-depth absorption within 1 / 2e4 m of the front: one percent of the thickness.
    assert 0.2 * (front - back) / 5.8e-3 == pytest.approx(passed, rel=0.02)


def test_an_insulation_behind_keeps_the_back_hot():
    """Behind 25 mm of a poor conductor without weight the back loses next to nothing: it is hotter than a free foil."""
    poor = {"backing_conductivity": "0.01 W/m/K", "backing_capacity": "10 kJ/m^3/K"}
    times = [0.0, 150.0, 250.0]
    insulated = pt.simulate(pyrolyzing_slab(backing="25 mm"), times, UNDER_60, values=poor)
    free = pt.simulate(slab(), times, UNDER_60)
    assert insulated["back_temperature"].values[1] > free["back_temperature"].values[1] + 10.0
    assert insulated["mass"].values[2] < free["mass"].values[2]


@functools.cache
def record(flux):
    data = datasets.load(SET)
    return gasification(data.path(f"UMD_CAPA_{flux}kW_Mass.csv"), data.path(f"UMD_CAPA_{flux}kW_Temp.csv"))


@needs_data(SET)
@pytest.mark.parametrize(("flux", "total"), [(25, 6.95), (60, 6.82)])
def test_records_hold_what_was_measured(flux, total):
    """Twenty bins of each channel until 97 percent is lost; no zero of an unused column is among them."""
    found = record(flux)
    loss, back = found["mass_loss_rate"], found["back_temperature"]
    assert loss.values.size == back.values.size == 20
    assert back.values.min() > 290.0
    mean = loss.values.mean() * 20 / 19.5 * loss.times[-1]  # bins are equal; the last mean is half a bin early
    assert mean == pytest.approx(total, rel=0.04)
    assert found.recipe.initial["temperature"][0] == pytest.approx({25: 297.5, 60: 309.3}[flux], abs=0.1)


@needs_data(SET)
def test_without_any_fit_the_slab_is_foreseen_from_small_samples():
    """Kinetics and heats of milligrams, properties of handbooks: loss rates to 12 percent of the plateau, 35 K."""
    for flux, plateau in ((25, 7.2e-3), (60, 27e-3)):
        found = record(flux)
        run = pt.simulate(slab(), found.times, found.recipe)
        for output, limit in (("mass_loss_rate", 0.12 * plateau), ("back_temperature", 35.0)):
            series = found[output]
            at = np.searchsorted(found.times, series.times)
            assert np.sqrt(np.mean((run[output].values[at] - series.values) ** 2)) < limit, (flux, output)


@needs_data(SET)
@pytest.mark.slow
def test_sixty_is_predicted_from_twenty_five():
    """Fitted to 25 kW/m^2 alone, no parameter leaves its prior, and 60 kW/m^2 is met to a tenth of its plateau."""
    unknown = (
        "density",
        "heat_capacity",
        "conductivity",
        "foam_conductivity",
        "foaming_temperature",
        "absorption",
        "emissivity",
        "film_coefficient",
        "heat_of_decomposition",
        "main_rate",
    )
    fit = pt.calibrate(slab(), record(25), unknown=unknown, rng=7)
    assert fit.converged
    rms = {c.output: np.sqrt(c.sum_of_squares / c.n_samples) for c in fit.channels}
    assert rms["back_temperature"] < 5.0
    assert rms["mass_loss_rate"] < 0.5e-3
    for name in unknown:
        prior, mode = slab().parameters[name].prior, float(fit.mode[name])
        low, high = (prior.quantile(p) for p in (0.005, 0.995))
        assert low < mode < high, name
    other = record(60)
    run = pt.simulate(slab(), other.times, other.recipe, values=pt.Values({name: fit.mode[name] for name in unknown}))
    for output, limit in (("back_temperature", 20.0), ("mass_loss_rate", 0.12 * 27e-3)):
        series = other[output]
        found = run[output].values[np.searchsorted(other.times, series.times)]
        assert np.sqrt(np.mean((found - series.values) ** 2)) < limit, output


def test_kinetics_become_priors():
    """Rate, activation energy and order of a posterior, each with the spread of its draws."""
    rng = np.random.default_rng(3)
    declared = pmma_decomposition().parameters.select(["main_rate", "main_activation_energy", "main_order"])
    draws = np.column_stack(
        [
            8e-3 * np.exp(0.1 * rng.standard_normal(4000)),
            2.06e5 + 2e3 * rng.standard_normal(4000),
            1.41 + 0.015 * rng.standard_normal(4000),
        ]
    )
    rate, energy, order = kinetics_from(pt.Posterior.from_draws(declared, draws))
    assert rate.value == pytest.approx(8e-3, rel=0.01)
    assert rate.prior.sigma == pytest.approx(0.1, rel=0.05)
    assert energy.prior.sd == pytest.approx(2e3, rel=0.05)
    assert order.prior.mean == pytest.approx(1.41, abs=1e-3)
