"""One update of ES-MDA: 1e5 parameters, 1e3 observations, 100 members.

Beside iterative_ensemble_smoother where somebody has installed it; nothing here needs it.
"""

from typing import Any

import numpy as np
import pytest

from physics_twin.estimation.ensemble_smoother import es_mda
from physics_twin.tapers import gaspari_cohn

pytestmark = pytest.mark.benchmark(group="update of 1e5 parameters by 1e3 observations, 100 members")
N_PARAMETERS, N_DATA, N_MEMBERS, ALPHA = 100_000, 1000, 100, 4.0


class Ensemble:
    """Members, what they predict, and what was observed."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.m = rng.standard_normal((N_MEMBERS, N_PARAMETERS))
        self.predicted = 3.0 * rng.standard_normal((N_MEMBERS, N_DATA))
        self.observed, self.noise = rng.standard_normal(N_DATA), np.ones(N_DATA)
        self.z = es_mda.perturbations(rng, N_MEMBERS, N_DATA)


@pytest.fixture(scope="module")
def ensemble() -> Ensemble:
    return Ensemble()


def test_physics_twin(benchmark: Any, ensemble: Ensemble) -> None:
    def update() -> Any:
        z = es_mda.perturbations(np.random.default_rng(1), N_MEMBERS, N_DATA)
        return es_mda.assimilate(ensemble.m, ensemble.predicted, ensemble.observed, ensemble.noise, ALPHA, z)

    assert benchmark(update).shape == (N_MEMBERS, N_PARAMETERS)


def test_physics_twin_with_localization(benchmark: Any, ensemble: Ensemble) -> None:
    places, where = np.linspace(0.0, 1.0, N_PARAMETERS), np.linspace(0.0, 1.0, N_DATA)

    def near(block: slice, a: Any, data: Any) -> Any:
        return gaspari_cohn((places[block, None] - where) / 0.05)

    def update() -> Any:
        e = ensemble
        return es_mda.assimilate(e.m, e.predicted, e.observed, e.noise, ALPHA, e.z, near)

    assert benchmark.pedantic(update, rounds=2).shape == (N_MEMBERS, N_PARAMETERS)


def test_iterative_ensemble_smoother(benchmark: Any, ensemble: Ensemble) -> None:
    peer = pytest.importorskip("iterative_ensemble_smoother")
    x, y = np.ascontiguousarray(ensemble.m.T), np.ascontiguousarray(ensemble.predicted.T)

    def update() -> Any:
        smoother = peer.ESMDA(covariance=ensemble.noise, observations=ensemble.observed, alpha=4, seed=1)
        smoother.prepare_assimilation(Y=y)
        return smoother.assimilate_batch(X=x)

    assert benchmark(update).shape == (N_PARAMETERS, N_MEMBERS)
