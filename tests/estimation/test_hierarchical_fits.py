"""Fits of populations against the closed form of the normal-normal model, and on a process model."""

import numpy as np
import pytest
from scipy import stats

import physics_twin as pt

EFFECTS = np.array([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERRORS = np.array([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])
"""Eight schools: D. B. Rubin, Estimation in parallel randomized experiments, J. Educ. Stat. 6 (1981) 377, table 1."""


def schools(closed_form, y: np.ndarray = EFFECTS, sd: np.ndarray = ERRORS):
    """A model that shows its parameter, and one reading of it from each group."""
    model = closed_form(
        lambda t, v: (v["effect"] + 0.0 * t)[:, None],
        pt.ParameterSet([pt.Parameter("effect", "5 m")]),
        (pt.Signal("y", "m"),),
        name="schools",
    )
    runs = [
        pt.Experiment.from_arrays(
            f"s{i}", [0.0], {"y": [v]}, channels=[pt.Channel("y", unit="m", noise=(float(s), "m"))]
        )
        for i, (v, s) in enumerate(zip(y, sd, strict=True))
    ]
    return model, runs


class Exact:
    """The posterior on a grid of the spread: given it, everything is normal (Gelman et al. 2013, section 5.4)."""

    def __init__(self, y: np.ndarray, sd: np.ndarray, scale: float) -> None:
        tau = np.linspace(1e-3, 8.0, 8001) * scale
        v = sd**2 + tau[:, None] ** 2
        self.variance = 1.0 / (1.0 / v).sum(axis=1)
        self.center = self.variance * (y / v).sum(axis=1)
        log = 0.5 * np.log(self.variance) - 0.5 * np.log(v).sum(axis=1) + stats.halfnorm.logpdf(tau, scale=scale)
        log -= 0.5 * ((y - self.center[:, None]) ** 2 / v).sum(axis=1)
        self.p = np.exp(log - log.max())
        self.p /= self.p.sum()
        self.tau = tau
        precision = 1.0 / sd**2 + 1.0 / tau[:, None] ** 2
        self.members = self.p @ ((y / sd**2 + self.center[:, None] / tau[:, None] ** 2) / precision)

    def spread(self, x: np.ndarray) -> np.ndarray:
        """Distribution function of the spread."""
        return np.interp(x, self.tau, np.cumsum(self.p))

    def mean(self, x: np.ndarray) -> np.ndarray:
        """Distribution function of the mean."""
        return np.array([self.p @ stats.norm.cdf(one, self.center, np.sqrt(self.variance)) for one in np.atleast_1d(x)])

    def new(self, x: np.ndarray) -> np.ndarray:
        """Distribution function of the value of a new group."""
        sd = np.sqrt(self.variance + self.tau**2)
        return np.array([self.p @ stats.norm.cdf(one, self.center, sd) for one in np.atleast_1d(x)])


@pytest.mark.parametrize("scale", [3.0, 10.0])
def test_eight_schools_are_the_posterior_on_a_grid(closed_form, scale: float) -> None:
    """Mean, spread, members and a new group follow the exact posterior, for a tight and a wide prior of the spread."""
    model, runs = schools(closed_form)
    method = pt.GaussNewton(n_draws=4000)
    posterior = pt.calibrate(model, runs, unknown=[pt.Population("effect", spread=(scale, "m"))], method=method, rng=1)
    exact = Exact(EFFECTS, ERRORS, scale)
    assert posterior.converged
    assert stats.kstest(posterior["spread.effect"], exact.spread).pvalue > 1e-3
    assert stats.kstest(posterior["mean.effect"], exact.mean).pvalue > 1e-3
    shrunk = np.array([posterior[f"effect@s{i}"].mean() for i in range(8)])
    # Four standard errors of the mean of independent draws.
    error = 4.0 * max(posterior[f"effect@s{i}"].std() for i in range(8)) / np.sqrt(4000)
    assert np.abs(shrunk - exact.members).max() < error
    # Every school leans toward the mean.
    assert np.all(np.abs(shrunk - exact.members.mean()) < np.abs(EFFECTS - exact.members.mean()) + error)
    new = posterior.predict(model, runs[0].recipe, [0.0], n_draws=4000).draws.values.ravel()
    assert stats.kstest(new, exact.new).pvalue > 1e-3
    verdict = posterior.verdicts["spread.effect"]
    assert verdict.identification is pt.Identification.WEAK
    assert "do not differ measurably" in verdict.sentence
    assert posterior.verdicts["mean.effect"].identification is not pt.Identification.NOT


def test_a_spread_of_nothing_pools_and_a_wide_one_leaves_each_alone(closed_form) -> None:
    """The limits: one value for all, with the weights of its readings, and each its own reading."""
    model, runs = schools(closed_form)
    weights = 1.0 / ERRORS**2
    pooled = float(weights @ EFFECTS / weights.sum())
    one = pt.calibrate(model, runs, unknown=[pt.Population("effect", spread="1 mm")], rng=1)
    own = pt.calibrate(model, runs, unknown=[pt.Population("effect", spread=pt.Uniform("9 km", "11 km"))], rng=1)
    for i in range(8):
        draws = one[f"effect@s{i}"]
        assert draws.mean() == pytest.approx(pooled, abs=4.0 / np.sqrt(weights.sum() * draws.size))
        draws = own[f"effect@s{i}"]
        assert draws.mean() == pytest.approx(EFFECTS[i], abs=4.0 * ERRORS[i] / np.sqrt(draws.size))
        assert draws.std() == pytest.approx(ERRORS[i], rel=0.1)


def test_lots_that_differ_are_told_and_few_of_them_are_said_to_be_few(closed_form) -> None:
    """Readings far more certain than the groups are apart hold the spread away from zero; three groups are few."""
    y, sd = np.array([10.0, 20.0, 34.0, 18.0, 27.0, 41.0]), np.full(6, 0.5)
    posterior = pt.calibrate(*schools(closed_form, y, sd), unknown=[pt.Population("effect", spread="20 m")], rng=1)
    assert posterior.verdicts["spread.effect"].sentence == ""
    few = pt.calibrate(*schools(closed_form, y[:3], sd[:3]), unknown=[pt.Population("effect", spread="20 m")], rng=1)
    assert few.verdicts["spread.effect"].sentence == "3 groups say little about a spread, and its prior counts"


def test_the_table_shows_mean_spread_and_members_together(closed_form) -> None:
    """In this order, the members marked as what they are."""
    posterior = pt.calibrate(*schools(closed_form), unknown=[pt.Population("effect", spread="10 m")], rng=1)
    rows = [line.split("  ")[0] for line in str(posterior).splitlines() if "effect" in line[:13]]
    assert rows[:3] == ["mean.effect", "spread.effect", "effect@s0"]
    assert "of the population of effect" in str(posterior)


def furnaces(rng: np.random.Generator, n: int) -> tuple[pt.ProcessModel, list[pt.Experiment], np.ndarray]:
    """A cooling lump in n furnaces whose film coefficients differ by 25 %, two runs in each."""
    m = pt.ProcessBuilder("lump", version="1")
    h = m.parameter("film_coefficient", "20 W/m^2/K", bounds=("1 W/m^2/K", "500 W/m^2/K"))
    temperature = m.state("temperature", "degC", initial="300 degC")
    m.rate(temperature, -h * (temperature - "20 degC") * "0.1 m^2" / m.constant("5 kJ/K"))
    m.output("temperature", temperature)
    model, times = m.build(), np.arange(0.0, 1801.0, 120.0)
    truth = 40.0 * np.exp(0.25 * rng.standard_normal(n))
    runs = []
    for k in range(2 * n):
        given = {"film_coefficient": (float(truth[k // 2]), "W/m^2/K")}
        clean = pt.simulate(model, times, pt.Recipe.constant(duration="30 min"), values=given).in_units()
        runs.append(
            pt.Experiment.from_arrays(
                f"run_{k}",
                times,
                {"temperature": clean["temperature"].values + rng.normal(0.0, 2.0, times.size)},
                channels=[pt.Channel("temperature", unit="degC", noise="2 K")],
                recipe=pt.Recipe.constant(duration="30 min"),
                initial={"temperature": "300 degC"},
                context={"furnace": f"F{k // 2}"},
            )
        )
    return model, runs, truth


def test_film_coefficients_of_furnaces_are_found_with_their_scatter() -> None:
    """Two runs of a furnace share its value; the spread is a share, and covers the one that made the data."""
    model, runs, truth = furnaces(np.random.default_rng(4), 8)
    unknown = [pt.Population("film_coefficient", spread="50 %", by="furnace")]
    posterior = pt.calibrate(model, runs, unknown=unknown, rng=1)
    for k, value in enumerate(truth):
        low, high = posterior.interval(f"film_coefficient@F{k}", 0.999)
        assert low < value < high
    low, high = posterior.interval("spread.film_coefficient")
    assert low < 0.25 < high
    assert posterior.verdicts["spread.film_coefficient"].sentence == ""


def test_a_held_out_furnace_is_predicted_by_the_population_and_a_known_one_by_its_own_value() -> None:
    """The context says which: the band of the last run of a known furnace is narrow, that of a new furnace wide."""
    model, runs, _ = furnaces(np.random.default_rng(4), 8)

    def fit(some: list[pt.Experiment]) -> pt.Posterior:
        unknown = [pt.Population("film_coefficient", spread="50 %", by="furnace")]
        return pt.calibrate(model, some, unknown=unknown, rng=1)

    known = pt.holdout(model, runs[:-1], fit=fit, held=runs[-1])
    new = pt.holdout(model, runs[:-2], fit=fit, held=runs[-1])
    assert known.passed
    assert new.passed
    width = [float(np.mean(h.channels[0].high - h.channels[0].low)) for h in (known, new)]
    assert width[1] > 3.0 * width[0]
    assert not any("population" in note for note in known.notes)
    assert "of a new furnace, drawn from the population of the 7" in str(new)


def test_a_population_of_logarithms_stands_beside_a_parameter_that_is_zero(closed_form) -> None:
    """An offset that starts at zero divides nothing, and neither is mistaken for the other."""
    model = closed_form(
        lambda t, v: (v["offset"] + v["rate"] * t)[:, None],
        pt.ParameterSet([pt.Parameter("offset", "0 m"), pt.Parameter("rate", "1 m/s", bounds=("1 mm/s", "1 km/s"))]),
        (pt.Signal("y", "m"),),
        name="line",
    )
    times = np.linspace(0.0, 10.0, 11)
    rates = [1.6, 2.0, 2.3, 1.9, 2.6]
    channels = [pt.Channel("y", unit="m", noise="0.1 m")]
    runs = [pt.Experiment.from_arrays(f"r{i}", times, {"y": k * times}, channels=channels) for i, k in enumerate(rates)]
    posterior = pt.calibrate(model, runs, unknown=["offset", pt.Population("rate", spread="30 %")], rng=1)
    low, high = posterior.interval("offset")
    assert low < 0.0 < high
    # Each rate is known to 0.1 m / sqrt(sum t^2) = 5 mm/s, and leans on the others by less.
    assert [posterior[f"rate@r{i}"].mean() for i in range(5)] == pytest.approx(rates, abs=0.02)


@pytest.mark.slow
def test_a_new_group_is_covered_as_often_as_the_band_says(closed_form) -> None:
    """Over 100 synthetic populations drawn from the priors, half of the new groups lie in the 50 % band of theirs."""
    rng = np.random.default_rng(11)
    inside = {0.5: 0, 0.9: 0}
    n_sets = 100
    for k in range(n_sets):
        mean, spread = rng.normal(0.0, 10.0), abs(rng.normal(0.0, 5.0))
        truth = rng.normal(mean, spread, 7)
        sd = rng.uniform(1.0, 4.0, 6)
        model, runs = schools(closed_form, truth[:6] + sd * rng.standard_normal(6), sd)
        prior = pt.Parameter("effect", "5 m", prior=pt.Normal("0 m", "10 m"))
        method = pt.GaussNewton(n_draws=400, starts=1)
        posterior = pt.calibrate(model, runs, unknown=[pt.Population(prior, spread="5 m")], method=method, rng=k)
        new = posterior.predict(model, runs[0].recipe, [0.0], n_draws=400, rng=k).draws.values.ravel()
        for level in inside:
            low, high = np.quantile(new, [0.5 - 0.5 * level, 0.5 + 0.5 * level])
            inside[level] += int(low <= truth[6] <= high)
    for level, count in inside.items():
        assert stats.binomtest(count, n_sets, level).pvalue > 1e-2, (level, count)


def test_a_mode_lies_where_the_draws_do(closed_form) -> None:
    """Many members of a population in ln x do not drag what they have in common.

    y = gain + ln(k_j) + noise in each of fourteen lots. In the density of k each lot adds 1/k_j, together a pull of
    fourteen units on gain, which is known beforehand to 1 K.
    """
    model = closed_form(
        lambda t, v: (v["gain"] + np.log(v["k"]) + 0.0 * t)[:, None],
        pt.ParameterSet(
            [
                pt.Parameter("gain", "300 K", prior=pt.Normal("300 K", "1 K")),
                pt.Parameter("k", "1 1/s", bounds=("1e-3 1/s", "1e3 1/s"), prior=pt.LogNormal("1 1/s", 0.3)),
            ]
        ),
        (pt.Signal("y", "K"),),
    )
    rng = np.random.default_rng(4)
    runs = [
        pt.Experiment.from_arrays(
            f"lot_{j}",
            np.arange(1.0, 4.0),
            {"y": 300.0 + 0.2 * rng.standard_normal() + 0.3 * rng.standard_normal(3)},
            channels=[pt.Channel("y", unit="K", noise="0.3 K")],
        )
        for j in range(14)
    ]
    posterior = pt.calibrate(model, runs, unknown=["gain", pt.Population("k", spread="30 %")], rng=1)
    assert abs(posterior.mode.scalar("gain") - posterior["gain"].mean()) < 0.25 * posterior["gain"].std()
    assert abs(np.log(posterior.mode.scalar("k@lot_3")) - np.log(posterior["k@lot_3"]).mean()) < 0.5
