"""The second part of the main job: a field model from data to an envelope, or a clear word why not."""

import math
from pathlib import Path

import pytest

import physics_twin as pt
from physics_twin.errors import MissingDependencyError
from physics_twin_models import demo, demo_rod


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[demo_rod.RodDemo, Path, list[str]]:
    steps: list[str] = []
    found = demo_rod.run(steps.append)
    out = tmp_path_factory.mktemp("rod")
    demo_rod.write(found, out)
    return found, out, steps


@pytest.mark.slow
def test_both_models_find_the_fit_of_the_closed_form(done: tuple[demo_rod.RodDemo, Path, list[str]]) -> None:
    """Flux and film coefficient of least squares with the fin; 3-D within a twentieth of a standard error."""
    found = done[0]
    for name, wanted in zip(
        demo_rod.UNKNOWN, (found.closed_form.flux, found.closed_form.film_coefficient), strict=True
    ):
        assert found.fit.mode[name] / 1e4 == pytest.approx(wanted, rel=1e-5)
        assert abs(found.fit_3d.mode[name] - found.fit.mode[name]) < 0.05 * found.fit.standard_errors[name]


@pytest.mark.slow
def test_the_forecast_is_the_closed_form(done: tuple[demo_rod.RodDemo, Path, list[str]]) -> None:
    """For a load that was not measured: the median of 200 draws is near the closed form at the mode, 0.05 K."""
    assert done[0].forecast_difference < 0.05


@pytest.mark.slow
def test_the_largest_flux_is_the_one_that_heats_the_end_to_its_limit(
    done: tuple[demo_rod.RodDemo, Path, list[str]],
) -> None:
    """At the upper end of the box the closed form is below 150 degC at the mode, by no more than 3 K."""
    found = done[0]
    assert not found.envelope.empty and found.envelope.probability_lower >= 0.95
    _, high = found.envelope.box["flux"]
    film = float(found.fit.mode["film_coefficient"]) / 1e4
    hot = demo_rod.Fin(high / 1e4, film, demo_rod.CONDUCTIVITY, 25.0).temperature([0.0])[0]
    assert 147.0 < hot < 150.0
    assert any("one load was measured" in warning for warning in found.envelope.warnings)


@pytest.mark.slow
def test_files_are_written_and_read_back(done: tuple[demo_rod.RodDemo, Path, list[str]]) -> None:
    """Report with the array as one row, pictures, and numbers with the same bits."""
    found, out, steps = done
    assert len(steps) == demo_rod.N_STEPS
    assert all(math.isfinite(s) and s >= 0.0 for s in found.seconds.values())
    assert pt.Posterior.load(out / "rod_posterior.nc").mode == found.fit.mode
    assert pt.Experiment.load(out / "rod_experiment.nc") == found.experiment
    text = (out / "rod_report.html").read_text(encoding="utf-8")
    assert "rod (15 places)" in text and "in 3-D" in text
    for name in ("rod_fit", "rod_parameters", "rod_forecast", "rod_envelope"):
        assert (out / f"{name}.png").stat().st_size > 5_000


def test_without_dolfinx_the_part_is_skipped_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the demonstration runs; what is missing and how to get it is said."""

    def missing(step: object) -> None:
        raise MissingDependencyError("field models need DOLFINx: conda install fenics-dolfinx")

    monkeypatch.setattr(demo_rod, "run", missing)
    said = demo.field_model_part()
    assert isinstance(said, str)
    assert "skipped" in said and "conda install fenics-dolfinx" in said
