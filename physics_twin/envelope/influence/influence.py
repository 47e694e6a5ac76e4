"""What limits an envelope, what its margins depend on, and what it would buy to know something better.

At the set point and at the worst point of every side that a limit ends, the model is simulated for the draws:
- margins are those kept with the required probability, and their slope along each setting is that of the search's
  surrogate;
- a linear regression of the margin on the sources of uncertainty over the draws gives its mean slope along each of
  them, and splits its variance: the share of a source is slope times covariance over variance. Shares and what no
  source explains (curvature) add up to one; the share of correlated sources can be negative;
- one source after the other is narrowed (see `narrowing`) and simulated anew: the gain is the change of the kept
  margin of one limit by itself. How far a side would move is estimated to first order: the gain of the level of all
  limits of a group, with the room that a certificate needs, over its slope along the setting. Both have a standard
  error (see `gain_errors`). Nothing of this is certified; a new envelope with a new posterior would be.
"""

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.influence.gain_errors import gain_errors
from physics_twin.envelope.influence.narrowing import Known, Source, known_about
from physics_twin.envelope.limits.allowed import groups_of, share_of
from physics_twin.envelope.limits.limits import bind_limits
from physics_twin.envelope.margins.evaluation import Problem, evaluate
from physics_twin.envelope.next_batch.uncertainty import Batches, draws_hash
from physics_twin.envelope.question import Question
from physics_twin.envelope.ranges.box import Box
from physics_twin.envelope.region.predict import SearchedRegion
from physics_twin.envelope.region.probing import relative_cloud
from physics_twin.envelope.set_point.set_point import SETTING_BOUND, limit_of
from physics_twin.errors import EnvelopeError, unknown_name
from physics_twin.model import Model
from physics_twin.posterior import Posterior
from physics_twin.signals import Setting
from physics_twin.units import Unit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from physics_twin.envelope.envelope import Envelope

STEP = 1e-3
"""Half the step of the surrogate's slopes, relative to the range searched."""


@dataclass(frozen=True)
class Place:
    """Where margins are looked at."""

    name: str
    """ "set point", or which side of which setting."""
    settings: Mapping[str, float]
    """SI."""
    limit: str
    """What ends the side; of the set point, the limit with the least margin in units of its spread."""
    setting: str = ""
    """Of a side: whose."""
    upper: bool = False


@dataclass(frozen=True, eq=False, repr=False)
class Influence:
    """Margins of an envelope, what they depend on, and what narrowing one source of uncertainty would buy.

    Arrays run over places, limits, and sources or settings; floats are SI. A margin is that kept with the required
    probability. `nan` where too many simulations failed.
    """

    places: tuple[Place, ...]
    limits: tuple[str, ...]
    units: tuple[Unit, ...]
    """Of the limits; margins are differences in them."""
    settings: tuple[Setting, ...]
    sources: tuple[Source, ...]
    margins: Array
    """(n_places, n_limits)"""
    setting_slopes: Array
    """(n_places, n_limits, n_settings): margin by setting, from the surrogate."""
    source_slopes: Array
    """(n_places, n_limits, n_sources): mean slope of the margin by source, from the regression."""
    shares: Array
    """(n_places, n_limits, n_sources): share of the margin's variance."""
    unexplained: Array
    """(n_places, n_limits): what is left of the variance."""
    gains: Array
    """(n_places, n_limits, n_sources): change of the margin where the source is narrowed."""
    gain_errors: Array
    """(n_places, n_limits, n_sources): their standard errors, for so many draws."""
    moves: Array
    """(n_places, n_sources): how far the side would move outward, first order; `nan` for the set point."""
    move_errors: Array
    """(n_places, n_sources): their standard errors, without that of the first order."""
    narrowed: float
    """Share of its spread that a source keeps."""
    n_draws: int
    n_simulations: int

    def place(self, name: str) -> int:
        """Row of a place; raises UnknownNameError."""
        names = [place.name for place in self.places]
        if name not in names:
            raise unknown_name("place", name, names)
        return names.index(name)

    def source(self, name: str) -> int:
        """Column of a source; raises UnknownNameError."""
        names = [source.name for source in self.sources]
        if name not in names:
            raise unknown_name("source of uncertainty", name, names)
        return names.index(name)

    def ranked(self, place: str = "set point", limit: str | None = None) -> tuple[str, ...]:
        """Sources by what narrowing them would gain for a limit (the one that binds there), the best one first.

        Two gains that differ by less than their standard errors may be the other way round; more draws tell.
        """
        row = self.place(place)
        column = self.limits.index(self.places[row].limit if limit is None else limit)
        return tuple(self.sources[i].name for i in np.argsort(-self.gains[row, column], kind="stable"))

    @property
    def rows(self) -> list[list[str]]:
        """For each place the limit that binds there and all sources, with the heading in the first row."""
        from physics_twin.envelope.influence.influence_text import source_rows

        return source_rows(self)

    def __str__(self) -> str:
        """Tables for people."""
        from physics_twin.envelope.influence.influence_text import as_text

        return as_text(self)

    __repr__ = __str__

    def plot(self, place: str = "set point", limit: str | None = None) -> "Figure":
        """Share of the variance and gain by source, the best one on top, for one place and limit."""
        from physics_twin.envelope.influence.influence_plot import plot_influence  # matplotlib takes long to import

        return plot_influence(self, place, limit)


def influence(
    envelope: "Envelope",
    model: Model,
    posterior: Posterior,
    *,
    narrowed: float = 0.5,
    n_draws: int = 1000,
    executor: Executor | None = None,
) -> Influence:
    """See `Envelope.influence`."""
    if not 0.0 <= narrowed < 1.0:
        raise EnvelopeError(f"narrowed = {narrowed:g}: the share of its spread that a source keeps, such as 0.5")
    question = _question(envelope, posterior)
    problem = Problem(
        model,
        question.recipe,
        question.settings,
        bind_limits(question.limits, model.outputs, model.inputs),
        envelope.certificate.n_nodes(question.budget.n_nodes),
    )
    known = known_about(problem, posterior, question, n_draws)
    region = envelope.searched
    places = _places(envelope, problem, region)
    at = np.array([[place.settings[s.name] for s in problem.settings] for place in places])

    def simulate(batches: Batches) -> Array:
        return evaluate(problem, batches, at, executor).margins

    def kept_and_levels(margins: Array) -> Array:
        return np.concatenate([_kept(margins, problem, question), _levels(margins, problem, question, region)], axis=1)

    now = simulate(known.batches)
    kept = _kept(now, problem, question)
    n_limits, slopes = kept.shape[1], _level_slopes(region, region.cube(at))
    gains = np.full((*kept.shape, len(known.sources)), np.nan)
    moves = np.full((len(places), len(known.sources)), np.nan)
    errors, move_errors = gains.copy(), moves.copy()
    rng = np.random.default_rng(0 if question.seed is None else question.seed)
    for k, source in enumerate(known.sources):
        gain, error = gain_errors(kept_and_levels, now, simulate(known.narrowed(source, narrowed)), rng)
        gains[:, :, k], errors[:, :, k] = gain[:, :n_limits], error[:, :n_limits]
        for i, place in enumerate(places):
            moves[i, k], move_errors[i, k] = _move(place, problem, gain[i, n_limits:], error[i, n_limits:], slopes[i])
    source_slopes, shares, unexplained = _regressed(now, known)
    return Influence(
        places=places,
        limits=tuple(r.name for r in problem.requirements),
        units=tuple(r.unit for r in problem.requirements),
        settings=problem.settings,
        sources=known.sources,
        margins=kept,
        setting_slopes=_margin_slopes(region, region.cube(at)),
        source_slopes=source_slopes,
        shares=shares,
        unexplained=unexplained,
        gains=gains,
        gain_errors=errors,
        moves=moves,
        move_errors=move_errors,
        narrowed=narrowed,
        n_draws=known.batches.n,
        n_simulations=(1 + len(known.sources)) * len(places) * known.batches.n,
    )


def _question(envelope: "Envelope", posterior: Posterior) -> Question:
    question = envelope.question
    if draws_hash(posterior) != envelope.certificate.posterior:
        raise EnvelopeError(
            f"the envelope rests on the posterior {envelope.certificate.posterior}, this one is "
            f"{draws_hash(posterior)}; give the one that it was found with"
        )
    return question


def _places(envelope: "Envelope", problem: Problem, region: SearchedRegion) -> tuple[Place, ...]:
    """The set point (or the closest settings of an empty envelope) and the worst point of each side a limit ends."""
    names = [s.name for s in problem.settings]
    at = region.cube(np.array([[envelope.margins_at[name] for name in names]]))
    tightest = int(np.argmin(region.scaled_margins(at)[0, 1:]))
    first = "closest settings" if envelope.empty else "set point"
    found = [Place(first, envelope.margins_at, problem.requirements[tightest].name)]
    if envelope.empty:
        return tuple(found)
    low, high = region.cube(np.array([[envelope.box[name][side] for name in names] for side in (0, 1)]))
    box, cloud = Box(low, high), relative_cloud(len(names))
    for i, name in enumerate(names):
        for upper, end in zip((False, True), envelope.binding[name], strict=True):
            if end == SETTING_BOUND:
                continue
            face = cloud.copy()
            face[:, i] = float(upper)
            points = np.clip(box.at(face), 0.0, 1.0)
            worst = region.si(points[[int(np.argmin(region.space.level(points, region.allowed)))]])[0]
            settings = {n: float(x) for n, x in zip(names, worst, strict=True)}
            words = f"{'upper' if upper else 'lower'} side of {name}"
            found.append(Place(words, settings, limit_of(end), name, upper))
    return tuple(found)


def _kept(margins: Array, problem: Problem, question: Question) -> Array:
    """Margins kept with the required probability, (n_places, n_limits), from (n_places, n_draws, n_limits)."""
    ranked = np.where(np.isfinite(margins), margins, -np.inf)  # a failed run uses up the allowed share first
    columns = []
    for j, requirement in enumerate(problem.requirements):
        required = question.probability if requirement.probability is None else requirement.probability
        k = share_of(margins.shape[1], required)
        columns.append(np.partition(ranked[:, :, j], k, axis=1)[:, k])
    kept = np.stack(columns, axis=1)
    return np.where(np.isfinite(kept), kept, np.nan)


def _levels(margins: Array, problem: Problem, question: Question, region: SearchedRegion) -> Array:
    """(n_places, n_groups) joint levels with the search's slack, as the sides of the box were found by."""
    n = margins.shape[1]
    groups = groups_of(problem.requirements, question.probability)
    allowed = (min(n - 1, int(k * n / region.space.n_draws)) for k in region.allowed.k)
    scaled = np.where(np.isfinite(margins), margins, -np.inf) / region.space.scale
    found = [np.partition(group.joint(scaled, 2), k, axis=1)[:, k] for group, k in zip(groups, allowed, strict=True)]
    return np.stack(found, axis=1)


def _differences(region: SearchedRegion, points: Array) -> tuple[Array, Array, Array]:
    """Points a little below and above along each setting, (n_settings * n_points, d), and their distances in SI."""
    d = points.shape[1]
    down = np.concatenate([np.clip(points - STEP * np.eye(d)[j], 0.0, 1.0) for j in range(d)])
    up = np.concatenate([np.clip(points + STEP * np.eye(d)[j], 0.0, 1.0) for j in range(d)])
    apart = ((up - down) * region.widths).sum(axis=1)
    return down, up, apart


def _margin_slopes(region: SearchedRegion, points: Array) -> Array:
    """(n_places, n_limits, n_settings): kept margin by setting, SI."""
    down, up, apart = _differences(region, points)
    change = (region.scaled_margins(up) - region.scaled_margins(down))[:, 1:] * region.space.scale
    return (change / apart[:, None]).reshape(points.shape[1], len(points), -1).transpose(1, 2, 0)


def _level_slopes(region: SearchedRegion, points: Array) -> Array:
    """(n_places, n_groups, n_settings): joint level by setting, 1/SI."""
    down, up, apart = _differences(region, points)
    space, allowed = region.space, region.allowed
    change = space.group_levels(up, allowed) - space.group_levels(down, allowed)
    return (change / apart[:, None]).reshape(points.shape[1], len(points), -1).transpose(1, 2, 0)


def _move(place: Place, problem: Problem, gains: Array, errors: Array, slopes: Array) -> tuple[float, float]:
    """How far a side moves outward for gains (n_groups,) of the joint levels with slopes (n_groups, n_settings)."""
    if not place.setting:
        return np.nan, np.nan
    j = [s.name for s in problem.settings].index(place.setting)
    outward = slopes[:, j] * (1.0 if place.upper else -1.0)
    group = int(np.argmin(outward))  # the group that falls the most: the one that ends the side
    if not outward[group] < 0.0 or not np.isfinite(gains[group]):
        return np.nan, np.nan
    low, high = problem.settings[j].bounds
    room = high - place.settings[place.setting] if place.upper else place.settings[place.setting] - low
    return float(min(gains[group] / -outward[group], room)), float(errors[group] / -outward[group])


def _regressed(margins: Array, known: Known) -> tuple[Array, Array, Array]:
    """Slopes and shares (n_places, n_limits, n_sources), and what is left (n_places, n_limits)."""
    n_places, _, n_limits = margins.shape
    columns = np.stack([source.column for source in known.sources], axis=1) if known.sources else np.zeros((0, 0))
    slopes = np.full((n_places, n_limits, len(known.sources)), np.nan)
    shares, unexplained = slopes.copy(), np.full((n_places, n_limits), np.nan)
    for place in range(n_places):
        for limit in range(n_limits):
            margin = margins[place, :, limit]
            good = np.isfinite(margin)
            if good.sum() <= len(known.sources) + 1 or not known.sources:
                continue
            y, x = margin[good] - margin[good].mean(), columns[good] - columns[good].mean(axis=0)
            sd = np.where(x.std(axis=0) > 0.0, x.std(axis=0), 1.0)
            slope = np.linalg.lstsq(x / sd, y, rcond=None)[0]
            slopes[place, limit] = slope / sd
            variance = float(y @ y)
            shares[place, limit] = slope * ((x / sd).T @ y) / variance if variance > 0.0 else 0.0
            unexplained[place, limit] = 1.0 - shares[place, limit].sum() if variance > 0.0 else 0.0
    return slopes, shares, unexplained
