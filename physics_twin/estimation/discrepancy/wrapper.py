"""`with_discrepancy`: a model whose outputs are corrected by Gaussian processes; the coefficients are parameters.

y*(t) = y(t) + delta(s(t)) (Kennedy and O'Hagan, Journal of the Royal Statistical Society B 63 (2001) 425, equation 5,
without their scale factor). The states and what happens to them, events and phases that end on a level included, are
those of the inner model: a discrepancy is about what is observed, not about what the model does.
"""

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import ModelError, SolveError, unknown_name
from physics_twin.estimation.discrepancy.argument import Over, inputs_along, member_inputs
from physics_twin.estimation.discrepancy.declaration import Discrepancy, Term, bound_term
from physics_twin.measurements import Experiment
from physics_twin.model import (
    Adjoints,
    Counted,
    Ensembles,
    Failure,
    Fields,
    FieldSeries,
    Model,
    Phased,
    Pull,
    Replays,
    Sensitivities,
    SIValues,
    StateBlock,
    Trajectories,
)
from physics_twin.parameters import ParameterSet, PerExperiment
from physics_twin.recipes import Recipe
from physics_twin.signals import Signal


@dataclass(frozen=True, eq=False)
class WithDiscrepancy:
    """A model and the discrepancies of its outputs; made by `with_discrepancy`.

    Offers every capability that the inner model offers. `discrepancy_unknowns()` lists the coefficients for
    `calibrate(unknown=[...])`. Limits of an envelope and predictions are about the corrected outputs. A coefficient
    that is not estimated is zero.
    """

    inner: Model
    terms: tuple[Term, ...]

    # -- what it says of itself -------------------------------------------------------------------------------------
    @property
    def name(self) -> str:
        """That of the inner model, marked."""
        return f"{self.inner.name}_with_discrepancy"

    @property
    def version(self) -> str:
        """That of the inner model."""
        return self.inner.version

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of the inner model's and of the discrepancies."""
        said = [
            [t.output, t.sd.hex(), t.argument.name, t.basis.kernel.value, t.basis.n]
            + [x.hex() for x in (t.basis.center, t.basis.reach, t.basis.half_width, t.basis.length)]
            for t in sorted(self.terms, key=lambda t: t.output)
        ]
        return hashlib.sha256(json.dumps([self.inner.fingerprint, said]).encode()).hexdigest()[:16]

    @functools.cached_property
    def parameters(self) -> ParameterSet:
        """The inner model's, then the coefficients."""
        return ParameterSet([*self.inner.parameters.parameters, *(p for t in self.terms for p in t.parameters)])

    @property
    def inputs(self) -> tuple[Signal, ...]:
        """Those of the inner model."""
        return self.inner.inputs

    @property
    def outputs(self) -> tuple[Signal, ...]:
        """Those of the inner model, corrected."""
        return self.inner.outputs

    @property
    def state(self) -> tuple[StateBlock, ...]:
        """That of the inner model."""
        return self.inner.state

    @property
    def validity(self) -> Mapping[str, tuple[float, float]]:
        """That of the inner model."""
        return self.inner.validity

    def __repr__(self) -> str:
        listed = ", ".join(f"{t.output} over {t.argument.name}: {t.basis.n} functions" for t in self.terms)
        return f"WithDiscrepancy({self.inner!r}; {listed})"

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by its parts: the class with its capabilities is made anew."""
        return wrap, (self.inner, self.terms)

    # -- for people -------------------------------------------------------------------------------------------------
    def discrepancy_unknowns(self, *, per_experiment: bool = False) -> list[str | PerExperiment]:
        """The coefficients for `unknown=[...]`: of one common function, or of a function in each experiment.

        One function for all says that the model is wrong in the same way every time. A new batch takes that function;
        with `per_experiment` it takes that of a fitted experiment at random.
        """
        names = [name for t in self.terms for name in t.names]
        return [PerExperiment(name) for name in names] if per_experiment else list(names)

    def term(self, output: str) -> Term:
        """The discrepancy of an output; raises UnknownNameError."""
        for t in self.terms:
            if t.output == output:
                return t
        raise unknown_name("output with a discrepancy", output, [t.output for t in self.terms])

    @property
    def curves(self) -> tuple[Term, ...]:
        """For `Posterior.plot_discrepancy`."""
        return self.terms

    def discrepancy_of(self, output: str, at: Array, values: Mapping[str, Array]) -> Array:
        """Discrepancy (n_draws, n) SI of an output at arguments (n,) SI; values: name -> (n_draws,), 0 if missing."""
        t = self.term(output)
        n = max((np.size(values[name]) for name in t.names if name in values), default=1)
        columns = [np.broadcast_to(np.asarray(values.get(name, 0.0), dtype=float), n) for name in t.names]
        return np.asarray(np.stack(columns, axis=-1) @ t.basis.functions(np.asarray(at, dtype=float)).T)

    # -- the Model protocol -----------------------------------------------------------------------------------------
    def initial_state(self, t0: float, recipe: Recipe, values: SIValues) -> Array:
        """That of the inner model."""
        return self.inner.initial_state(t0, recipe, self._inner_values(values))

    def advance(self, state: Array, t0: float, t1: float, recipe: Recipe, values: SIValues) -> Array:
        """That of the inner model; raises SolveError."""
        self._coefficients(values, t1)
        return self.inner.advance(state, t0, t1, recipe, self._inner_values(values))

    def observe(self, state: Array, t: float, recipe: Recipe, values: SIValues) -> Array:
        """Corrected outputs (n_outputs,) at t, left limits."""
        outputs = self.inner.observe(state, t, recipe, self._inner_values(values))
        return np.asarray(self._corrected(np.array([t]), recipe, values, outputs[None])[0])

    # -- inside -----------------------------------------------------------------------------------------------------
    @functools.cached_property
    def _own(self) -> frozenset[str]:
        return frozenset(name for t in self.terms for name in t.names)

    def _inner_values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        own = self._own
        return {name: value for name, value in values.items() if name not in own}

    def _coefficients(self, values: SIValues, time: float) -> tuple[Array, ...]:
        """The coefficients (n,) of each term; raises SolveError for one that is not finite."""
        found = tuple(np.array([float(values.get(name, 0.0)) for name in t.names]) for t in self.terms)
        for t, a in zip(self.terms, found, strict=True):
            if not np.isfinite(a).all():
                name = t.names[int(np.flatnonzero(~np.isfinite(a))[0])]
                known = {k: float(v) for k, v in values.items() if np.ndim(v) == 0}
                raise SolveError(f'the parameter "{name}" is not a finite number', time=time, values=known)
        return found

    def _arguments(self, times: Array, recipe: Recipe, values: SIValues, outputs: Array) -> list[Array]:
        """s (n_times,) of each term."""
        needed = any(t.argument.kind is Over.INPUT for t in self.terms)
        given = inputs_along(self.inner, recipe, values, times)[0] if needed else np.empty((0, times.size))
        found = []
        for t in self.terms:
            if t.argument.kind is Over.TIME:
                found.append(times)
            else:
                found.append(given[t.argument.index] if t.argument.kind is Over.INPUT else outputs[:, t.argument.index])
        return found

    def _corrected(self, times: Array, recipe: Recipe, values: SIValues, outputs: Array) -> Array:
        """Outputs (n_times, n_outputs) with their discrepancies."""
        times = np.asarray(times, dtype=float)
        coefficients = self._coefficients(values, float(times[-1]))
        found = outputs.copy()
        arguments = self._arguments(times, recipe, values, outputs)
        for t, a, s in zip(self.terms, coefficients, arguments, strict=True):
            found[:, t.index] += t.basis.functions(s) @ a
        return found

    def _slopes(
        self, times: Array, recipe: Recipe, values: SIValues, outputs: Array, wrt: Sequence[str]
    ) -> "list[tuple[Term, Array, Array, Array]]":
        """For each term: sines (n_times, n), d delta/ds (n_times,), and ds/dw at a fixed state (n_times, n_wrt)."""
        coefficients = self._coefficients(values, float(times[-1]))
        arguments = self._arguments(times, recipe, values, outputs)
        direct = np.zeros((len(self.inner.inputs), times.size, len(wrt)))
        if any(t.argument.kind is Over.INPUT for t in self.terms):
            names = [name if name in recipe.settings else "" for name in wrt]
            _, slope, direct = inputs_along(self.inner, recipe, values, times, names)
            for k, name in enumerate(wrt):
                if name == "time":
                    direct[:, :, k] = slope
        found = []
        for t, a, s in zip(self.terms, coefficients, arguments, strict=True):
            moving = np.zeros((times.size, len(wrt)))
            if t.argument.kind is Over.INPUT:
                moving = direct[t.argument.index]
            elif t.argument.kind is Over.TIME and "time" in wrt:
                moving[:, list(wrt).index("time")] = 1.0
            found.append((t, t.basis.functions(s), t.basis.slopes(s) @ a, moving))
        return found


class _Trajectories(WithDiscrepancy):
    def trajectory(
        self, times: Array, recipe: Recipe, values: SIValues, state: Array | None = None
    ) -> tuple[Array, Array]:
        """Corrected outputs (n_times, n_outputs) and end state."""
        assert isinstance(self.inner, Trajectories)
        outputs, end = self.inner.trajectory(times, recipe, self._inner_values(values), state)
        return self._corrected(times, recipe, values, outputs), end


class _Counted(WithDiscrepancy):
    def counted_trajectory(
        self, times: Array, recipe: Recipe, values: SIValues
    ) -> tuple[Array, Array, Mapping[str, int]]:
        """A trajectory with the counts of the inner model."""
        assert isinstance(self.inner, Counted)
        outputs, end, counts = self.inner.counted_trajectory(times, recipe, self._inner_values(values))
        return self._corrected(times, recipe, values, outputs), end, counts


class _Phased(WithDiscrepancy):
    def phase_times(self, recipe: Recipe, values: SIValues) -> Array:
        """(n_phases + 1,) s, of the inner model: a phase ends on the level of its output."""
        assert isinstance(self.inner, Phased)
        return self.inner.phase_times(recipe, self._inner_values(values))


class _Replays(WithDiscrepancy):
    def replaying(self, times: Array, recipe: Recipe, values: SIValues) -> Model:
        """The same model with the time steps of this run."""
        assert isinstance(self.inner, Replays)
        return wrap(self.inner.replaying(times, recipe, self._inner_values(values)), self.terms)


class _Fields(WithDiscrepancy):
    @property
    def field_names(self) -> tuple[str, ...]:
        """The fields of the inner model; they have no discrepancy."""
        assert isinstance(self.inner, Fields)
        return self.inner.field_names

    def field_trajectory(
        self, times: Array, recipe: Recipe, values: SIValues, names: Sequence[str], state: Array | None = None
    ) -> tuple[Array, Array, Mapping[str, int], FieldSeries]:
        """Corrected outputs, end state, counts, and the fields of the inner model."""
        assert isinstance(self.inner, Fields)
        own = self._inner_values(values)
        outputs, end, counts, kept = self.inner.field_trajectory(times, recipe, own, names, state)
        return self._corrected(np.asarray(times, dtype=float), recipe, values, outputs), end, counts, kept


class _Ensembles(WithDiscrepancy):
    def trajectories(
        self, times: Array, recipe: Recipe, values: Mapping[str, Array], states: Array | None = None
    ) -> tuple[Array, Array, tuple[Failure, ...]]:
        """Corrected outputs (n_members, n_times, n_outputs), end states, failures."""
        assert isinstance(self.inner, Ensembles)
        times = np.asarray(times, dtype=float)
        outputs, ends, failures = self.inner.trajectories(times, recipe, self._inner_values(values), states)
        needed = any(t.argument.kind is Over.INPUT for t in self.terms)
        inputs = member_inputs(self.inner, recipe, values, times) if needed else None
        n = len(outputs)
        found = np.array(outputs, dtype=float)
        failed = {failure.member for failure in failures}
        more: list[Failure] = []
        for t in self.terms:
            columns = [np.broadcast_to(np.asarray(values.get(k, 0.0), dtype=float), n) for k in t.names]
            a = np.stack(columns, axis=1)
            for k in np.flatnonzero(~np.isfinite(a).all(axis=1)).tolist():
                if k not in failed:
                    failed.add(k)
                    more.append(Failure(k, f"a coefficient of discrepancy.{t.output} is not a finite number", 0.0))
            if t.argument.kind is Over.OUTPUT:
                phi = t.basis.functions(np.nan_to_num(outputs[:, :, t.argument.index]))
            elif inputs is not None and t.argument.kind is Over.INPUT:
                phi = t.basis.functions(inputs[:, :, t.argument.index])
            else:
                phi = t.basis.functions(times)
            delta = a @ phi.T if phi.ndim == 2 else np.einsum("ktj,kj->kt", phi, a)
            found[:, :, t.index] += delta
        found[sorted(failed)] = np.nan
        ends[sorted(failed)] = np.nan
        return found, ends, (*failures, *more)


class _Sensitivities(WithDiscrepancy):
    @property
    def differentiable(self) -> frozenset[str]:
        """What is differentiable in the inner model, and every coefficient."""
        assert isinstance(self.inner, Sensitivities)
        return self.inner.differentiable | self._own

    def sensitivity(
        self, times: Array, recipe: Recipe, values: SIValues, wrt: Sequence[str], state: Array | None = None
    ) -> tuple[Array, Array, Array]:
        """Corrected outputs, jacobian (n_times, n_outputs, n_wrt) and end state."""
        assert isinstance(self.inner, Sensitivities)
        times = np.asarray(times, dtype=float)
        asked = [k for k, name in enumerate(wrt) if name not in self._own]
        jacobian = np.zeros((times.size, len(self.outputs), len(wrt)))
        outputs, inner, end = self.inner.sensitivity(
            times, recipe, self._inner_values(values), [wrt[k] for k in asked], state
        )
        jacobian[:, :, asked] = inner
        position = {name: k for k, name in enumerate(wrt)}
        added = np.zeros_like(jacobian)
        for t, phi, slope, moving in self._slopes(times, recipe, values, outputs, wrt):
            if t.argument.kind is Over.OUTPUT:
                moving = jacobian[:, t.argument.index]
            added[:, t.index] += slope[:, None] * moving
            for j, name in enumerate(t.names):
                if name in position:
                    added[:, t.index, position[name]] += phi[:, j]
        return self._corrected(times, recipe, values, outputs), jacobian + added, end


class _Adjoints(WithDiscrepancy):
    def pullback(self, times: Array, recipe: Recipe, values: SIValues, wrt: Sequence[str]) -> tuple[Array, Pull]:
        """Corrected outputs and the function that takes weights (n_times, n_outputs) to a gradient (n_wrt,)."""
        assert isinstance(self.inner, Adjoints)
        times = np.asarray(times, dtype=float)
        asked = [k for k, name in enumerate(wrt) if name not in self._own]
        outputs, pull = self.inner.pullback(times, recipe, self._inner_values(values), [wrt[k] for k in asked])
        position = {name: k for k, name in enumerate(wrt)}
        slopes = self._slopes(times, recipe, values, outputs, wrt)

        def pulled(weights: Array) -> Array:
            gradient, inner = np.zeros(len(wrt)), np.array(weights, dtype=float)
            for t, phi, slope, moving in slopes:
                mine = weights[:, t.index]
                gradient += (mine * slope) @ moving
                if t.argument.kind is Over.OUTPUT:
                    inner[:, t.argument.index] += mine * slope
                of = mine @ phi
                for j, name in enumerate(t.names):
                    if name in position:
                        gradient[position[name]] += of[j]
            if asked:
                gradient[asked] += pull(inner)
            return gradient

        return self._corrected(times, recipe, values, outputs), pulled


CAPABILITIES: tuple[tuple[type, type[WithDiscrepancy]], ...] = (
    (Trajectories, _Trajectories),
    (Sensitivities, _Sensitivities),
    (Ensembles, _Ensembles),
    (Adjoints, _Adjoints),
    (Phased, _Phased),
    (Counted, _Counted),
    (Fields, _Fields),
    (Replays, _Replays),
)


@functools.cache
def _class_with(offered: tuple[type[WithDiscrepancy], ...]) -> type[WithDiscrepancy]:
    """A class that has these capabilities and no others: `isinstance` is how they are asked for."""
    return type("WithDiscrepancy", (*offered, WithDiscrepancy), {"__module__": __name__})


def wrap(inner: Model, terms: tuple[Term, ...]) -> WithDiscrepancy:
    """A model with discrepancies that offers what the inner one does."""
    return _class_with(tuple(mine for asked, mine in CAPABILITIES if isinstance(inner, asked)))(inner, terms)


def with_discrepancy(
    model: Model, discrepancies: Mapping[str, Discrepancy], *, experiments: Experiment | Sequence[Experiment] = ()
) -> WithDiscrepancy:
    """Return a model whose outputs are corrected by Gaussian processes, one for each output that is named.

    discrepancies: output -> `Discrepancy`. experiments: where a discrepancy says no `between`, the range of these data
    is taken. The coefficients become parameters `discrepancy.<output>.x1, ...` with their priors; say
    `unknown=[..., *model.discrepancy_unknowns()]` to estimate them. Within the range and two lengths around it the sum
    has the covariance of the kernel to 2 % of the variance (`model.term(output).basis.error`); farther out the argument
    is held, so that the band is that of the prior there.

    Raises UnknownNameError for an output or argument that the model does not have, UnitError, BoundsError where a range
    is missing or more than 200 functions would be needed, ModelError for a model that has discrepancies already.
    """
    if isinstance(model, WithDiscrepancy):
        raise ModelError(f'"{model.name}" has discrepancies already; give all of them at once')
    if not discrepancies:
        raise ModelError("no discrepancy is given: name an output and say how far the model may be from it")
    runs = (experiments,) if isinstance(experiments, Experiment) else tuple(experiments)
    names = [signal.name for signal in model.outputs]
    for output in discrepancies:
        if output not in names:
            raise unknown_name("output", output, names)
    terms = [bound_term(model, output, names.index(output), given, runs) for output, given in discrepancies.items()]
    clash = {name for t in terms for name in t.names} & set(model.parameters.names)
    if clash:
        raise ModelError(f'the model already has a parameter "{sorted(clash)[0]}"')
    return wrap(model, tuple(terms))
