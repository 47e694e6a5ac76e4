"""Files of envelopes: everything comes back to the last bit, older files are read, other files are refused."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import physics_twin as pt
from physics_twin.envelope import Budget, Envelope, Limit, find_envelope, path
from physics_twin.envelope.files.named_function import NamedFunction, source_hash
from physics_twin.envelope.files.question_record import CLASSES, functions_of, question_text
from physics_twin.envelope.files.records import Reader, Writer
from physics_twin.envelope.files.version_1 import migrated
from physics_twin.envelope.limits.faults import Fault
from physics_twin.envelope.limits.rates import Rate
from physics_twin.envelope.limits.thermal_integrals import EquivalentTime, Lethality
from physics_twin.envelope.question import Question
from physics_twin.errors import EnvelopeError, FileFormatError
from physics_twin.recipes import Phase, Ramp, Recipe, Rule, Table
from physics_twin.signals import Setting
from physics_twin.units import Unit
from physics_twin.validity import Mark

FIXTURES = Path(__file__).parent / "fixtures"

PEAK = 0.4
HOLD = Setting("hold", "min", bounds=("1 min", "9 min"))


def swing(times, values):
    """A function of a person's own."""
    return float(values.max() - values.min()) + 0.0 * PEAK


@pytest.fixture(scope="module")
def found(analytic):
    """One setting, failing simulations, a limit with a function of its own, and a prior for the next batch."""
    formulas = {"y": lambda t, v: v["s0"] + 0.05 * v["a"], "z": lambda t, v: v["s0"] * t / 3600.0 + 0.02 * v["a"]}
    model = analytic.closed_form(formulas, ["a"], fails=lambda v: (v["s0"] > 0.5) & (v["a"] > 1.2))
    settings = analytic.knobs(1)
    return find_envelope(
        model,
        analytic.gaussian_draws(model, 300, seed=2),
        recipe=analytic.one_hour(settings),
        settings=settings,
        limits=[Limit("y", upper=0.9), Limit("z", lower=0.05, over=swing, unit="1", name="swing")],
        rng=3,
        batch_variation={"a": pt.Truncated(pt.Normal(0.0, 0.5), low=-2.0)},
        tolerance={"s0": 0.01},
        budget=Budget(n_points=12),
    )


def same(a, b):
    """Whether two values hold the same bits all the way down."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, xr.Dataset):
        return a.identical(b)
    if dataclasses.is_dataclass(a) and type(a) is type(b):
        return all(same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, dict) and isinstance(b, dict):
        return list(a) == list(b) and all(same(a[name], b[name]) for name in a)
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(map(same, a, b))
    return bool(a == b) or (a != a and b != b)


def groups_of(path):
    """All groups of a NetCDF file, the file closed."""
    opened = xr.open_groups(path, engine="h5netcdf")
    groups = {name: dataset.load() for name, dataset in opened.items()}
    for dataset in opened.values():
        dataset.close()
    return groups


def there_and_back(x):
    writer = Writer(CLASSES)
    record = json.loads(json.dumps(writer.record(x, "x"), allow_nan=False))
    return Reader(CLASSES, writer.arrays, writer.datasets).value(record)


# Round trips ------------------------------------------------------------------------------------------------------


def test_every_field_comes_back_to_the_last_bit(found, tmp_path):
    """All but the function of the limit: of that a file keeps the name and a hash."""
    assert len(found.failures) > 0
    found.save(tmp_path / "e.nc")
    loaded = Envelope.load(tmp_path / "e.nc")
    for f in dataclasses.fields(Envelope):
        if f.name != "asked":
            assert same(getattr(found, f.name), getattr(loaded, f.name)), f.name
    assert loaded.question.batch_variation == found.question.batch_variation
    assert question_text(loaded.question) == question_text(found.question)
    assert str(loaded) == str(found)


def test_saving_what_was_loaded_writes_the_same_content(found, tmp_path):
    """A file of a file holds what the first one holds."""
    found.save(tmp_path / "a.nc")
    Envelope.load(tmp_path / "a.nc").save(tmp_path / "b.nc")
    a, b = groups_of(tmp_path / "a.nc"), groups_of(tmp_path / "b.nc")
    assert list(a) == list(b)
    assert all(a[group].identical(b[group]) for group in a)


def test_the_design_that_was_loaded_predicts_the_same(found, tmp_path):
    """The surrogate is its design: the same points and margins give the same probability anywhere."""
    found.save(tmp_path / "e.nc")
    space = Envelope.load(tmp_path / "e.nc").space
    u = np.linspace(0.0, 1.0, 23)[:, None]
    assert same(space.joint_probability(u), found.space.joint_probability(u))


@pytest.mark.parametrize(
    "x",
    [
        Recipe(
            [
                Phase("heat", duration=HOLD, flow=Ramp("1 kg/s", "2 kg/s")),
                Phase("rest", duration="5 min", flow=Table((0.0, 0.1 + 0.2), (1.0, 2.0), Unit("kg/s"), Rule.RAMP)),
            ],
            initial={"level": "3 m"},
        ),
        Setting("t", "degC", bounds=("20 degC", "80 degC"), value="33.3 degC", description="jacket"),
        (float("inf"), float("nan"), -0.0, 5e-324, 0.1, 3, True, None, "text", ("nested", 1.0)),
        np.array([["a", "bc"]]),
        np.arange(6, dtype=np.int32).reshape(2, 3, 1),
        np.zeros((0, 2)),
        xr.Dataset({"x": ("i", [1.0, np.nan])}, attrs={"units": "K"}),
        Unit("degC"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_values_come_back_as_they_were(x):
    """What is no dataclass of the list has a form of its own."""
    assert same(x, there_and_back(x))


@pytest.mark.parametrize(
    ("prior", "unit"),
    [
        (pt.Normal("20 degC", "3 K"), "degC"),
        (pt.LogNormal("2 kg", 0.3), "kg"),
        (pt.Uniform((1.0, "bar"), (2.0, "bar")), "bar"),
        (pt.HalfNormal(0.1), "1"),
        (pt.Truncated(pt.Normal("20 degC", "3 K"), low="10 degC"), "degC"),
    ],
)
def test_priors_come_back_as_declared_and_in_si(prior, unit):
    """A prior that a parameter holds is in SI; its numbers keep their bits."""
    assert there_and_back(prior) == prior
    held = pt.Parameter("x", (11.0, unit), prior=prior).prior
    assert held is not None and there_and_back(held) == held


def test_every_reduction_objective_and_shape_has_a_form():
    """A class that a question can hold and that no file knows would be found by a person who saves."""
    reductions = [pt.final, path, pt.peak, pt.mean, pt.integral, pt.at("20 min"), pt.time_above("860 degC")]
    reductions += [Rate(), Lethality(394.25, 10.0), EquivalentTime(8e4, 453.15)]
    for one in reductions:
        assert there_and_back(Limit("y", upper="900 degC", over=one, probability=0.99)).over == one
    for one in (
        pt.Maximize("y", over=pt.peak, measure=pt.CVaR(0.2)),
        pt.Minimize("s", measure=pt.WorstCase(), name="time"),
        pt.LargestBox(weights={"a": 2.0}, around={"a": "3 min"}),
        pt.Polytope(6),
        Budget(n_points=7),
        Limit("y", upper="400 K", under=Fault("coolant", "0 L/min", lasts="10 min"), reported="2 K"),
        Mark("prior", "k", "k rests on its prior"),
    ):
        assert there_and_back(one) == one


# Functions --------------------------------------------------------------------------------------------------------


def test_a_function_is_kept_by_name_and_hash(found, tmp_path):
    """It still labels the limit; to call it is refused with the way out."""
    found.save(tmp_path / "e.nc")
    question = Envelope.load(tmp_path / "e.nc").question
    kept = question.limits[1].over
    assert functions_of(question) == ("swing",) and functions_of(found.question) == ()
    assert isinstance(kept, NamedFunction) and kept.__name__ == "swing"
    assert kept.stands_for(swing) and not kept.stands_for(lambda t, y: 0.0)
    with pytest.raises(EnvelopeError, match=r"swing.*give the limits once more"):
        kept(np.zeros(2), np.zeros(2))


def test_the_hash_of_a_function_sees_text_closure_and_globals(monkeypatch):
    """Two functions that differ in a number from around them are not the same."""

    def above(level):
        return lambda t, y: float(y.max() - level)

    assert source_hash(above(1.0)) == source_hash(above(1.0)) != source_hash(above(2.0))
    before = source_hash(swing)
    monkeypatch.setitem(swing.__globals__, "PEAK", 0.5)
    assert source_hash(swing) != before


# Older files ------------------------------------------------------------------------------------------------------


def test_a_file_of_version_1_is_read():
    """Written before questions and designs were kept: its numbers are there, what it did not hold is an error."""
    expected = json.loads((FIXTURES / "version_1.json").read_text())
    envelope = Envelope.load(FIXTURES / "version_1.nc")
    point = envelope.set_point["s0"]
    assert [*envelope.box["s0"], point] == [*expected["box"]["s0"][:2], expected["set_point"]["s0"][0]]
    assert envelope.probability_lower == expected["probability_lower"]
    assert len(envelope.failures) == expected["n_failures"]
    assert envelope.certificate.groups[0].columns == (0, 1) and envelope.certificate.probability == 0.95
    assert envelope.certificate.violations.shape == envelope.certificate.lower_bounds.shape == (4, 1)
    assert envelope.certificate.violations.ravel().tolist() == expected["violations"]
    assert envelope.asked is None and envelope.design is None
    with pytest.raises(EnvelopeError, match=r"does not hold its question.*older version; ask find_envelope anew"):
        _ = envelope.question
    with pytest.raises(EnvelopeError, match="holds no design"):
        envelope.predict({"s0": point})
    assert "every limit is met with probability 0.95" in str(envelope)
    assert bool(envelope.check({"s0": point}))


def test_an_older_file_saved_again_is_a_newer_one(tmp_path):
    """What was migrated can be written, and reads back the same."""
    old = Envelope.load(FIXTURES / "version_1.nc")
    old.save(tmp_path / "new.nc")
    new = Envelope.load(tmp_path / "new.nc")
    assert all(same(getattr(old, f.name), getattr(new, f.name)) for f in dataclasses.fields(Envelope))


def test_numbers_of_version_1_that_json_does_not_have():
    """They were text."""
    arrays = {name: ("i", [0.0]) for name in ("certified_settings", "certified_lower_bounds")}
    root = xr.Dataset({**arrays, "certified_violations": ("i", [0])})
    record = {
        "required": 0.9,
        "settings": [],
        "margins": [{"assured": "-inf", "unit": "K", "si_unit": "K"}],
        "failures": [],
    }
    found, _, _ = migrated({**record, "certificate": {"probability": 0.9}, "attempts": []}, root)
    assert there_and_back(0.0) == 0.0 and Reader(CLASSES).value(found["margins"][0]["assured"]) == -np.inf


# What is refused --------------------------------------------------------------------------------------------------


def changed(found, tmp_path, change):
    """The path of a file whose record was changed by hand."""
    found.save(tmp_path / "e.nc")
    groups = groups_of(tmp_path / "e.nc")
    root = groups["/"]
    attrs, record = dict(root["envelope_record"].attrs), json.loads(str(root["envelope_record"].item()))
    change(record, attrs, groups)
    root["envelope_record"] = ((), json.dumps(record), attrs)
    for i, (name, dataset) in enumerate(groups.items()):
        dataset.to_netcdf(tmp_path / "x.nc", group=name, mode="w" if i == 0 else "a", engine="h5netcdf")
    return tmp_path / "x.nc"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda r, a, g: r.pop("set_point"), "Envelope without set_point"),
        (lambda r, a, g: r.update(rice=1), "Envelope with rice"),
        (lambda r, a, g: r.update(empty="no"), "empty = 'no' is not of the type bool"),
        (lambda r, a, g: r["certificate"].update({"is": "Popen"}), '"Popen"'),
        (lambda r, a, g: r["certificate"]["points"].update(name="elsewhere"), '"elsewhere", which is not in the file'),
        (lambda r, a, g: r["question"].update(probability=1.5), "probability = 1.5"),
        (lambda r, a, g: a.update(version=3), r"format version 3, this library reads up to 2"),
    ],
)
def test_a_damaged_file_says_what_is_wrong(found, tmp_path, change, words):
    """The name of the file and of what is wrong in it."""
    with pytest.raises(FileFormatError, match=r"x\.nc.*" + words):
        Envelope.load(changed(found, tmp_path, change))


def test_what_has_no_form_is_refused_on_save(found, tmp_path):
    """Before anything is written."""
    with pytest.raises(FileFormatError, match=r"operating\.s0 holds a object"):
        dataclasses.replace(found, operating={"s0": object()}).save(tmp_path / "e.nc")
    assert not (tmp_path / "e.nc").exists()


def test_a_question_is_told_from_another_by_any_of_its_arguments(found):
    """The text that names a question changes where the question does, there and only there."""
    question = found.question
    before = question_text(question)
    for name, value in {"probability": 0.9, "seed": 4, "tolerance": {}, "shape": pt.Polytope()}.items():
        after = question_text(dataclasses.replace(question, **{name: value}))
        assert [n for n in before if before[n] != after[n]] == [name]
    assert isinstance(question, Question)
