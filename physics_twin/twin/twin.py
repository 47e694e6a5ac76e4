"""`Twin`: a model that follows its plant, as a value."""

import datetime as dt
import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import xarray as xr

from physics_twin.arrays import Array
from physics_twin.assimilation.belief import Belief, Predicted
from physics_twin.assimilation.keys import Key
from physics_twin.assimilation.method import Method
from physics_twin.assimilation.random_walk import RandomWalk
from physics_twin.measurements import Channel, Experiment
from physics_twin.model import Model
from physics_twin.posterior import Posterior
from physics_twin.recipes import Recipe
from physics_twin.twin import orders, shown
from physics_twin.twin.audit import Audit
from physics_twin.twin.counts import Counts
from physics_twin.twin.failures import FAILURES
from physics_twin.twin.fold import begin, carried
from physics_twin.twin.members import Members, members_of
from physics_twin.twin.moments import moment, stamp, utc
from physics_twin.twin.planned import planned_until
from physics_twin.twin.setup import Guard, Setup, Window
from physics_twin.twin.start import known_beginning, set_up, walks_of
from physics_twin.twin.state import FilterState
from physics_twin.twin.timeline import Entry
from physics_twin.twin.window import after, size_of
from physics_twin.units import QuantityLike

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from physics_twin.envelope import Limit
    from physics_twin.estimation import Method as CalibrationMethod
    from physics_twin.priors import Normal
    from physics_twin.recipes import Crossing
    from physics_twin.twin.drift import DriftAlarm
    from physics_twin.twin.forecast import Forecast
    from physics_twin.twin.health import Health
    from physics_twin.twin.innovation import Innovation
    from physics_twin.twin.intake import JournalView
    from physics_twin.twin.journal import Timeline
    from physics_twin.twin.promotion import Promotion
    from physics_twin.twin.recalibration import Candidate
    from physics_twin.twin.scenarios import WhatIf
    from physics_twin.twin.state import Mode
    from physics_twin.twin.time_to import TimeTo
    from physics_twin.twin.walk_estimation import WalkEstimate


@dataclass(frozen=True, eq=False, repr=False)
class Twin:
    """What is known of a running plant at one moment. Every method that changes something returns another twin.

    setup: model, posterior, sensors, filter. state: what is known after the last entry. snapshots: earlier states, to
    go back to when a sample comes late, the last one being `state`. recent: entries since the oldest of them that the
    window needs. pending: entries that wait, for time or for their moment. until: ns, the present. audit: who did what.
    counts: what became of all samples. inputs: names of the live inputs of all recipes so far. seconds: wall clock of
    the call that made it, NaN where none did. warnings: what its start has found, as states without an uncertainty, or
    loading it, as another machine than the one that wrote it.
    """

    setup: Setup
    state: FilterState
    snapshots: tuple[FilterState, ...]
    recent: tuple[Entry, ...] = ()
    pending: tuple[Entry, ...] = ()
    until: int = 0
    audit: Audit = field(default_factory=Audit)
    counts: Counts = field(default_factory=Counts)
    inputs: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = float("nan")

    @classmethod
    def start(
        cls,
        model: Model,
        posterior: Posterior,
        *,
        at: Any,
        recipe: Recipe | None = None,
        history: Experiment | None = None,
        channels: Sequence[Channel] | None = None,
        initial_sd: Mapping[str, QuantityLike] | None = None,
        drift: Mapping[str, RandomWalk] | None = None,
        process_noise: Mapping[str, RandomWalk] | None = None,
        seed: int = 0,
        adaptive: bool = True,
        method: Method | None = None,
        guard: Guard | None = None,
        window: Window | None = None,
        batch: str = "",
    ) -> "Twin":
        """A twin that takes over at a moment.

        at: when, as "2026-11-20T06:00Z". recipe: what the plant is told from then on, its 0 s at `at`; without one,
            every input is live: it has the value that was last read. history: the run so far: draws of the posterior
            are carried through its recipe up to `at`, so that the state has their spread; it ends at `at` where it has
            no stamps. Without a history states begin as the model says, with `initial_sd` ({"T1": "5 K"}); without
            that too they begin as if known exactly, and `warnings` says so.
        channels: the sensors; without them those of the history, or of the fit. drift: how parameters wander,
            {"UA": pt.RandomWalk("2 %", per="1 d")}; process_noise: how wrong the equations of states are.
        seed: names all random numbers. adaptive: False holds the parameters; their spread still counts. method: the
            filter; without one, sigma points for small models and an ensemble for fields. guard: how far readings are
            trusted. window: how far back late samples are taken in. batch: name of the running batch.

        Raises ModelError for the posterior of another model, UnknownNameError, UnitError, DataError for a moment that
        the history does not reach, or sensors that nobody knows; SolveError.
        """
        walks = walks_of(process_noise, drift)
        begun = moment(at)
        setup = set_up(
            model,
            posterior,
            begun,
            recipe=recipe,
            history=history,
            channels=channels,
            initial_sd=initial_sd or {},
            walks=walks,
            seed=seed,
            adaptive=adaptive,
            method=method,
            guard=Guard() if guard is None else guard,
            window=Window() if window is None else window,
            batch=batch,
        )
        state = begin(setup)
        words = known_beginning(setup)
        return cls(setup, state, (state,), until=begun, warnings=(words,) if words else ())

    # Reading it ------------------------------------------------------------------------------------------------------

    @property
    def time(self) -> dt.datetime:
        """The moment that is shown, UTC; later than the last entry where nothing has come since."""
        return utc(self.until)

    @property
    def newest(self) -> int:
        """ns of the newest entry that counts as past: filtered, or waiting for time."""
        waiting = after(self.pending, self.until)
        return max(self.state.time, self.pending[waiting - 1].time) if waiting else self.state.time

    @property
    def reason(self) -> str:
        """Why the twin is a prediction only, "" where it is not."""
        if self.pending and self.pending[0].time <= self.until:
            return f"entries since {stamp(self.pending[0].time)} are waiting"
        if self.state.trouble or self.until <= self.state.reached or self.present is not None:
            return self.state.trouble
        return f"the model cannot be carried on from {stamp(self.state.reached)} to {stamp(self.until)}"

    @functools.cached_property
    def present(self) -> Predicted | None:
        """The belief at the present, with its outputs; None where the model cannot be carried on."""
        try:
            return carried(self.setup, self.state, max(self.until, self.state.reached))[0]
        except FAILURES:
            return None

    @property
    def belief(self) -> Belief:
        """What is known at the present; of the last moment that could be reached, where it cannot be."""
        return self.state.belief if self.present is None else self.present.belief

    @property
    def planned(self) -> tuple[str, ...]:
        """What people have ordered for later than the present, in words, earliest first."""
        return tuple(planned_until(self, None))

    def members(self, n: int | None = None) -> Members:
        """Members at the time of the last entry, keyed: what a forecast runs. The ensemble's own without `n`."""
        state = self.state
        return members_of(state.belief, self.setup.coordinates, Key(self.setup.seed, state.time), n)

    @functools.cached_property
    def mean(self) -> dict[str, float | Array]:
        """Name -> SI: states (arrays for fields), uncertain parameters and outputs, at the present.

        Of a parameter on a logarithmic scale it is the median, exp of the mean of its logarithm, with every filter.
        """
        return shown.mean(self)

    @functools.cached_property
    def spread(self) -> dict[str, float | Array]:
        """Name -> one standard deviation, SI."""
        return shown.spread(self)

    @property
    def parameters(self) -> dict[str, float]:
        """Uncertain parameter -> its mean, SI; its median where it is on a logarithmic scale."""
        return {name: float(self.mean[name]) for name in self.setup.coordinates.parameters}

    @functools.cached_property
    def covariance(self) -> xr.DataArray:
        """Of outputs and uncertain parameters at the present, (quantity, quantity_2), SI."""
        return shown.covariance(self)

    def in_units(self) -> xr.Dataset:
        """Mean and spread of outputs and uncertain parameters in their declared units, each with `units` and `sd`."""
        return shown.in_units(self)

    @property
    def promotions(self) -> "tuple[Promotion, ...]":
        """Recalibrations that were put in force, and those that were taken back, oldest first."""
        from physics_twin.twin.promotion import promotions_of

        return promotions_of(self.audit)

    @property
    def size(self) -> int:
        """Bytes of the arrays of all states that are kept, each counted once."""
        return size_of(self.snapshots)

    @functools.cached_property
    def digest(self) -> str:
        """Hash of all that follows from the timeline; two twins with the same one go on alike, to the last bit."""
        from physics_twin.twin.digest import digest

        return digest(self)

    def __repr__(self) -> str:
        b = self.state.batch
        said = f"{self.setup.model.name} at {stamp(self.until)}, {self.state.mode.value}"
        said += f", batch {b.name}" if b.name else ""
        said += f", {self.state.n_updates} updates, {self.setup.method.name}"
        said += "".join(f"; planned: {words}" for words in self.planned)
        return f"<Twin: {said}{f'; prediction only: {self.reason}' if self.reason else ''}>"

    # Changing it -----------------------------------------------------------------------------------------------------

    def assimilate(
        self,
        samples: Any,
        method: Method | None = None,
        *,
        until: Any = None,
        budget: QuantityLike | None = "1 s",
        journal: "JournalView | None" = None,
    ) -> "tuple[Twin, Innovation]":
        """See `assimilate`."""
        from physics_twin.twin.intake import assimilate

        return assimilate(self, samples, method, until=until, budget=budget, journal=journal)

    def start_batch(
        self,
        initial: "Mapping[str, QuantityLike | Normal] | None" = None,
        context: Mapping[str, str | float] | None = None,
        recipe: Recipe | None = None,
        *,
        at: Any = None,
        who: str,
        reason: str,
        name: str = "",
        journal: "Timeline | None" = None,
    ) -> "Twin":
        """The next charge begins: states begin anew, slow parameters stay, with the spread that idle time adds.

        initial: states that are known, {"T": "20 degC"}, or with their uncertainty, {"T": pt.Normal("20 degC", "2 K")};
        the others begin as the model says, with the `initial_sd` of the start. recipe: of the new batch, its 0 s at
        `at`; the same again without one. at: a moment, now without one; an earlier one is filtered again from there, a
        later one waits in `pending`. journal: where the operation is written down before the twin that has it is handed
        back, `journal.of("kettle")`: what is in no journal is gone after a kill. Both hold for everything that people
        do.

        Raises UnknownNameError, UnitError, DataError, JournalError.
        """
        operation = orders.start_batch(self, initial, context, recipe, at=at, who=who, reason=reason, name=name)
        return orders.carried_out(self, operation, journal)

    def enter(
        self, mode: "Mode | str", *, at: Any = None, who: str, reason: str, journal: "Timeline | None" = None
    ) -> "Twin":
        """The plant is "running", "idle", in "maintenance" or "out of service"; only running learns from samples.

        Idle and in maintenance the model goes on with the inputs that are read; out of service nothing goes on until
        `start_batch`. Raises UnknownNameError, DataError.
        """
        return orders.carried_out(self, orders.enter(self, mode, at=at, who=who, reason=reason), journal)

    def mask(
        self, channel: str, until: Any, reason: str, who: str, *, at: Any = None, journal: "Timeline | None" = None
    ) -> "Twin":
        """Nobody is to believe a channel until a moment, or until `unmask` where `until` is None."""
        return orders.carried_out(self, orders.mask(self, channel, until, reason, who, at=at), journal)

    def unmask(
        self, channel: str, *, at: Any = None, who: str, reason: str, journal: "Timeline | None" = None
    ) -> "Twin":
        """Lift a mask before its time. Raises UnknownNameError, DataError where there is none."""
        return orders.carried_out(self, orders.unmask(self, channel, at=at, who=who, reason=reason), journal)

    def sensor_replaced(
        self, channel: str, *, at: Any = None, who: str, reason: str, journal: "Timeline | None" = None
    ) -> "Twin":
        """Another instrument shows this channel from now on: its checks begin anew, and so does its bias."""
        return orders.carried_out(self, orders.sensor_replaced(self, channel, at=at, who=who, reason=reason), journal)

    def change_filter(
        self,
        method: Method | None = None,
        walks: "WalkEstimate | Mapping[str, RandomWalk] | None" = None,
        *,
        who: str,
        reason: str,
        journal: "Timeline | None" = None,
    ) -> "Twin":
        """Another filter, or other random walks and sensor noise, from now on, as an operation of the timeline.

        What is known is handed over. What happened before is not filtered again: samples from before are too late from
        now on. journal: as of `start_batch`. Raises UnknownNameError, UnitError, DataError, JournalError.
        """
        operation = orders.change_filter(self, method, walks, who=who, reason=reason)
        return orders.carried_out(self, operation, journal)

    def replay(self, entries: "Iterable[Entry] | JournalView", *, without: str | None = None) -> "Twin":
        """The twin that comes of these entries from the start on, `without` one channel. See `replay`."""
        from physics_twin.twin.replay import replay

        return replay(self, entries, without=without)

    def with_walks(self, walks: "WalkEstimate | Mapping[str, RandomWalk]") -> "Twin":
        """The twin with other random walks and sensor noise from here on. See `walk_estimation.with_walks`."""
        from physics_twin.twin.walk_estimation import with_walks

        return with_walks(self, walks)

    def at(self, until: Any) -> "Twin":
        """The same twin, predicted to a later moment; raises DataError for an earlier one."""
        from physics_twin.twin.replay import shown_at

        return shown_at(self, moment(until))

    def save(self, path: "str | os.PathLike[str]", *, keep: int = 1) -> None:
        """Write NetCDF, whole or not at all; `keep` generations stay. See `storage.save`."""
        from physics_twin.twin.storage import save

        save(self, path, keep=keep)

    @classmethod
    def load(cls, path: "str | os.PathLike[str]", model: Model, *, before: Any = None) -> "Twin":
        """Read what `save` wrote, or the newest generation before a moment. See `storage.load`."""
        from physics_twin.twin.storage import load

        return load(path, model, before=before)

    # Asking it -------------------------------------------------------------------------------------------------------

    def forecast(
        self,
        recipe: Recipe | None = None,
        until: Any = "90 min",
        times: Any = None,
        values: Mapping[str, QuantityLike] | None = None,
        n_members: int | None = None,
        probability: float = 0.95,
    ) -> "Forecast":
        """Where the plant is heading: every member carried on from the present, with bands.

        recipe: what the plant is told from now on, its 0 s now; without it the running recipe goes on. until: a
        duration or a moment. times: since now, (n,) s or (array, unit). values: numbers for live inputs, settings and
        parameters; live inputs hold their last value otherwise. n_members: other than the filter's own. probability: of
        the bands. Raises UnknownNameError, UnitError, RecipeError, SolveError.
        """
        from physics_twin.twin.forecast import forecast

        return forecast(self, recipe, until, times, values, n_members, probability)

    def what_if(
        self,
        scenarios: "Mapping[str, Recipe | Mapping[str, QuantityLike] | None]",
        until: Any = "90 min",
        limits: "Sequence[Limit]" = (),
        values: Mapping[str, QuantityLike] | None = None,
        n_members: int | None = None,
        probability: float = 0.95,
    ) -> "WhatIf":
        """Forecasts of the same members under several recipes, side by side, with the probability of each limit.

        scenarios: name -> recipe, values of live inputs, or None for what runs now. The rest is as in `forecast`.
        """
        from physics_twin.twin.scenarios import what_if

        return what_if(self, scenarios, until, limits, values, n_members, probability)

    def time_to(
        self,
        limit: "Limit | Crossing | Sequence[Limit | Crossing]",
        recipe: Recipe | None = None,
        until: Any = "24 h",
        values: Mapping[str, QuantityLike] | None = None,
        n_members: int | None = None,
    ) -> "TimeTo":
        """When a limit is reached, as a distribution: remaining useful life, end of batch, time to an alarm.

        limit: `pt.Limit`, or a crossing as `pt.rises_to("T1", "60 degC")`; the first of several. until: how far to
        look; members that are not there by then are counted as such.
        """
        from physics_twin.twin.time_to import time_to

        return time_to(self, limit, recipe, until, values, n_members)

    def estimate_walks(
        self, samples: Any, *, walks: Sequence[str] | None = None, channels: Sequence[str] | None = None
    ) -> "WalkEstimate":
        """How much noise plant and sensors have, from samples yet to be assimilated. See `estimate_walks`."""
        from physics_twin.twin.walk_estimation import estimate_walks

        return estimate_walks(self, samples, walks=walks, channels=channels)

    def drift_alarms(self, *, against: Any = None, probability: float = 0.999) -> "tuple[DriftAlarm, ...]":
        """Parameters that have moved away from the posterior in force, and channels that lie off for too long.

        against: compare with the twin's own estimate at this moment instead. probability: of no alarm at one look where
        nothing drifts.
        """
        from physics_twin.twin.drift import alarms
        from physics_twin.twin.promotion import posterior_in_force

        setup = replace(self.setup, posterior=posterior_in_force(self))
        since = None if against is None else moment(against)
        return alarms(setup, self.snapshots, against=since, probability=probability)

    @property
    def health(self) -> "Health":
        """Whether the twin can be relied on right now, and if not, why: print it, or `.to_json()` for a monitor."""
        from physics_twin.twin.health import health

        return health(self)

    def plot(self, ax: "Sequence[Axes] | None" = None, *, outputs: Sequence[str] | None = None) -> "Figure":
        """Measured against the twin with its band, and its parameters over time.

        outputs: to show, all that are measured without it. ax: one for each panel.
        """
        from physics_twin.twin.plots import plot

        return plot(self, ax, outputs=outputs)

    # Recalibrating it ------------------------------------------------------------------------------------------------

    def recalibrate(
        self,
        experiments: Experiment | Sequence[Experiment],
        *,
        method: "CalibrationMethod | None" = None,
        hold_out: Sequence[str] | float | None = None,
        unknown: Sequence[Any] | None = None,
        rng: int = 0,
        **options: Any,
    ) -> "Candidate":
        """Fit the twin's uncertain parameters to new experiments; nothing changes until a person promotes the result.

        hold_out: names of experiments, or a share of the samples of each (the last ones), that the fit does not see and
        on which it is judged beside the posterior in force; the last experiment, or 30 %, without it. unknown: more
        than the twin's own parameters, as `calibrate` takes it. method, rng, options: as of `calibrate`.

        Raises CalibrationError for a frozen twin, DataError where nothing is left to fit or to judge by.
        """
        from physics_twin.twin.recalibration import recalibrate

        return recalibrate(self, experiments, method=method, hold_out=hold_out, unknown=unknown, rng=rng, **options)

    def promote(
        self,
        candidate: "Candidate",
        *,
        who: str,
        reason: str,
        at: Any = None,
        against_evidence: bool = False,
        journal: "Timeline | None" = None,
    ) -> "Twin":
        """The twin with a candidate in force: its parameters are the candidate's draws, its states what they were.

        who: the person who answers for it. at: a moment, now without it. against_evidence: promote it although its own
        evidence speaks against it; the audit log says so. journal: as of `start_batch`.

        Raises CalibrationError for a frozen twin, a candidate of another model, one that was compared with a posterior
        that is no longer in force, and one that its evidence speaks against; DataError without a name or a reason.
        """
        from physics_twin.twin.recalibration import promote

        return promote(
            self, candidate, who=who, reason=reason, at=at, against_evidence=against_evidence, journal=journal
        )

    def revert(
        self,
        promotion: "Promotion | None" = None,
        *,
        who: str,
        reason: str,
        at: Any = None,
        journal: "Timeline | None" = None,
    ) -> "Twin":
        """The twin with the posterior in force that the last promotion replaced.

        promotion: the one to take back, the last one without it. journal: as of `start_batch`. Raises DataError where
        there is none, or another has come after it.
        """
        from physics_twin.twin.recalibration import revert

        return revert(self, promotion, who=who, reason=reason, at=at, journal=journal)
