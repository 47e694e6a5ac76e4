"""QuasiNewton with every shape of noise: slopes by backward runs, answers of Gauss-Newton, and a journal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.estimation import GaussNewton, QuasiNewton, calibrate
from physics_twin.estimation.likelihood.local_model import local_model
from physics_twin.estimation.likelihood.pulled_slope import pulled_slope
from physics_twin.estimation.log_density import log_density, psi_prior, start_psi
from physics_twin.measurements import Channel, Experiment
from physics_twin.parameters import Parameter
from tests.estimation.conftest import ClosedForm
from tests.estimation.likelihood.shapes import NOISES, decaying, point_at


class Backward(ClosedForm):
    """A formula with products of its transposed Jacobian."""

    def pullback(self, times: Any, recipe: Any, values: Mapping[str, float], wrt: Sequence[str]) -> Any:
        outputs, slopes, _ = self.sensitivity(times, recipe, values, wrt)
        self.calls.append("pullback")
        return outputs, lambda weights: np.einsum("to,top->p", weights, slopes)


@pytest.mark.parametrize("extra", [0.0, 0.05])
@pytest.mark.parametrize("shape", NOISES)
def test_a_backward_run_gives_the_slope_of_the_density(shape: str, extra: float, closed_form: Any) -> None:
    """For every shape, with limits and a population: the slope from products is that from the Jacobian.

    The search takes members of a population in ln x by the density of ln x, which the density of x has 1/x more of.
    """
    problem = decaying(NOISES[shape], closed_form, groups=True, censored=True)
    z = 0.2 * np.random.default_rng(1).standard_normal(len(problem.columns))
    psi, point = start_psi(problem), point_at(problem, z, extra)

    def transpose(v: Any, u: Any) -> Any:
        own = point.jacobian.T @ v
        return own if u is None else own + point.extra_jacobian.T @ u

    value, slope = pulled_slope(problem, point, psi, transpose)
    density = log_density(problem, point, psi)
    of_x = local_model(problem, point)
    np.testing.assert_allclose(slope + of_x.drift_slope, -density.slope, rtol=1e-9, atol=1e-9)
    assert psi_prior(problem, psi)[0] - 0.5 * value - of_x.drift == pytest.approx(density.value, rel=1e-12)


def decay(noise: Any) -> tuple[Any, Experiment]:
    """A decay with a backward run, and data of it."""
    model = Backward(
        lambda t, v: (v["start"] * np.exp(-v["rate"] * t))[:, None],
        pt.ParameterSet(
            [
                Parameter("start", "10 mol/m^3", bounds=("0.1 mol/m^3", "100 mol/m^3")),
                Parameter("rate", "0.2 1/s", bounds=("1e-4 1/s", "10 1/s")),
            ]
        ),
        (pt.Signal("c", "mol/m^3"),),
    )
    times = np.linspace(0.0, 10.0, 60)
    y = 8.0 * np.exp(-0.3 * times) * (1.0 + 0.05 * np.random.default_rng(3).standard_normal(60)) + 0.1
    channel = Channel("c", unit="mol/m^3", noise=noise)
    return model, Experiment.from_arrays("run", times, {"c": y}, channels=[channel])


@pytest.mark.parametrize("shape", ["proportional", "memory", "outliers"])
def test_both_methods_find_the_same_mode(shape: str) -> None:
    """QuasiNewton's mode, noise and standard errors are Gauss-Newton's."""
    model, run = decay(NOISES[shape])
    few = {"n_draws": 50}
    one = calibrate(model, run, unknown=["start", "rate"], method=GaussNewton(**few))
    other = calibrate(model, run, unknown=["start", "rate"], method=QuasiNewton(tolerance=1e-4, **few))
    assert other.converged
    for name in ("start", "rate", "noise.c"):  # a shape that these data hardly show has a flat maximum
        assert other.mode.scalar(name) == pytest.approx(one.mode.scalar(name), rel=2e-3)
    assert other.standard_errors["rate"] == pytest.approx(one.standard_errors["rate"], rel=0.1)


def test_a_run_with_a_journal_is_not_simulated_twice(tmp_path: Path) -> None:
    """The same call on its checkpoint asks the model for nothing in the search, and gives the same bytes."""
    found, searches = [], []
    for _ in range(2):
        model, run = decay(NOISES["plain"])
        posterior = calibrate(
            model, run, unknown=["start", "rate"], method=QuasiNewton(), checkpoint=tmp_path / "journal"
        )
        found.append(posterior.draws.values.tobytes())
        searches.append(sum(call in ("pullback", "sensitivity") for call in model.calls))
    assert found[0] == found[1]
    assert searches[0] > 5
    assert searches[1] == 0


def test_a_journal_that_was_cut_off_gives_the_same_answer(tmp_path: Path) -> None:
    """Killed in the middle: what is missing is simulated, a backward run on a remembered forward run included."""
    model, run = decay(NOISES["memory"])
    method = QuasiNewton(n_draws=50)
    whole = calibrate(model, run, unknown=["start", "rate"], method=method, checkpoint=tmp_path / "whole")
    (journal,) = [p for p in (tmp_path / "whole").iterdir() if p.suffix == ".journal"]
    content = journal.read_bytes()
    for share in (0.3, 0.77):
        folder = tmp_path / f"cut{share}"
        calibrate(model, run, unknown=["start", "rate"], method=method, checkpoint=folder)
        (folder / journal.name).write_bytes(content[: int(share * len(content))])
        again = calibrate(model, run, unknown=["start", "rate"], method=method, checkpoint=folder)
        assert again.draws.values.tobytes() == whole.draws.values.tobytes()
