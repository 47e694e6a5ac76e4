"""Channels that are not independent: sums that close by construction, columns that were computed and not measured.

Box, Hunter, MacGregor and Erjavec, "Some problems associated with the analysis of multiresponse data", Technometrics
15 (1973) 33: where responses obey an exact linear relation, the matrix of their (co)variances has an eigenvalue no
larger than what rounding the numbers has put there, and a fit that counts all of them as independent is misled.

Names and the paper's letters: Y (n rows, m channels); rounding to a step h puts h^2/12 into the variance of a channel;
scaled by h/sqrt(12), a relation c.y = const has a variance of c.c = 1 where rounding is all that disturbs it.
The eigenvalues say how many relations there are, not which: any mixture of two is one as well. Here the relations are
the simplest ones (sums with coefficients 1, then pairs, then the rest) that the data bear out.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import DataError
from physics_twin.measurements.channels import Channel
from physics_twin.measurements.experiment import Experiment
from physics_twin.units import Unit

__all__ = ["Dependency", "Redundancy", "find_dependent_channels"]

# Within three standard deviations of rounding: published tables have misprints, and an exact factor of 1 would miss the
# closure of alpha-pinene, where one row of eight sums to 100.4. Within two where the
# coefficients were fitted to the rows, in between where one was.
_NEAR = 3.0
_NEAR_PARTLY = 2.5
_NEAR_FITTED = 2.0
# Every channel of a relation must matter in it: its share varies four times more than what is left over.
_MATTERS = 4.0
# Chance that independent channels look like this, over everything that was tried.
_CHANCE = 1e-3
# Degrees of freedom that must be left when one channel is regressed on all others.
_SPARE = 3
# 3^m sums are tried; beyond ten channels only the sum of all, and pairs.
_EXHAUSTIVE = 10
_SIMPLE_DIGITS = 2


@dataclass(frozen=True)
class Dependency:
    """A linear relation among channels that holds in every row, up to rounding: sum of coefficient * value = constant.

    coefficients: output -> number. constant, residual (root mean square over the rows), rounding (what rounding alone
    explains): in `unit`. imputed: the channel that was computed from the other one, if so. simple: whether short
    coefficients suffice; a relation of physics, like two sensors on one straight ramp, rarely has them.
    """

    coefficients: Mapping[str, float]
    constant: float
    unit: Unit
    residual: float
    rounding: float
    imputed: str | None
    simple: bool
    text: str

    def __str__(self) -> str:
        """Return the relation in words."""
        return self.text


@dataclass(frozen=True)
class Redundancy:
    """What `find_dependent_channels` found.

    dependencies: the relations. leave_out: as many channels as there are simple relations, so that the rest are
    independent. constant: channels that do not move beyond their rounding. eigenvalues: for each group of channels that
    was evaluated, the variances along its principal axes, ascending, in units of the rounding variance (1 is rounding
    alone). not_evaluated: groups of channels with the reason why nothing can be said.
    """

    dependencies: tuple[Dependency, ...]
    leave_out: tuple[str, ...]
    constant: tuple[str, ...]
    eigenvalues: Mapping[tuple[str, ...], tuple[float, ...]]
    not_evaluated: Mapping[tuple[str, ...], str]

    def __str__(self) -> str:
        """Return the findings in words, a line each."""
        lines = [dependency.text for dependency in self.dependencies]
        if self.leave_out:
            lines.append(f"leave out {', '.join(self.leave_out)}: the others then are independent")
        lines += [f"{output} does not change beyond its rounding" for output in self.constant]
        lines += [f"not evaluated: {', '.join(group)}: {why}" for group, why in self.not_evaluated.items()]
        checked = [", ".join(group) for group in self.eigenvalues]
        if not self.dependencies and checked:
            lines.append(f"no linear dependency among {'; nor among '.join(checked)}")
        return "\n".join(lines or ["no two channels have one dimension, so there is nothing to compare"])


def find_dependent_channels(experiments: Experiment | Sequence[Experiment]) -> Redundancy:
    """Find linear dependencies among channels of one dimension that were sampled together.

    experiments: one or several; their rows are taken together, those in which all channels of a dimension are in use.
    The step to which each channel is rounded is read off its digits.

    A dependency is reported where the residual is within three times what rounding explains (two times where the
    coefficients were fitted), each of its channels matters, and independent channels would look like this less than
    once in a thousand. It needs noise that is larger than the rounding: two proportional signals without any are a
    computed column, as far as numbers can tell. With fewer than m + 3 rows for m channels the group is not evaluated.

    Raises DataError without experiments.
    """
    runs = [experiments] if isinstance(experiments, Experiment) else list(experiments)
    if not runs:
        raise DataError("find_dependent_channels needs at least one experiment")
    common = [channel for channel in runs[0].channels if all(channel.output in run.series for run in runs)]
    groups: dict[object, list[Channel]] = {}
    for channel in common:
        groups.setdefault(channel.unit.dimension, []).append(channel)
    dependencies: list[Dependency] = []
    leave_out: list[str] = []
    constant: list[str] = []
    eigenvalues: dict[tuple[str, ...], tuple[float, ...]] = {}
    skipped: dict[tuple[str, ...], str] = {}
    for group in groups.values():
        if len(group) < 2:
            continue
        rows = _rows(runs, group)
        names = tuple(channel.output for channel in group)
        if len(rows) < len(group) + _SPARE:
            skipped[names] = f"{len(rows)} rows with all of them; {len(group) + _SPARE} are needed"
            continue
        steps = np.array([_step_in(group[0].unit, channel, rows[:, j]) for j, channel in enumerate(group)])
        moves = rows.std(axis=0, ddof=1) > _NEAR * steps / math.sqrt(12.0)
        constant += [name for name, moving in zip(names, moves, strict=True) if not moving]
        active = np.flatnonzero(moves)
        if active.size < 2:
            continue
        chosen = [group[j] for j in active]
        data = _Group(chosen, rows[:, active], steps[active])
        eigenvalues[tuple(channel.output for channel in chosen)] = tuple(data.eigenvalues.tolist())
        relations = data.relations()
        dependencies += [data.describe(relation) for relation in relations]
        leave_out += data.superfluous([relation for relation in relations if relation.simple])
    return Redundancy(tuple(dependencies), tuple(leave_out), tuple(constant), eigenvalues, skipped)


def _rows(runs: Sequence[Experiment], group: Sequence[Channel]) -> Array:
    """Return the rows in which every channel is in use, (n_rows, n_channels), in the unit of the first channel."""
    blocks = []
    for run in runs:
        tables = []
        for channel in group:
            series = run[channel.output]
            times, first = np.unique(series.times[series.used], return_index=True)  # of repeated times, the first
            tables.append((times, series.values[series.used][first]))
        shared = tables[0][0]
        for times, _ in tables[1:]:
            shared = np.intersect1d(shared, times, assume_unique=True)
        blocks.append(np.column_stack([values[np.isin(times, shared)] for times, values in tables]))
    unit = group[0].unit
    return np.asarray(unit.from_si(np.vstack(blocks)), dtype=np.float64)


def _step_in(unit: Unit, channel: Channel, values: Array) -> float:
    """Return the rounding step of a channel in `unit`; values (n,) in `unit`, digits counted in the channel's own."""
    own = np.asarray(channel.unit.from_si(unit.to_si(values)), dtype=np.float64)
    return _rounding_step(own) * channel.unit.factor / unit.factor


def _rounding_step(values: Array) -> float:
    """Return the step to which numbers were rounded, from their digits.

    Of numbers with d decimals nine in ten need all of them (half of them where the step is 5 of the last digit); where
    fewer than two in ten do, as in "88.35, 76.4, 65.1, ...", the column was rounded more coarsely and one entry not.
    """
    if not values.size:
        return 0.0
    size = float(np.abs(values).max(initial=0.0))
    for decimals in range(13):
        scaled = values * 10.0**decimals
        # Conversions to SI and back leave a few ulp.
        needs_more = np.abs(scaled - np.round(scaled)) > 1e-6 + 4e-15 * np.abs(scaled)
        if needs_more.mean() < 0.2:
            return float(10.0**-decimals)
    return max(1e-10 * size, 1e-300)  # all the digits of a float: a simulation, or a converted column


@dataclass(frozen=True)
class _Relation:
    coefficients: Array
    constant: float
    variance: float
    simple: bool
    cost: float


class _Group:
    """Channels of one dimension, and the moments of their rows; all in the unit of the first channel."""

    def __init__(self, channels: Sequence[Channel], rows: Array, steps: Array) -> None:
        self.channels = channels
        self.names = [channel.output for channel in channels]
        self.unit = channels[0].unit
        self.n, self.m = rows.shape
        self.rows = rows
        self.mean = rows.mean(axis=0)
        centered = rows - self.mean
        self.covariance = np.asarray(centered.T @ centered / (self.n - 1), dtype=np.float64)
        self.sd = np.sqrt(np.diag(self.covariance))
        self.rounding = steps / math.sqrt(12.0)
        singular = np.linalg.svd(centered / self.rounding, compute_uv=False)
        self.eigenvalues = np.sort(singular**2 / (self.n - 1))
        self.n_tried = 1

    def relations(self) -> list[_Relation]:
        """Return as many independent relations as there are eigenvalues near rounding, the simplest ones."""
        wanted = int((self.eigenvalues <= _NEAR**2).sum())
        if not wanted:
            return []
        found: list[_Relation] = []
        stages = [self._sums_and_pairs]
        if self.m <= _EXHAUSTIVE:
            stages += [self._sums_but_one, self._others]
        for stage in stages:
            for relation in sorted(stage(), key=lambda r: (r.cost, r.variance)):
                if len(found) < wanted and self._independent([*found, relation]):
                    found.append(relation)
        return found

    def _independent(self, relations: Sequence[_Relation]) -> bool:
        stack = np.array([relation.coefficients * self.rounding for relation in relations])
        stack /= np.linalg.norm(stack, axis=1, keepdims=True)
        return bool(np.linalg.svd(stack, compute_uv=False)[-1] > 0.05)

    def _sums_and_pairs(self) -> list[_Relation]:
        signs: list[tuple[int, ...]]
        if self.m <= _EXHAUSTIVE:
            every = itertools.product((0, 1, -1), repeat=self.m)
            signs = [s for s in every if sum(map(abs, s)) > 1 and next(x for x in s if x) > 0]
        else:
            signs = [(1,) * self.m]
        pairs = list(itertools.combinations(range(self.m), 2))
        self.n_tried = len(signs) + len(pairs)
        found = []
        table = np.array(signs, dtype=np.float64)
        variances = np.einsum("ij,jk,ik->i", table, self.covariance, table)
        near = variances <= _NEAR**2 * (table**2 @ self.rounding**2)
        for c in table[near]:
            found += self._accepted(c, fitted=0)
        for i, j in pairs:
            found += self._accepted_rounded((i, j))
        return found

    def _sums_but_one(self) -> list[_Relation]:
        """Return sums in which one channel has a factor, as a closed sum has when an imputed part was dropped."""
        found = []
        for size in range(3, self.m + 1):
            for subset in itertools.combinations(range(self.m), size):
                for j in subset:
                    self.n_tried += 1
                    c = np.zeros(self.m)
                    c[list(subset)] = 1.0
                    c[j] = 0.0
                    factor = -float(c @ self.covariance[:, j]) / float(self.covariance[j, j])
                    for digits in range(1, _SIMPLE_DIGITS + 1):
                        c[j] = _round_to(factor, digits)
                        accepted = self._accepted(c, fitted=1, digits=digits, near=_NEAR_PARTLY)
                        if accepted:
                            found += accepted
                            break
        return found

    def _others(self) -> list[_Relation]:
        found = []
        for size in range(3, self.m + 1):
            for subset in itertools.combinations(range(self.m), size):
                self.n_tried += 1
                found += self._accepted_rounded(subset)
        return found

    def _accepted_rounded(self, subset: tuple[int, ...]) -> list[_Relation]:
        """Return the best relation within a subset of channels, with as few digits as the data ask for."""
        keep = list(subset)
        scale = self.rounding[keep]
        _, vectors = np.linalg.eigh(self.covariance[np.ix_(keep, keep)] / np.outer(scale, scale))
        c = vectors[:, 0] / scale
        # The channel of the smallest range is the one that others would be computed into: its coefficient is 1.
        pivot = int(np.argmin(self.sd[keep]))
        if c[pivot] == 0.0:
            return []
        c = c / c[pivot]
        if np.abs(c).max() > 1e6:
            return []
        full = np.zeros(self.m)
        for digits in range(1, 7):
            full[keep] = [_round_to(x, digits) for x in c]
            accepted = self._accepted(full, fitted=len(keep) - 1, digits=digits, near=_NEAR_FITTED)
            if accepted:
                return accepted
        return []

    def _accepted(self, c: Array, *, fitted: int, digits: int = 1, near: float = _NEAR) -> list[_Relation]:
        involved = np.flatnonzero(c)
        rounding = float(np.sqrt((c[involved] ** 2) @ (self.rounding[involved] ** 2)))
        spare = self.n - 1 - fitted
        if involved.size < 2 or spare < _SPARE:
            return []
        variance = float(c @ self.covariance @ c) * (self.n - 1) / spare
        left = math.sqrt(max(variance, 0.0))
        shares = np.abs(c[involved]) * self.sd[involved]
        if left > near * rounding or shares.min() < _MATTERS * max(left, rounding):
            return []
        from scipy.special import fdtr  # here, so that importing the library stays fast

        chance = float(fdtr(spare, self.n - 1, variance / float((shares**2).sum())))
        if chance * self.n_tried > _CHANCE:
            return []
        constant = self._simplest_constant(c, rounding)
        cost = sum(1.0 if abs(x) == 1.0 else 1.0 + digits for x in c[involved])
        return [_Relation(c.copy(), constant, variance, digits <= _SIMPLE_DIGITS, cost)]

    def _simplest_constant(self, c: Array, rounding: float) -> float:
        """Return the shortest number that the mean of c.y can be taken for; its own error is that of the rows."""
        exact = float(c @ self.mean)
        spread = float(c @ self.covariance @ c)
        for candidate in (0.0, *(_round_to(exact, digits) for digits in range(1, 8))):
            if spread + (candidate - exact) ** 2 <= (_NEAR * rounding) ** 2:
                return candidate
        return exact

    def describe(self, relation: _Relation) -> Dependency:
        c = relation.coefficients
        involved = np.flatnonzero(c)
        rounding = float(np.sqrt((c[involved] ** 2) @ (self.rounding[involved] ** 2)))
        text, constant, imputed = self._words(relation, rounding)
        residual = float(np.sqrt(np.mean((self.rows @ c - constant) ** 2)))
        shown = self.unit.difference()
        text += f"; residual {residual:.2g} {shown}, rounding alone explains {rounding:.2g} {shown}, {self.n} rows" + (
            "" if relation.simple else "; the coefficients are not simple, so it may be physics and not arithmetic"
        )
        return Dependency(
            coefficients={self.names[j]: float(c[j]) for j in involved},
            constant=constant,
            unit=self.unit,
            residual=residual,
            rounding=rounding,
            imputed=imputed,
            simple=relation.simple,
            text=text,
        )

    def _words(self, relation: _Relation, rounding: float) -> tuple[str, float, str | None]:
        """Return the relation in words, its constant, and which channel was computed from the other."""
        c, constant = relation.coefficients, relation.constant
        involved = [int(j) for j in np.flatnonzero(c)]
        if len(involved) == 2 and abs(c[involved[0]]) != abs(c[involved[1]]):
            # One has the coefficient 1: y_j = a (b - y_i) or a (y_i - b), the form in which people impute.
            j, i = sorted(involved, key=lambda k: abs(c[k] - 1.0))
            slope = -c[i]
            zero = constant / slope  # y_j = slope * y_i + constant = slope * (y_i + zero)
            spread = float(c @ self.covariance @ c)
            exact = float(c @ self.mean)
            for digits in range(0, 8):
                candidate = 0.0 if digits == 0 else _round_to(zero, digits)
                if spread + (slope * candidate - exact) ** 2 <= (_NEAR * rounding) ** 2:
                    zero = candidate
                    break
            constant = slope * zero
            other, size = self.names[i], f"{abs(slope):g}"
            if zero == 0.0:
                inner = f"{slope:g} * {other}"
            elif slope < 0.0:
                inner = f"{size} * ({-zero:g} {self._unit_text()} - {other})"
            else:
                inner = f"{size} * ({other} {'+' if zero > 0 else '-'} {abs(zero):g} {self._unit_text()})"
            tail = " (imputed, not measured)" if relation.simple else ""
            return f"{self.names[j]} = {inner} in every row{tail}", constant, self.names[j] if relation.simple else None
        terms: list[str] = []
        for j in involved:
            sign = "-" if c[j] < 0 else "+" if terms else ""
            factor = "" if abs(c[j]) == 1.0 else f"{abs(c[j]):g} * "
            terms.append(f"{sign} {factor}{self.names[j]}".strip())
        return f"{' '.join(terms)} = {constant:g} {self._unit_text()} in every row", constant, None

    def _unit_text(self) -> str:
        return str(self.unit)

    def superfluous(self, relations: Sequence[_Relation]) -> list[str]:
        """Return the channels to leave out, one for each relation.

        Of the channels of a relation, the one that the others give back most precisely compared with its own range. So
        an imputed one goes before the one it was computed from, and of a closed sum the largest: what is left holds
        the more delicate signals as they were measured.
        """
        errors = np.array(
            [max(c.noise / self.unit.factor, h) for c, h in zip(self.channels, self.rounding, strict=True)]
        )
        out: list[int] = []
        reduced: list[Array] = []
        for relation in relations:
            c = relation.coefficients.copy()
            for known, j in zip(reduced, out, strict=True):
                c -= known * (c[j] / known[j])
            share = np.abs(c) * self.sd
            candidates = [j for j in range(self.m) if j not in out and share[j] > 1e-9 * share.max()]
            noise = (c * errors) ** 2
            best = min(candidates, key=lambda j: (noise.sum() - noise[j]) / share[j] ** 2)
            out.append(best)
            reduced.append(c)
        return [self.names[j] for j in out]


def _round_to(x: float, digits: int) -> float:
    """Round to significant digits.

    >>> _round_to(0.0304, 1), _round_to(-100.6, 2)
    (0.03, -100.0)
    """
    return float(f"{x:.{digits - 1}e}")
