"""A second record of the Temperature Control Lab: every 3 s, an analog-digital converter with steps of 0.49 K."""

import functools
from dataclasses import replace

import physics_twin as pt
from physics_twin.twin.samples import samples_of
from physics_twin_models.heated_block import heated_block
from physics_twin_validation.heated_block_online.plant import AT, FILTERS, SENSORS, STATES, UNKNOWN, path, prior

FILE = "mhe_3s_200.csv"
METHODS = ("extended", "unscented")
JUDGED = 300.0  # s: noise and random walks come from what lies before, by the ways of the other record
# Second differences of the last 100 s of it; steps of the converter included.
NOISE = {"temperature_1": "0.22 K", "temperature_2": "0.74 K"}
# Maximum likelihood of the innovations, rounded.
WALKS = {
    "heater_1_temperature": pt.RandomWalk("1.2 K", per="1 min"),
    "heater_2_temperature": pt.RandomWalk("1.4 K", per="1 min"),
}
# Both sensors before any heating: 21.4 and 21.8 degC.
ROOM = heated_block().parameters["ambient_temperature"].replace(prior=pt.Normal("21.6 degC", "0.5 K"))


def experiment() -> pt.Experiment:
    """The measured record, with noise that remembers and a time zero; raises NotAvailable where it cannot be had."""
    level = pt.EstimatedNoise("0.5 K", shared="thermistor")
    noise = pt.Noise(level, correlation_time=pt.Estimated("20 s"))
    found = pt.Experiment.from_csv(
        path(FILE),
        header=0,
        column_names=["t", "H1", "H2", "T1", "T2"],
        time="t",
        inputs={f"heater_{k}": pt.Column(f"H{k}", "percent", pt.HOLD) for k in (1, 2)},
        channels=[pt.Channel(f"temperature_{k}", column=f"T{k}", unit="degC", noise=noise) for k in (1, 2)],
    )
    first = [(float(found[name].values[0]), "K") for name in SENSORS]
    recipe = found.recipe.replace(initial=dict(zip(STATES, first * 2, strict=True)))
    return replace(found, recipe=recipe, t0_utc=AT)


@functools.cache
def offline() -> pt.Posterior:
    """The fit of the whole record at once."""
    return pt.calibrate(heated_block(), experiment(), unknown=[*UNKNOWN, ROOM], rng=7)


@functools.cache
def run(method: str) -> tuple[pt.Twin, pt.Innovation]:
    """The twin after the whole record, from the prior that the other record has; its room is known to half a kelvin."""
    steps = pt.Checks(resolution="0.49 K")
    twin = pt.Twin.start(
        heated_block(),
        prior(ROOM),
        at=AT,
        channels=[pt.Channel(name, unit="degC", noise=noise, checks=steps) for name, noise in NOISE.items()],
        initial_sd=dict.fromkeys(STATES, "3 K"),
        process_noise=WALKS,
        method=FILTERS[method],
        seed=7,
    )
    return twin.assimilate(samples_of(experiment()), budget=None)
