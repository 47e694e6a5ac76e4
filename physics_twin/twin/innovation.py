"""`Innovation`: what one call of `assimilate` did, sample by sample and moment by moment."""

from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.twin.sensors.reading import Verdict


@dataclass(frozen=True, slots=True)
class SampleRecord:
    """One sample beside what the model expected, SI.

    variance: of the sensor's noise as used in the update (with the verdict's factor). predicted_variance: of the true
    output before the update, widened if the gate was opened again. source: as of the sample.
    """

    channel: str
    observed: float
    variance: float
    predicted: float
    predicted_variance: float
    verdict: Verdict
    source: str = ""

    @property
    def residual(self) -> float:
        """Observed less predicted, SI."""
        return self.observed - self.predicted


@dataclass(frozen=True, slots=True)
class MomentRecord:
    """What became of the samples of one moment.

    time: ns UTC. nis, dof: normalized innovation squared of the samples that were used, and how many they are; 0 and 0
    without an update. trouble: why there was no update, "" where there was one or nothing to update with.
    """

    time: int
    samples: tuple[SampleRecord, ...]
    nis: float = 0.0
    dof: int = 0
    trouble: str = ""
    n_failed_members: int = 0


def normalized_innovation_squared(residuals: Array, covariance: Array) -> float:
    """r^T S^-1 r of residuals (n,) with the covariance S (n, n) of observed less predicted, noise included, SI.

    A chi-square of n degrees of freedom where the filter's uncertainty is right (Bar-Shalom, Li and Kirubarajan,
    Estimation with Applications to Tracking and Navigation, 2001, section 5.4). Samples in units as different as K and
    Pa are scaled by their own spread before they are combined. Infinite where S is not positive definite.
    """
    if not residuals.size:
        return 0.0
    spread = np.sqrt(np.diag(covariance))
    if not (np.isfinite(covariance).all() and (spread > 0.0).all()):
        return float("inf")
    try:
        root = np.linalg.cholesky(covariance / np.outer(spread, spread))
    except np.linalg.LinAlgError:
        return float("inf")
    return float(np.sum(np.linalg.solve(root, residuals / spread) ** 2))
