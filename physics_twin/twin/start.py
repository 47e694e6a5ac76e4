"""How a twin begins: draws of the posterior, carried to the moment at which it takes over."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from physics_twin.arrays import Array
from physics_twin.assimilation.belief import Start
from physics_twin.assimilation.coordinates import Coordinates
from physics_twin.assimilation.keys import Key
from physics_twin.assimilation.method import Method
from physics_twin.assimilation.random_walk import RandomWalk
from physics_twin.errors import DataError, RecipeError, SolveError, unknown_name
from physics_twin.measurements import Channel, Experiment
from physics_twin.measurements.quality import duration_text
from physics_twin.model import Ensembles, Model, StateKind, n_state
from physics_twin.parameters import Parameter
from physics_twin.posterior import Posterior
from physics_twin.posterior.members import check_fitted, member_values
from physics_twin.recipes import Recipe
from physics_twin.signals import Setting
from physics_twin.simulation import trajectory
from physics_twin.twin.channel_facts import unknown_bias
from physics_twin.twin.moments import moment, stamp
from physics_twin.twin.recorded import input_values
from physics_twin.twin.setup import Beginning, Guard, Setup, Window
from physics_twin.twin.state import Batch
from physics_twin.units import QuantityLike, to_si

N_DRAWS = 400
_NUMBERS = 5_000_000
"""Of the states of all draws: fields begin with fewer draws."""
_FEWEST = 60
_SMALL = 40
"""Coordinates up to which the default filter carries a covariance."""


def set_up(
    model: Model,
    posterior: Posterior,
    at: int,
    *,
    recipe: Recipe | None,
    history: Experiment | None,
    channels: Sequence[Channel] | None,
    initial_sd: Mapping[str, QuantityLike],
    walks: Mapping[str, RandomWalk],
    seed: int,
    adaptive: bool,
    method: Method | None,
    guard: Guard,
    window: Window,
    batch: str,
) -> Setup:
    """Everything that a twin keeps, from what `Twin.start` was given."""
    check_fitted(posterior, model)
    chosen = open_recipe(model, recipe)
    sensors = _channels(model, posterior, channels, history)
    uncertain, values, rows = _draws(model, posterior, history, seed)
    fixed = {name: float(column[0]) for name, column in values.items() if name in model.parameters}
    fixed |= {name: float(v) for name, v in posterior.values.items() if name in fixed and np.ndim(v) == 0}
    fixed = {name: number for name, number in fixed.items() if name not in {p.name for p in uncertain}}
    found = [unknown_bias(channel, posterior) for channel in sensors.values()]
    biases = {bias.name: bias for bias in found if bias is not None}
    begun = Batch(batch, at, chosen)
    settings: dict[str, float] = {}
    if history is not None:
        states, own, last = _through(model, history, at, values)
        settings = {name: v for name, v in last.items() if name in chosen.settings and name not in begun.declared}
    else:
        own = np.arange(len(next(iter(values.values()))) if values else 1, dtype=np.intp)
    guessed = {**guesses(model, posterior, chosen), **begun.declared, **settings}
    table = {name: column[own] for name, column in values.items()}
    fresh = fresh_states(model, chosen, table, guessed, own.size, every=history is None)
    if history is not None:
        fresh = continued(model, states[own], fresh)
    columns = [table[p.name] for p in uncertain] + [_bias_draws(bias, posterior, rows[own]) for bias in biases.values()]
    parameters = np.column_stack(columns) if columns else np.empty((own.size, 0))
    uncertain += tuple(biases.values())
    coordinates = Coordinates.of(model, uncertain)
    variance = variance_of(model, coordinates, initial_sd)
    for name, bias in biases.items():
        if bias.prior is not None and name not in posterior.parameters:
            k = coordinates.names.index(name, coordinates.n_states)
            variance[k] = (bias.prior.sd / coordinates.scale[k]) ** 2
    start = Start(fresh, parameters, variance)
    chosen_method = default_method(coordinates) if method is None else method
    setup = Setup(
        model=model,
        posterior=posterior,
        parameters=uncertain,
        fixed=fixed,
        channels=sensors,
        walks=dict(walks),
        seed=seed,
        adaptive=adaptive,
        method=chosen_method,
        beginning=Beginning(at, begun, settings, start),
        earliest=at,
        guard=guard,
        window=window,
    )
    setup.rates  # noqa: B018  # a misspelt name among the walks is found here
    return setup


def walks_of(*given: Mapping[str, RandomWalk] | None) -> dict[str, RandomWalk]:
    """Random walks by name, of states and of parameters; raises DataError for what is none."""
    found: dict[str, RandomWalk] = {}
    for walks in given:
        if not isinstance(walks, Mapping | None):
            raise DataError(
                f'{walks!r} names no state or parameter; give {{"T1": pt.RandomWalk("0.1 K", per="1 min")}}'
            )
        for name, walk in (walks or {}).items():
            if not isinstance(walk, RandomWalk):
                raise DataError(
                    f'{name}: {walk!r} is no random walk; give pt.RandomWalk("0.1 K", per="1 min") or alike'
                )
            found[name] = walk
    return found


def known_beginning(setup: Setup) -> str:
    """Words for a twin that began with every state as if known exactly; "" where anything says how well it is known."""
    begun, c = setup.beginning.start, setup.coordinates
    states = begun.states[:, c.positions]
    if not c.n_states or (begun.variance[: c.n_states] > 0.0).any() or np.ptp(states, axis=0).any():
        return ""
    units = {b.name: b.unit.difference().text for b in setup.model.state if b.kind is StateKind.DIFFERENTIAL}
    asked = ", ".join(f'"{name}": "... {unit}"' for name, unit in units.items())
    return (
        f"states begin as known to nothing but rounding ({', '.join(units)}), and a plant that begins elsewhere looks "
        f"wrong: give initial_sd={{{asked}}}"
    )


def default_method(coordinates: Coordinates) -> Method:
    """A filter that suits the size of the problem: sigma points for a few states, an ensemble for fields."""
    if coordinates.n <= _SMALL:
        from physics_twin.assimilation import UnscentedKalman

        return UnscentedKalman()
    from physics_twin.assimilation import EnsembleKalman

    return EnsembleKalman()


def fresh_states(
    model: Model, recipe: Recipe, table: Mapping[str, Array], settings: Mapping[str, float], n: int, *, every: bool
) -> Array:
    """(n, n_state): states at the start of a recipe for the values of each member; of the first one only for all
    unless `every`. Raises SolveError.
    """
    rows = []
    for k in range(n if every else 1):
        values = {**{name: float(column[k]) for name, column in table.items()}, **settings}
        rows.append(model.initial_state(0.0, recipe, values))
    return np.array(np.broadcast_to(np.array(rows), (n, len(rows[0]))))


def variance_of(model: Model, coordinates: Coordinates, sd: Mapping[str, QuantityLike]) -> Array:
    """(n_coordinates,) of standard deviations of states, as differences; raises UnknownNameError, UnitError."""
    variance = np.zeros(coordinates.n)
    blocks = {b.name: b for b in model.state if b.kind is StateKind.DIFFERENTIAL}
    for name, quantity in sd.items():
        if name not in blocks:
            raise unknown_name("state", name, blocks)
        number = to_si(quantity, blocks[name].unit, name=f"initial_sd of {name}", difference=True)
        if not 0.0 <= number < float("inf"):
            raise DataError(f"initial_sd of {name} is {number:g}; a standard deviation is at least 0")
        hit = [k for k, own in enumerate(coordinates.names[: coordinates.n_states]) if own.partition("[")[0] == name]
        variance[hit] = (number / coordinates.scale[hit]) ** 2
    return variance


def open_recipe(model: Model, recipe: Recipe | None) -> Recipe:
    """The recipe with its end held: a plant goes on after the last phase until someone starts the next batch."""
    if recipe is not None:
        return recipe if recipe.hold_end else recipe.replace(hold_end=True)
    clash = [signal.name for signal in model.inputs if "." in signal.name]
    if clash:
        raise RecipeError(
            f'the input "{clash[0]}" cannot be a live input by itself; give a recipe= that says what it is'
        )
    return Recipe.constant(**{signal.name: Setting(signal.name, signal.unit) for signal in model.inputs})


def _draws(
    model: Model, posterior: Posterior, history: Experiment | None, seed: int
) -> tuple[tuple[Parameter, ...], dict[str, Array], NDArray[np.intp]]:
    """Uncertain parameters, name -> (n_draws,) SI of all parameters of the model, and which draws these are."""
    n = min(N_DRAWS, posterior.n_draws, max(_FEWEST, _NUMBERS // n_state(model)))
    rng = Key(seed, 0).rng("start")
    rows = np.sort(rng.choice(posterior.n_draws, n, replace=False)).astype(np.intp)
    # The recipe's settings are live: they have no value here, and a blank recipe asks for none.
    found, _ = member_values(
        posterior, model, Recipe.constant(), rows, rng, experiment=_known(posterior, history), values=None
    )
    bases = {name.partition("@")[0] for name in posterior.names}
    uncertain = tuple(p for name, p in model.parameters.items() if name in bases and not name.startswith("initial."))
    declared = {name: posterior.parameters[name] for name in posterior.names if name in model.parameters}
    return tuple(declared.get(p.name, p) for p in uncertain), found, rows


def _bias_draws(bias: Parameter, posterior: Posterior, rows: NDArray[np.intp]) -> Array:
    """(n_draws,) SI of a sensor's bias, with the draws of the plant where it was estimated with them."""
    return posterior[bias.name][rows] if bias.name in posterior.parameters else np.full(rows.size, bias.value)


def _known(posterior: Posterior, history: Experiment | None) -> Experiment | None:
    return history if any("@" in name for name in posterior.names) else None


def _through(
    model: Model, history: Experiment, at: int, values: Mapping[str, Array]
) -> tuple[Array, NDArray[np.intp], dict[str, float]]:
    """States (n_draws, n_state) at the end of the history, rows that got there, and the inputs at the end."""
    recipe = history.recipe
    length = recipe.duration if recipe.duration is not None and np.isfinite(recipe.duration) else history.duration
    origin = at - round(length * 1e9) if history.t0_utc is None else moment(history.t0_utc)
    elapsed = (at - origin) * 1e-9
    if elapsed < 0.0:
        raise DataError(f"the twin is to start at {stamp(at)}, before its history begins at {stamp(origin)}")
    if elapsed > length * (1.0 + 1e-9) and not recipe.hold_end:
        raise DataError(
            f"the twin is to start at {stamp(at)}, {duration_text(elapsed - length)} after its history has ended; "
            f"start it at {stamp(origin + round(length * 1e9))}, and let it assimilate what came since"
        )
    elapsed = min(elapsed, length) if not recipe.hold_end else elapsed
    settings = {name: s.value for name, s in recipe.settings.items() if s.value is not None}
    n = len(next(iter(values.values())))
    columns = {**{name: np.full(n, v) for name, v in settings.items()}, **values}
    times = np.array([0.0, elapsed]) if elapsed > 0.0 else np.array([0.0])
    ends = np.full((n, n_state(model)), np.nan)
    reasons: list[str] = []
    if isinstance(model, Ensembles):
        _, ends, failures = model.trajectories(times, recipe, columns)
        reasons = [failure.reason for failure in failures]
    else:
        for k in range(n):
            try:
                _, ends[k] = trajectory(model, times, recipe, {name: float(c[k]) for name, c in columns.items()})
            except SolveError as error:
                reasons.append(error.reason)
    alive = np.flatnonzero(np.isfinite(ends).all(axis=1))
    if 2 * alive.size < n:
        raise SolveError(
            f'{n - alive.size} of {n} draws could not be run through the history "{history.name}": {reasons[0]}',
            time=elapsed,
        )
    first = {name: float(column[0]) for name, column in columns.items()}
    return ends, alive, input_values(model, recipe, first, elapsed)


def continued(model: Model, states: Array, fresh: Array) -> Array:
    """States at the end of one recipe as those at the start of another: everything but its place in the recipe."""
    found = np.array(states)
    first = 0
    for block in model.state:
        if block.kind is StateKind.RECIPE and block.name.startswith("recipe."):
            found[:, first : first + block.size] = fresh[:, first : first + block.size]
        first += block.size
    return found


def guesses(model: Model, posterior: Posterior, recipe: Recipe) -> dict[str, float]:
    """Values for open settings that nobody has read yet, for initial states that need one: the middle of the data."""
    ranges = {signal.name: signal.bounds for signal in model.inputs} | dict(posterior.coverage)
    found: dict[str, float] = {}
    for name, setting in recipe.settings.items():
        low, high = ranges.get(name, setting.bounds)
        found[name] = 0.5 * (low + high) if np.isfinite([low, high]).all() else 0.0
    return found


def _channels(
    model: Model, posterior: Posterior, given: Sequence[Channel] | None, history: Experiment | None
) -> dict[str, Channel]:
    if given is not None:
        found = list(given)
    elif history is not None:
        found = list(history.channels)
    else:
        seen = {c.output: c for c in posterior.channels}
        found = [
            Channel(c.output, unit=c.unit, noise=(c.noise / (c.noise_scale or 1.0), c.difference_unit.text))
            for c in seen.values()
        ]
    outputs = [signal.name for signal in model.outputs]
    units = {signal.name: signal.unit for signal in model.outputs}
    for channel in found:
        if channel.output not in outputs:
            raise unknown_name("output", channel.output, outputs)
        if channel.unit.dimension != units[channel.output].dimension:
            raise DataError(
                f'channel "{channel.output}" is in {channel.unit}, the output of the model in {units[channel.output]}'
            )
    if not found:
        raise DataError(
            "the twin does not know its sensors: give channels=[pt.Channel(...)], or a history= that has them"
        )
    names = [channel.output for channel in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f'two channels show "{twice[0]}"; a second sensor of one output needs an output of its own')
    return {channel.output: channel for channel in found}
