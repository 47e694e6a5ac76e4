"""Posteriors as values: read, printed, saved, predicted with, plotted."""

import dataclasses
import json
import pickle

import matplotlib
import numpy as np
import pytest
import xarray as xr
from scipy import stats

from physics_twin.errors import (
    BoundsError,
    CalibrationError,
    FileFormatError,
    ModelError,
    RecipeError,
    ShapeError,
    SolveError,
    UnitError,
    UnknownNameError,
)
from physics_twin.estimation import calibrate
from physics_twin.measurements import Channel, EstimatedNoise, Experiment
from physics_twin.model import StateBlock
from physics_twin.parameters import Parameter, ParameterSet, PerExperiment
from physics_twin.posterior import FailedSimulation, Posterior
from physics_twin.priors import HalfNormal, LogNormal, Normal, Truncated, Uniform
from physics_twin.recipes import Phase, Recipe, ramp
from physics_twin.signals import Setting, Signal

matplotlib.use("Agg")
TIMES = np.linspace(0.0, 10.0, 30)


class HeatedLine:
    """T = start + gain * u * t, u an input that may ramp; fails for a gain above `limit`."""

    name, version, fingerprint = "heated_line", "1.2", "fedcba9876543210"
    inputs = (Signal("u", "W"),)
    outputs = (Signal("T", "degC", description="core"), Signal("spare", "1"))
    validity: dict[str, tuple[float, float]] = {}  # noqa: RUF012
    parameters = ParameterSet([
        Parameter("start", "20 degC", bounds=("-50 degC", "200 degC")),
        Parameter("gain", "0.5 K/W/s", prior=Normal("0.5 K/W/s", "0.5 K/W/s")),
        Parameter("offset", "0 K"),
    ])  # fmt: skip

    def __init__(self, limit: float = np.inf) -> None:
        self.limit = limit

    @property
    def state(self):
        return (StateBlock("T", self.outputs[0].unit),)

    def initial_state(self, t0, recipe, values):
        return np.array([values["start"]])

    def advance(self, state, t0, t1, recipe, values):
        if values["gain"] > self.limit:
            raise SolveError("boils over", time=t1)
        return state + values["gain"] * self._level(recipe, values) * (t1 - t0)

    def observe(self, state, t, recipe, values):
        return np.array([state[0] + values["offset"], t])

    @staticmethod
    def _level(recipe, values):
        given = recipe.phases[0].inputs["u"]
        return values[given.name] if isinstance(given, Setting) else float(str(given).split()[0])


def experiment(name: str = "run", start: float = 22.0, **noise) -> Experiment:
    rng = np.random.default_rng(len(name))
    y = start + 0.4 * 2.0 * TIMES + 0.2 * rng.standard_normal(TIMES.size)
    channel = Channel("T", unit="degC", noise=noise.get("noise", EstimatedNoise("1 K")))
    recipe = Recipe.constant(u="2 W", duration="10 s")
    return Experiment.from_arrays(name, TIMES, {"T": y}, channels=[channel], recipe=recipe)


@pytest.fixture(scope="module")
def fitted() -> Posterior:
    return calibrate(HeatedLine(), experiment(), unknown=["start", "gain"], rng=1)


# Reading -------------------------------------------------------------------------------------------------------------


def test_every_number_has_its_unit(fitted: Posterior) -> None:
    """SI inside with units on the coordinate; declared units outside; differences without offset."""
    assert fitted.draws.dims == ("draw", "parameter")
    assert fitted.draws.coords["units"].values.tolist() == ["K", fitted.parameters["gain"].unit.si_text, "K"]
    assert fitted.mode["start"] == pytest.approx(273.15 + 22.0, abs=0.3)
    shown = fitted.in_units()
    assert shown["start"].attrs["units"] == "degC"
    np.testing.assert_allclose(shown["start"].values, fitted["start"] - 273.15)
    assert shown["noise.T"].attrs["units"] == "K"
    np.testing.assert_allclose(shown["noise.T"].values, fitted["noise.T"])
    text = str(fitted)
    for expected in ("degC", "sum of squares", "heated_line", "noise.T", "95 % interval", "identified", "Correlation"):
        assert expected in text
    lines = text.splitlines()
    table = lines[lines.index(next(line for line in lines if line.startswith("parameter"))) :][:5]
    assert len({line.find("95 %") for line in table[:1]}) == 1
    html = fitted._repr_html_()
    assert html.count("<table>") == html.count("</table>") == 3 and "degC" in html and "<script" not in html


def test_quantiles_and_correlation(fitted: Posterior) -> None:
    """Those of the draws."""
    one = fitted.quantile(0.5)
    np.testing.assert_array_equal(one.values, np.median(fitted.draws.values, axis=0))
    several = fitted.quantile([0.1, 0.9])
    assert several.dims == ("quantile", "parameter") and several.sel(quantile=0.9, parameter="gain") > one.sel(
        parameter="gain"
    )
    r = fitted.correlation
    assert r.sel(parameter="start", parameter_2="gain") == pytest.approx(
        np.corrcoef(fitted["start"], fitted["gain"])[0, 1]
    )
    with pytest.raises(UnknownNameError, match='did you mean "gain"'):
        fitted["gian"]


def test_a_posterior_cannot_be_changed_and_travels(fitted: Posterior) -> None:
    """Frozen; it pickles for worker processes."""
    with pytest.raises(AttributeError):
        fitted.misfit = 0.0  # type: ignore[misc]
    other = pickle.loads(pickle.dumps(fitted))  # noqa: S301
    assert str(other) == str(fitted)


# Bringing one's own --------------------------------------------------------------------------------------------------

TWO = (Parameter("k", "1 1/min", bounds=("0.1 1/min", "10 1/min")), Parameter("T", "20 degC"))


def test_from_draws_takes_arrays_and_quantities() -> None:
    """An array in SI, a DataArray by name, or columns with units: the same posterior."""
    rng = np.random.default_rng(0)
    table = np.stack([rng.uniform(0.01, 0.02, 100), rng.normal(300.0, 1.0, 100)], axis=1)
    one = Posterior.from_draws(TWO, table)
    by_name = xr.DataArray(table[:, ::-1], dims=("draw", "parameter"), coords={"parameter": ["T", "k"]})
    two = Posterior.from_draws(TWO, by_name)
    three = Posterior.from_draws(TWO, {"k": (table[:, 0] * 60.0, "1/min"), "T": (table[:, 1] - 273.15, "degC")})
    np.testing.assert_array_equal(one.draws.values, two.draws.values)
    np.testing.assert_allclose(one.draws.values, three.draws.values, rtol=1e-14)
    np.testing.assert_allclose(one.covariance.values, np.cov(table.T))
    assert "k" in str(one) and one.converged


def test_from_draws_refuses_what_cannot_be() -> None:
    """Shape, names, units, bounds, numbers that are not finite."""
    good = np.full((5, 2), [0.02, 300.0])
    with pytest.raises(ShapeError, match=r"expected \(n_draws, 2\)"):
        Posterior.from_draws(TWO, good[:, :1])
    with pytest.raises(BoundsError, match="are they in SI"):
        Posterior.from_draws(TWO, np.full((5, 2), [5.0, 300.0]))
    with pytest.raises(BoundsError, match="not finite"):
        Posterior.from_draws(TWO, np.full((5, 2), np.nan))
    with pytest.raises(UnknownNameError):
        Posterior.from_draws(TWO, {"q": (good[:, 0], "1/s"), "T": (good[:, 1], "K")})
    with pytest.raises(ShapeError, match='no "T"'):
        Posterior.from_draws(TWO, {"k": (good[:, 0], "1/s")})
    with pytest.raises(UnitError):
        Posterior.from_draws(TWO, {"k": good[:, 0], "T": (good[:, 1], "K")})


def test_from_prior_follows_the_priors() -> None:
    """Each prior's distribution; bounds cut; even in the logarithm where the search is; reproducible."""
    parameters = [
        Parameter("a", "1 K", prior=Normal("1 K", "2 K"), bounds=("0 K", None)),
        Parameter("b", "1 K", prior=LogNormal("1 K", 0.5)),
        Parameter("c", "1 1/s", bounds=("1e-3 1/s", "1e2 1/s")),
        Parameter("d", "1 K", bounds=("0 K", "3 K")),
    ]
    posterior = Posterior.from_prior(parameters, 3000, rng=4)
    assert stats.kstest(posterior["a"], stats.truncnorm(-0.5, np.inf, 1.0, 2.0).cdf).pvalue > 1e-3
    assert stats.kstest(posterior["b"], stats.lognorm(0.5).cdf).pvalue > 1e-3
    assert stats.kstest(np.log(posterior["c"]), stats.uniform(np.log(1e-3), np.log(1e5)).cdf).pvalue > 1e-3
    assert stats.kstest(posterior["d"], stats.uniform(0.0, 3.0).cdf).pvalue > 1e-3
    np.testing.assert_array_equal(posterior.draws, Posterior.from_prior(parameters, 3000, rng=4).draws)
    with pytest.raises(BoundsError, match="neither a prior nor two bounds"):
        Posterior.from_prior([Parameter("e", "1 K")], 10)


# Files ---------------------------------------------------------------------------------------------------------------


def test_a_saved_posterior_comes_back_to_the_bit(fitted: Posterior, tmp_path) -> None:
    """Everything: draws, residuals, verdicts, channels, parameters with priors; saved again: equal bytes."""
    path = tmp_path / "posterior.nc"
    fitted.save(path)
    loaded = Posterior.load(path)
    assert str(loaded) == str(fitted)
    np.testing.assert_array_equal(loaded.draws.values, fitted.draws.values)
    np.testing.assert_array_equal(loaded.covariance.values, fitted.covariance.values)
    assert loaded.draws.identical(fitted.draws)
    assert loaded.residuals.identical(fitted.residuals)
    for name in ("mode", "misfit", "channels", "verdicts", "coverage", "failures", "converged", "message", "warnings"):
        assert getattr(loaded, name) == getattr(fitted, name), name
    assert loaded.inflation == fitted.inflation and loaded.provenance == fitted.provenance
    assert loaded.parameters == fitted.parameters and loaded.fixed == fitted.fixed
    loaded.save(tmp_path / "again.nc")
    assert (tmp_path / "again.nc").read_bytes() == path.read_bytes()


def test_all_priors_survive_a_file(tmp_path) -> None:
    """Declared in awkward units, with bounds, truncated: equal to the last bit."""
    parameters = [
        Parameter("a", "71.3 degF", prior=Normal("70.1 degF", "3.3 K"), bounds=("-17.7 degF", None)),
        Parameter("b", "0.7 BTU/hp", prior=LogNormal("0.7 BTU/hp", 0.37), description="odd", source="a handbook"),
        Parameter("c", "1 rpm", prior=Truncated(HalfNormal("3.3 rpm"), high="7.7 rpm")),
        Parameter("d", "0.1 psig", prior=Uniform("0 psig", "0.3 psig")),
        Parameter("e", "0.1 degC", prior=Truncated(Normal("0.1 K", "0.3 K"), low="-1 K", high="3 K"), difference=True),
    ]
    posterior = Posterior.from_prior(parameters, 20, rng=1)
    posterior.save(tmp_path / "p.nc")
    loaded = Posterior.load(tmp_path / "p.nc")
    assert loaded.parameters == posterior.parameters
    assert [p.prior for p in loaded.parameters.parameters] == [p.prior for p in posterior.parameters.parameters]


def test_a_thousand_failures_are_saved(fitted: Posterior, tmp_path) -> None:
    """The record outgrows the 64 KB of an HDF5 attribute and comes back whole."""
    failed = FailedSimulation(values={"k": 1.0}, reason="the step became too small " * 4, time=3.0, experiment="run")
    many = dataclasses.replace(fitted, failures=(failed,) * 1000)
    many.save(tmp_path / "many.nc")
    assert Posterior.load(tmp_path / "many.nc").failures == many.failures


def test_files_that_are_no_posterior_are_refused(fitted: Posterior, tmp_path) -> None:
    """Garbage, another NetCDF file, another version, a damaged record: FileFormatError, and nothing is executed."""
    garbage = tmp_path / "garbage.nc"
    garbage.write_bytes(b"not a file of this kind")
    other = tmp_path / "other.nc"
    xr.Dataset({"x": ("t", [1.0])}).to_netcdf(other, engine="h5netcdf")
    for path in (garbage, other):
        with pytest.raises(FileFormatError, match=path.name):
            Posterior.load(path)
    fitted.save(tmp_path / "p.nc")
    for change, words in (
        ({"version": 99}, "format version 99"),
        ({"content": json.dumps({"parameters": []})}, "damaged"),
    ):
        with xr.open_datatree(tmp_path / "p.nc", engine="h5netcdf") as tree:
            changed = tree.load()
        if "content" in change:
            changed.dataset = changed.to_dataset(inherit=False).assign(content=((), change["content"]))
        else:
            changed.attrs.update(change)
        changed.to_netcdf(tmp_path / "changed.nc", engine="h5netcdf")
        with pytest.raises(FileFormatError, match=words):
            Posterior.load(tmp_path / "changed.nc")
    with pytest.raises(FileNotFoundError):
        Posterior.load(tmp_path / "nowhere.nc")


def test_the_datatree_is_what_arviz_reads(fitted: Posterior) -> None:
    """Groups posterior, prior and observed_data with (chain, draw); ArviZ summarizes it."""
    tree = fitted.to_datatree()
    assert set(tree.children) == {"posterior", "prior", "observed_data", "fit_at_mode"}
    assert tree["posterior"]["gain"].dims == ("chain", "draw")
    assert tree["posterior"]["gain"].attrs["units"]
    np.testing.assert_array_equal(tree["posterior"]["gain"].values[0], fitted["gain"])
    arviz = pytest.importorskip("arviz")
    summary = arviz.summary(tree, kind="stats")
    assert {"start", "gain", "noise.T"} <= set(summary.index)


# Prediction ----------------------------------------------------------------------------------------------------------


def test_prediction_has_the_bands_of_the_draws(fitted: Posterior) -> None:
    """Linear in the draws, so that the bands are known; a measurement's band is wider by its noise."""
    recipe = Recipe.constant(u="2 W", duration="10 s")
    predicted = fitted.predict(HeatedLine(), recipe, [0.0, 5.0, 10.0], n_draws=1000, rng=2)
    exact = fitted["start"] + fitted["gain"] * 2.0 * 10.0
    band = predicted.dataset["T"].sel(time=10.0).values
    np.testing.assert_allclose(band, np.quantile(exact, [0.025, 0.25, 0.5, 0.75, 0.975]), rtol=1e-12)
    measured = predicted.dataset["T_measured"].sel(time=10.0).values
    spread = np.sqrt(exact.var() + (fitted["noise.T"] ** 2).mean())
    assert (measured[4] - measured[0]) / (2 * 1.96) == pytest.approx(spread, rel=0.1)
    assert not predicted.extrapolated and not predicted.notes
    degrees = predicted.in_units()["T"]
    assert degrees.attrs["units"] == "degC"
    np.testing.assert_allclose(degrees.values, predicted.dataset["T"].values - 273.15)
    again = fitted.predict(HeatedLine(), recipe, ([0.0, 5.0, 10.0], "s"), n_draws=1000, rng=2)
    np.testing.assert_array_equal(again.measured.values, predicted.measured.values)
    assert "degC" in str(predicted)


def test_extrapolation_is_marked_per_time_and_input(fitted: Posterior) -> None:
    """Beyond the data's end, at another input level, and only there."""
    later = fitted.predict(HeatedLine(), Recipe.constant(u="2 W"), [5.0, 10.0, 20.0])
    assert later.extrapolated["time"].tolist() == [False, False, True]
    assert any("runs to 20 s" in note for note in later.notes)
    stronger = fitted.predict(HeatedLine(), Recipe.constant(u="3 W"), [5.0, 10.0])
    assert stronger.extrapolated["u"].all()
    assert any("u reaches 3 W, the data cover 2 W to 2 W" in note for note in stronger.notes)
    inside = fitted.predict(HeatedLine(), Recipe.constant(u="2 W"), [5.0, 10.0])
    assert not inside.extrapolated


def test_ramps_and_phases_are_seen_by_coverage(fitted: Posterior) -> None:
    """An input that leaves its range only in the second half of a ramp is marked there."""
    from physics_twin.posterior.inputs import input_values

    recipe = Recipe([
        Phase("up", u=ramp("1 W", "3 W"), duration="4 s"),
        Phase("hold", u="2 W", duration="6 s"),
    ])  # fmt: skip
    times = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 10.0])
    course = input_values(HeatedLine(), recipe, {}, times)[:, 0]
    np.testing.assert_allclose(course, [1.0, 1.5, 2.0, 2.5, 3.0, 2.0, 2.0])
    beyond = input_values(HeatedLine(), recipe, {}, np.array([11.0]))
    assert np.isnan(beyond).all()


def test_failed_members_are_left_out_and_counted(fitted: Posterior) -> None:
    """NaN only in failed rows, the count in the notes; all failing is an error."""
    limit = float(np.quantile(fitted["gain"], 0.8))
    predicted = fitted.predict(HeatedLine(limit), Recipe.constant(u="2 W"), [5.0, 10.0], n_draws=200)
    n = len(predicted.failures)
    assert 20 < n < 60
    assert int(np.isnan(predicted.draws.values).all(axis=(1, 2)).sum()) == n
    assert any(f"{n} of 200 simulations failed" in note and "boils over" in note for note in predicted.notes)
    assert np.isfinite(predicted.dataset["T"].values).all()
    with pytest.raises(CalibrationError, match="all 50 simulations"):
        fitted.predict(HeatedLine(0.0), Recipe.constant(u="2 W"), [5.0], n_draws=50)


def test_fixed_values_of_the_fit_are_used_and_can_be_overridden() -> None:
    """What was set at calibration holds in prediction; `values` wins; names are checked."""
    offset = {"offset": "5 K"}
    posterior = calibrate(HeatedLine(), experiment(), unknown=["start", "gain"], values=offset, rng=1)
    recipe = Recipe.constant(u="2 W")
    at_start = posterior.predict(HeatedLine(), recipe, [0.0]).dataset["T"].values[2, 0]
    assert at_start == pytest.approx(273.15 + 22.0, abs=0.3)
    without = posterior.predict(HeatedLine(), recipe, [0.0], values={"offset": "0 K"}).dataset["T"].values[2, 0]
    assert at_start - without == pytest.approx(5.0, abs=1e-9)
    with pytest.raises(UnknownNameError, match='did you mean "offset"'):
        posterior.predict(HeatedLine(), recipe, [0.0], values={"ofset": "1 K"})


def test_open_settings_of_a_recipe(fitted: Posterior) -> None:
    """Given in values, or an error that says how."""
    level = Setting("level", "W", bounds=("0 W", "5 W"))
    recipe = Recipe.constant(u=level)
    with pytest.raises(RecipeError, match='leaves "level" open'):
        fitted.predict(HeatedLine(), recipe, [5.0])
    predicted = fitted.predict(HeatedLine(), recipe, [5.0], values={"level": "2 W"})
    assert not predicted.extrapolated


def test_values_of_one_batch_or_of_a_new_one() -> None:
    """Per-experiment values: one batch by name; else a random batch for each draw, and the notes say so."""
    runs = [experiment("cold", start=10.0), experiment("warm_up", start=40.0)]
    posterior = calibrate(HeatedLine(), runs, unknown=[PerExperiment("start"), "gain"], rng=1)
    recipe = Recipe.constant(u="2 W")
    cold = posterior.predict(HeatedLine(), recipe, [0.0], experiment="cold")
    assert cold.dataset["T"].values[2, 0] == pytest.approx(283.15, abs=0.5) and not cold.notes
    new = posterior.predict(HeatedLine(), recipe, [0.0], n_draws=400)
    assert new.draws.values[:, 0, 0].std() == pytest.approx(15.0, abs=2.0), "two batches 30 K apart"
    assert any("a batch drawn at random from the 2" in note for note in new.notes)
    given = posterior.predict(HeatedLine(), recipe, [0.0], values={"start": "25 degC"})
    np.testing.assert_allclose(given.draws.values[:, 0, 0], 298.15)
    with pytest.raises(UnknownNameError, match='did you mean "cold"'):
        posterior.predict(HeatedLine(), recipe, [0.0], experiment="cool")


def test_a_posterior_of_another_model_is_refused(fitted: Posterior) -> None:
    """A parameter the model does not have is an error; other equations under the same names are noted."""
    other = HeatedLine()
    other.fingerprint = "another"  # type: ignore[misc]
    predicted = fitted.predict(other, Recipe.constant(u="2 W"), [5.0])
    assert any("not the one that was fitted" in note for note in predicted.notes)
    with pytest.raises(ModelError, match="another model"):
        Posterior.from_draws([Parameter("zeta", "1 K")], np.ones((3, 1))).predict(
            HeatedLine(), Recipe.constant(u="2 W"), [1.0]
        )


# Pictures ------------------------------------------------------------------------------------------------------------


def test_plots_carry_units_and_take_axes(fitted: Posterior) -> None:
    """Every axis has its unit; given axes are used; nothing is shown."""
    from matplotlib import pyplot as plt

    figures = [fitted.plot_parameters(), fitted.plot_pairs(), fitted.plot_fit(), fitted.plot_residuals()]
    figures.append(fitted.predict(HeatedLine(), Recipe.constant(u="2 W"), np.linspace(0, 15, 9)).plot())
    labels = [[a.get_xlabel() + a.get_ylabel() for a in f.axes if a.get_visible()] for f in figures]
    assert any("start / °C" in text for text in labels[0])
    assert any("gain / (K/W/s)" in text for text in labels[1])
    assert any("T / °C" in text for text in labels[2]) and any("time / s" in text for text in labels[2])
    assert any("residual of T / K" in text for text in labels[3])
    assert any("T / °C" in text for text in labels[4])
    figure, axes = plt.subplots(1, 2)
    assert fitted.predict(HeatedLine(), Recipe.constant(u="2 W"), [0.0, 5.0]).plot(axes) is figure
    assert axes[0].lines
    with pytest.raises(ValueError, match="axes are needed"):
        fitted.plot_parameters(axes[:1])
    plt.close("all")


def test_a_fit_of_several_experiments_has_a_panel_for_each() -> None:
    """Measured and model of one batch in one panel, all on one scale, and a legend of three words for all of them."""
    from matplotlib import pyplot as plt

    runs = [experiment(name=name) for name in ("B1", "B2")]
    found = calibrate(HeatedLine(), runs, unknown=["start", "gain"], rng=1)
    figure = found.plot_fit()
    shown = [one for one in figure.axes if one.get_visible()]
    assert [one.get_title(loc="left") for one in shown] == ["B1", "B2"]
    assert shown[0].get_ylim() == shown[1].get_ylim()
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} <= {"measured", "model", "not used"}
    _, own = plt.subplots()
    assert found.plot_fit([own]) is own.figure
    plt.close("all")
