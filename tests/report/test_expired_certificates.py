"""A certificate that had ended is read in everything that came of the samples: fit, prediction, envelope, report."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.envelope import Budget
from physics_twin.measurements.tags.certificates import expired_certificates
from physics_twin.measurements.tags.sensors import Sensor
from physics_twin.process import ProcessModel

SENSOR = Sensor("QT-11", uncertainty=pt.Uncertainty("0.2 g/L"), valid_until=dt.date(2026, 11, 19))
SAID = "the certificate of sensor QT-11 ended on 2026-11-19: 11 later samples are in use (x@run_1)"
BEFORE = dt.datetime(2026, 11, 19, 19, tzinfo=dt.UTC)


def run(t0_utc: dt.datetime | None = BEFORE, name: str = "run_1") -> pt.Experiment:
    """Twenty samples over ten hours, from five hours before the certificate ends if not told otherwise."""
    times = np.linspace(0.5, 10.0, 20)
    values = 10.0 * np.exp(-0.2 * times) + 0.1 * np.random.default_rng(1).standard_normal(20)
    channel = pt.Channel("x", unit="g/L", noise="0.1 g/L", sensor=SENSOR)
    return pt.Experiment.from_arrays(name, (times, "h"), {"x": values}, channels=[channel], t0_utc=t0_utc)


@pytest.fixture(scope="module")
def model() -> ProcessModel:
    """x' = -k x."""
    m = pt.ProcessBuilder("decay", version="1")
    k = m.parameter("k", "0.2 1/h", bounds=("0.01 1/h", "1 1/h"))
    x = m.state("x", "g/L", initial="10 g/L")
    m.rate(x, -k * x)
    m.output("x", x)
    return m.build()


@pytest.fixture(scope="module")
def posterior(model: ProcessModel) -> pt.Posterior:
    """A fit to samples of which eleven are too late."""
    return pt.calibrate(model, run(), unknown=["k"], method=pt.GaussNewton(n_draws=600), rng=3)


def test_the_record_says_so_itself(tmp_path: Path) -> None:
    """In its notes, once, also in its parts and after a file; not before the end of the day, nor without dates."""
    late = run()
    note = "the certificate of sensor QT-11 (x) ended on 2026-11-19, before the end of the record"
    assert late.notes == (note,)
    assert str(late).count(note) == 1
    assert "sensor QT-11: x, bias known to 0.1 g/L (one standard deviation), certificate until 2026-11-19" in str(late)
    assert late.last(3).notes == (note,)
    late.save(tmp_path / "late.nc")
    assert pt.Experiment.load(tmp_path / "late.nc") == late
    assert run(BEFORE - dt.timedelta(hours=6)).notes == (), "the last sample lies within the last day"
    assert run(None).notes == ()
    assert len(late.plot().axes[0].lines) == len(run(None).plot().axes[0].lines) + 1


def test_only_samples_in_use_count() -> None:
    """What the certificate did not cover and the fit does not use is no warning."""
    assert expired_certificates([run()]) == (SAID,)
    assert expired_certificates([run().first(9)]) == ()
    assert expired_certificates([run(None)]) == ()
    series = run()["x"]
    unused = replace(series, left_out=np.where(np.arange(20) >= 9, 1, 0).astype(np.int8), reasons=("door opened",))
    assert expired_certificates([replace(run(), series={"x": unused})]) == ()
    two = expired_certificates([run(), run(BEFORE + dt.timedelta(days=1), "run_2")])
    assert two == (SAID.replace("11 later", "31 later").replace("x@run_1", "x@run_1, x@run_2"),)


def test_the_fit_says_so(posterior: pt.Posterior, model: ProcessModel, tmp_path: Path) -> None:
    """In its warnings and in print, after a file too; predictions from it and checks against it as well."""
    assert SAID in posterior.warnings
    assert SAID in str(posterior)
    posterior.save(tmp_path / "fit.nc")
    again = pt.Posterior.load(tmp_path / "fit.nc")
    assert SAID in again.warnings
    assert SAID in again.predict(model, run().recipe, ([1.0, 2.0], "h")).notes
    assert SAID in str(pt.compare(model, run(), n_draws=10))
    sound = pt.calibrate(model, run(None), unknown=["k"], rng=3)
    assert "certificate" not in str(sound)
    assert "certificates" not in sound.provenance


def test_the_hold_out_says_so(model: ProcessModel) -> None:
    """Samples held back may be the ones that are too late."""

    def fit(runs: object) -> pt.Posterior:
        return pt.calibrate(model, runs, unknown=["k"], rng=3)  # type: ignore[arg-type]

    check = pt.holdout(model, run(), fit=fit, n_first=9, n_draws=200)
    assert "QT-11" not in str(check.posterior), "the part that was fitted lies within the certificate"
    assert SAID in str(check)


def test_the_envelope_and_the_report_say_so(posterior: pt.Posterior, model: ProcessModel, tmp_path: Path) -> None:
    """Whoever sets the plant by the envelope reads it, in print and on the page."""
    hold = pt.Setting("hold_time", "h", bounds=(1, 20))
    recipe = pt.Recipe([pt.Phase("hold", duration=hold)])
    envelope = pt.find_envelope(
        model,
        posterior,
        recipe=recipe,
        settings=[hold],
        limits=[pt.Limit("x", upper="4 g/L", over=pt.final), pt.Limit("x", lower="1 g/L", over=pt.final)],
        probability=0.9,
        rng=1,
        budget=Budget(n_points=12),
    )
    assert f"the fit warns: {SAID}" in envelope.warnings
    assert SAID in str(envelope)
    envelope.save(tmp_path / "envelope.nc")
    assert SAID in str(pt.Envelope.load(tmp_path / "envelope.nc"))
    page = pt.write_report(
        tmp_path / "report.html",
        title="batch 7",
        model=model,
        experiments=run(),
        posterior=posterior,
        envelope=envelope,
        recipe=recipe,
    )
    text = page.read_text(encoding="utf-8")
    assert text.count("certificate of sensor QT-11") >= 3, "in the chapters on data, fit and envelope"
