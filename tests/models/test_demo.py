"""The main job: published optimum, the trap found, an honest hold-out, an envelope in which both limits bind."""

import math
from pathlib import Path

import pytest

import physics_twin as pt
from physics_twin_models import demo

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[demo.Demo, Path, list[str]]:
    steps: list[str] = []
    found = demo.run(steps.append)
    out = tmp_path_factory.mktemp("demo")
    demo.write(found, out)
    return found, out, steps


def test_the_published_optimum_is_found(done: tuple[demo.Demo, Path, list[str]]) -> None:
    """Sum of squares 19.87217 percent^2 within 1e-6; parameters of Box et al. to four digits."""
    full = done[0].full
    assert full.sum_of_squares["percent"] == pytest.approx(19.87216693, rel=1e-6)
    published = {
        "k1": 5.92584877e-5,
        "k2": 2.96340211e-5,
        "k3": 2.04728393e-5,
        "k4": 2.74467939e-4,
        "k5": 3.99795027e-5,
    }
    for name, value in published.items():
        assert 60.0 * full.mode.scalar(name) == pytest.approx(value, rel=5e-4), name


def test_the_trap_is_found_and_both_fits_are_there(done: tuple[demo.Demo, Path, list[str]]) -> None:
    """Pyronene was imputed and rows sum to 100: two of five columns tell nothing, and intervals widen without them."""
    found = done[0]
    assert len(found.dependent.dependencies) == 2
    assert "pyronene" in found.dependent.leave_out and len(found.dependent.leave_out) == 2
    for name in demo.RATES:
        assert found.reduced.standard_errors[name] > found.full.standard_errors[name], name


def test_the_envelope_is_certified_and_both_limits_bind(done: tuple[demo.Demo, Path, list[str]]) -> None:
    """Dipentene from below, dimer from above; at least 0.95 at every point of the box."""
    envelope = done[0].envelope
    assert not envelope.empty and envelope.probability_lower >= 0.95
    ends = {end for sides in envelope.binding.values() for end in sides}
    assert set(envelope.limits) <= ends
    low, high = envelope.box["batch_time"]
    assert 24 * 3600.0 < low < high and high - low > 20 * 3600.0


def test_box_from_the_exact_solution_at_the_mode(done: tuple[demo.Demo, Path, list[str]]) -> None:
    """At the corners that bind, the model itself is near the limit, on its good side."""
    found = done[0]
    low, high = found.envelope.box["batch_time"]
    purity = found.envelope.box["feed_purity"]
    values = pt.Values({**found.reduced.mode, "batch_time": low, "feed_purity": purity[0]})
    used = pt.Values({k: v for k, v in values.items() if not k.startswith("noise.")})
    early = pt.simulate(found.model, [low], demo.RECIPE, used)
    assert 0.40 < float(early["dipentene"][-1]) < 0.43
    late = pt.simulate(
        found.model, [high], demo.RECIPE, pt.Values({**used, "batch_time": high, "feed_purity": purity[1]})
    )
    assert 0.17 < float(late["dimer"][-1]) < 0.19


def test_where_the_hold_out_fails_the_envelope_is_marked(done: tuple[demo.Demo, Path, list[str]]) -> None:
    """Fitted to five samples, the dimer of the last is missed: said beside the box, and not smoothed over."""
    found = done[0]
    check = found.checks["all channels"]
    assert (check.n_fitted, check.n_samples) == (25, 15)
    assert not check.passed and "dimer" in check.outside
    assert any(check.sentence in warning for warning in found.envelope.warnings)
    assert any("diluted feed" in warning for warning in found.envelope.warnings)


def test_files_are_written_and_read_back(done: tuple[demo.Demo, Path, list[str]]) -> None:
    """Report, pictures and numbers; the numbers come back with the same bits."""
    found, out, _ = done
    assert pt.Posterior.load(out / "posterior.nc").mode == found.full.mode
    assert pt.Envelope.load(out / "envelope.nc").box == found.envelope.box
    assert pt.Experiment.load(out / "experiment.nc") == found.experiment
    text = (out / "report.html").read_text(encoding="utf-8")
    assert "19.87217" in text and f"without {', '.join(found.dependent.leave_out)}" in text
    pictures = {path.name for path in out.glob("*.png")}
    assert {"before_fit.png", "fit.png", "residuals.png", "holdout.png", "envelope.png"} <= pictures


def test_steps_are_told_and_time_is_measured(done: tuple[demo.Demo, Path, list[str]]) -> None:
    """Five steps before the report, each with its time."""
    found, _, steps = done
    assert len(steps) == demo.N_STEPS - 1
    assert all(math.isfinite(s) and s >= 0.0 for s in found.seconds.values())
