"""The result: text, checks, files, pictures, and what it warns about."""

import json
import warnings
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from physics_twin.envelope import Budget, Envelope, Limit, final, find_envelope
from physics_twin.errors import EnvelopeError, FileFormatError, UnitError, UnknownNameError
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.posterior import Identification, Posterior, Verdict
from physics_twin.recipes import Phase, Recipe
from physics_twin.signals import Setting

SOAK = Setting("soak_temperature", "degC", bounds=(60, 110))
HOLD = Setting("hold_time", "min", bounds=(5, 120))
RECIPE = Recipe([Phase("hold", duration=HOLD)], initial={"soak": SOAK})
QUICK = Budget(n_points=30)
LIMITS = (Limit("conversion", lower="85 percent", over=final), Limit("impurity", upper="6 percent"))


@pytest.fixture(scope="module")
def model(analytic):
    """A cure with an Arrhenius rate: conversion wants heat and time, the impurity wants neither."""

    def rate(v, energy):
        return v["k"] * np.exp(-energy / 8.314 * (1.0 / v["soak_temperature"] - 1.0 / 350.0))

    formulas = {
        "conversion": ("percent", lambda t, v: 1.0 - np.exp(-rate(v, v["energy"]) * t)),
        "impurity": ("percent", lambda t, v: 11.0e-3 * rate(v, 60.0e3) * t),
    }
    parameters = [
        Parameter("energy", "80 kJ/mol", bounds=("20 kJ/mol", "200 kJ/mol")),
        Parameter("k", "1e-3 1/s", bounds=("1e-5 1/s", "1 1/s")),
    ]
    return replace(analytic.closed_form({}, []), formulas=formulas, parameters=ParameterSet(parameters))


@pytest.fixture(scope="module")
def posterior(model):
    rng = np.random.default_rng(0)
    draws = np.stack([80e3 + 3e3 * rng.standard_normal(1200), 1e-3 * np.exp(0.1 * rng.standard_normal(1200))], axis=1)
    return Posterior.from_draws(model.parameters, draws)


@pytest.fixture(scope="module")
def envelope(model, posterior):
    return find_envelope(model, posterior, recipe=RECIPE, settings=[SOAK, HOLD], limits=LIMITS, rng=1)


@pytest.fixture(scope="module")
def empty(model, posterior):
    limits = [Limit("conversion", lower="99.9 percent", over=final), Limit("impurity", upper="1 percent")]
    return find_envelope(model, posterior, recipe=RECIPE, settings=[SOAK, HOLD], limits=limits, rng=1)


def test_the_text_says_what_a_plant_manager_asks(envelope):
    text = str(envelope)
    for words in (
        "every limit is met with probability 0.95 or more at every point of the box (confidence 0.95)",
        "soak_temperature",
        "degC",
        "hold_time",
        "min",
        "upper side ended by",
        "impurity <= 6 percent",
        "held-out draws",
        "parameters only",
        "fingerprint",
    ):
        assert words in text
    html = envelope._repr_html_()
    assert "impurity &lt;= 6 percent" in html
    assert "<table>" in html


def test_the_set_point_is_inside_and_keeps_its_distance(envelope):
    for name, (low, high) in envelope.box.items():
        assert low + 0.19 * (high - low) <= envelope.set_point[name] <= high - 0.19 * (high - low)
    assert all(margin.assured > 0.0 for margin in envelope.margins)


def test_check_says_inside_or_why_not_and_takes_units(envelope):
    inside = {name: (value, envelope.setting(name).unit.si_text) for name, value in envelope.set_point.items()}
    assert envelope.check(inside)
    assert min(envelope.check(inside).margins.values()) > 0.0
    out = envelope.check({"soak_temperature": "108 degC", "hold_time": "60 min"})
    assert not out
    assert "soak_temperature = 108 degC is above" in out.reason
    assert "ended by impurity <= 6 percent" in out.reason
    assert out.margins["soak_temperature"] < 0.0
    with pytest.raises(UnknownNameError, match="hold_time"):
        envelope.check({"holdtime": "60 min"})
    with pytest.raises(EnvelopeError, match="missing"):
        envelope.check({"hold_time": "60 min"})
    with pytest.raises(UnitError):
        envelope.check({"soak_temperature": 80.0, "hold_time": "60 min"})


def test_marked_returns_a_copy_with_a_warning(envelope):
    doubtful = envelope.marked("the model failed its hold-out")
    assert "the model failed its hold-out" in doubtful.warnings
    assert "the model failed its hold-out" in str(doubtful)
    assert "the model failed its hold-out" not in envelope.warnings


@pytest.mark.parametrize("which", ["envelope", "empty"])
def test_a_file_gives_everything_back_bit_for_bit(which, request, tmp_path):
    envelope = request.getfixturevalue(which)
    envelope.save(tmp_path / "e.nc")
    loaded = Envelope.load(tmp_path / "e.nc")
    for name in ("box", "set_point", "binding", "margins", "settings", "includes", "warnings", "failures", "message"):
        assert getattr(loaded, name) == getattr(envelope, name), name
    assert loaded.probability_lower == envelope.probability_lower
    assert loaded.region.identical(envelope.region)
    assert loaded.certificate.attempts == envelope.certificate.attempts
    assert (loaded.certificate.points == envelope.certificate.points).all()
    assert (loaded.certificate.violations == envelope.certificate.violations).all()
    assert str(loaded) == str(envelope)
    assert loaded._repr_html_() == envelope._repr_html_()


def test_a_file_holds_units_beside_its_numbers(envelope, tmp_path):
    envelope.save(tmp_path / "e.nc")
    with xr.open_dataset(tmp_path / "e.nc", engine="h5netcdf") as data:
        assert all("units" in data[name].attrs for name in data.data_vars if name != "envelope_record")
        assert data["soak_temperature"].attrs["units"] == "K"
        record = json.loads(str(data["envelope_record"].item()))
    assert record["units"] == {"soak_temperature": "K", "hold_time": "s"}


def test_other_files_are_refused(envelope, tmp_path):
    (tmp_path / "text.nc").write_text("no NetCDF")
    with pytest.raises(FileFormatError, match="not a NetCDF file"):
        Envelope.load(tmp_path / "text.nc")
    xr.Dataset({"x": 1.0}).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(FileFormatError, match="not an envelope"):
        Envelope.load(tmp_path / "other.nc")
    envelope.save(tmp_path / "e.nc")
    with xr.open_dataset(tmp_path / "e.nc", engine="h5netcdf") as data:
        broken = data.load()
    record = json.loads(str(broken["envelope_record"].item()))
    del record["binding"]
    broken["envelope_record"] = ((), json.dumps(record), broken["envelope_record"].attrs)
    broken.to_netcdf(tmp_path / "broken.nc", engine="h5netcdf")
    with pytest.raises(FileFormatError, match="binding"):
        Envelope.load(tmp_path / "broken.nc")
    with pytest.raises(FileNotFoundError):
        Envelope.load(tmp_path / "absent.nc")


# Warnings ---------------------------------------------------------------------------------------------------------


def test_what_leaves_the_data_or_the_validity_is_marked(model, posterior):
    covered = replace(posterior, coverage={"soak_temperature": (340.0, 345.0), "impurity": (0.0, 0.5)})
    limited = replace(model, validity={"hold_time": (0.0, 1800.0), "k": (0.0, 1.0)})
    envelope = find_envelope(limited, covered, recipe=RECIPE, settings=[SOAK, HOLD], limits=LIMITS, rng=1, budget=QUICK)
    text = " ".join(envelope.warnings)
    assert "extrapolation: soak_temperature reaches" in text
    assert "the data cover 66.85 degC to 71.85 degC" in text
    assert "extrapolation: hold_time reaches" in text
    assert "the model is valid for 0 min to 30 min" in text
    assert "impurity reaches" not in text
    assert "k reaches" not in text


def test_a_prior_that_was_not_moved_and_a_fit_in_doubt_are_marked(model, posterior):
    verdicts = {
        "energy": Verdict("energy", Identification.NOT, "the data hold one temperature", 1.0, ()),
        "k": Verdict("k", Identification.IDENTIFIED, "", 0.1, ()),
    }
    doubtful = replace(posterior, verdicts=verdicts, converged=False, message="stopped", warnings=("residuals drift",))
    envelope = find_envelope(model, doubtful, recipe=RECIPE, settings=[SOAK, HOLD], limits=LIMITS, rng=1, budget=QUICK)
    text = " ".join(envelope.warnings)
    assert "energy rests on its prior" in text
    assert "k rests on its prior" not in text
    assert "did not converge: stopped" in text
    assert "residuals drift" in text


# Pictures ---------------------------------------------------------------------------------------------------------


def drawn(figure):
    """Draws the figure with warnings as errors and returns all its texts."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.canvas.draw()
    texts = [t.get_text() for t in figure.findobj(plt.Text)]
    plt.close(figure)
    return " | ".join(texts)


def test_a_map_names_axes_units_box_and_binding_limits(envelope):
    text = drawn(envelope.plot())
    for words in (
        "soak temperature",
        "hold time",
        "min",
        "operating box",
        "set point",
        "impurity <= 6 percent",
        "0.95",
    ):
        assert words in text


def test_an_empty_map_says_so_in_its_title(empty):
    assert empty.empty
    assert "No settings can be shown to meet every limit" in drawn(empty.plot())


def test_one_setting_is_a_curve_and_draws_where_asked(analytic):
    model = analytic.closed_form({"y": lambda t, v: v["s0"] + 0.1 * v["a"]}, ["a"])
    settings = analytic.knobs(1)
    envelope = find_envelope(
        model,
        analytic.gaussian_draws(model, 500, 1),
        recipe=analytic.one_hour(settings),
        settings=settings,
        limits=[Limit("y", upper=0.9, lower=-1.0, over=final)],
        rng=1,
    )
    figure, ax = plt.subplots()
    assert envelope.plot(ax) is figure
    assert "operating range" in drawn(figure)


def test_more_settings_are_a_matrix_of_slices(analytic):
    model = analytic.closed_form({"y": lambda t, v: v["s0"] + v["s1"] + v["s2"] + 0.1 * v["a"]}, ["a"])
    settings = analytic.knobs(3)
    envelope = find_envelope(
        model,
        analytic.gaussian_draws(model, 500, 1),
        recipe=analytic.one_hour(settings),
        settings=settings,
        limits=[Limit("y", upper=1.5, over=final)],
        rng=1,
    )
    text = drawn(envelope.plot())
    assert all(name in text for name in ("s0", "s1", "s2", "slices through the set point"))
    with pytest.raises(EnvelopeError, match="figure of its own"):
        envelope.plot(plt.subplots()[1])
    plt.close("all")
