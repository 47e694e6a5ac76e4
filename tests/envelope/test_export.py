"""JSON and CSV for other systems: numbers with units that read back to the envelope, and a schema that holds."""

import csv
import datetime as dt
import json
import re
from dataclasses import dataclass, replace

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.envelope import Budget, Limit, find_envelope
from physics_twin.envelope.files.export import NO_EXPIRY, certificate_hash, schema
from physics_twin.envelope.text import box_table, range_table
from physics_twin.errors import EnvelopeError
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.recipes import Phase, Recipe
from physics_twin.signals import Setting

HEAT = Setting("heat", "degC", bounds=("20 degC", "220 degC"), description="jacket, µ-controlled")
HOLD = Setting("hold", "min", bounds=("10 min", "90 min"))
RECIPE = Recipe([Phase("run", duration=HOLD)], initial={"heat": HEAT})
LAST_DAY = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=365)


def find(analytic, **changes):
    """heat in K and hold in s, traded against one another, with data and validity that are left."""
    formulas = {"y": ("K", lambda t, v: v["heat"] + v["hold"] / 60.0 + 0.5 * v["a"])}
    model = analytic.closed_form(formulas, ["a"])
    model = replace(
        model, parameters=ParameterSet([Parameter("a", "0 K")]), validity={"heat": (273.15, 320.0), "a": (1.0, 2.0)}
    )
    draws = np.random.default_rng(2).standard_normal((300, 1))
    posterior = replace(pt.Posterior.from_draws(model.parameters, draws), coverage={"hold": (600.0, 3000.0)})
    asked = {"limits": [Limit("y", upper="190 degC")], "tolerance": {"heat": "2 K"}, "rng": 1, **changes}
    return find_envelope(model, posterior, recipe=RECIPE, settings=[HEAT, HOLD], budget=Budget(n_points=20), **asked)


@pytest.fixture(scope="module")
def envelope(analytic):
    return find(analytic)


@pytest.fixture(scope="module")
def empty(analytic):
    return find(analytic, limits=[Limit("y", upper="-100 degC")])


@pytest.fixture(scope="module")
def slanted(analytic):
    return find(analytic, shape=pt.Polytope(2))


def written(envelope, path, **options):
    envelope.to_json(path, **options)
    return json.loads(path.read_text(encoding="utf8"))


KINDS = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "null": type(None)}


def is_a(value, kind):
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, KINDS[kind]) and not (kind == "integer" and isinstance(value, bool))


def faults(value, form, root, at="$"):
    """What in `value` is not as the JSON schema `form` says; knows the words that our schema uses and no others."""
    known = {"$ref", "$schema", "$defs", "title", "description", "type", "const", "enum", "pattern", "properties"}
    assert set(form) <= known | {"required", "additionalProperties", "items", "anyOf"}
    if "$ref" in form:
        return faults(value, root["$defs"][form["$ref"].removeprefix("#/$defs/")], root, at)
    if "anyOf" in form:
        each = [faults(value, one, root, at) for one in form["anyOf"]]
        return [] if any(not found for found in each) else each[-1]
    kinds = form.get("type", [])
    if kinds and not any(is_a(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        return [f"{at} is no {kinds}: {value!r}"]
    found = [f"{at}: {value!r}"] if "const" in form and value != form["const"] else []
    found += [f"{at}: {value!r}"] if "enum" in form and value not in form["enum"] else []
    if "pattern" in form and isinstance(value, str) and not re.search(form["pattern"], value):
        found.append(f"{at} is not like {form['pattern']}")
    if isinstance(value, dict):
        found += [f"{at} lacks {name}" for name in form.get("required", []) if name not in value]
        more = form.get("additionalProperties", True)
        for name, one in value.items():
            inner = form.get("properties", {}).get(name, more)
            found += [f"{at} has {name}"] if inner is False else []
            found += faults(one, inner, root, f"{at}.{name}") if isinstance(inner, dict) else []
    if isinstance(value, list):
        for i, one in enumerate(value):
            found += faults(one, form.get("items", {}), root, f"{at}[{i}]")
    return found


# JSON -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["envelope", "empty", "slanted"])
def test_what_is_written_is_as_the_schema_says(which, request, tmp_path):
    """Full, empty and with slanted sides."""
    record = written(request.getfixturevalue(which), tmp_path / "e.json", expires=LAST_DAY)
    assert faults(record, schema(), schema()) == []
    record["settings"][0]["low"] = "20 degC"
    del record["certificate"]["hash"]
    assert len(faults(record, schema(), schema())) == 2


def test_ranges_read_back_with_their_units(envelope, tmp_path):
    """A number and the unit beside it make the quantity that the envelope holds, rounded into the range."""
    record = written(envelope, tmp_path / "e.json")
    for one in record["settings"]:
        setting, (low, high) = envelope.setting(one["name"]), envelope.box[one["name"]]
        assert one["unit"] == setting.unit.text
        ends = [setting.to_si((one[end], one["unit"])) for end in ("low", "high")]
        dust, step = 1e-9 * (high - low), 1e-3 * (high - low)
        assert low - dust <= ends[0] < low + step and high - step < ends[1] <= high + dust
        assert one["ended_by"] == list(envelope.binding[one["name"]])
    point = {one["name"]: (one["set_point"], one["unit"]) for one in record["settings"]}
    assert envelope.check(point).inside
    heat, hold = record["settings"]
    assert heat["searched"] == {"low": pytest.approx(20.0), "high": pytest.approx(220.0), "unit": "degC"}
    assert heat["model"]["low"] == pytest.approx(0.0, abs=1e-9) and hold["data"]["high"] == 50.0
    assert heat["data"] is None and hold["model"] is None


def test_no_file_says_more_than_the_print(slanted, envelope, tmp_path):
    """The digits of a range are those of the table that a person signs: 163.125 min and not 163.12500000000003."""
    for one in (envelope, slanted):
        record = written(one, tmp_path / "e.json")
        rows = rows_of(one, tmp_path / "e.csv")
        printed = {row[0]: row for row in box_table(one)[1:]}
        also = {row[0]: row for row in range_table(one)[1:]}
        for setting, row in zip(record["settings"], rows, strict=True):
            name, unit = setting["name"], setting["unit"]
            assert [float(x.removesuffix(unit)) for x in printed[name][1:3]] == [setting["low"], setting["high"]]
            assert one.in_units()["box"][name] == (setting["low"], setting["high"], unit)
            own = setting["acceptable"]
            assert [float(x.removesuffix(unit)) for x in also[name][1:3]] == [own["low"], own["high"]]
            numbers = [x for key, x in row.items() if key.endswith(("_low", "_high")) and x]
            assert len(numbers) >= 6 and max(len(x.strip("-")) for x in numbers) <= 13
            for what in ("low", "high", "set_point"):
                assert len(row[what].partition(".")[2]) <= 5


def test_a_rounded_set_point_is_still_certified(slanted, envelope):
    """Its decimals are those of its range."""
    for one in (envelope, slanted):
        point = one.in_units()["set_point"]
        assert one.check(point).inside
        for s in one.settings:
            low, high = one.box[s.name]
            assert s.to_si(point[s.name]) == pytest.approx(one.set_point[s.name], abs=1e-3 * (high - low))


def test_the_claim_is_the_certificate_s(envelope, tmp_path):
    """Required, observed and lower bound, for the envelope and by group."""
    odds = written(envelope, tmp_path / "e.json")["probability"]
    assert (odds["required"], odds["observed"], odds["lower_bound"], odds["confidence"]) == (
        envelope.required,
        envelope.probability,
        envelope.probability_lower,
        envelope.confidence,
    )
    (group,) = odds["groups"]
    assert group["observed"] == pytest.approx(odds["observed"]) and group["lower_bound"] == odds["lower_bound"]
    assert group["limits"] == list(envelope.limits)


def test_limits_are_temperatures_and_margins_differences(envelope, tmp_path):
    """190 degC on an output in K stays 190 degC, which is no difference; its margin is in K."""
    (limit,) = written(envelope, tmp_path / "e.json")["limits"]
    assert (limit["unit"], limit["margin_unit"]) == ("degC", "K")
    assert limit["level"] == pytest.approx(190.0)
    assert limit["expected_margin"] == pytest.approx(envelope.margins[0].expected)


def test_marks_hold_the_numbers_behind_the_warnings(envelope, tmp_path):
    """What leaves the data and the model's validity, with the unit."""
    record = written(envelope, tmp_path / "e.json")
    by_name = {(mark["name"], mark["source"]): mark for mark in record["marks"]}
    hold, heat, a = by_name["hold", "data"], by_name["heat", "model"], by_name["a", "model"]
    assert hold["unit"] == "min" and hold["known_high"] == pytest.approx(50.0) and hold["high"] > 50.0
    assert heat["unit"] == "degC" and heat["known_high"] == pytest.approx(46.85)
    assert a["kind"] == "extrapolation" and a["known_low"] == 1.0
    assert all(mark["text"] in record["warnings"] for mark in record["marks"])


def test_a_failed_check_of_the_model_is_a_mark(envelope, tmp_path):
    """The result itself is given; one that was passed changes nothing."""

    @dataclass
    class Check:
        passed: bool
        sentence: str = "the check fails, and the model is more certain of itself than it should be"

    assert envelope.marked(Check(True)) is envelope
    doubtful = envelope.marked(Check(False)).marked("the sensor was moved")
    record = written(doubtful, tmp_path / "e.json")
    assert [mark["kind"] for mark in record["marks"][-2:]] == ["hold-out", "stated"]
    assert record["warnings"][-1] == "the sensor was moved" and faults(record, schema(), schema()) == []


@pytest.mark.parametrize("expires", [str(LAST_DAY), LAST_DAY, dt.datetime.combine(LAST_DAY, dt.time(12))])
def test_the_expiry_is_the_caller_s(envelope, tmp_path, expires):
    """As text or as a date."""
    record = written(envelope, tmp_path / "e.json", expires=expires)
    assert record["expires"] == str(LAST_DAY) and str(LAST_DAY) in record["expiry_note"]


@pytest.mark.parametrize("days", [1, 365])
def test_no_file_is_written_that_has_expired_already(envelope, tmp_path, days):
    """The last day of use may be today (or tomorrow, where that is today already), and no day before."""
    today = dt.datetime.now(dt.UTC).date()
    written(envelope, tmp_path / "e.json", expires=today + dt.timedelta(days=1))
    over = today - dt.timedelta(days=days)
    for write, name in ((envelope.to_json, "f.json"), (envelope.to_csv, "f.csv")):
        with pytest.raises(EnvelopeError, match=f"expires = {over}: that day is over"):
            write(tmp_path / name, expires=str(over))
        assert not (tmp_path / name).exists()


def test_no_expiry_is_said_and_a_wrong_one_refused(envelope, tmp_path):
    """Nobody takes silence for forever."""
    record = written(envelope, tmp_path / "e.json")
    assert record["expires"] is None and record["expiry_note"] == NO_EXPIRY
    with pytest.raises(EnvelopeError, match='expires = "next year" is no date'):
        envelope.to_json(tmp_path / "f.json", expires="next year")
    with pytest.raises(EnvelopeError, match="expires = 2027: give a date"):
        envelope.to_json(tmp_path / "f.json", expires=2027)
    assert not (tmp_path / "f.json").exists()


def test_the_hash_changes_with_the_claim_and_not_with_a_file(envelope, tmp_path):
    """Saved and loaded it is the same; another range is another hash."""
    envelope.save(tmp_path / "e.nc")
    before = certificate_hash(envelope)
    assert certificate_hash(pt.Envelope.load(tmp_path / "e.nc")) == before
    low, high = envelope.box["heat"]
    wider = replace(envelope, box={**envelope.box, "heat": (low, np.nextafter(high, np.inf))})
    assert certificate_hash(wider) != before


def test_sides_of_a_polytope_are_in_the_declared_units(slanted, tmp_path):
    """Vertices lie on sides, inside of all of them, in degC and min."""
    record = written(slanted, tmp_path / "e.json")["polytope"]
    assert record["units"] == {"heat": "degC", "hold": "min"}
    for vertex in record["vertices"]:
        left = [
            side["level"] - sum(c * vertex[name] for name, c in side["coefficients"].items())
            for side in record["sides"]
        ]
        scale = [abs(side["level"]) + 1.0 for side in record["sides"]]
        relative = np.array(left) / np.array(scale)
        assert relative.min() > -1e-8 and (np.abs(relative) < 1e-6).sum() >= 2


# CSV --------------------------------------------------------------------------------------------------------------


def rows_of(envelope, path, **options):
    envelope.to_csv(path, **options)
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_a_setting(envelope, tmp_path):
    """The same numbers as the JSON, the unit beside them."""
    rows = rows_of(envelope, tmp_path / "e.csv", expires=LAST_DAY)
    record = written(envelope, tmp_path / "e.json")
    assert [row["setting"] for row in rows] == ["heat", "hold"]
    for row, one in zip(rows, record["settings"], strict=True):
        assert (float(row["low"]), float(row["high"]), row["unit"]) == (one["low"], one["high"], one["unit"])
        assert float(row["lower_bound_probability"]) == envelope.probability_lower
        assert row["expires"] == str(LAST_DAY) and row["certificate"] == record["certificate"]["hash"]
        assert [row["low_ended_by"], row["high_ended_by"]] == one["ended_by"]
    assert rows[1]["data_high"] == "50.0" and rows[0]["data_high"] == ""
    assert "extrapolation" in rows[0]["warnings"]


def test_an_empty_envelope_has_rows_without_ranges(empty, tmp_path):
    """No number stands where there is no range, and no expiry is said in words."""
    rows = rows_of(empty, tmp_path / "e.csv")
    assert all(row["low"] == row["high"] == row["set_point"] == "" for row in rows)
    assert rows[0]["searched_low"] and rows[0]["expires"] == NO_EXPIRY
    assert written(empty, tmp_path / "e.json")["probability"]["lower_bound"] == 0.0
