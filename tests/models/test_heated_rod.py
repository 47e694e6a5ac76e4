"""heated_rod: the fin in closed form, conserved heat, similarity, and the published fits of both metals."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin_models.heated_rod import ALUMINUM, COPPER, Fin, experiment, fit_fin, heated_rod, heated_rod_3d
from physics_twin_models.heated_rod.model import LENGTH, PLACES, SIDE, measured

UNKNOWN = ("source_flux", "film_coefficient")
K = {"aluminum": 2.37, "copper": 4.01}
AMBIENT = {"aluminum": 21.29, "copper": 22.28}


def temperatures(model, flux=18.0, film=1.9e-3, ambient=21.0, conductivity=2.37):
    """Outputs in degC for numbers in cm, W and K."""
    recipe = pt.Recipe.constant(heat_flux=f"{flux} W/cm^2", ambient_temperature=f"{ambient} degC")
    values = {"film_coefficient": f"{film} W/cm^2/K", "conductivity": f"{conductivity} W/cm/K"}
    run = pt.simulate(model, [0.0], recipe, values).in_units()
    return {signal.name: float(run[signal.name].values[0]) for signal in model.outputs}


def profile(found):
    return np.array([found[f"T_{x}"] for x in PLACES])


@pytest.fixture(scope="module")
def rod():
    return heated_rod()


@pytest.fixture(scope="module")
def fits():
    """(metal, dimensions) -> fit."""
    builders = {1: heated_rod, 3: heated_rod_3d}
    return {
        (metal.name, d): pt.calibrate(build(metal), experiment(metal), unknown=UNKNOWN, rng=7)
        for metal in (ALUMINUM, COPPER)
        for d, build in builders.items()
    }


def in_book_units(fit):
    """Flux, film coefficient and noise, and the standard errors of the first two, in W, cm and K."""
    mode, error = fit.mode, fit.standard_errors
    flux, film = mode["source_flux"] / 1e4, mode["film_coefficient"] / 1e4
    return flux, film, mode["noise.thermocouple"], error["source_flux"] / 1e4, error["film_coefficient"] / 1e4


@pytest.mark.parametrize(("film", "conductivity"), [(1.9e-3, 2.37), (1.4e-3, 4.01), (1e-2, 2.37)])
def test_one_dimension_is_the_fin(rod, film, conductivity):
    """Elements of the second degree, 1 cm long, give the closed form to 1e-5 of the hottest rise, ends included."""
    found = temperatures(rod, film=film, conductivity=conductivity)
    fin = Fin(18.0, film, conductivity, 21.0)
    rise = fin.temperature([0.0])[0] - 21.0
    np.testing.assert_allclose(profile(found), fin.temperature(PLACES), atol=1e-5 * rise)
    np.testing.assert_allclose([found["hot_end"], found["far_end"]], fin.temperature([0.0, LENGTH]), atol=1e-5 * rise)


def test_the_fin_obeys_its_equation_and_its_ends():
    """The witness itself: T'' = gamma^2 (T - ambient), -k T'(0) = q, -k T'(L) = h (T - ambient), by differences."""
    fin, step = Fin(18.0, 1.9e-3, 2.37, 21.0), 1e-3
    gamma2 = 4.0 * 1.9e-3 / (SIDE * 2.37)
    for x in (5.0, 35.0, 65.0):
        left, middle, right = fin.temperature([x - step, x, x + step])
        assert (left - 2.0 * middle + right) / step**2 == pytest.approx(gamma2 * (middle - 21.0), rel=1e-4)
    a, b = fin.temperature([-step, step])
    assert -2.37 * (b - a) / (2.0 * step) == pytest.approx(18.0, rel=1e-6)
    a, end, b = fin.temperature([LENGTH - step, LENGTH, LENGTH + step])
    assert -2.37 * (b - a) / (2.0 * step) == pytest.approx(1.9e-3 * (end - 21.0), rel=1e-4)


def test_three_dimensions_differ_by_the_drop_within_the_cross_section():
    """The axis is hotter than the fin, by h side/(8 k) of the rise from each pair of sides and, as cooler sides lose
    less, by as much again for every length 1/gamma along the rod; no more than that, and no less than a tenth."""
    film, conductivity = 1.9e-3, 2.37
    found, fin = temperatures(heated_rod_3d()), Fin(18.0, film, conductivity, 21.0)
    difference = profile(found) - fin.temperature(PLACES)
    along = np.sqrt(4.0 * film / (SIDE * conductivity)) * np.array(PLACES)
    drop = film * SIDE / (4.0 * conductivity) * (fin.temperature(PLACES) - 21.0) * (1.0 + along)
    assert (difference < drop).all()
    assert (difference > 0.1 * drop).all()


def test_heat_is_conserved(rod):
    """What the source gives leaves through the sides and the far end (W per cm^2 of the cross-section)."""
    found = temperatures(rod)
    sides = 4.0 / SIDE * LENGTH * 1.9e-3 * (found["mean"] - 21.0)
    end = 1.9e-3 * (found["far_end"] - 21.0)
    assert sides + end == pytest.approx(18.0, rel=1e-9)


def test_rise_scales_with_the_flux_and_only_ratios_matter(rod):
    """Twice the flux doubles the rise; flux, film coefficient and conductivity times three change nothing."""
    one = profile(temperatures(rod))
    np.testing.assert_allclose(profile(temperatures(rod, flux=36.0)) - 21.0, 2.0 * (one - 21.0), rtol=1e-9)
    np.testing.assert_allclose(profile(temperatures(rod, 54.0, 5.7e-3, 21.0, 7.11)), one, rtol=1e-9)


def test_without_a_source_the_rod_is_at_room_temperature(rod):
    """The limit of no heat."""
    np.testing.assert_allclose(profile(temperatures(rod, flux=0.0)), 21.0, atol=1e-9)


def test_experiment_holds_the_published_readings():
    """Fifteen readings for each metal, first and last as printed, one noise level, one array."""
    for metal, first, last in ((ALUMINUM, 96.14, 25.86), (COPPER, 66.04, 30.56)):
        readings = measured(metal)
        assert tuple(readings) == PLACES
        assert (readings[10], readings[66]) == (first, last)
        run = experiment(metal)
        assert len(run.arrays["rod"]) == 15
        assert {channel.noise_name for channel in run.channels} == {"noise.thermocouple"}
        assert run["T_38"].channel.place == pt.Place("rod", "38 cm")


@pytest.mark.parametrize("metal", [ALUMINUM, COPPER], ids=lambda metal: metal.name)
def test_fit_is_the_closed_form_fit(fits, metal):
    """1-D: estimates, errors and noise of an independent least-squares fit of the fin to 1e-5."""
    readings = measured(metal)
    witness = fit_fin(list(readings), list(readings.values()), K[metal.name], AMBIENT[metal.name])
    wanted = (
        witness.flux,
        witness.film_coefficient,
        witness.noise,
        witness.flux_error,
        witness.film_coefficient_error,
    )
    np.testing.assert_allclose(in_book_units(fits[metal.name, 1]), wanted, rtol=1e-5)


@pytest.mark.parametrize(
    ("metal", "numbers"),
    [
        ("aluminum", (18.4149, 0.00191432, 0.2397, 0.1392, 1.393e-5)),
        ("copper", (9.9265, 0.00142749, 0.2301, 0.0947, 1.331e-5)),
    ],
)
def test_pinned_least_squares(fits, metal, numbers):
    """Recomputed from table 3.2: all printed digits in 1-D; in 3-D within a fiftieth of a standard error."""
    np.testing.assert_allclose(in_book_units(fits[metal, 1]), numbers, rtol=5e-4)
    one, three = np.array(in_book_units(fits[metal, 1])), np.array(in_book_units(fits[metal, 3]))
    assert abs(three[0] - one[0]) < 0.02 * one[3]
    assert abs(three[1] - one[1]) < 0.02 * one[4]
    np.testing.assert_allclose(three[2:], one[2:], rtol=1e-3)


@pytest.mark.parametrize("dimensions", [1, 3])
def test_pinned_published_posterior(fits, dimensions):
    """Smith for aluminum: phi = -18.41 (0.1450), into the rod with the other sign, h = 0.00191 (1.4482e-5), 0.25 K."""
    fit = fits["aluminum", dimensions]
    flux, film, noise, *_ = in_book_units(fit)
    assert flux == pytest.approx(18.41, abs=0.01)
    assert film == pytest.approx(0.00191, abs=5e-6)
    assert noise == pytest.approx(0.25, abs=0.02)
    # Draws with uncertain noise are Student's t, wider than the classical error: as in the published chain. 1000 draws
    # give a standard deviation to 2 %.
    assert fit["source_flux"].std() / 1e4 == pytest.approx(0.1450, rel=0.06)
    assert fit["film_coefficient"].std() / 1e4 == pytest.approx(1.4482e-5, rel=0.06)


def test_correlated_residuals_of_copper_are_found(fits):
    """Copper's neighbors err to the same side, and the draws are wider for it; aluminum's do not."""
    assert fits["copper", 1].inflation["source_flux"] > 1.5
    assert any(w.startswith("rod: residuals are correlated") for w in fits["copper", 1].warnings)
    assert fits["aluminum", 1].inflation["source_flux"] == 1.0
