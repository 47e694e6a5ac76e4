"""Forecasts, scenarios and times to a limit of whole twins, against what is known in closed form."""

import numpy as np
import pytest
from scipy.stats import norm

import physics_twin as pt
from physics_twin.errors import DataError, EnvelopeError, RecipeError, SolveError, UnitError, UnknownNameError
from physics_twin.twin.moments import SECOND
from physics_twin.twin.quantiles import noisy_quantiles
from physics_twin.twin.time_to import TimeTo
from tests.twin.linear_plant import LinearPlant
from tests.twin.plants import at, heater_samples, heater_twin

NOW = "2026-11-20T06:00Z"
SPREAD = 0.02
"""m/s, of the rate."""


def straight(n_draws=400, rate=-0.1, sd=SPREAD, x=8.0, **options):
    """A twin of the linear plant with a Gaussian rate, drawn at its quantiles, and a known level."""
    model = LinearPlant(breaks_at=options.pop("breaks_at", np.inf))
    draws = rate + sd * norm.ppf((np.arange(n_draws) + 0.5) / n_draws)
    posterior = pt.Posterior.from_draws([model.parameters["rate"]], draws[:, None])
    options = {
        "at": NOW,
        "recipe": pt.Recipe.constant(
            inflow="0 m/s",
        ),
        "seed": 5,
        **options,
    }
    channels = [pt.Channel("x", unit="m", noise="0.3 m")]
    twin = pt.Twin.start(model, posterior, channels=channels, method=pt.UnscentedKalman(), **options)
    return twin.start_batch({"x": (x, "m")}, who="test", reason="a known level")


def test_a_forecast_of_a_linear_system_has_its_mean_and_variance():
    """x = x0 + r t: mean and spread are those of r, times t; the members carry them without a sampling error."""
    twin = straight()
    f = twin.forecast(until="60 s", times=[0.0, 20.0, 60.0])
    x = f.members.sel(output="x").values
    np.testing.assert_allclose(x.mean(axis=0), 8.0 - 0.1 * f.times, atol=1e-6)
    np.testing.assert_allclose(x.std(axis=0, ddof=1), twin.spread["rate"] * f.times, rtol=1e-7, atol=1e-7)
    assert twin.spread["rate"] == pytest.approx(SPREAD, rel=0.01)  # 400 draws at the quantiles: tails cut at 3 sd


def test_process_noise_widens_a_forecast_as_the_walk_says():
    """Variance (SPREAD t)^2 + s^2 t, within the error of so many members and of increments that come in 50 steps."""
    s = 0.05
    twin = straight(process_noise={"x": pt.RandomWalk((s, "m"), per="1 s")})
    n = 8000
    f = twin.forecast(until="50 s", times=[25.0, 50.0], n_members=n)
    variance = f.members.sel(output="x").values.var(axis=0)
    expected = (twin.spread["rate"] * f.times) ** 2 + s**2 * f.times
    np.testing.assert_allclose(variance, expected, rtol=3.3 * np.sqrt(2.0 / n))


def test_the_band_of_a_reading_adds_the_noise_of_its_sensor():
    """Quantiles of the Gaussian with both variances, to the error of so many members; the truth is narrower."""
    f = straight().forecast(until="60 s", times=[60.0], n_members=2000)
    sd = np.hypot(SPREAD * 60.0, 0.3)
    expected = norm.ppf(f.levels, 2.0, sd)
    # The ends of a 95 % band of n members: sqrt(q (1 - q) / n) over the density there.
    error = 3.3 * np.sqrt(f.levels * (1 - f.levels) / 2000) / norm.pdf(norm.ppf(f.levels)) * SPREAD * 60.0
    assert (np.abs(f["x_measured"].values[:, 0] - expected) < error).all()
    assert np.ptp(f["x"].values[:, 0]) < np.ptp(f["x_measured"].values[:, 0])


def test_quantiles_of_readings_are_those_of_the_mixture():
    """Two members: the median lies between them; a member alone has its Gaussian; far apart each has its half."""
    levels = np.array([0.25, 0.5, 0.75])
    near = noisy_quantiles(np.array([[0.0], [1.0]]), 0.5, 0.0, levels)[:, 0]
    assert near[1] == pytest.approx(0.5, abs=1e-12)
    assert norm.cdf(near[0], [0.0, 1.0], 0.5).mean() == pytest.approx(0.25, abs=1e-12)
    alone = noisy_quantiles(np.array([[3.0]]), 0.5, 0.1, levels)[:, 0]
    np.testing.assert_allclose(alone, norm.ppf(levels, 3.0, np.hypot(0.5, 0.3)), atol=1e-12)
    far = noisy_quantiles(np.array([[0.0], [10.0]]), 0.5, 0.0, levels)[:, 0]
    np.testing.assert_allclose(far[[0, 2]], [0.0, 10.0], atol=1e-9)


def test_live_inputs_hold_their_last_value_or_take_a_given_one():
    """With 1 W more in body 1 for a minute, the meter of energy has 60 J more at its end."""
    twin = heater_twin(method=pt.ExtendedKalman()).assimilate(heater_samples(24), budget=None)[0]
    held = twin.forecast(until="60 s", times=[0.0, 60.0])["energy"].values[2]
    power = twin.state.settings["q1"] + twin.state.settings["q2"]
    assert held[1] - held[0] == pytest.approx(60.0 * power, rel=1e-6)
    more = twin.forecast(until="60 s", times=[0.0, 60.0], values={"q1": (twin.state.settings["q1"] + 1.0, "W")})
    assert more["energy"].values[2, 1] - held[1] == pytest.approx(60.0, rel=1e-6)


def test_a_recipe_that_runs_continues_in_its_phase_and_another_one_begins_now():
    """Ten seconds into a phase of 30 s the running recipe has 20 s of it left; a new recipe begins with its first."""
    phases = [
        pt.Phase("heat", q1="3 W", q2="0 W", duration="30 s"),
        pt.Phase("rest", q1="0 W", q2="0 W", duration="1 h"),
    ]
    recipe = pt.Recipe(phases)
    twin = heater_twin(recipe=recipe, method=pt.ExtendedKalman()).at(at(10.0))
    running = twin.forecast(until="60 s", times=[0.0, 20.0, 60.0])["energy"].values[2]
    np.testing.assert_allclose(running, [30.0, 90.0, 90.0], rtol=1e-9)
    anew = twin.forecast(recipe, until="60 s", times=[0.0, 20.0, 60.0])["energy"].values[2]
    np.testing.assert_allclose(anew, [30.0, 90.0, 120.0], rtol=1e-9)


def test_a_forecast_goes_on_from_the_present_and_not_from_the_last_sample():
    """A twin shown 30 s later forecasts what the same twin forecast 30 s further on."""
    twin = straight()
    later = twin.at(twin.until + 30 * SECOND).forecast(until="30 s", times=[0.0, 30.0])
    before = twin.forecast(until="60 s", times=[30.0, 60.0])
    np.testing.assert_allclose(later["x"].values, before["x"].values, atol=1e-9)


def test_forecasts_are_the_same_bits_again():
    """Nothing but twin and arguments decides them."""
    twin = straight(process_noise={"x": pt.RandomWalk("0.05 m", per="1 s")})
    first, second = (twin.forecast(until="50 s", n_members=50).members.values for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_forecast_survives_its_file(tmp_path):
    """Every number, note and sample comes back."""
    twin = heater_twin(method=pt.ExtendedKalman()).assimilate(heater_samples(12), budget=None)[0]
    f = twin.forecast(until="5 min", n_members=20)
    f.save(tmp_path / "f.nc")
    again = pt.Forecast.load(tmp_path / "f.nc")
    np.testing.assert_array_equal(again.members.values, f.members.values)
    assert str(again) == str(f)
    assert again.history.equals(f.history)
    assert again.dataset.equals(f.dataset)


def test_what_leaves_the_domain_of_validity_is_marked():
    """From the moment at which the median leaves it."""
    model = LinearPlant(validity={"x": (5.0, 10.0)})
    posterior = pt.Posterior.from_draws([model.parameters["rate"]], np.full((10, 1), -0.1))
    channels = [pt.Channel("x", unit="m", noise="0.3 m")]
    twin = pt.Twin.start(model, posterior, at=NOW, recipe=pt.Recipe.constant(inflow="0 m/s"), channels=channels)
    f = twin.start_batch({"x": "8 m"}, who="t", reason="r").forecast(until="60 s", times=[10.0, 20.0, 50.0])
    assert f.outside["x"].tolist() == [False, False, True]
    assert any("x reaches 3 m" in note and "5 m to 10 m" in note for note in f.notes)


def test_a_live_input_outside_its_domain_is_said_once():
    """It is a setting and an input by the same name."""
    model = LinearPlant(validity={"inflow": (0.0, 1.0)})
    posterior = pt.Posterior.from_draws([model.parameters["rate"]], np.full((10, 1), -0.1))
    twin = pt.Twin.start(model, posterior, at=NOW, channels=[pt.Channel("x", unit="m", noise="0.3 m")])
    f = twin.forecast(until="60 s", values={"inflow": "2 m/s"})
    assert f.outside["inflow"].all()
    assert [note for note in f.notes if "inflow" in note] == [
        "extrapolation: inflow reaches 2 m/s, the model is valid for 0 m/s to 1 m/s"
    ]


def test_members_that_fail_are_counted_and_said():
    """Those that pass 9 m break; the bands go on with the others."""
    twin = straight(rate=0.03, breaks_at=9.0)
    f = twin.forecast(until="40 s", times=[0.0, 40.0])
    share = norm.sf((9.0 - 8.0) / 40.0, 0.03, SPREAD)
    n = f.n_members
    assert len(f.failures) / n == pytest.approx(share, abs=3.3 * np.sqrt(share * (1 - share) / n))
    assert any(f"{len(f.failures)} of {n} members failed" in note for note in f.notes)
    assert np.isfinite(f["x"].values).all()


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"until": "2026-11-20T05:00Z"}, DataError, "not ahead"),
        ({"until": 90}, UnitError, "until"),
        ({"times": [100.0], "until": "90 s"}, DataError, "between 0 s"),
        ({"recipe": "10 min"}, RecipeError, "until="),
        ({"values": {"inflov": "1 m/s"}}, UnknownNameError, "inflov"),
        ({"recipe": pt.Recipe.constant(inflow=pt.Setting("valve", "m/s"))}, RecipeError, "valve"),
    ],
)
def test_mistakes_are_said_at_once(arguments, error, words):
    """Each with what was wrong."""
    with pytest.raises(error, match=words):
        straight().forecast(**arguments)


def test_the_time_to_a_level_of_a_straight_decay_is_the_ratio_of_level_and_rate():
    """P(T < t) = P(r < -7 / t) for a fall from 8 m to 1 m; quantiles to the error of so many members."""
    n = 4000
    found = straight().time_to(pt.falls_to("x", "1 m"), until="200 s", n_members=n)
    for t in (60.0, 70.0, 90.0):
        p = norm.cdf(-7.0 / t, -0.1, SPREAD)
        assert found.probability_before((t, "s")) == pytest.approx(p, abs=3.3 * np.sqrt(p * (1 - p) / n))
        low, high = found.probability_interval((t, "s"))
        assert low < found.probability_before((t, "s")) < high
    assert found.median == pytest.approx(70.0, rel=3.3 * np.sqrt(np.pi / 2 / n) * SPREAD / 0.1)
    low, high = found.quantile_interval()
    assert low <= found.median <= high
    assert high - low < 2.0


def test_members_that_do_not_get_there_are_censored_and_no_quantile_is_made_up():
    """Half of the members need more than 70 s: the horizon of 66 s tells the lower quartile, and not the median."""
    found = straight().time_to(pt.falls_to("x", "1 m"), until="66 s", n_members=4000)
    expected = 1.0 - norm.cdf(-7.0 / 66.0, -0.1, SPREAD)
    assert found.censored == pytest.approx(expected, abs=0.03)
    assert np.isinf(found.median)
    assert 0.0 < found.quantile(0.25) < 66.0
    assert np.isnan(found.probability_before("67 s"))
    assert "later than 66 s" in str(found)
    assert f"{100.0 * found.censored:.0f} % not before 66 s" in str(found)
    assert found.dataset["survival"].values[-1] == pytest.approx(found.censored)


def test_quantiles_between_the_last_crossing_and_the_censored_are_not_made_up():
    """Of 1 s, 2 s and two that take longer: a third is at 2 s, anything beyond is later than the horizon."""
    members = np.array([np.inf, 2.0, np.inf, 1.0])
    found = TimeTo(0, "it ends", members, ("", "a", "", "a"), 10.0, (), ())
    assert found.quantile(1.0 / 6.0) == pytest.approx(1.5)
    assert found.quantile(1.0 / 3.0) == pytest.approx(2.0)
    assert np.isinf(found.quantile(0.34))
    assert np.isinf(found.median)
    assert found.censored == 0.5
    assert found.probability_before("2 s") == 0.5


def test_a_limit_with_two_sides_is_broken_by_the_first():
    """Members that fall meet the lower side, those that rise the upper one."""
    found = straight(rate=0.0).time_to(pt.Limit("x", lower="7 m", upper="9 m"), until="1 h", n_members=1000)
    sides = {name: found.first.count(name) / 1000 for name in set(found.first) if name}
    assert len(sides) == 2
    assert sides["x falls to 7 m"] == pytest.approx(0.5, abs=0.06)
    assert "x rises to 9 m first in" in str(found)


def test_members_that_fail_before_the_limit_are_no_evidence():
    """They are neither early nor late."""
    found = straight(rate=0.03, breaks_at=8.5).time_to(pt.rises_to("x", "9 m"), until="1 h", n_members=500)
    assert np.isnan(found.members).any()
    assert found.known.size + np.isnan(found.members).sum() == 500
    assert "failed and are left out" in str(found)


@pytest.mark.parametrize("walks", [{}, {"x": pt.RandomWalk("0.001 m", per="1 min")}])
def test_a_limit_that_is_met_before_the_model_breaks_is_met(walks):
    """All rise from 8 m by 0.1 m/s and break at 9.5 m: 9 m is met after 10 s, 9.6 m by none."""
    twin = straight(rate=0.1, sd=0.001, breaks_at=9.5, process_noise=walks)
    found = twin.time_to(pt.rises_to("x", "9 m"), until="200 s", n_members=100)
    assert np.isfinite(found.members).all()
    assert found.median == pytest.approx(10.0, rel=0.02)
    assert len(found.failures) == 100
    with pytest.raises(SolveError, match="every member of the forecast failed"):
        twin.time_to(pt.rises_to("x", "9.6 m"), until="200 s", n_members=100)


def test_limits_on_a_whole_run_have_no_moment():
    """Which is said, with what to ask in their place."""
    with pytest.raises(EnvelopeError, match="rises_to"):
        straight().time_to(pt.Limit("x", lower="1 m", over=pt.final))


def test_what_cannot_be_waited_for():
    """A text is no crossing; the message shows one."""
    for limit in ("x > 9", ["x > 9"], None, 9.0):
        with pytest.raises(EnvelopeError, match=r"pt\.rises_to"):
            straight().time_to(limit)


def test_scenarios_share_their_random_numbers():
    """The same recipe under two names gives the same bits; another inflow moves each member by the same amount."""
    twin = straight(process_noise={"x": pt.RandomWalk("0.05 m", per="1 s")}, recipe=None)
    twin = twin.assimilate([pt.Sample("inflow", twin.until + SECOND, 0.0, "m/s")])[0]
    changes = {"as it runs": None, "again": None, "more": {"inflow": "0.05 m/s"}}
    found = twin.what_if(changes, until="60 s", n_members=40)
    one, two, more = (found[name].members.sel(output="x").values for name in changes)
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(more - one, np.broadcast_to(0.05 * found["more"].times, one.shape), atol=1e-9)


def test_scenarios_are_compared_and_the_one_that_fails_says_why():
    """Final, peak, what is added up, and the probability of each limit; a failed scenario is a row with its reason."""
    twin = straight(breaks_at=20.0)
    wild = pt.Recipe.constant(inflow="5 m/s")
    limits = [pt.Limit("x", lower="1.5 m"), pt.Limit("x", lower="2 m", over=pt.final)]
    found = twin.what_if({"as it runs": None, "wild": wild}, until="60 s", limits=limits, n_members=2000)
    table = found.dataset
    assert table["x_final"].sel(scenario="as it runs", quantile=0.5).item() == pytest.approx(2.0, abs=0.1)
    assert table["x_peak"].sel(scenario="as it runs", quantile=0.5).item() == pytest.approx(8.0, abs=1e-6)
    assert table["passed_added"].sel(scenario="as it runs", quantile=0.5).item() == pytest.approx(300.0, rel=0.02)
    for name, level in (("x >= 1.5 m", 1.5), ("final x >= 2 m", 2.0)):
        p = norm.sf((level - 8.0) / 60.0, -0.1, SPREAD)
        kept = table["kept"].sel(scenario="as it runs", limit=name).item()
        assert kept == pytest.approx(p, abs=3.3 * np.sqrt(p * (1 - p) / 2000))
    assert "it broke" in str(table["reason"].sel(scenario="wild").item())
    assert "it broke" in str(found)
    assert np.isnan(table["x_final"].sel(scenario="wild")).all()
    with pytest.raises(SolveError, match="wild"):
        found["wild"]


def test_pictures_say_what_they_show():
    """Axes carry units; the legend names bands, limits and the present."""
    twin = heater_twin(method=pt.ExtendedKalman()).assimilate(heater_samples(12), budget=None)[0]
    limit = pt.Limit("T1", upper="60 degC")
    forecast = twin.forecast(until="10 min", n_members=20).plot(outputs=["T1"], limits=[limit])
    assert forecast.axes[0].get_ylabel() == "T1 / °C"
    words = " ".join(text.get_text() for text in forecast.legends[0].get_texts())
    for part in ("measured", "95 % of the true value", "95 % of readings", "limit: T1 ≤ 60 °C", "now"):
        assert part in words
    changes = {"off": {"q1": "0 W"}, "on": {"q1": "3 W"}}
    both = twin.what_if(changes, until="10 min", n_members=20).plot(outputs=["T1"])
    assert {text.get_text() for text in both.legends[0].get_texts()} == {"off", "on"}
    until = twin.time_to(pt.rises_to("T1", "30 degC"), until="10 min", n_members=20).plot()
    assert until.axes[0].get_xlabel().endswith("/ s")
    shown = twin.plot()
    assert [ax.get_ylabel() for ax in shown.axes[:4]] == ["T1 / °C", "T2 / °C", "UA / (W/K)", "link / (W/K)"]
