"""Limits under faults: the runs are those of recipes with the fault built in, and the worst moment is the worst."""

from dataclasses import replace

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.envelope.limits.fault_recipes import Cut, interrupted
from physics_twin.envelope.limits.limits import bind_limits
from physics_twin.envelope.margins.evaluation import Problem, evaluate, member_margins
from physics_twin.envelope.margins.fault_reach import refuse_unreachable, unreached
from physics_twin.envelope.margins.simulator import Simulator
from physics_twin.envelope.next_batch.uncertainty import Batches
from physics_twin.envelope.validity import trust_marks
from physics_twin.errors import EnvelopeError

NODES = 32


@pytest.fixture(scope="module")
def heater():
    """dT/dt = h (gas - T) + fan * 1 K/min."""
    m = pt.ProcessBuilder("heater", version="1")
    h = m.parameter("h", "0.05 1/min", bounds=("0.001 1/min", "1 1/min"))
    gas = m.input("gas", "degC")
    fan = m.input("fan", "1")
    core = m.state("core", "degC", initial="20 degC")
    m.rate(core, h * (gas - core) + fan * m.constant("1 K/min"))
    m.output("core", core)
    m.output("gas_seen", gas)
    return m.build()


def values_of(model, **given):
    n = max(np.size(v) for v in given.values()) if given else 1
    columns = {name: np.full(n, float(v)) for name, v in model.parameters.values().items()}
    return columns | {name: np.broadcast_to(np.asarray(v, dtype=float), n).copy() for name, v in given.items()}


def margins(model, recipe, limits, values):
    requirements = bind_limits(limits, model.outputs, model.inputs)
    found, failures = member_margins(Problem(model, recipe, (), requirements, NODES), values)
    return found, failures


HOLD = pt.Setting("hold", "min", bounds=(5, 60))
TOP = pt.Setting("top", "degC", bounds=(100, 500))


def recipe(**more):
    return pt.Recipe(
        [
            pt.Phase("ramp", gas=pt.ramp("20 degC", TOP), fan="0", duration="20 min", **more),
            pt.Phase("hold", duration=HOLD, fan=pt.table([0, 300, 400], [0.0, 3.0, 3.0], "1", hold_after=True)),
            pt.Phase("cool", gas="30 degC", duration="10 min"),
        ]
    )


def built_in(top, hold, begin, end, value):
    """The same runs with the gas of every minute written down by hand: a table of what the recipe and the fault say."""

    def nominal(t):
        return np.where(t < 1200, 293.15 + (top - 293.15) * t / 1200, np.where(t < 1200 + hold, top, 303.15))

    length = 1800.0 + hold
    corners = [0.0, 1200.0, 1500.0, 1200.0 + hold, length, begin, end]
    t = np.unique(np.clip(np.concatenate([corners, np.array(corners) - 1e-3]), 0.0, length))
    gas = np.where((t >= begin) & (t < end), value, nominal(t))
    fan = np.interp(t, [0.0, 1200.0, 1500.0, length], [0.0, 0.0, 3.0, 3.0])
    phase = pt.Phase("all", duration=(length, "s"), gas=pt.table(t, gas, "K"), fan=pt.table(t, fan, "1"))
    return pt.Recipe([phase])


@pytest.mark.parametrize(
    ("at", "lasts"),
    [
        ("8 min", None),  # in a ramp, to the end
        ("8 min", "5 min"),  # over within the ramp
        ("8 min", "14 min"),  # over in the hold, in the middle of its table
        ("8 min", "45 min"),  # over in the last phase
        ("20 min", "10 min"),  # as a phase begins
        ("5 min", "15 min"),  # over as a phase begins
        ("27 min", "5 h"),  # longer than the run
    ],
)
def test_a_fault_is_what_a_recipe_with_the_fault_built_in_does(heater, at, lasts):
    """Final value, peak and mean of core and gas against runs whose inputs are tables; corners there are 1 ms wide."""
    values = values_of(heater, h=np.array([0.03, 0.1]) / 60.0, top=[600.0, 550.0], hold=[1500.0, 1500.0])
    fault = pt.Fault("gas", "400 degC", at=at, lasts=lasts)
    wanted = [("core", pt.final), ("core", pt.mean), ("core", pt.peak), ("gas_seen", pt.mean)]
    limits = [pt.Limit(name, upper="0 degC", over=over, under=fault) for name, over in wanted]
    found, failures = margins(heater, recipe(), limits, values)
    assert not failures
    begin = pt.units.to_si(at, pt.units.unit("s"), name="at")
    end = begin + (1e9 if lasts is None else pt.units.to_si(lasts, pt.units.unit("s"), name="lasts"))
    for i in range(2):
        by_hand = built_in(values["top"][i], values["hold"][i], begin, end, 673.15)
        t = np.linspace(0.0, 1800.0 + values["hold"][i], 6601)
        run = pt.simulate(heater, t, by_hand, {"h": (values["h"][i], "1/s")})
        core, gas = run["core"].values, run["gas_seen"].values
        mean = [np.trapezoid(y, t) / t[-1] for y in (core, gas)]
        exact = 273.15 - np.array([core[-1], mean[0], core.max(), mean[1]])
        assert found[i, :3] == pytest.approx(exact[:3], abs=5e-3)
        assert found[i, 3] == pytest.approx(exact[3], abs=0.2)  # the trapezium of a jump, half a second wide


def test_members_with_settings_of_their_own_share_one_call_and_are_single_members(heater):
    values = values_of(
        heater, h=np.array([0.03, 0.06, 0.1]) / 60.0, top=[600.0, 550.0, 500.0], hold=[600.0, 900.0, 1e3]
    )
    limit = pt.Limit("core", upper="300 degC", under=pt.Fault("gas", "450 degC", lasts="6 min", moments=6))
    together, _ = margins(heater, recipe(), [limit], values)
    for i in range(3):
        alone, _ = margins(heater, recipe(), [limit], {name: column[i : i + 1] for name, column in values.items()})
        assert together[i] == pytest.approx(alone[0], abs=1e-4)


def test_events_stay_where_they_are(heater):
    """A dose at the start and one within the phase that is cut: the core is 30 K hotter at the end, less what has
    decayed since; the fault is none, so nothing else changes."""
    start = [pt.set_state("core", "50 degC")]
    given = recipe(start=start, at={"12 min": [pt.dose("core", "10 K")], "4 min": [pt.dose("core", "5 K")]})
    values = values_of(heater, top=[600.0], hold=[900.0])
    limits = [
        pt.Limit("core", upper="300 degC", over=pt.final),
        pt.Limit("core", upper="300 degC", over=pt.final, under=pt.Fault("fan", "0", at="8 min", lasts="6 min")),
        pt.Limit("core", upper="300 degC", over=pt.final, under=pt.Fault("fan", "0", at="4 min", lasts="8 min")),
    ]
    found, _ = margins(heater, given, limits, values)
    assert found[0, 1:] == pytest.approx(found[0, 0], abs=1e-4)


def test_a_fault_after_the_end_of_a_run_has_not_happened(heater):
    values = values_of(heater, top=[600.0], hold=[900.0])
    fault = pt.Fault("gas", "450 degC", at="10 h")
    found, _ = margins(heater, recipe(), [pt.Limit("core", upper="300 degC", under=u) for u in (None, fault)], values)
    assert found[0, 0] == found[0, 1]


def waiting():
    return pt.Recipe(
        [
            pt.Phase("heat", gas="400 degC", fan="0", until=pt.reaches("core", "300 degC"), at_most="2 h"),
            pt.Phase("hold", gas="300 degC", duration="10 min"),
        ]
    )


def test_a_phase_that_waits_for_a_level_waits_longer_under_a_fault(heater):
    """Gas at 200 degC for 30 min from 10 min on: the core goes on as exponentials, and so does the end of the wait,
    which lies in the time above 250 degC."""
    h = np.array([0.05, 0.07])
    after = 200.0 - (200.0 - (400.0 - 380.0 * np.exp(-h * 10.0))) * np.exp(-h * 30.0)
    to_250, to_300 = (np.log((400.0 - after) / (400.0 - level)) / h for level in (250.0, 300.0))
    fault = pt.Fault("gas", "200 degC", at="10 min", lasts="30 min")
    limit = pt.Limit("core", upper="0 min", over=pt.time_above("250 degC"), under=fault)
    found, failures = margins(heater, waiting(), [limit], values_of(heater, h=h / 60.0))
    assert not failures
    assert -found[:, 0] / 60.0 == pytest.approx(to_300 - to_250 + 10.0, abs=0.02)


def test_a_wait_that_the_fault_makes_endless_ends_with_the_run_and_its_limits_are_judged(heater):
    """At 200 degC the core never reaches 300 degC: the run is over after at_most, 2 h, and was never too hot."""
    fault = pt.Fault("gas", "200 degC", at="10 min")
    limits = [
        pt.Limit("core", upper="290 degC", under=fault),
        pt.Limit("core", upper="90 min", over=pt.time_above("150 degC"), under=fault),
    ]
    found, failures = margins(heater, waiting(), limits, values_of(heater, h=[0.05 / 60.0]))
    assert not failures
    reached = 400.0 - 380.0 * np.exp(-0.5)
    after_10 = np.log((200.0 - reached) / 50.0) / 0.05 if reached < 150.0 else 0.0
    assert found[0, 0] == pytest.approx(290.0 - 200.0, abs=0.5)
    begin = np.log(380.0 / 250.0) / 0.05 if reached >= 150.0 else 10.0 + after_10
    assert found[0, 1] / 60.0 == pytest.approx(90.0 - (120.0 - begin), abs=0.02)


def test_limits_with_and_without_faults_are_independent(heater):
    """Several faults beside none: each margin is that of its limit alone, and a run without fault is simulated once."""
    values = values_of(heater, h=np.array([0.03, 0.06]) / 60.0, top=[600.0, 550.0], hold=[900.0, 900.0])
    faults = [None, pt.Fault("gas", "450 degC", at="9 min"), pt.Fault("fan", "5", moments=4), None]
    limits = [pt.Limit("core", upper=f"{300 + k} degC", over=pt.peak, under=fault) for k, fault in enumerate(faults)]
    together, _ = margins(heater, recipe(), limits, values)
    for k, limit in enumerate(limits):
        assert margins(heater, recipe(), [limit], values)[0][:, 0] == pytest.approx(together[:, k], abs=1e-9)
    requirements = bind_limits(limits, heater.outputs, heater.inputs)
    assert Problem(heater, recipe(), (), requirements, NODES).n_runs == 1 + 1 + (3 * 2 + 2)


def test_the_worst_moment_of_a_linear_heater_is_where_theory_has_it(heater):
    """A pulse of hot gas adds the same decaying hump to the core whenever it comes; the sum with a course that rises to
    its own end is highest for the pulse that ends with the rise. Here the hump is (1 - exp(-h d)) * 50 K."""
    given = pt.Recipe(
        [
            pt.Phase("heat", gas="200 degC", fan="0", duration="1 h"),
            pt.Phase("cool", gas="20 degC", duration="1 h"),
        ]
    )
    fault = pt.Fault("gas", "250 degC", lasts="5 min", moments=24)
    limit = pt.Limit("core", upper="300 degC", over=pt.peak, under=fault)
    found, _ = margins(heater, given, [limit], values_of(heater, h=[0.05 / 60.0]))
    core = 250.0 - (250.0 - (200.0 - 180.0 * np.exp(-0.05 * 55.0))) * np.exp(-0.05 * 5.0)
    late = 250.0 - (250.0 - (200.0 - 180.0 * np.exp(-0.05 * 60.0))) * np.exp(-0.05 * 5.0)
    assert 300.0 - found[0, 0] == pytest.approx(max(core, late), abs=0.3)


def test_a_failure_under_a_fault_says_so(analytic):
    """A run that cannot be computed with the fault keeps no limit."""
    from physics_twin.signals import Signal

    model = analytic.closed_form({"y": lambda t, v: v["a"] + 0.0 * t}, ["a"])

    def too_long(v):
        return v["fault_length_0_0"] > 1800.0 if "fault_length_0_0" in v else v["a"] > 1e9

    model = replace(model, fails=too_long, inputs=(Signal("flow", "L/min"),))
    given = pt.Recipe([pt.Phase("run", duration="1 h", flow="1 L/min")])
    limit = pt.Limit("y", upper="5", over=pt.final, under=pt.Fault("flow", "0 L/min"))
    found, failures = margins(model, given, [limit], {"a": np.array([1.0])})
    assert np.isnan(found).all()
    assert failures[0].reason.startswith("under flow = 0 L/min from any moment on: the pump runs dry")


def test_names_of_phases_say_what_happens(heater):
    (requirement,) = bind_limits(
        [pt.Limit("core", upper="300 degC", under=pt.Fault("gas", "20 degC"))], heater.outputs, heater.inputs
    )
    values = values_of(heater, top=[600.0], hold=[900.0])
    cut = Cut(0, np.array([60.0]), 1, np.array([120.0]))
    written = interrupted(heater, recipe(), values, requirement.fault, cut)
    assert [phase.name for phase in written.recipe.phases] == [
        "ramp",
        "ramp, fault",
        "hold",
        "hold, after the fault",
        "cool",
    ]
    assert written.owner == (0, 0, 1, 1, 2)


@pytest.mark.parametrize(("coolant", "lasts", "moments"), [("325 K", "30 s", 16), ("315 K", "2 min", 10)])
def test_loss_of_cooling_of_an_exothermic_reactor_at_its_worst_moment(coolant, lasts, moments):
    """The coolant warms up for a while; the worst moment lies inside the run, where the contents are hottest. Against
    60 moments tried one by one: no more than 0.1 % of how much the moment matters short of the worst of them."""
    from physics_twin_models.jacketed_reactor import jacketed_reactor

    model = jacketed_reactor()
    feed = {"feed_temperature": "350 K", "feed_concentration": "1 mol/L", "feed_flow": "30 L/min"}
    given = pt.Recipe(
        [
            pt.Phase("charge", coolant_temperature="302 K", duration="10 min", **feed),
            pt.Phase("react", coolant_temperature=pt.ramp("302 K", "285 K"), duration="20 min"),
        ],
        initial={"temperature": "300 K", "concentration": "0.3 mol/L"},
    )
    spread = np.exp(0.05 * np.random.default_rng(0).standard_normal(4))
    values = values_of(model, wall_conductance=5e4 / 60.0 * spread)
    fault = pt.Fault("coolant_temperature", coolant, lasts=lasts, moments=moments)
    limit = pt.Limit("temperature", upper="400 K", over=pt.peak, under=fault)
    found, failures = margins(model, given, [limit], values)
    assert not failures
    tried = []
    for moment in np.linspace(1.0, 1799.0, 60):
        then = replace(fault, at=(float(moment), "s"))
        tried.append(margins(model, given, [replace(limit, under=then)], values)[0][:, 0])
    worst, mildest = np.min(tried, axis=0), np.max(tried, axis=0)
    assert (np.argmin(tried, axis=0) > 5).all()
    assert (found[:, 0] - worst < 1e-3 * (mildest - worst)).all()
    assert (found[:, 0] - worst > -1e-2 * (mildest - worst)).all()  # 60 moments may miss the worst by this


def test_an_envelope_under_a_fault_is_smaller_and_says_why(heater):
    """Gas that sticks at 450 degC from 50 min on: the top must leave room for it."""
    draws = 0.05 / 60.0 * np.exp(0.1 * np.random.default_rng(0).standard_normal((250, 1)))
    posterior = pt.Posterior.from_draws([heater.parameters["h"]], draws)
    given = pt.Recipe([pt.Phase("heat", gas=TOP, fan="0", duration="1 h")])
    options = {"recipe": given, "settings": [TOP], "rng": 1, "budget": pt.Budget(n_points=8)}
    free = pt.find_envelope(heater, posterior, limits=[pt.Limit("core", upper="300 degC")], **options)
    limit = pt.Limit("core", upper="300 degC", under=pt.Fault("gas", "450 degC", at="50 min"))
    under = pt.find_envelope(heater, posterior, limits=[limit], **options)
    assert under.box["top"][1] < free.box["top"][1] - 20.0
    assert under.binding["top"][1] == "core <= 300 degC under gas = 450 degC from 50 min on"


def test_noise_and_faults_of_a_limit_add(heater):
    values = values_of(heater, top=[600.0, 600.0], hold=[900.0, 900.0])
    top = pt.Limit("core", upper="300 degC", over=pt.final, reported="2 K", under=pt.Fault("fan", "1", at="30 min"))
    requirements = bind_limits([top], heater.outputs, heater.inputs)
    problem = Problem(heater, recipe(), (), requirements, NODES)
    noise = {requirements[0].reading: np.array([1.5, -0.5])}
    found = evaluate(problem, Batches(values, {}, 2, noise), np.zeros((1, 0)))
    quiet, _ = member_margins(problem, values)
    assert found.margins[0, :, 0] == pytest.approx(quiet[:, 0] - noise[requirements[0].reading])
    assert found.n_simulations == 2


@pytest.mark.parametrize("at", ["50 min", pt.any_moment])
def test_what_only_a_fault_reaches_is_marked_as_extrapolation(heater, at):
    """A fan of 3 for the rest of the run: by itself the core stays below what the data cover, with the fan not."""
    draws = np.full((5, 1), 0.05 / 60.0)
    posterior = replace(
        pt.Posterior.from_draws([heater.parameters["h"]], draws),
        coverage={"core": (293.15, 573.15), "fan": (0.0, 1.0), "gas": (293.15, 773.15)},
    )
    given = pt.Recipe([pt.Phase("heat", gas=TOP, fan="0", duration="1 h")])
    limit = pt.Limit("core", upper="500 degC", under=pt.Fault("fan", "3", at=at))
    batches = Batches(values_of(heater, h=draws[:, 0]), {}, 5)
    hot = np.array([[560.0], [580.0]])

    def marks(limits):
        problem = Problem(heater, given, (TOP,), bind_limits(limits, heater.outputs, heater.inputs), NODES)
        return {mark.name: mark for mark in trust_marks(problem, posterior, batches, hot)}

    assert not marks([pt.Limit("core", upper="500 degC")])
    found = marks([limit])
    assert set(found) == {"core", "fan"}
    assert found["fan"].high == 3.0
    assert found["core"].text.startswith(f"under {bind_limits([limit], heater.outputs, heater.inputs)[0].fault}: ")
    # With the fan from the beginning, the core goes towards gas + 3 K/min / h; at 50 min it is where the gas took it.
    start, decay = (580.0 - 286.85 * np.exp(-2.5), np.exp(-0.5)) if at == "50 min" else (293.15, np.exp(-3.0))
    assert found["core"].high == pytest.approx(640.0 - (640.0 - start) * decay, abs=0.05)


def heated(duration):
    return pt.Recipe([pt.Phase("heat", gas="110 degC", fan="0", duration=duration)], initial={"core": "20 degC"})


def of_one_heater(model):
    h = 0.05 / 60.0 * (1.0 + 0.02 * np.random.default_rng(2).standard_normal((400, 1)))
    return pt.Posterior.from_draws([model.parameters["h"]], h)


BATCH_TIME = pt.Setting("batch_time", "min", bounds=(30, 120))
SMALL = pt.Budget(n_search=100, n_certification=300, n_points=8, n_nodes=16)


def hot(at, lasts="5 min"):
    return pt.Limit("core", upper="109 degC", under=pt.Fault("gas", "300 degC", at=at, lasts=lasts))


def test_a_fault_that_no_batch_reaches_is_refused(heater):
    """A batch lasts 120 min at most: 121 min is a slip of the pen, and 119 min is none."""
    question = dict(recipe=heated(BATCH_TIME), settings=[BATCH_TIME], rng=1)
    posterior = of_one_heater(heater)
    said = r"gas = 300 degC for 5 min from 2.017 h on never happens: no run lasts until 2.017 h, the longest .* 2 h"
    with pytest.raises(EnvelopeError, match=said):
        pt.find_envelope(heater, posterior, limits=[hot("121 min")], budget=SMALL, **question)
    shortest = pt.Minimize("batch_time")
    with pytest.raises(EnvelopeError, match="never happens"):
        pt.find_set_point(heater, posterior, limits=[hot("121 min")], objectives=shortest, **question)
    with pytest.raises(EnvelopeError, match="never happens"):
        pt.find_set_point(heater, limits=[hot("121 min")], objectives=shortest, **question)
    # (110 - 20) exp(-0.05 t) = 1: the limit itself ends the batch after 90 min; a fault at 89 min has just begun.
    late = pt.Limit("core", upper="109 degC", under=pt.Fault("gas", "110 degC", at="89 min"))
    found = pt.find_set_point(heater, limits=[late], objectives=pt.Maximize("batch_time"), **question)
    assert found["batch_time"] == pytest.approx(1200.0 * np.log(90.0), rel=1e-3)
    assert not any("end before" in warning for warning in found.warnings)


def test_a_fault_that_some_batches_do_not_reach_is_marked_with_their_share(heater):
    """At 60 min the core has 105.5 degC and rises by 9.7 K/min under the fault: the box ends 0.4 min later.

    Nearly all of its batches are over when the fault would begin.
    """
    envelope = pt.find_envelope(
        heater,
        of_one_heater(heater),
        recipe=heated(BATCH_TIME),
        settings=[BATCH_TIME],
        limits=[hot("60 min")],
        budget=SMALL,
        rng=1,
    )
    low, high = envelope.box["batch_time"]
    assert low == pytest.approx(1800.0)
    assert 3600.0 < high < 3720.0
    # Of 41 evenly spread times from 30 min to `high`, those at or before 60 min.
    share = np.mean(np.linspace(low, high, 41) <= 3600.0)
    (said,) = [warning for warning in envelope.warnings if "end before" in warning]
    assert f"{100.0 * share:.2g} % of the batches in the box end before 1 h" in said
    assert "asks for nothing more than without it" in said


def test_a_set_point_before_the_fault_says_that_nothing_fails_there(heater):
    found = pt.find_set_point(
        heater,
        recipe=heated(BATCH_TIME),
        settings=[BATCH_TIME],
        objectives=pt.Minimize("batch_time"),
        limits=[hot("60 min")],
    )
    assert found["batch_time"] == pytest.approx(1800.0)
    assert any("all of the batches at this point end before 1 h" in warning for warning in found.warnings)


def test_where_phases_wait_for_a_level_a_few_runs_say_how_long_they_last(heater):
    """(110 - 20) exp(-h t) = 110 - level: 70 degC after 16.2 min at h = 0.05/min; at_most is no end of it."""
    wait = pt.Phase("heat", gas="110 degC", fan="0", until=pt.reaches("core", "70 degC"), at_most="3 h")
    recipe = pt.Recipe([wait, pt.Phase("hold", duration=BATCH_TIME)], initial={"core": "20 degC"})
    requirements = bind_limits([hot("140 min"), hot("60 min")], heater.outputs, heater.inputs)
    problem = Problem(heater, recipe, (BATCH_TIME,), requirements, NODES)
    batches = Batches(values_of(heater, h=np.full(20, 0.05 / 60.0)), {}, 20)
    heating = 20.0 * np.log(90.0 / 40.0)
    simulate = Simulator(problem, None)
    late, early = unreached(simulate, batches, np.array([[0.0], [0.5], [1.0]]))
    assert simulate.n_simulations == 3 * 8
    assert (late.share, early.share) == (1.0, pytest.approx(1 / 3))
    assert late.longest == pytest.approx(60.0 * (heating + 120.0), rel=1e-5)
    with pytest.raises(EnvelopeError, match="never happens"):
        refuse_unreachable(simulate, batches)
