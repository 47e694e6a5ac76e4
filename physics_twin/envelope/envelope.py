"""The Envelope: what `find_envelope` returns, and what a plant works by."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import xarray as xr

from physics_twin.envelope.certificate.certificate import Certificate
from physics_twin.envelope.check import Check, Checker, checker_of
from physics_twin.envelope.digits import clean, decimals, rounded_inward
from physics_twin.envelope.margins.evaluation import FailedRun
from physics_twin.envelope.question import Question
from physics_twin.envelope.ranges.acceptable import AcceptableRange
from physics_twin.envelope.ranges.operating_polytope import OperatingPolytope
from physics_twin.envelope.region.surrogate import DesignSpace
from physics_twin.envelope.set_point.landscape import Landscape
from physics_twin.envelope.set_point.objectives import ObjectiveValue
from physics_twin.envelope.set_point.set_point import Margin
from physics_twin.errors import EnvelopeError, unknown_name
from physics_twin.model import Model
from physics_twin.parameters import Values
from physics_twin.signals import Setting
from physics_twin.units import QuantityLike
from physics_twin.validity import Mark

if TYPE_CHECKING:
    import datetime as dt

    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from physics_twin.envelope.certificate.recertify import Recertification
    from physics_twin.envelope.history.history import History
    from physics_twin.envelope.influence.influence import Influence
    from physics_twin.envelope.limits.limits import Limit
    from physics_twin.envelope.plan.plan import Plan
    from physics_twin.envelope.region.predict import Predicted, SearchedRegion
    from physics_twin.measurements import Experiment
    from physics_twin.posterior import Posterior
    from physics_twin.validity import Judged

OLD_FILE = "it comes from a file of an older version; ask find_envelope anew"


@dataclass(frozen=True, eq=False, repr=False)
class Envelope:
    """Settings that meet every limit with a stated probability.

    The claim: at every point of `box`, all limits are met jointly with at least the required probability, stated with
    `confidence`. What the probability covers is in `includes`; what weakens it is in `warnings`. Floats are SI;
    `in_units()` gives the declared units, and printed and saved numbers carry theirs.
    """

    box: Mapping[str, tuple[float, float]]
    """Setting -> (low, high); no entries when the envelope is empty."""
    settings: tuple[Setting, ...]
    set_point: Mapping[str, float]
    """The recommended settings; no entries when the envelope is empty."""
    required: float
    """The probability that was asked for."""
    probability: float
    """Smallest share of held-out draws that met all limits, over the certified points; empty: best found anywhere."""
    probability_lower: float
    """Lower confidence bound of the above; 0 for an empty envelope."""
    average: float
    """Probability averaged over the box: information, never certified."""
    confidence: float
    binding: Mapping[str, tuple[str, str]]
    """Setting -> what ends its low and its high side: a limit's name, or "setting bound"."""
    margins: tuple[Margin, ...]
    """At `margins_at`."""
    margins_at: Mapping[str, float]
    """The set point; of an empty envelope the settings that come closest."""
    includes: tuple[str, ...]
    warnings: tuple[str, ...]
    certificate: Certificate
    region: xr.Dataset
    """Probability over the settings (all limits, and each), for plots; from the surrogate and the search draws."""
    failures: tuple[FailedRun, ...]
    """Simulations that failed; each counted as a violation."""
    empty: bool
    message: str
    asked: Question | None = None
    """`question`, or None of a file of format version 1."""
    design: DesignSpace | None = None
    """`space`, or None of a file of format version 1."""
    polytope: OperatingPolytope | None = None
    """Sides and vertices, where the shape asked for is a polytope; `box` is then the largest box in it."""
    acceptable: Mapping[str, AcceptableRange] = field(default_factory=dict)
    """Setting -> its proven acceptable range, the others held at the set point."""
    operating: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Setting -> normal operating range (low, high) about the set point, where a tolerance was given."""
    objectives: Mapping[str, ObjectiveValue] = field(default_factory=dict)
    """Objective -> its value at the set point, with its uncertainty, on the held-out draws."""
    front: xr.Dataset | None = None
    """The Pareto front, where there are several objectives."""
    landscape: Landscape | None = None
    """The objectives over the settings, as the search for the best point learned them inside the box."""
    known_ranges: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    """What covers which range of the settings, SI: the data of the fit, the model's domain of validity."""
    marks: tuple[Mark, ...] = ()
    """What rests on extrapolation, on a prior or on a fit in doubt: the numbers behind sentences in `warnings`."""

    @property
    def question(self) -> Question:
        """What was asked, so that it can be asked again; raises EnvelopeError where a file did not hold it."""
        if self.asked is None:
            raise EnvelopeError(f"this envelope does not hold its question: {OLD_FILE}")
        return self.asked

    @property
    def space(self) -> DesignSpace:
        """The settings tried and the margins of the search draws there: what the surrogate knows.

        Raises EnvelopeError where a file did not hold it.
        """
        if self.design is None:
            raise EnvelopeError(f"this envelope holds no design, so nothing can be predicted with it: {OLD_FILE}")
        return self.design

    @property
    def limits(self) -> tuple[str, ...]:
        """Names of the limits."""
        return tuple(margin.limit for margin in self.margins)

    def setting(self, name: str) -> Setting:
        """The setting of this name; raises UnknownNameError."""
        for setting in self.settings:
            if setting.name == name:
                return setting
        raise unknown_name("setting", name, [s.name for s in self.settings])

    def in_units(self) -> "dict[str, Any]":
        """In the declared units: {"box": {name: (low, high, unit)}, "set_point": {name: (value, unit)}}.

        The digits of a printed envelope: ranges are rounded into the range, by less than a thousandth of its width, and
        the set point has the decimals of its range. `box` and `set_point` have the numbers to the last bit.
        """
        box, point, near = {}, {}, {}
        for setting in self.settings if self.box else ():
            name, unit = setting.name, setting.unit
            low, high = rounded_inward(*self.box[name], unit)
            box[name] = (low, high, unit.text)
            exact = float(unit.from_si(self.set_point[name]))
            near[name] = round(exact, decimals(low, high))
            point[name] = (clean(exact), unit.text)
        if near and self.check({name: (x, point[name][1]) for name, x in near.items()}).inside:
            point = {name: (x, point[name][1]) for name, x in near.items()}
        return {"box": box, "set_point": point}

    def check(self, settings: Mapping[str, QuantityLike] | Values) -> Check:
        """Whether `settings` lie inside the box (or polytope), by how much, and why not; microseconds, without a model.

        settings: name -> quantity with its unit, or `Values`, whose floats are SI. What is outside is not certified;
        `predict` says what the search has learned about it.

        Raises UnknownNameError for a setting the envelope does not know, EnvelopeError for one that is missing.
        """
        return self.checker(settings)

    @cached_property
    def checker(self) -> Checker:
        """The prepared check: `checker(settings)`, `checker.si(point)` for SI numbers, `checker.many(points)`."""
        return checker_of(self)

    @cached_property
    def searched(self) -> "SearchedRegion":
        """The region as the search sees it, outside the certified range too: predicted, never certified."""
        from physics_twin.envelope.region.predict import SearchedRegion

        return SearchedRegion(self)

    def predict(self, settings: Mapping[str, QuantityLike] | Values) -> "Predicted":
        """The probability that the search predicts at `settings`, inside or outside the box; no simulation, no claim.

        Raises as `check`, and EnvelopeError for an envelope that does not hold its design.
        """
        from physics_twin.envelope.region.predict import predict

        return predict(self, settings)

    def plan(
        self,
        present: Mapping[str, QuantityLike] | Values,
        to: Mapping[str, QuantityLike] | Values | None = None,
        *,
        rate_limits: Mapping[str, QuantityLike] | None = None,
        steps: Mapping[str, QuantityLike] | None = None,
        step: QuantityLike = "1 h",
        one_at_a_time: bool = False,
    ) -> "Plan":
        """Steps from the present settings to the set point that stay inside the region at every moment.

        present: setting -> quantity, all of them. to: where to go; the set point when left out. rate_limits: setting ->
        fastest change ("10 K/h"); steps: setting -> largest move in one step ("5 K"); what is left out is not limited.
        step: how long one step takes; its settings change evenly. one_at_a_time: moves one setting in each step.

        Steps inside the box are certified; elsewhere the probability is predicted on the whole of each step. From a
        present point outside the region the first steps are the shortest way in, and the plan says so. No way is an
        answer (`plan.found`, `.message`), not an error. Raises EnvelopeError for a limit that allows no move, and as
        `check`.
        """
        from physics_twin.envelope.plan.plan import make_plan

        return make_plan(
            self, present, to, rate_limits=rate_limits, steps=steps, step=step, one_at_a_time=one_at_a_time
        )

    def influence(
        self,
        model: Model,
        posterior: "Posterior",
        *,
        narrowed: float = 0.5,
        n_draws: int = 1000,
        executor: Executor | None = None,
    ) -> "Influence":
        """What ends each side, what the margins depend on, and what narrowing a source of uncertainty would buy.

        model, posterior: those that the envelope was found with. narrowed: share of its spread that a source keeps; one
        source at a time. n_draws: how many of the draws are simulated, at the set point and at the worst point of every
        side that a limit ends. Nothing of it is certified: a new envelope would be.

        Raises EnvelopeError for another posterior and for an envelope that does not hold its question.
        """
        from physics_twin.envelope.influence.influence import influence

        return influence(self, model, posterior, narrowed=narrowed, n_draws=n_draws, executor=executor)

    def recertify(
        self,
        model: Model,
        posterior: "Posterior",
        *,
        limits: "Sequence[Limit] | None" = None,
        rng: "int | np.random.Generator | None" = None,
        checkpoint: str | os.PathLike[str] | None = None,
        executor: Executor | None = None,
        progress: bool = False,
    ) -> "Recertification":
        """The certificate computed anew, anywhere, with this model and posterior; see `recertify.recertify`.

        The same model and posterior give the same numbers bit for bit; draws of a new posterior are all unseen. limits:
        once more, where one is a function of your own and the envelope comes from a file. rng: where the envelope was
        found with a generator. checkpoint, executor, progress: as of `find_envelope`.
        """
        from physics_twin.envelope.certificate.recertify import recertify  # it needs the search, which makes envelopes

        waits: Any = {"checkpoint": checkpoint, "executor": executor, "progress": progress}
        return recertify(self, model, posterior, limits=limits, rng=rng, **waits)

    def marked(self, reason: "str | Judged") -> "Envelope":
        """A copy with one more mark and warning: a sentence, or the result of `hold_out` or `validate`.

        A check that was passed leaves the envelope as it is.
        """
        if isinstance(reason, str):
            mark = Mark("stated", "", reason)
        elif reason.passed:
            return self
        else:
            mark = Mark("hold-out", "", reason.sentence)
        return replace(self, warnings=(*self.warnings, mark.text), marks=(*self.marks, mark))

    def to_json(self, path: str | os.PathLike[str], expires: "str | dt.date | None" = None) -> None:
        """Write the ranges and what they claim and rest on as JSON for other systems, in the digits of `in_units`.

        expires: last day of use ("2031-06-30"); without one the file says that there is none. Raises EnvelopeError for
        what is no date, or a day that is over. The form of the file is in
        `physics_twin/envelope/files/envelope_export.schema.json`.
        """
        from physics_twin.envelope.files.export import write_json

        write_json(self, path, expires)

    def to_csv(self, path: str | os.PathLike[str], expires: "str | dt.date | None" = None) -> None:
        """Write one row a setting as CSV for other systems; arguments and errors as of `to_json`."""
        from physics_twin.envelope.files.export import write_csv

        write_csv(self, path, expires)

    def against(
        self,
        history: "Sequence[Experiment]",
        *,
        settings: Mapping[str, Mapping[str, QuantityLike]] | None = None,
        posterior: "Posterior | None" = None,
        confidence: float = 0.95,
    ) -> "History":
        """Judge past batches by what was measured: where they ran, which limits they met, and what that says.

        history: the batches. settings: batch -> setting -> quantity, where the batch's recipe and context do not say at
        which settings it ran. posterior: of a fit that held or estimated settings of single batches. confidence: of the
        intervals. Batches whose settings are unknown and limits that were not measured, or too coarsely to say, are
        listed with the reason. Capability is that over the settings that were run, not of one setting.

        Raises EnvelopeError for no batch or two of one name, UnknownNameError for a name in `settings`, UnitError for a
        channel that is not in the dimension of its limit.
        """
        from physics_twin.envelope.history.history import against

        return against(self, history, settings=settings, posterior=posterior, confidence=confidence)

    def plot(
        self,
        ax: Any = None,
        *,
        history: "Sequence[Experiment] | History | None" = None,
        present: Mapping[str, QuantityLike] | None = None,
    ) -> "Figure":
        """Region, box, set point and binding limits; `ax` for one or two settings, a figure of its own for more.

        history: past batches, drawn as pass, fail or not judged. present: where the plant runs now.
        """
        from physics_twin.envelope.plots import plot_envelope  # matplotlib takes a quarter of a second to import

        return plot_envelope(self, ax, history=history, present=present)

    def plot_front(self, ax: "Axes | Sequence[Axes] | None" = None) -> "Figure":
        """The Pareto front with its knee; raises EnvelopeError where there is none.

        ax: one Axes for each pair of objectives; a new figure without it. Raises ShapeError for another number.
        """
        from physics_twin.envelope.set_point.front_plot import plot_front

        if self.front is None:
            raise EnvelopeError("this envelope has no front: give find_envelope two objectives or more")
        return plot_front(self.front, ax)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write everything to a NetCDF file, whole or not at all; `Envelope.load` gives the same numbers back."""
        from physics_twin.envelope.files.storage import save_envelope

        save_envelope(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Envelope":
        """Read what `save` wrote; raises FileFormatError for anything else."""
        from physics_twin.envelope.files.storage import load_envelope

        return load_envelope(path)

    def __str__(self) -> str:
        """The envelope as a table for people."""
        from physics_twin.envelope.text import as_text

        return as_text(self)

    def __repr__(self) -> str:
        """The same table; the fields hold thousands of numbers."""
        return str(self)

    def _repr_html_(self) -> str:
        from physics_twin.envelope.text import as_html

        return as_html(self)
