"""Two heaters and two sensors: the measured record of the Temperature Control Lab."""

import functools
import hashlib
from collections.abc import Sequence

import numpy as np

import physics_twin as pt
from physics_twin import datasets
from physics_twin.errors import DataError
from physics_twin.verification import AT_LEAST, AT_MOST, Case, Measured, NotAvailable
from physics_twin_models.heated_block import experiment, heated_block

_FILE = "mimo_1s_600.csv"
_SOURCE = "Temperature Control Lab, record mimo_1s_600.csv (APMonitor/arduino @f36e65a, Apache-2.0)"
_UNKNOWN = ("film_coefficient", "exchange_coefficient", "heater_1_gain", "heater_2_gain", "sensor_time_constant")


@functools.cache
def record() -> pt.Experiment:
    """The measured record, both heaters and both sensors; raises NotAvailable where it cannot be had."""
    try:
        return experiment(datasets.load("tclab").path(_FILE))
    except DataError as error:
        raise NotAvailable(str(error)) from None


@functools.cache
def fitted(begin: float, end: float) -> pt.Posterior:
    """Five parameters on the samples between two times, s."""
    chosen = record().between(begin, end)
    return pt.calibrate(heated_block(), chosen, unknown=_UNKNOWN, method=pt.GaussNewton(starts=3), rng=7)


@functools.cache
def drifting() -> pt.Experiment:
    """The record, whose noise remembers: deviations of the sensors follow an AR(1) process with an unknown memory."""
    level = pt.EstimatedNoise("0.5 K", shared="thermistor")
    try:
        path = datasets.load("tclab").path(_FILE)
    except DataError as error:
        raise NotAvailable(str(error)) from None
    return experiment(path, noise=pt.Noise(level, correlation_time=pt.Estimated("20 s")))


def _fit(runs: Sequence[pt.Experiment]) -> pt.Posterior:
    return pt.calibrate(heated_block(), runs, unknown=_UNKNOWN, rng=7)


@functools.cache
def _forecast() -> pt.HoldOut:
    return pt.holdout(heated_block(), drifting(), fit=_fit, n_first=300, rng=1)


def _inside() -> Measured:
    found = _forecast()
    shares = [float(np.mean(channel.inside)) for channel in found.channels]
    return Measured(shares, _details() | {"chance": f"{found.chance:.2f}"})


def _details() -> dict[str, str]:
    digest = hashlib.sha256(datasets.load("tclab").path(_FILE).read_bytes()).hexdigest()
    return {"fingerprint": heated_block().fingerprint, "data": f"{_FILE}, sha256 {digest}"}


def _pooled() -> Measured:
    channels = fitted(0.0, 600.0).channels
    n = sum(channel.n_samples for channel in channels)
    total = sum(channel.sum_of_squares for channel in channels)
    return Measured([float(np.sqrt(total / n))], _details() | {"samples": str(n)})


def _halves() -> Measured:
    return Measured(_apart(fitted(0.0, 299.5), fitted(299.5, 600.0)), _details())


def _drifting_halves() -> Measured:
    return Measured(_apart(_forecast().posterior, _fit([drifting().between(299.5, 600.0)])), _details())


def _apart(first: pt.Posterior, second: pt.Posterior) -> list[float]:
    """Distances of the means, in combined standard deviations of the draws."""
    draws = [first.draws, second.draws]
    apart = []
    for name in _UNKNOWN:
        mean, sd = (np.array([float(f(half.sel(parameter=name).values)) for half in draws]) for f in (np.mean, np.std))
        apart.append(float(abs(mean[0] - mean[1]) / np.hypot(*sd)))
    return apart


CASES = (
    Case(
        name="heated_block_record",
        claim="Five parameters fit 599 s of both sensors to 0.70 degC pooled.",
        requirement="tclab",
        source=_SOURCE,
        quantity="root of the mean squared residual of both sensors, degC",
        expected=(0.70,),
        tolerance=0.0,
        acceptance="upper limit: what a fit with fixed ambient temperature attains; the sensors' "
        "noise is 0.2 degC, the rest is the model",
        compute=_pooled,
        measure=AT_MOST,
    ),
    Case(
        name="heated_block_halves",
        claim="Fits of the two halves of the record agree within their widened intervals.",
        requirement="tclab",
        source=_SOURCE,
        quantity="distance of the means in combined standard deviations of the draws: " + ", ".join(_UNKNOWN),
        expected=(2.0,) * len(_UNKNOWN),
        tolerance=0.0,
        acceptance="two standard deviations, a 95 % interval of a difference",
        compute=_halves,
        measure=AT_MOST,
    ),
    Case(
        name="heated_block_drift_forecast",
        claim="The 95 % band of a fit with AR(1) noise to the first half holds the second half.",
        requirement="tclab",
        source=_SOURCE,
        quantity="share of the samples of each sensor in the second half inside the band",
        expected=(0.95, 0.95),
        tolerance=0.0,
        acceptance="what the band promises",
        compute=_inside,
        measure=AT_LEAST,
    ),
    Case(
        name="heated_block_drift_halves",
        claim="With AR(1) noise, fits of the two halves of the record agree within intervals that nothing has widened.",
        requirement="tclab",
        source=_SOURCE,
        quantity="distance of the means in combined standard deviations of the draws: " + ", ".join(_UNKNOWN),
        expected=(2.0,) * len(_UNKNOWN),
        tolerance=0.0,
        acceptance="two standard deviations, a 95 % interval of a difference",
        compute=_drifting_halves,
        measure=AT_MOST,
    ),
)
