"""Set points: find_set_point and the objectives of find_envelope, against optima known in closed form."""

import re

import numpy as np
import pytest
from scipy.stats import binom, norm

import physics_twin as pt
from physics_twin.envelope import Envelope

P = 0.95


def ask(analytic, model, posterior=None, settings=None, **options):
    settings = analytic.knobs(2) if settings is None else settings
    options = {"recipe": analytic.one_hour(settings), "settings": settings, "rng": 1, **options}
    return pt.find_set_point(model, posterior, **options)


@pytest.fixture(scope="module")
def bowl(analytic):
    """(s0 - 0.7)^2 + 2 (s1 - 0.6)^2, and the sum of both settings."""
    return analytic.closed_form(
        {
            "cost": lambda t, v: (v["s0"] - 0.7) ** 2 + 2.0 * (v["s1"] - 0.6) ** 2 + 0.0 * v["a"],
            "load": lambda t, v: v["s0"] + v["s1"] + 0.0 * v["a"],
        },
        ["a"],
    )


# One value of the parameters --------------------------------------------------------------------------------------


def test_an_optimum_in_the_interior_is_known_to_many_digits(analytic, bowl):
    """Differences of a parabola are exact, so only rounding is left: 1e-16 over a step of 1e-3."""
    found = ask(analytic, bowl, objectives=pt.Minimize("cost"))
    assert found.settings == pytest.approx({"s0": 0.7, "s1": 0.6}, abs=1e-10)
    assert found.binding == ()
    assert "8 of 8 starts ended there" in found.message


def test_a_limit_that_binds_and_its_multiplier(analytic, bowl):
    """Under s0 + s1 <= 1 the optimum is (0.5, 0.5) with slopes -0.4 on both: the cost falls by 0.4 for each unit."""
    found = ask(analytic, bowl, objectives=pt.Minimize("cost"), limits=[pt.Limit("load", upper=1.0, over=pt.final)])
    assert found.settings == pytest.approx({"s0": 0.5, "s1": 0.5}, abs=1e-9)
    assert [(b.name, b.multiplier) for b in found.binding] == [("final load <= 1", pytest.approx(0.4, rel=1e-8))]
    assert found.met
    assert found.margins[0].expected == pytest.approx(0.0, abs=1e-9)


def test_a_bound_that_binds_and_its_multiplier(analytic, bowl):
    """s0 at most 0.5: the slope there is -0.4."""
    settings = (pt.Setting("s0", "1", bounds=(0.0, 0.5)), pt.Setting("s1", "1", bounds=(0.0, 1.0)))
    found = ask(analytic, bowl, settings=settings, objectives=pt.Minimize("cost"))
    assert found.settings == pytest.approx({"s0": 0.5, "s1": 0.6}, abs=1e-9)
    assert [(b.name, b.multiplier) for b in found.binding] == [("upper bound of s0, 0.5", pytest.approx(0.4, rel=1e-6))]


def test_a_setting_as_the_objective(analytic, bowl):
    """The least s0 with s0 + s1 >= 1.2 is 0.2, with s1 at its bound."""
    found = ask(analytic, bowl, objectives=pt.Minimize("s0"), limits=[pt.Limit("load", lower=1.2, over=pt.final)])
    assert found.settings == pytest.approx({"s0": 0.2, "s1": 1.0}, abs=1e-9)
    assert found.objectives[0].value == found.settings["s0"]


def test_other_local_optima_are_said(analytic):
    """Two peaks: most starts climb the wrong one, the set point is the higher, and the count is in the message."""

    def peaks(t, v):
        return np.exp(-(((v["s0"] - 0.2) / 0.15) ** 2)) + 0.8 * np.exp(-(((v["s0"] - 0.75) / 0.2) ** 2)) + 0.0 * v["a"]

    model = analytic.closed_form({"y": peaks}, ["a"])
    found = ask(analytic, model, settings=analytic.knobs(1), objectives=pt.Maximize("y"))
    assert found.settings["s0"] == pytest.approx(0.2, abs=5e-3)
    elsewhere = [s for s in found.starts if not s.best]
    assert elsewhere
    assert all(s.converged and s.value < found.objectives[0].value - 0.1 for s in elsewhere)
    assert f"{len(elsewhere)} at a worse point" in found.message


def test_two_optima_that_are_as_good_are_said(analytic):
    """A valley on either side of a ridge: where there is no single best point, the message does not claim one."""
    model = analytic.closed_form({"y": lambda t, v: ((v["s0"] - 0.5) ** 2 - 0.09) ** 2 + 0.0 * v["a"]}, ["a"])
    found = ask(analytic, model, settings=analytic.knobs(1), objectives=pt.Maximize("y", name="height"))
    assert "at a worse point" in found.message  # the hump in the middle
    model = analytic.closed_form({"y": lambda t, v: 1.0 + ((v["s0"] - 0.5) ** 2 - 0.09) ** 2 + 0.0 * v["a"]}, ["a"])
    found = ask(analytic, model, settings=analytic.knobs(1), objectives=pt.Minimize("y"))
    assert abs(found.settings["s0"] - 0.5) == pytest.approx(0.3, abs=1e-4)
    assert "at another point that is as good" in found.message


def test_limits_that_cannot_be_met_name_the_shortfall(analytic, bowl):
    """The load is at most 2, so that 2.5 is short by 0.5: an answer, not an error."""
    found = ask(analytic, bowl, objectives=pt.Minimize("cost"), limits=[pt.Limit("load", lower=2.5, over=pt.final)])
    assert not found.met
    assert 'short of "final load >= 2.5" by 0.5' in found.message


def test_a_flat_optimum_is_known_to_as_many_digits_as_its_slope():
    """Worth -1e-6 (cosh 3x + cosh 5y + x y), x and y from (0.7, 0.6): a search that stops on changes of worth stops
    2e-6 beside the optimum (SLSQP alone does), the Newton steps on the slopes do not."""
    from physics_twin.envelope.set_point.local_optimum import Point, local_optimum

    def program(u):
        x, y = u - [0.7, 0.6]
        slope = np.array([3.0 * np.sinh(3.0 * x) + y, 5.0 * np.sinh(5.0 * y) + x])
        worth = np.cosh(3.0 * x) + np.cosh(5.0 * y) + x * y
        return Point(-1e-6 * float(worth), np.zeros(0), -1e-6 * slope, np.zeros((0, 2)))

    assert local_optimum(program, np.array([0.2, 0.1])).point == pytest.approx([0.7, 0.6], abs=1e-9)


def test_runs_that_fail_are_walked_around(analytic):
    """The pump runs dry beyond s0 = 0.6; the best of the rest is found at its edge and the failures are kept."""
    model = analytic.closed_form(
        {"y": lambda t, v: v["s0"] - (v["s1"] - 0.5) ** 2 + 0.0 * v["a"]}, ["a"], fails=lambda v: v["s0"] > 0.6
    )
    found = ask(analytic, model, objectives=pt.Maximize("y"), limits=[pt.Limit("y", upper=0.55, over=pt.final)])
    assert found.objectives[0].value == pytest.approx(0.55, abs=1e-6)
    assert found.settings["s0"] <= 0.6
    everywhere = analytic.closed_form({"y": lambda t, v: v["s0"]}, ["a"], fails=lambda v: v["s0"] > -1.0)
    with pytest.raises(pt.EnvelopeError, match="the pump runs dry"):
        ask(analytic, everywhere, objectives=pt.Maximize("y"))


def batch_reactor():
    """A -> B -> C, first order, 1/h and 2/h; the batch has a duration."""
    m = pt.ProcessBuilder("batch", version="1.0")
    k1 = m.parameter("k1", "1 1/h", bounds=("0.1 1/h", "10 1/h"))
    k2 = m.parameter("k2", "2 1/h", bounds=("0.1 1/h", "10 1/h"))
    a = m.state("a", "mol/L", initial="1 mol/L")
    b = m.state("b", "mol/L", initial="0 mol/L")
    m.rate(a, -k1 * a)
    m.rate(b, k1 * a - k2 * b)
    m.output("b", b)
    return m.build()


def test_a_duration_has_exact_slopes():
    """The most intermediate, a quarter, after ln(k2 / k1) / (k2 - k1) = ln 2 hours: to the integrator's 1e-8, which
    adds up over the batch."""
    hold = pt.Setting("hold", "h", bounds=(0.1, 3))
    found = pt.find_set_point(
        batch_reactor(),
        recipe=pt.Recipe([pt.Phase("react", duration=hold)]),
        settings=[hold],
        objectives=pt.Maximize("b"),
    )
    assert found.in_units()["settings"]["hold"][0] == pytest.approx(np.log(2.0), rel=1e-6)
    assert found.objectives[0].value == pytest.approx(250.0, rel=1e-6)


def test_a_limit_on_a_moment_after_the_end_says_so():
    """A run that is over before a limit's moment has no margin: with exact slopes too the reason is told."""
    m = pt.ProcessBuilder("heater", version="1")
    gas = m.input("gas", "degC")
    core = m.state("core", "degC", initial="20 degC")
    m.rate(core, m.constant("0.02 1/min") * (gas - core))
    m.output("core", core)
    level = pt.Setting("level", "degC", bounds=(100, 300))
    with pytest.raises(pt.EnvelopeError, match=r'"core at 1\.5 h >= 110 degC" has no value: the run ends before'):
        pt.find_set_point(
            m.build(),
            recipe=pt.Recipe.constant(duration="1 h", gas=level),
            settings=[level],
            objectives=pt.Minimize("level"),
            limits=[pt.Limit("core", lower="110 degC", over=pt.at("90 min"))],
        )


def test_slopes_of_every_reduction_are_those_of_differences():
    """Exact derivatives against central differences of whole simulations, a duration and a charge as settings."""
    from physics_twin.envelope.limits.limits import bind_limits
    from physics_twin.envelope.margins.evaluation import Problem
    from physics_twin.envelope.margins.simulator import Simulator
    from physics_twin.envelope.set_point.nominal import Nominal
    from physics_twin.simulation import complete_values

    model = batch_reactor()
    hold, charge = pt.Setting("hold", "h", bounds=(0.3, 3)), pt.Setting("charge", "mol/L", bounds=(0.5, 2))
    recipe = pt.Recipe([pt.Phase("react", duration=hold)], initial={"a": charge})
    over = [pt.final, pt.mean, pt.integral, pt.peak, pt.at("10 min"), pt.time_above("0.1 mol/L")]
    limits = [
        pt.Limit("b", upper="1 h" if i == 5 else ("1 mol h/L" if i == 2 else "1 mol/L"), over=r)
        for i, r in enumerate(over)
    ]
    problem = Problem(model, recipe, (hold, charge), bind_limits(limits, model.outputs, model.inputs), 64)
    full = complete_values(model, recipe, {"hold": "1 h", "charge": "1 mol/L"})
    values = {name: v for name, v in full.items() if name not in ("hold", "charge")}
    nominal = Nominal(Simulator(problem, None), (), values)
    assert nominal.exact
    u, h = np.array([0.4, 0.3]), 1e-4
    numbers, slopes = nominal.at(u)
    for i, step in enumerate(h * np.eye(2)):
        differences = (nominal.values_at(u + step) - nominal.values_at(u - step)) / (2.0 * h)
        # The integrator's 1e-8 over h is 1e-4 of the number itself.
        np.testing.assert_array_less(np.abs(slopes[:, i] - differences), 2e-4 * np.abs(numbers))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"objectives": ()}, pt.EnvelopeError, "needs an objective"),
        ({"objectives": pt.Maximize("cots")}, pt.UnknownNameError, '"cost"'),
        ({"n_starts": 0}, pt.EnvelopeError, "n_starts"),
        ({"values": {"s0": 1}}, pt.EnvelopeError, "settings that are searched"),
        ({"tolerance": {"s0": 0.1}}, pt.EnvelopeError, "give a posterior"),
    ],
)
def test_what_cannot_be_asked_is_named(analytic, bowl, options, error, words):
    with pytest.raises(error, match=words):
        ask(analytic, bowl, **{"objectives": pt.Minimize("cost"), **options})


# With a posterior -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def edge(analytic):
    """load = s0 + s1 + 0.1 a; gain = 2 s0 + s1 + 0.05 b."""
    return analytic.closed_form(
        {
            "load": lambda t, v: v["s0"] + v["s1"] + 0.1 * v["a"],
            "gain": lambda t, v: 2.0 * v["s0"] + v["s1"] + 0.05 * v["b"],
        },
        ["a", "b"],
    )


LIMIT = pt.Limit("load", upper=1.0, over=pt.final)


def test_the_best_point_under_a_chance_constraint(analytic, edge):
    """All load in s0; P = Phi((1 - s0) / 0.1) is at least 0.95 and no more than the certificate needs. A unit more of
    load is worth 2 of gain, and s1 below zero would be worth 1."""
    found = ask(
        analytic, edge, analytic.gaussian_draws(edge, 4000, seed=1), objectives=pt.Maximize("gain"), limits=[LIMIT]
    )
    assert found.settings["s1"] == pytest.approx(0.0, abs=1e-6)
    assert P <= norm.cdf((1.0 - found.settings["s0"]) / 0.1) <= 0.975
    assert found.met
    c = found.certificate
    assert c.points.shape == (1, 2)
    assert (c.n_search, c.n_certification) == (500, 3500)
    assert P <= found.probability_lower < found.probability
    worth = {b.name: b.multiplier for b in found.binding}
    assert worth == pytest.approx({"final load <= 1": 2.0, "lower bound of s1, 0": 1.0}, rel=1e-3)
    gain = found.objectives[0]
    assert gain.value == pytest.approx(2.0 * found.settings["s0"], abs=4.0 * gain.standard_error)
    assert gain.standard_error == pytest.approx(0.05 / np.sqrt(3500), rel=0.05)
    assert gain.sd == pytest.approx(0.05, rel=0.05)
    assert "this point only" in str(found)


def test_the_room_that_a_certificate_needs_is_said_with_what_it_costs(analytic, edge):
    """k of 500 search draws may break the limit: s0 stands 0.1 of their normal quantile before it, which costs 2 for 1.

    With exactly 0.95 it would stand at 1 - 0.1645. The draws are 500, so quantiles scatter by 0.1 x 0.1.
    """
    found = ask(
        analytic, edge, analytic.gaussian_draws(edge, 4000, seed=1), objectives=pt.Maximize("gain"), limits=[LIMIT]
    )
    (limit, bound) = found.binding
    assert limit.for_confidence and limit.name == "final load <= 1" and not bound.for_confidence
    assert "held by: room for confidence in final load <= 1: each unit" in str(found)
    pattern = (
        r"at most (\d+) of 500 search draws may break limits here, where 0.95 alone would leave 25, .* about ([\d.]+),"
    )
    k, cost = re.search(pattern, found.room).groups()
    assert found.room in str(found)
    assert float(cost) == pytest.approx(2.0 * 0.1 * (norm.isf(int(k) / 500.0) - norm.isf(0.05)), abs=0.02)
    kept = [m for m in found.margins if m.limit == "final load <= 1"]
    assert kept[0].assured > 0.0


def test_without_a_limit_that_holds_there_is_no_room_to_speak_of(analytic, edge):
    """Least gain: both settings at their lower bounds, far from the limit."""
    found = ask(
        analytic, edge, analytic.gaussian_draws(edge, 1000, seed=1), objectives=pt.Minimize("gain"), limits=[LIMIT]
    )
    assert found.room == "" and not any(b.for_confidence for b in found.binding)
    assert "room for confidence" not in str(found)


def test_limits_that_meet_at_a_kink_share_what_they_hold(analytic):
    """Largest s0 + s1 under 2 s0 + s1 <= 1.2 and s0 + 2 s1 <= 1.2, less the same draw: a third for each of them."""
    model = analytic.closed_form(
        {
            "f": lambda t, v: v["s0"] + v["s1"] + 0.0 * v["a"],
            "p": lambda t, v: 2.0 * v["s0"] + v["s1"] + 0.05 * v["a"],
            "q": lambda t, v: v["s0"] + 2.0 * v["s1"] + 0.05 * v["a"],
        },
        ["a"],
    )
    found = ask(
        analytic,
        model,
        analytic.gaussian_draws(model, 1000, 0),
        objectives=pt.Maximize("f"),
        limits=[pt.Limit("p", upper=1.2, over=pt.final), pt.Limit("q", upper=1.2, over=pt.final)],
    )
    assert [b.name for b in found.binding] == ["final p <= 1.2", "final q <= 1.2"]
    assert [b.multiplier for b in found.binding] == pytest.approx([1 / 3, 1 / 3], rel=1e-3)


def test_a_curved_edge_is_followed(analytic):
    """The largest s0 + s1 with s0^2 + s1^2 + 0.1 a <= 1 lies on the diagonal."""
    model = analytic.closed_form(
        {"y": lambda t, v: v["s0"] ** 2 + v["s1"] ** 2 + 0.1 * v["a"], "z": lambda t, v: v["s0"] + v["s1"]}, ["a"]
    )
    found = ask(
        analytic,
        model,
        analytic.gaussian_draws(model, 3000, seed=2),
        objectives=pt.Maximize("z"),
        limits=[pt.Limit("y", upper=1.0, over=pt.final)],
    )
    s0, s1 = found.settings.values()
    assert s0 == pytest.approx(s1, abs=0.01)
    assert P <= norm.cdf((1.0 - s0**2 - s1**2) / 0.1) <= 0.98


def test_the_point_found_keeps_the_limits_as_simulated(analytic):
    """The limit has a kink where it is met, which no interpolation follows: the point is taken back to where the model
    itself confirms it on the search draws, and no further than the kink asks for."""
    from physics_twin.envelope.limits.allowed import EVERY, Allowed, Group
    from physics_twin.envelope.set_point.explored import explore, improved, keeps
    from physics_twin.envelope.set_point.objectives import bind_objectives

    (knob,) = analytic.knobs(1)
    targets = bind_objectives([pt.Maximize("s0")], (), (knob,))
    allowed = Allowed((Group((0,), 0.9, EVERY),), (0,))

    def run(points):
        margins = 0.6123 - points - 40.0 * np.maximum(points - 0.6123, 0.0)
        return margins[:, None, :], points[:, None, :]

    point, _ = improved(explore(run, targets, allowed, 1, np.random.default_rng(0)), 0, run)
    assert keeps(run(point[None])[0], allowed)[0]
    assert point[0] == pytest.approx(0.6123, abs=2e-3)


def test_certified_set_points_are_right_as_often_as_stated(analytic, edge):
    """Of 24 set points certified at 0.95 with 95 % confidence, those whose true probability is below are at most as
    many as chance allows (99.9 % of binomial(24, 0.05): 5).

    A point on the edge of its own draws, which is wrong every second time, is found out in 99.7 % of such tests.
    """
    wrong = 0
    for seed in range(24):
        posterior = analytic.gaussian_draws(edge, 800, seed=100 + seed)
        found = ask(analytic, edge, posterior, objectives=pt.Maximize("gain"), limits=[LIMIT], rng=seed)
        wrong += found.met and norm.cdf((1.0 - sum(found.settings.values())) / 0.1) < P
    assert wrong <= binom.ppf(0.999, 24, 0.05)


def test_too_few_draws_are_refused(analytic, edge):
    with pytest.raises(pt.EnvelopeError, match="too few draws: 60 independent"):
        ask(analytic, edge, analytic.gaussian_draws(edge, 100, 1), objectives=pt.Maximize("gain"), limits=[LIMIT])


def test_without_limits_only_the_objective_decides(analytic, edge):
    found = ask(analytic, edge, analytic.gaussian_draws(edge, 200, 1), objectives=pt.Maximize("gain"))
    assert found.settings == pytest.approx({"s0": 1.0, "s1": 1.0}, abs=1e-6)
    assert found.certificate is None


def test_the_picture_shows_the_objective_along_each_setting(analytic, bowl):
    found = ask(analytic, bowl, objectives=pt.Minimize("cost"), limits=[pt.Limit("load", upper=1.0, over=pt.final)])
    figure = found.plot()
    assert [ax.get_xlabel() for ax in figure.axes] == ["s0", "s1"]
    assert "a limit is broken" in [t.get_text() for t in figure.legends[0].get_texts()]


def test_a_set_point_is_saved(analytic, edge, tmp_path):
    """Everything comes back to the last bit; what is no set point is refused."""
    found = ask(
        analytic, edge, analytic.gaussian_draws(edge, 800, seed=1), objectives=pt.Maximize("gain"), limits=[LIMIT]
    )
    found.save(tmp_path / "point.nc")
    loaded = pt.SetPoint.load(tmp_path / "point.nc")
    assert str(loaded) == str(found)
    assert loaded.settings == found.settings
    assert loaded.binding == found.binding
    assert loaded.slices.identical(found.slices)
    assert (loaded.certificate.violations == found.certificate.violations).all()
    (tmp_path / "other.nc").write_text("no set point")
    with pytest.raises(pt.FileFormatError, match=r"other\.nc"):
        pt.SetPoint.load(tmp_path / "other.nc")


# Inside a certified box -------------------------------------------------------------------------------------------


def envelope_of(analytic, model, **options):
    settings = analytic.knobs(1)
    options = {
        "recipe": analytic.one_hour(settings),
        "settings": settings,
        "limits": [pt.Limit("load", upper=1.0, over=pt.final)],
        "rng": 3,
        **options,
    }
    return pt.find_envelope(model, analytic.gaussian_draws(model, 2000, seed=4), **options)


@pytest.fixture(scope="module")
def risky(analytic):
    """The gain grows with s0 on average, and its scatter faster: at its worst tenth it falls."""
    return analytic.closed_form(
        {"load": lambda t, v: v["s0"] + 0.1 * v["a"], "gain": lambda t, v: v["s0"] * (1.0 + v["b"])}, ["a", "b"]
    )


def test_the_set_point_is_the_best_point_that_keeps_its_distance(analytic, risky):
    """The mean gain is s0: the set point stands a fifth of the width below the upper side, as without an objective."""
    envelope = envelope_of(analytic, risky, objectives=pt.Maximize("gain"))
    low, high = envelope.box["s0"]
    assert envelope.set_point["s0"] == pytest.approx(high - 0.2 * (high - low), abs=1e-6)
    gain = envelope.objectives["final gain"]
    assert gain.value == pytest.approx(envelope.set_point["s0"], abs=4.0 * gain.standard_error)
    assert gain.standard_error == pytest.approx(envelope.set_point["s0"] / np.sqrt(1500), rel=0.1)
    assert "best one for final gain" in envelope.message
    assert "maximize final gain" in str(envelope)
    plain = envelope_of(analytic, risky)
    assert envelope.box == plain.box
    assert envelope.certificate.n_simulations > plain.certificate.n_simulations


def test_the_measure_decides(analytic, risky):
    """Of the worst tenth the mean gain is s0 (1 - 1.755): the smallest s0 is best."""
    envelope = envelope_of(analytic, risky, objectives=pt.Maximize("gain", measure=pt.CVaR(0.1)))
    low, high = envelope.box["s0"]
    assert envelope.set_point["s0"] == pytest.approx(low + 0.2 * (high - low), abs=1e-6)
    truth = envelope.set_point["s0"] * (1.0 - norm.pdf(norm.ppf(0.1)) / 0.1)
    gain = envelope.objectives["final gain"]
    assert gain.value == pytest.approx(truth, abs=4.0 * gain.standard_error)


def test_tolerance_keeps_the_set_point_away_from_the_side(analytic, risky):
    """Two standard deviations of the knob, where that is more than a fifth of the width."""
    envelope = envelope_of(analytic, risky, objectives=pt.Maximize("gain"), tolerance={"s0": 0.12})
    low, high = envelope.box["s0"]
    assert 0.2 * (high - low) < 0.24
    assert envelope.set_point["s0"] == pytest.approx(high - 0.24, abs=1e-6)


def test_a_tolerance_that_leaves_no_choice_leaves_the_middle(analytic, risky):
    """Where two standard deviations are more than half of the width, only the middle of the box is left."""
    envelope = envelope_of(analytic, risky, objectives=pt.Maximize("gain"), tolerance={"s0": 0.2})
    low, high = envelope.box["s0"]
    assert 0.5 * (high - low) < 0.4
    assert envelope.set_point["s0"] == pytest.approx(0.5 * (low + high), abs=1e-6)


def test_the_best_point_of_a_polytope_may_lie_outside_its_box(analytic, edge):
    """Under s0 + s1 <= 1 the gain 2 s0 + s1 wants all load in s0; the box inside gives half of it to each."""
    knobs = analytic.knobs(2)
    envelope = pt.find_envelope(
        edge,
        analytic.gaussian_draws(edge, 1500, seed=1),
        recipe=analytic.one_hour(knobs),
        settings=knobs,
        limits=[LIMIT],
        objectives=pt.Maximize("gain"),
        shape=pt.Polytope(),
        rng=1,
    )
    point = np.array([list(envelope.set_point.values())])
    assert (point @ envelope.polytope.sides.T <= envelope.polytope.levels).all()
    assert envelope.set_point["s0"] > envelope.box["s0"][1]
    assert envelope.objectives["final gain"].value > 2.0 * envelope.box["s0"][1]


def test_an_envelope_with_objectives_is_saved(analytic, risky, tmp_path):
    envelope = envelope_of(analytic, risky, objectives=[pt.Maximize("gain")])
    envelope.save(tmp_path / "envelope.nc")
    loaded = Envelope.load(tmp_path / "envelope.nc")
    assert loaded.objectives == envelope.objectives
    u = np.array([[0.3]])
    assert loaded.landscape.measures(u) == pytest.approx(envelope.landscape.measures(u), rel=1e-12)


def test_a_wrong_objective_fails_before_anything_is_simulated(analytic, risky):
    with pytest.raises(pt.UnknownNameError, match='"gain"'):
        envelope_of(analytic, risky, objectives=pt.Maximize("gian"))
