"""A twin of a field: a heated rod with ten thermocouples, filtered by members whose entries learn from near sensors."""

import functools

import numpy as np
import pytest

import physics_twin as pt
from physics_twin import fem
from physics_twin.twin.moments import SECOND, moment
from physics_twin.twin.window import size_of

START = moment("2026-11-20T06:00:00Z")
N_SENSORS = 10
EVERY = 10.0
TRUE = {"film": "35 W/m^2/K", "initial.temperature": "45 degC"}
NOISE = 0.2


@functools.cache
def rod():
    """40 cm of steel, heated on the left, losing heat to the room along its length."""
    film = pt.Parameter("film", "20 W/m^2/K", bounds=("2 W/m^2/K", "200 W/m^2/K"))

    def to_the_air(T, film):
        return -film * (T - "293.15 K") * "1 1/cm"

    return fem.HeatConduction(
        mesh=fem.mesh.bar("40 cm", 60),
        materials={"bar": fem.Solid(conductivity="50 W/m/K", density="7800 kg/m^3", heat_capacity="500 J/kg/K")},
        boundaries={"left": fem.Flux(pt.Signal("heat", "W/m^2")), "right": fem.Convection(film, "20 degC")},
        sources={"bar": fem.HeatSource(to_the_air)},
        initial="20 degC",
        sensors={f"T{k}": fem.Point(f"{4 * k + 2} cm") for k in range(N_SENSORS)},
        stepping=fem.FixedSteps("5 s", fem.IMPLICIT_EULER),
        name="rod",
    )


@functools.cache
def posterior():
    """The film known within a factor of 1.5, the start within 10 K: the truth is 1.4 and 1.5 of these off."""
    rng = np.random.default_rng(1)
    film = 20.0 * np.exp(0.4 * rng.standard_normal(200))
    start = 303.15 + 10.0 * rng.standard_normal(200)
    chosen = [rod().parameters[name] for name in ("film", "initial.temperature")]
    return pt.Posterior.from_draws(chosen, np.column_stack([film, start]))


def ns(seconds):
    return START + round(seconds * SECOND)


@functools.cache
def plant():
    """Readings over five minutes, the heat among them, and the true field at the end."""
    times = EVERY * np.arange(31)
    recipe = pt.Recipe.constant(heat="2e4 W/m^2")
    values = pt.simulate(rod(), times, recipe, values=TRUE)
    si = {name: parameter.value for name, parameter in rod().parameters.items()}
    si |= {"film": 35.0, "initial.temperature": 318.15}
    _, end = rod().trajectory(times, recipe, si)
    rng = np.random.default_rng(2)
    found = [pt.Sample("heat", START, 2e4, "W/m^2")]
    for k, t in enumerate(times[1:], start=1):
        for j in range(N_SENSORS):
            reading = float(values[f"T{j}"].values[k]) + NOISE * rng.standard_normal()
            found.append(pt.Sample(f"T{j}", ns(t), reading, "K"))
    return tuple(found), end[: rod().state[0].size]


def channels(placed=False):
    """With places they say what the model knows anyway."""
    where = [pt.Place("rod", f"{4 * k + 2} cm") if placed else None for k in range(N_SENSORS)]
    return [pt.Channel(f"T{k}", unit="degC", noise=(NOISE, "K"), place=where[k]) for k in range(N_SENSORS)]


def twin(radius="10 cm", n_members=20, **options):
    method = pt.EnsembleKalman(n_members, localization=None if radius is None else pt.Localized(radius))
    return pt.Twin.start(
        options.pop("model", rod()),
        posterior(),
        at="2026-11-20T06:00Z",
        channels=options.pop("channels", channels()),
        process_noise={"temperature": pt.RandomWalk("0.02 K", per="1 min")},
        method=method,
        guard=pt.Guard(probability=1.0 - 1e-9),
        **options,
    )


@functools.cache
def filtered(radius="10 cm"):
    return twin(radius).assimilate(plant()[0], budget=None)[0]


def field_of(found):
    """Mean and standard deviation over members of the nodal temperatures, K."""
    states = found.state.belief.states[:, : rod().state[0].size]
    return states.mean(axis=0), states.std(axis=0, ddof=1)


@pytest.mark.parametrize("radius", ["10 cm", None])
def test_field_and_film_coefficient_are_recovered(radius):
    """From a start 15 K off: between the sensors too, within what the members believe."""
    found, true = filtered(radius), plant()[1]
    mean, sd = field_of(found)
    before = field_of(twin(radius))[0]
    assert np.abs(before - true).max() > 10.0
    assert np.sqrt(np.mean((mean - true) ** 2)) < NOISE
    assert np.sqrt(np.mean(((mean - true) / sd) ** 2)) < 3.0
    assert abs(found.mean["film"] - 35.0) < 3.0 * found.spread["film"]
    assert found.spread["film"] < 4.0


class Unplaced:
    """The rod, which does not say where its thermocouples are."""

    def __getattr__(self, name):
        if name == "output_places":
            raise AttributeError(name)
        return getattr(rod(), name)


def test_channels_say_where_sensors_are():
    """A model that does not know it is told by `Channel(place=...)`: the same members, to the last bit."""
    samples = [sample for sample in plant()[0] if sample.time <= ns(2 * EVERY)]
    known, _ = twin().assimilate(samples, budget=None)
    with pytest.raises(pt.ModelError, match="place="):
        twin(model=Unplaced())
    told, _ = twin(model=Unplaced(), channels=channels(placed=True)).assimilate(samples, budget=None)
    assert np.array_equal(told.state.belief.states, known.state.belief.states)


@pytest.mark.parametrize("n_members", [20, 60])
def test_snapshots_of_a_field_keep_to_their_memory(n_members):
    """However many members there are; and a late sample finds one to go back to."""
    megabytes = 12 * 8e-6 * n_members * 70  # twelve states and a bit
    window = pt.Window(seconds=200.0, every=60.0, megabytes=megabytes)
    samples = [sample for sample in plant()[0] if sample.time <= ns(15 * EVERY)]
    late = samples.pop(-15)
    found, _ = twin(n_members=n_members, window=window).assimilate(samples, budget=None)
    assert 7 <= len(found.snapshots) <= 12
    assert size_of(tuple(state.belief for state in found.snapshots)) < 1e6 * megabytes
    again, what = found.assimilate([late], budget=None)
    assert what.counts["late"] == 1
    assert again.state.n_updates == found.state.n_updates
