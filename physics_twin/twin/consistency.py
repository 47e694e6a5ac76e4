"""Whether a filter's own uncertainty is right: innovations over a window, as large and as random as they should be.

Time-averaged normalized innovation squared (NIS) against its chi-square bounds, the correlation of successive
innovations against zero, and the share of readings that the gate turns away (Bar-Shalom, Li and Kirubarajan,
Estimation with Applications to Tracking and Navigation, 2001, section 5.4; Mehra, IEEE Transactions on Automatic
Control 15, 1970).
Sums over blocks of moments are kept and no innovation by itself: sums of chi-squares are chi-squares, and a twin that
runs for months remembers as much as one that runs for an hour.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import bdtrc, chdtr, chdtri, ndtri

from physics_twin.arrays import Array
from physics_twin.twin.state import ChannelMonitor, Consistency

if TYPE_CHECKING:
    from physics_twin.twin.innovation import MomentRecord, SampleRecord

BLOCK, BLOCKS = 15, 20
"""Moments in a block, and blocks in the window: 300 moments, in two kilobytes."""
_SUMS = ("moments", "dof", "nis", "share", "judged", "turned_away", "lagged", "power", "pairs", "spread")
_AT = {name: k for k, name in enumerate(_SUMS)}
NONE = Consistency(np.empty(0, dtype=np.int64), np.empty((0, len(_SUMS))))
"""Before the first update."""
# Below so many pairs a correlation is no normal variable yet.
_PAIRS = 30
# A channel is named beside the verdict when its mean square is so far above what is expected.
_LOUD = 1.5


def remember(
    consistency: Consistency, monitors: Mapping[str, ChannelMonitor], record: "MomentRecord", covariance: Array
) -> tuple[Consistency, Mapping[str, ChannelMonitor]]:
    """The window with one more moment.

    monitors: after the verdicts of this moment. covariance: (n_used, n_used) SI, of observed less predicted of the
    samples that were used, in the order of the record, noise included; (0, 0) where all were turned away, which counts
    too.
    """
    row = np.zeros(len(_SUMS))
    row[_AT["moments"]] = 1.0
    for sample in record.samples:
        monitor = monitors.get(sample.channel)
        if sample.verdict.judged and monitor is not None and not (monitor.stuck or monitor.unit_jump):
            row[_AT["judged"]] += 1.0
            row[_AT["turned_away"]] += not sample.verdict.use or sample.verdict.reopen
    used = [sample for sample in record.samples if sample.verdict.use]
    variances = np.diag(covariance)
    if used and math.isfinite(record.nis) and np.isfinite(covariance).all() and (variances > 0.0).all():
        _add(row, monitors, used, record.nis, covariance)
    elif not row[_AT["judged"]]:
        return consistency, monitors
    return _with(consistency, record.time, row), monitors


def _add(
    row: Array, monitors: Mapping[str, ChannelMonitor], used: "list[SampleRecord]", nis: float, covariance: Array
) -> None:
    """Write the sums of an update into a row of the window."""
    variances = np.diag(covariance)
    row[_AT["dof"]] = len(used)
    row[_AT["nis"]] = nis
    row[_AT["share"]] = sum(s.predicted_variance / v for s, v in zip(used, variances.tolist(), strict=True))
    before = np.array([monitors[s.channel].innovation_before if s.channel in monitors else np.nan for s in used])
    now = np.array([s.residual for s in used]) / np.sqrt(variances)
    paired = np.isfinite(before)
    if paired.any():
        row[_AT["lagged"]] = np.sum(now[paired] * before[paired])
        row[_AT["power"]] = np.sum(now[paired] ** 2)
        row[_AT["pairs"]] = np.count_nonzero(paired)
        # Channels of one moment are correlated with each other, and so are their products over time.
        related = covariance / np.sqrt(variances[:, None] * variances)
        row[_AT["spread"]] = np.sum(related[np.ix_(paired, paired)] ** 2)


def _with(consistency: Consistency, time: int, row: Array) -> Consistency:
    sums, times = consistency.sums, consistency.times
    if len(sums) and sums[-1, _AT["moments"]] < BLOCK:
        sums, times = sums.copy(), times.copy()
        sums[-1] += row
        times[-1] = time
    else:
        sums = np.vstack([sums, row])[-BLOCKS:]
        times = np.append(times, np.int64(time))[-BLOCKS:]
    return Consistency(times, sums)


@dataclass(frozen=True)
class ConsistencyVerdict:
    """What a window of innovations says of the filter.

    nis: mean over the degrees of freedom, 1 expected; low, high: where a consistent filter lies. correlation: of
    successive innovations, 0 expected; correlation_limit: what a consistent filter stays below. turned_away: share of
    the readings that the gate turned away. probability: with which a consistent filter is called consistent, all tests
    together. words: for a person. n_moments, dof: in the window; without any, nothing is claimed and it is consistent.
    """

    consistent: bool
    words: str
    nis: float
    low: float
    high: float
    correlation: float
    correlation_limit: float
    turned_away: float
    n_moments: int
    dof: int
    probability: float

    def __str__(self) -> str:
        return self.words


def verdict(
    consistency: Consistency,
    monitors: Mapping[str, ChannelMonitor] | None = None,
    *,
    probability: float = 0.999,
    gate: float = 0.999,
) -> ConsistencyVerdict:
    """Judge a window; gate: the probability with which the gate lets a healthy reading pass.

    Three tests share 1 - probability: the mean NIS (two-sided), the correlation (two-sided), the readings turned away.
    """
    total = dict(zip(_SUMS, consistency.sums.sum(axis=0).tolist(), strict=True)) if len(consistency.sums) else {}
    dof, n = int(total.get("dof", 0.0)), int(total.get("moments", 0.0))
    if not dof:
        nan = float("nan")
        return ConsistencyVerdict(True, "no update yet", nan, nan, nan, nan, nan, nan, 0, 0, probability)
    third = (1.0 - probability) / 3.0
    # What passes the gate has lost its tails: its mean square is that of a truncated normal variable.
    cut = float(chdtri(1, 1.0 - gate)) if gate < 1.0 else math.inf
    expected = float(chdtr(3, cut) / chdtr(1, cut)) if math.isfinite(cut) else 1.0
    nis = total["nis"] / dof / expected
    low, high = (float(chdtri(dof, one)) / dof for one in (1.0 - third / 2.0, third / 2.0))
    correlation, limit = float("nan"), float("nan")
    if total["pairs"] >= _PAIRS and total["power"] > 0.0:
        correlation = total["lagged"] / total["power"]
        limit = -float(ndtri(third / 2.0)) * math.sqrt(total["spread"]) / total["pairs"]
    judged, off = total["judged"], total["turned_away"]
    too_many = off > 0.0 and gate < 1.0 and float(bdtrc(int(off) - 1, int(judged), 1.0 - gate)) < third
    share = off / judged if judged else 0.0
    words = _words(nis, low, high, correlation, limit, share if too_many else 0.0, total["share"] / dof)
    loud = {name: m.power for name, m in (monitors or {}).items() if m.power > _LOUD * max(min(nis, 1.0), 0.1)}
    if words and loud and nis > high:
        words += "; most of it in " + ", ".join(
            f"{name} ({power:.2g})" for name, power in sorted(loud.items(), key=lambda item: -item[1])[:3]
        )
    said = f"consistent: NIS {nis:.2f} over {n} moments, {low:.2f} to {high:.2f} expected"
    return ConsistencyVerdict(not words, words or said, nis, low, high, correlation, limit, share, n, dof, probability)


def _words(
    nis: float, low: float, high: float, correlation: float, limit: float, turned_away: float, share: float
) -> str:
    """What is wrong and what to try; "" where nothing is. share: of the predicted variance in that of residuals."""
    lags, hurries = correlation > limit, correlation < -limit
    found: list[str] = []
    if nis > high:
        found.append(f"filter overconfident: NIS {nis:.2g} where 1 is expected ({low:.2f} to {high:.2f})")
        factor = (nis - (1.0 - share)) / share if share > 0.0 else math.inf
        noise = f"raise the noise of the channels by a factor of {math.sqrt(nis):.2g}"
        if lags:
            more = f", the predicted variance is short by a factor of {factor:.2g}" if factor < 1e3 else ""
            found.append(f"successive innovations agree ({correlation:.2f}): raise process noise{more}")
        else:
            found.append(f"successive innovations do not agree: {noise}")
    elif nis < low:
        found.append(f"filter underconfident: NIS {nis:.2g} where 1 is expected ({low:.2f} to {high:.2f})")
        if hurries:
            found.append(f"successive innovations alternate ({correlation:.2f}): lower process noise")
        elif nis < share:  # without any noise of the channels the prediction alone would still be too wide
            found.append(
                f"the prediction is uncertain by {100.0 * share:.0f} % of what is expected: lower process noise"
            )
        else:
            found.append(f"lower the noise of the channels by a factor of {math.sqrt(nis):.2g}")
    elif lags:
        found.append(f"successive innovations agree ({correlation:.2f}, at most {limit:.2f} expected)")
        found.append("the model is biased or the filter lags: raise process noise, or recalibrate")
    elif hurries:
        found.append(f"successive innovations alternate ({correlation:.2f}, at least {-limit:.2f} expected)")
        found.append("the filter follows the noise: lower process noise")
    if turned_away:
        found.append(f"{100.0 * turned_away:.2g} % of the readings turned away")
    return "; ".join(found)
