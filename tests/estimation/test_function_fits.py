"""Unknown functions in fits: smoothness at uneven knots, closed forms, recovery of a film coefficient."""

import numpy as np
import pytest
from scipy import stats

import physics_twin as pt
from physics_twin.estimation.problem import set_up

KNOTS = np.array([0.0, 10.0, 15.0, 40.0, 100.0])
COURSE = pt.Spline("course", over="t", knots=(KNOTS, "s"), value="5 m")


def course(closed_form):
    """A model that shows a spline over time: linear in its values."""
    return closed_form(
        lambda t, v: (COURSE.basis(np.real(t)) @ np.array([v[n] for n in COURSE.names]))[:, None],
        pt.ParameterSet(COURSE.parameters),
        (pt.Signal("y", "m"),),
        name="course",
    )


def test_a_linear_function_with_a_smoothness_prior_is_a_gaussian_in_closed_form(closed_form) -> None:
    """Mode and covariance are those of Gaussian conditioning with the Matern prior at uneven knots, own means."""
    times, means = np.array([2.0, 12.0, 30.0, 55.0]), np.array([4.0, 5.0, 6.0, 5.0, 3.0])
    y = np.array([4.4, 6.1, 6.6, 5.2])
    run = pt.Experiment.from_arrays("run", times, {"y": y}, channels=[pt.Channel("y", unit="m", noise="0.2 m")])
    prior = pt.SmoothPrior(COURSE, mean=(means, "m"), sd="2 m", length="30 s")
    posterior = pt.calibrate(course(closed_form), run, unknown=[prior], rng=1)
    r = np.sqrt(3.0) * np.abs(KNOTS[:, None] - KNOTS) / 30.0
    inverse = np.linalg.inv(4.0 * (1.0 + r) * np.exp(-r))
    design = COURSE.basis(times)
    covariance = np.linalg.inv(design.T @ design / 0.04 + inverse)
    mode = covariance @ (design.T @ y / 0.04 + inverse @ means)
    np.testing.assert_allclose([posterior.mode[n] for n in COURSE.names], mode, rtol=1e-6)
    np.testing.assert_allclose(posterior.covariance.values, covariance, rtol=1e-6, atol=1e-9)


def test_positions_in_even_steps_are_the_old_form() -> None:
    """Knots a minute apart with a length of two minutes are steps with a length of two."""
    names = ["a", "b", "c", "d"]
    old = pt.SmoothPrior(names, "0 K", "1 K", length=2.0)
    new = pt.SmoothPrior(names, "0 K", "1 K", length="2 min", positions=["0 s", "60 s", "120 s", "180 s"])
    np.testing.assert_allclose(new.correlation, old.correlation, rtol=1e-14)
    spline = pt.Spline("f", over="t", knots=([0.0, 1.0, 2.0, 3.0], "min"), value="0 K")
    np.testing.assert_allclose(pt.SmoothPrior(spline, "0 K", "1 K", "120 s").correlation, old.correlation, rtol=1e-14)


def test_a_length_over_temperature_is_a_difference() -> None:
    """Knots in degC and a length in K: 0.48 is the correlation one length apart."""
    film = pt.Spline("film", over="T", knots=(["20 degC", "100 degC", "300 degC"]), value="20 W/m^2/K")
    prior = pt.SmoothPrior(film, mean="20 W/m^2/K", sd="5 W/m^2/K", length="200 K")
    assert prior.correlation[1, 2] == pytest.approx((1.0 + np.sqrt(3.0)) * np.exp(-np.sqrt(3.0)))
    assert prior.names == ("film_1", "film_2", "film_3")


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"length": "200 s"}, pt.UnitError, "length"),
        ({"length": "0 K"}, pt.BoundsError, "not above zero"),
        ({"positions": ["1 K", "2 K", "3 K"]}, pt.CalibrationError, "its own positions"),
        ({"mean": ["1 m", "2 m"]}, pt.ShapeError, "2 quantities for 3 places"),
        ({"names": ["a", "b"], "length": "2 K", "positions": ["2 K", "1 K"]}, pt.CalibrationError, "ascend"),
        ({"names": ["a", "b"], "length": "2 K", "positions": ["1 K"]}, pt.CalibrationError, "2 positions"),
        ({"names": ["a", "b"], "length": "2 K"}, pt.BoundsError, "steps is not a positive number"),
    ],
)
def test_contradictory_smoothness_is_refused(given: dict[str, object], error: type[Exception], words: str) -> None:
    """Wrong units, positions that do not ascend or are given twice, and means for other places."""
    film = pt.Spline("film", over="T", knots=(["20 K", "100 K", "300 K"]), value="20 m")
    with pytest.raises(error, match=words):
        pt.SmoothPrior(**{"names": film, "mean": "20 m", "sd": "5 m", "length": "200 K", **given})  # type: ignore[arg-type]


def test_each_experiment_may_have_a_function_of_its_own(closed_form) -> None:
    """`PerExperiment` of the values, with the knots as positions."""
    times = np.array([2.0, 12.0, 30.0, 55.0])
    channels = [pt.Channel("y", unit="m", noise="0.2 m")]
    runs = tuple(pt.Experiment.from_arrays(n, times, {"y": np.ones(4)}, channels=channels) for n in ("r1", "r2"))
    own = [pt.PerExperiment(n) for n in COURSE.names]
    prior = pt.SmoothPrior(own, "5 m", "2 m", length="30 s", positions=(KNOTS, "s"))
    problem = set_up(course(closed_form), runs, [prior])
    assert problem.coupling is not None
    root = np.linalg.inv(problem.coupling)
    rows = [problem.names.index(f"{n}@r2") for n in COURSE.names]
    np.testing.assert_allclose((root @ root.T)[np.ix_(rows, rows)], prior.correlation, atol=1e-8)


def test_a_function_is_drawn_from_a_saved_posterior_with_its_band_before_the_data(closed_form, tmp_path) -> None:
    """Band, median, knots and the band before the data, which is the prior's at the knots; a fixed one is refused."""
    times = np.array([2.0, 12.0, 30.0, 55.0])
    run = pt.Experiment.from_arrays(
        "run", times, {"y": np.full(4, 5.0)}, channels=[pt.Channel("y", unit="m", noise="0.2 m")]
    )
    prior = pt.SmoothPrior(COURSE, mean="4 m", sd="2 m", length="30 s")
    pt.calibrate(course(closed_form), run, unknown=[prior], rng=1).save(tmp_path / "fit.nc")
    posterior = pt.Posterior.load(tmp_path / "fit.nc")
    (ax,) = posterior.plot_function(COURSE, prior=prior).axes
    lines = {str(line.get_label()): line for line in ax.get_lines()}
    assert {"median", "knots", "95 % before the data"} <= set(lines)
    assert ax.get_xlabel() == "t / s"
    before = np.asarray(lines["95 % before the data"].get_ydata())
    # The end of a 95 % interval from 20000 draws is known to 0.02 standard deviations.
    assert before[[0, -1]] == pytest.approx(4.0 - 1.96 * 2.0, abs=4 * 0.02 * 2.0)
    other = pt.Spline("other", over="t", knots=(KNOTS, "s"), value="5 m")
    with pytest.raises(pt.CalibrationError, match='"other" was fixed'):
        posterior.plot_function(other)


FILM = pt.Spline(
    "film",
    over="T",
    knots=([20.0, 150.0, 300.0, 500.0], "degC"),
    value="30 W/m^2/K",
    bounds=("1 W/m^2/K", "200 W/m^2/K"),
)


def cooling() -> pt.ProcessModel:
    """A lump that loses heat through a film coefficient over its temperature."""
    m = pt.ProcessBuilder("cooling_lump", version="1.0")
    temperature = m.state("temperature", "degC", initial="500 degC")
    h = m.function(FILM, of=temperature)
    m.rate(temperature, -h * (temperature - "20 degC") * "0.1 m^2" / m.constant("5 kJ/K"))
    m.output("temperature", temperature)
    return m.build()


def test_film_coefficients_over_temperature_are_covered_as_often_as_the_band_says() -> None:
    """Over 60 functions drawn from the prior, 80 and 95 % bands at a knot and between knots hold the truth."""
    rng = np.random.default_rng(21)
    model, times, recipe = cooling(), np.arange(0.0, 3601.0, 120.0), pt.Recipe.constant(duration="1 h")
    prior = pt.SmoothPrior(FILM, mean="30 W/m^2/K", sd="6 W/m^2/K", length="200 K")
    root, places = np.linalg.cholesky(prior.correlation), np.array([423.15, 673.15])  # a knot, and between two
    n_sets, inside = 60, {(level, k): 0 for level in (0.8, 0.95) for k in range(2)}
    for seed in range(n_sets):
        truth = 30.0 + 6.0 * root @ rng.standard_normal(4)
        given = {name: (float(v), "W/m^2/K") for name, v in zip(FILM.names, truth, strict=True)}
        clean = pt.simulate(model, times, recipe, values=given).in_units()["temperature"].values
        run = pt.Experiment.from_arrays(
            "run",
            times,
            {"temperature": clean + rng.normal(0.0, 3.0, times.size)},
            channels=[pt.Channel("temperature", unit="degC", noise="3 K")],
            recipe=recipe,
            initial={"temperature": "500 degC"},
        )
        posterior = pt.calibrate(model, run, unknown=[prior], method=pt.GaussNewton(starts=1), rng=seed)
        drawn = FILM.at(places, np.stack([posterior[n] for n in FILM.names], axis=1))
        exact = FILM.at(places, truth)[0]
        for level, k in inside:
            low, high = np.quantile(drawn[:, k], [0.5 - 0.5 * level, 0.5 + 0.5 * level])
            inside[level, k] += int(low <= exact[k] <= high)
    for (level, k), count in inside.items():
        assert stats.binomtest(count, n_sets, level).pvalue > 5e-3, (level, k, count)
