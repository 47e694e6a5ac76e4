"""How a twin begins: draws carried through the history, sensors, walks; and what it refuses."""

import datetime as dt
from dataclasses import replace

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.assimilation.coordinates import Coordinates
from tests.twin.plants import HEATER_CHANNELS, TRUE, WALKS, at, fed, heater_block, heater_posterior, heater_twin

T0 = dt.datetime(2026, 11, 20, 5, tzinfo=dt.UTC)


def history(t0_utc=T0, hold_after=False):
    """An hour of heating, recorded every minute."""
    times = 60.0 * np.arange(61)
    rows = {"q1": (np.full(61, 2.0), "W", pt.HOLD), "q2": (np.linspace(0.0, 1.0, 61), "W", pt.RAMP)}
    recipe = pt.Recipe.from_table(times, rows, hold_after=hold_after)
    run = pt.simulate(heater_block(), times, recipe, values=TRUE)
    data = {name: run[name].values - 273.15 for name in ("T1", "T2")}
    found = pt.Experiment.from_arrays("heat_up", times, data, channels=HEATER_CHANNELS, recipe=recipe)
    return replace(found, t0_utc=t0_utc)


def started(**options):
    return pt.Twin.start(heater_block(), heater_posterior(), **{"at": "2026-11-20T06:00Z", **options})


def test_the_history_spreads_the_state():
    """States begin where each draw's own simulation of the past ends, so that they are tied to the parameters."""
    twin = started(history=history(), method=pt.EnsembleKalman(n_members=40))
    values = {"UA": (twin.state.belief.parameters[3, 0], "W/K"), "link": (twin.state.belief.parameters[3, 1], "W/K")}
    run = pt.simulate(heater_block(), [0.0, 3600.0], history().recipe, values=values)
    names = [block.name for block in heater_block().state]
    assert twin.state.belief.states[3, names.index("T1")] == pytest.approx(run["T1"].values[-1], rel=1e-6)
    assert np.corrcoef(twin.state.belief.states[:, 0], twin.state.belief.parameters[:, 0])[0, 1] < -0.5
    assert set(twin.setup.channels) == {"T1", "T2"}
    assert twin.state.settings == pytest.approx({"q1": 2.0, "q2": 1.0})


def test_a_history_is_placed():
    """By its stamps, or by its end where it has none; a start in between cuts it off."""
    stamped, ended = started(history=history()), started(history=history(None))
    np.testing.assert_array_equal(stamped.state.belief.states, ended.state.belief.states)
    earlier = started(history=history(), at="2026-11-20T05:30Z")
    assert earlier.mean["T1"] < stamped.mean["T1"]
    assert earlier.state.settings["q2"] == pytest.approx(0.5)
    with pytest.raises(pt.DataError, match="before its history begins"):
        started(history=history(), at="2026-11-20T04:59Z")
    with pytest.raises(pt.DataError, match="after its history has ended"):
        started(history=history(), at="2026-11-20T07:00Z")
    assert started(history=history(hold_after=True), at="2026-11-20T07:00Z").mean["T1"] > stamped.mean["T1"]


def test_a_run_goes_on_as_one():
    """A twin that takes over from a history and one that is fed the same powers agree with one long simulation."""
    exact = pt.Posterior.from_draws(
        [heater_block().parameters[name] for name in ("UA", "link")], np.tile([0.06, 0.025], (50, 1))
    )
    twin = pt.Twin.start(heater_block(), exact, at="2026-11-20T06:00Z", history=history())
    later, _ = pt.assimilate(twin, [], until=at(600.0))
    run = pt.simulate(heater_block(), [0.0, 3600.0, 4200.0], history(hold_after=True).recipe, values=TRUE)
    assert later.mean["T1"] == pytest.approx(float(run["T1"].values[-1]), abs=1e-4)
    assert later.mean["energy"] == pytest.approx(float(run["energy"].values[-1]), rel=1e-6)


def test_initial_uncertainty_is_added():
    """Without a history, states have the spread that is stated, on top of what the draws say."""
    twin = started(channels=HEATER_CHANNELS, initial_sd={"T1": "5 K"})
    assert twin.spread["T1"] == pytest.approx(5.0, rel=1e-6)
    assert twin.spread["T2"] == pytest.approx(0.0, abs=1e-3)
    assert twin.parameters == pytest.approx({"UA": heater_posterior()["UA"].mean(), "link": 0.02}, rel=0.1)


def test_what_a_fit_knows_of_its_sensors():
    """Estimated noise comes from the posterior; a bias is carried beside the plant's parameters, and not taken off."""
    channel = pt.Channel("T1", unit="degC", noise=pt.EstimatedNoise("1 K"), bias=pt.UnknownBias("2 K"))
    declared = [heater_block().parameters["UA"], channel.parameters["noise"], channel.parameters["bias"]]
    rng = np.random.default_rng(0)
    table = np.column_stack([rng.normal(0.05, 0.002, 300), np.full(300, 0.25), rng.normal(0.7, 0.3, 300)])
    posterior = pt.Posterior.from_draws(declared, table)
    twin = pt.Twin.start(heater_block(), posterior, at="2026-11-20T06:00Z", channels=[channel])
    assert twin.setup.coordinates.of_plant == ("UA",) and twin.setup.coordinates.of_sensors == ("bias.T1",)
    facts = twin.setup.facts["T1"]
    assert facts.level == pytest.approx(0.25) and facts.fresh_sd == pytest.approx(2.0)
    reading = facts.reading(pt.Sample("T1", 0, 20.0, "degC"), 293.0, 1.0, moved=0.0, replaced=False)
    assert reading.value == pytest.approx(293.15) and reading.variance == pytest.approx(0.25**2)


def test_a_known_bias_is_that_of_the_first_sensor():
    """It is taken off each reading, until the sensor is replaced."""
    twin = started(channels=[pt.Channel("T1", unit="degC", noise="0.1 K", bias="0.5 K")])
    for replaced, value in ((False, 292.65), (True, 293.15)):
        sample = pt.Sample("T1", 0, 20.0, "degC")
        reading = twin.setup.facts["T1"].reading(sample, 293.0, 1.0, moved=0.0, replaced=replaced)
        assert reading.value == pytest.approx(value) and reading.variance == pytest.approx(0.01)


def test_walks_in_shares_and_in_units():
    """A walk of 2 % a day and the same as a difference at the declared value are one."""
    share = started(channels=HEATER_CHANNELS, drift={"UA": pt.RandomWalk("2 %", per="1 d")})
    plain = started(channels=HEATER_CHANNELS, drift={"UA": pt.RandomWalk("0.001 W/K", per="1 d")})
    np.testing.assert_allclose(share.setup.rates, plain.setup.rates, rtol=1e-12)
    k = share.setup.coordinates.names.index("UA")
    assert share.setup.rates[k] * share.setup.coordinates.scale[k] ** 2 == pytest.approx(0.001**2 / 86400.0)
    with pytest.raises(pt.UnknownNameError, match='did you mean "UA"'):
        started(channels=HEATER_CHANNELS, drift={"Ua": pt.RandomWalk("2 %", per="1 d")})


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({}, pt.DataError, "does not know its sensors"),
        ({"channels": [pt.Channel("T3", unit="degC", noise="1 K")]}, pt.UnknownNameError, '"T3"'),
        ({"channels": [pt.Channel("T1", unit="bar", noise="1 bar")]}, pt.DataError, "the output of the model"),
        ({"channels": [*HEATER_CHANNELS, HEATER_CHANNELS[0]]}, pt.DataError, "two channels"),
        ({"channels": HEATER_CHANNELS, "initial_sd": {"T3": "1 K"}}, pt.UnknownNameError, '"T3"'),
        ({"channels": HEATER_CHANNELS, "initial_sd": {"T1": "1 bar"}}, pt.UnitError, "T1"),
        (
            {"channels": HEATER_CHANNELS, "process_noise": {"T1": "0.1 K"}},
            pt.DataError,
            "T1: '0.1 K' is no random walk",
        ),
        ({"channels": HEATER_CHANNELS, "drift": {"UA": "2 %"}}, pt.DataError, "pt.RandomWalk"),
        ({"channels": HEATER_CHANNELS, "process_noise": "0.1 K"}, pt.DataError, "names no state"),
        ({"channels": HEATER_CHANNELS, "at": "2026-11-20T06:00"}, pt.DataError, "no zone"),
    ],
)
def test_what_is_refused(options, error, words):
    """Each mistake at the start is named."""
    with pytest.raises(error, match=words):
        started(**options)


def test_the_posterior_of_another_model():
    """A posterior that was fitted to another model is refused."""
    other = replace(heater_posterior(), provenance={"fingerprint": "0123456789abcdef"})
    with pytest.raises(pt.ModelError, match="not the model that was fitted"):
        pt.Twin.start(heater_block(), other, at="2026-11-20T06:00Z", channels=HEATER_CHANNELS)


def test_a_recipe_with_phases():
    """A twin under a recipe follows its phases on the recipe's own clock, and holds its end."""
    recipe = pt.Recipe(
        [
            pt.Phase("heat", duration="10 min", q1="2 W", q2="1 W"),
            pt.Phase("rest", duration="5 min", q1="0 W", q2="0 W"),
        ]
    )
    twin = heater_twin(recipe=recipe, batch="B1")
    later, _ = pt.assimilate(twin, [], until=at(1200.0))
    assert later.mean["energy"] == pytest.approx(1800.0, rel=1e-6)
    assert twin.state.batch.name == "B1"
    sampled = fed(twin, [pt.Sample("T1", at(700.0), later.at(at(1300.0)).mean["T1"] - 273.15 + 3.0, "degC")])
    assert sampled.state.reached == at(700.0)


def test_what_people_see():
    """Units, covariance and the short description."""
    twin = started(history=history())
    shown = twin.in_units()
    assert shown["T1"].attrs["units"] == "degC" and float(shown["T1"]) == pytest.approx(twin.mean["T1"] - 273.15)
    assert shown["UA"].attrs["sd"] == pytest.approx(twin.spread["UA"])
    matrix = twin.covariance
    assert matrix.sel(quantity="T1", quantity_2="T1") == pytest.approx(twin.spread["T1"] ** 2, rel=0.05)
    assert matrix.sel(quantity="T1", quantity_2="UA") < 0.0
    assert repr(twin).startswith("<Twin: heater_block at 2026-11-20T06:00:00Z, running")
    with pytest.raises(pt.DataError, match="lies before it"):
        twin.at("2026-11-20T05:00Z")


def test_a_fit_knows_its_sensors():
    """Straight from a calibration: the channels of the fit are those of the twin, with their units and noise."""
    run = history()
    posterior = pt.calibrate(heater_block(), [run], unknown=["UA", "link"], rng=1)
    twin = pt.Twin.start(heater_block(), posterior, at="2026-11-20T06:00Z", initial_sd={"T1": "1 K"})
    assert set(twin.setup.channels) == {"T1", "T2"}
    assert twin.setup.channels["T1"].unit.text == "degC"
    assert twin.setup.facts["T1"].level == pytest.approx(0.1)
    assert twin.parameters == pytest.approx({"UA": 0.06, "link": 0.025}, rel=0.01)


@pytest.mark.parametrize("bounds", [("0.1", "0.9"), ("0.001", "0.9")])
def test_two_percent_of_a_number_without_a_unit_are_two_percent_of_it(bounds):
    """Of an efficiency of 0.5 that is 0.01, estimated in its logarithm or not; a bare 0.01 is the same difference."""
    efficiency = pt.Parameter("efficiency", "0.5", bounds=bounds)
    coordinates = Coordinates.of(heater_block(), [efficiency])
    rates = [
        coordinates.variance_rates(heater_block(), {"efficiency": pt.RandomWalk(sd, per="1 s")})[-1]
        for sd in ("2 %", "0.01")
    ]
    size = 1.0 / 0.5 if efficiency.log_scale else 1.0 / coordinates.scale[-1]
    np.testing.assert_allclose(rates, (0.01 * size) ** 2, rtol=1e-12)


def test_states_that_begin_as_known_exactly_are_said():
    """In the warnings of the start and in its health; an initial_sd, or a history that spreads states, ends that."""
    silent = started(channels=HEATER_CHANNELS, process_noise=WALKS)
    (words,) = silent.warnings
    assert 'give initial_sd={"T1": "... K", "T2": "... K"}' in words
    assert words in str(silent.health) and words == silent.health.beginning
    for told in (
        started(channels=HEATER_CHANNELS, initial_sd={"T1": "1 K"}),
        started(history=history()),
    ):
        assert told.warnings == () and told.health.beginning == ""
