"""Cases and evidence: a claim passes or fails by its number, a case that raises fails alone, none is lost."""

import functools
import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.verification import (
    ABSOLUTE,
    AT_LEAST,
    AT_MOST,
    RELATIVE,
    Case,
    CaseFailure,
    Measured,
    NotAvailable,
    Status,
    digits,
    mixed,
    run_cases,
)


def near():
    return Measured([1.0 + 1e-9, 2.0], {"fingerprint": "abc", "note": "<b>&"})


def far():
    return [1.1, 2.0]


def broken():
    raise ValueError("the pump is broken")


def missing():
    raise NotAvailable("the data set tclab is not here; set PHYSICS_TWIN_DATA")


def scaled(factor):
    return [factor, 2.0]


def case(name="near", compute=near, **changed):
    given = {
        "name": name,
        "claim": "One is one.",
        "requirement": "issue 0",
        "source": "arithmetic",
        "quantity": "numbers",
        "expected": (1.0, 2.0),
        "tolerance": 1e-6,
        "acceptance": "chosen for the test",
        "compute": compute,
    }
    return Case(**{**given, **changed})


ALL = (case(), case("far", far), case("broken", broken), case("missing", missing))


def test_a_report_tells_passed_failed_and_not_run_apart():
    """One of each; those after a case that raised are still run."""
    report = run_cases(ALL)
    assert [o.status for o in report.outcomes] == [Status.PASSED, Status.FAILED, Status.FAILED, Status.NOT_RUN]
    assert not report.passed
    assert [o.case.name for o in report.failures] == ["far", "broken"]
    assert [o.case.name for o in report.not_run] == ["missing"]
    assert report["far"].error == pytest.approx(0.1)
    assert "0.1 is above the tolerance" in report["far"].message
    assert "the pump is broken" in report["broken"].message
    assert report["broken"].measured == ()
    assert "1 of 4 cases passed, 2 failed, 1 not run" in report.summary
    assert "PHYSICS_TWIN_DATA" in str(report)
    with pytest.raises(pt.UnknownNameError, match="far"):
        report["farr"]


def test_what_was_not_run_has_not_passed():
    """A report of one case that could not be run is not a success, and is not a failure either."""
    report = run_cases([case("missing", missing)])
    assert not report.passed
    assert not report.failures
    assert run_cases([case()]).passed


def test_evidence_is_written_whole(tmp_path):
    """report.html is self-contained and escaped; report.json holds everything, without NaN."""
    report = run_cases(ALL, out=tmp_path / "evidence")
    document = json.loads((tmp_path / "evidence" / "report.json").read_text())
    assert [c["status"] for c in document["cases"]] == ["passed", "failed", "failed", "not run"]
    assert document["cases"][0]["measured"] == [1.0 + 1e-9, 2.0]
    assert document["cases"][2]["error"] is None
    assert document["versions"]["numpy"] == np.__version__
    assert all(len(c["sha256"]) == 64 for c in document["cases"])
    page = (tmp_path / "evidence" / "report.html").read_text()
    assert "&lt;b&gt;&amp;" in page and "<b>&" not in page
    assert "http" not in page
    for outcome in report.outcomes:
        assert outcome.case.claim in page and f'id="{outcome.case.name}"' in page
    assert sorted(p.name for p in (tmp_path / "evidence").iterdir()) == ["report.html", "report.json"]


def test_raise_on_failure_raises_after_everything_was_written(tmp_path):
    """All cases are run and reported first; a case that was not run does not raise."""
    with pytest.raises(CaseFailure, match="the pump is broken"):
        run_cases(ALL, out=tmp_path, raise_on_failure=True)
    assert len(json.loads((tmp_path / "report.json").read_text())["cases"]) == 4
    run_cases([case(), case("missing", missing)], raise_on_failure=True)


def test_an_executor_gives_the_same_outcomes():
    """Cases travel to spawned workers and come back in order, partial functions included."""
    cases = [*ALL, case("scaled", functools.partial(scaled, 1.0))]
    alone = run_cases(cases)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        together = run_cases(cases, executor=pool)
    assert [(o.case.name, o.status, o.measured, o.message) for o in together.outcomes] == [
        (o.case.name, o.status, o.measured, o.message) for o in alone.outcomes
    ]


def test_as_a_data_frame():
    """One row a case."""
    frame = run_cases(ALL).to_dataframe()
    assert list(frame["case"]) == ["near", "far", "broken", "missing"]
    assert list(frame["status"]) == ["passed", "failed", "failed", "not run"]


@pytest.mark.parametrize(
    ("values", "said"),
    [([1.0], "1 values"), ([1.0, np.nan], "finite"), ([1.0, 2.0, 3.0], "3 values"), ([np.inf, 2.0], "finite")],
)
def test_values_that_cannot_be_compared_fail(values, said):
    """Too few, too many, NaN: failed, with the reason."""
    outcome = case(compute=lambda: values).run()
    assert outcome.status is Status.FAILED
    assert said in outcome.message


@pytest.mark.parametrize(
    "changed",
    [
        {"claim": " "},
        {"source": ""},
        {"acceptance": ""},
        {"expected": ()},
        {"expected": (np.nan,)},
        {"tolerance": np.inf},
        {"tolerance": -1.0},
        {"tolerance": np.nan},
        {"name": "two words"},
    ],
)
def test_a_case_that_says_nothing_or_cannot_fail_is_refused(changed):
    """Every field has content, every tolerance is finite."""
    with pytest.raises(pt.ModelError):
        case(**changed)


def test_two_cases_of_one_name_and_none_at_all_are_refused():
    """Traceability needs one name for one claim."""
    with pytest.raises(pt.ModelError, match="near"):
        run_cases([case(), case()])
    with pytest.raises(pt.ModelError):
        run_cases([])


@pytest.mark.parametrize(
    ("measure", "measured", "expected", "error"),
    [
        (RELATIVE, [1.1, 2.0], [1.0, 2.0], 0.1),
        (RELATIVE, [0.0], [0.0], 0.0),
        (RELATIVE, [1e-300], [0.0], np.inf),
        (ABSOLUTE, [1.1, 5.0], [1.0, 2.0], 3.0),
        (mixed(1.0), [2.0, 1e-9], [1.0, 0.0], 0.5),
        (AT_MOST, [0.6], [0.7], 0.0),
        (AT_MOST, [0.9], [0.7], 0.2),
        (AT_LEAST, [2.5], [2.0], 0.0),
        (AT_LEAST, [1.5], [2.0], 0.5),
    ],
)
def test_measures(measure, measured, expected, error):
    """Relative, absolute, mixed and one-sided errors; beside an exact zero nothing else is small."""
    assert measure(np.array(measured), np.array(expected)) == pytest.approx(error)


def test_digits():
    """-log10 of an error, at most what a double holds."""
    assert digits(1e-7) == pytest.approx(7.0)
    assert digits(0.0) == 16.0
