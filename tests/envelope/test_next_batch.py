"""The next batch: measurement noise, a new lot, the discrepancy of the model, fields; probabilities in closed form."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, kstest, norm, truncnorm

import physics_twin as pt
from physics_twin.envelope.limits.limits import bind_limits
from physics_twin.envelope.margins.evaluation import Problem, evaluate
from physics_twin.envelope.next_batch.uncertainty import next_batches
from physics_twin.errors import EnvelopeError, PhysicsTwinError
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.posterior import Posterior

N = 20_000


def batches_of(model, posterior, recipe, settings, limits, seed=1, **options):
    requirements = bind_limits(limits, model.outputs, model.inputs)
    rng = np.random.default_rng(seed)
    given = {"batch_variation": {}, "tolerance": {}, **options}
    found = next_batches(model, posterior, recipe, settings, rng=rng, requirements=requirements, **given)
    return Problem(model, recipe, tuple(settings), requirements, 8), found


def kept(problem, uncertainty, *points):
    """Share of the batches that keep all limits, at points in SI."""
    margins = evaluate(problem, uncertainty.batches, np.array(points)).margins
    return (margins >= 0.0).all(axis=2).mean(axis=1)


def is_share(found, truth, n=N):
    """Within the binomial scatter, at the 1e-4 level."""
    low, high = binom.ppf(5e-5, n, truth) / n, binom.ppf(1.0 - 5e-5, n, truth) / n
    return low <= found <= high


@pytest.fixture
def linear(analytic):
    """y = s + 0.1 a and z = s + 0.1 b, a and b standard normal."""
    model = analytic.closed_form(
        {"y": lambda t, v: v["s0"] + 0.1 * v["a"], "z": lambda t, v: v["s0"] + 0.1 * v["b"]}, ["a", "b"]
    )
    settings = analytic.knobs(1)
    return model, analytic.gaussian_draws(model, N, 3), analytic.one_hour(settings), settings


@pytest.mark.parametrize("over", [pt.final, pt.at("10 min"), pt.peak, pt.mean])
def test_noise_of_a_reported_value_adds_to_its_scatter(linear, over):
    """y <= 1 as reported with sd 0.3: P = Phi((1 - s) / sqrt(0.1^2 + 0.3^2)); without reported= no noise is in."""
    for sd, limit in (
        (0.1, pt.Limit("y", upper=1.0, over=over)),
        (np.hypot(0.1, 0.3), pt.Limit("y", upper=1.0, over=over, reported=0.3)),
    ):
        problem, found = batches_of(*linear, [limit])
        for s, share in zip((0.5, 0.9), kept(problem, found, [0.5], [0.9]), strict=True):
            assert is_share(share, norm.cdf((1.0 - s) / sd))


def test_every_limit_has_a_measurement_of_its_own(linear):
    """Two limits on one output, each reported: P = E[Phi((1 - y) / 0.3)^2], and not that of one measurement."""
    limits = [pt.Limit("y", upper=1.0, over=pt.final, reported=0.3, name=name) for name in ("lab", "plant")]
    problem, found = batches_of(*linear, limits)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    truth = weights @ norm.cdf((1.0 - 0.8 - 0.1 * nodes) / 0.3) ** 2 / weights.sum()
    assert is_share(kept(problem, found, [0.8])[0], truth)


def test_both_sides_of_a_band_are_judged_on_one_measurement(linear):
    """0.7 <= reported y <= 1 at y = 0.85 +- 0.1: one reading cannot be on both sides."""
    problem, found = batches_of(*linear, [pt.Limit("y", lower=0.7, upper=1.0, over=pt.final, reported=0.3)])
    sd = np.hypot(0.1, 0.3)
    assert is_share(kept(problem, found, [0.85])[0], norm.cdf(0.15 / sd) - norm.cdf(-0.15 / sd))


def test_a_batch_keeps_its_noise_at_all_settings_and_in_every_subset(linear):
    """Common random numbers: between two points margins differ by their settings alone."""
    problem, found = batches_of(*linear, [pt.Limit("y", upper=1.0, over=pt.final, reported=0.3)])
    margins = evaluate(problem, found.batches, np.array([[0.2], [0.7]])).margins[:, :, 0]
    assert margins[0] - margins[1] == pytest.approx(np.full(N, 0.5), abs=1e-12)
    rows = np.array([5, 17, 4000])
    few = evaluate(problem, found.batches.take(rows), np.array([[0.2]])).margins[0, :, 0]
    assert few == pytest.approx(margins[0, rows], abs=1e-12)


def test_noise_changes_nothing_else_that_is_drawn(linear):
    quiet = pt.Limit("y", upper=1.0, over=pt.final)
    noisy = pt.Limit("y", upper=1.0, over=pt.final, reported=0.3)
    one, two = (batches_of(*linear, [limit], tolerance={"s0": 0.01})[1] for limit in (quiet, noisy))
    assert (one.batches.setting_errors["s0"] == two.batches.setting_errors["s0"]).all()
    assert (one.batches.values["a"] == two.batches.values["a"]).all()
    assert not any("noise" in line for line in one.includes)
    assert 'measurement noise of "reported final y <= 1": sd 0.3' in two.includes


def test_batches_drawn_without_their_noise_are_refused(linear):
    problem, _ = batches_of(*linear, [pt.Limit("y", upper=1.0, reported=0.3)])
    _, found = batches_of(*linear, [pt.Limit("y", upper=1.0)])
    with pytest.raises(EnvelopeError, match="without its measurement noise"):
        evaluate(problem, found.batches, np.array([[0.5]]))


def test_an_envelope_on_reported_values_is_narrower_and_says_why(linear):
    model, posterior, recipe, settings = linear
    limit = pt.Limit("y", upper=1.0, over=pt.final, reported=0.2)
    envelope = pt.find_envelope(model, posterior, recipe=recipe, settings=settings, limits=[limit], rng=1)
    edge = 1.0 - norm.ppf(0.95) * np.hypot(0.1, 0.2)
    assert envelope.box["s0"][1] <= edge + 0.01
    assert envelope.box["s0"][1] == pytest.approx(edge, abs=0.05)
    assert any(line.startswith("measurement noise of") for line in envelope.includes)


@pytest.fixture
def lots(analytic):
    """y = s + a; a of lots: the lots that were fitted are all far from the population's mean."""
    model = analytic.closed_form({"y": lambda t, v: v["s0"] + v["a"]}, ["a"])
    names = ["mean.a", "spread.a", "a@lot_1", "a@lot_2"]
    rng = np.random.default_rng(5)
    draws = np.column_stack(
        [0.2 * rng.standard_normal(N), np.full(N, 0.5), np.full(N, 7.0), 9.0 + 0.1 * rng.standard_normal(N)]
    )
    bounds = {"spread.a": (0.0, 10.0)}
    declared = [Parameter(name, 0.1, unit="1", bounds=bounds.get(name)) for name in names]
    settings = analytic.knobs(1, -2.0, 2.0)
    return model, Posterior.from_draws(declared, draws), analytic.one_hour(settings), settings


def test_the_next_lot_is_a_new_one_of_the_population(lots):
    """P(s + a <= 1) = Phi((1 - s) / sqrt(0.2^2 + 0.5^2)), whatever the fitted lots were."""
    problem, found = batches_of(*lots, [pt.Limit("y", upper=1.0, over=pt.final)])
    for s, share in zip((0.0, 0.6), kept(problem, found, [0.0], [0.6]), strict=True):
        assert is_share(share, norm.cdf((1.0 - s) / np.hypot(0.2, 0.5)))
    assert any("of a new lot, drawn from the population of the 2" in line for line in found.includes)


def test_the_lot_of_each_batch_is_its_own(lots):
    """What is left of a after the mean of its draw is as wide as the spread and knows nothing of the mean."""
    _, found = batches_of(*lots, [pt.Limit("y", upper=1.0)])
    own = found.batches.values["a"] - lots[1]["mean.a"]
    assert own.std() == pytest.approx(0.5, rel=5.0 / np.sqrt(2.0 * N))
    assert abs(np.corrcoef(own, lots[1]["mean.a"])[0, 1]) < 5.0 / np.sqrt(N)
    _, other = batches_of(*lots, [pt.Limit("y", upper=1.0)], seed=2)
    assert abs(np.corrcoef(other.batches.values["a"] - lots[1]["mean.a"], own)[0, 1]) < 5.0 / np.sqrt(N)


@pytest.fixture
def corrected(analytic):
    """y = s + delta(t), delta with sd 0.4; what is known of it is what was said before any data."""
    inner = analytic.closed_form({"y": lambda t, v: v["s0"] + 0.0 * v["a"]}, ["a"])
    said = pt.Discrepancy("0.4", "20 min", "time", between=("0 min", "60 min"))
    model = pt.with_discrepancy(inner, {"y": said})
    settings = analytic.knobs(1)
    coefficients = [p for p in model.parameters.parameters if p.name.startswith("discrepancy.")]
    posterior = Posterior.from_prior(model.parameters.select([p.name for p in coefficients]), N, 1)
    return model, posterior, analytic.one_hour(settings), settings


def test_the_discrepancy_of_the_model_is_part_of_the_next_batch(corrected):
    """P(y <= 1 at the end) = Phi((1 - s) / sd of delta there); the sd is that of the draws, 0.4 up to its basis."""
    model, posterior, *_ = corrected
    problem, found = batches_of(*corrected, [pt.Limit("y", upper=1.0, over=pt.final)])
    sd = model.discrepancy_of("y", np.array([3600.0]), {n: posterior[n] for n in posterior.names}).std()
    assert sd == pytest.approx(0.4, rel=0.05)
    for s, share in zip((0.5, 0.9), kept(problem, found, [0.5], [0.9]), strict=True):
        assert is_share(share, norm.cdf((1.0 - s) / sd))
    assert found.includes[0].startswith("parameters: discrepancy of y")
    assert "x1" not in found.includes[0]


def test_a_discrepancy_that_nobody_fitted_is_said_to_be_zero(corrected, analytic):
    model, _, recipe, settings = corrected
    posterior = Posterior.from_draws([model.parameters["a"]], np.zeros((200, 1)))
    _, found = batches_of(model, posterior, recipe, settings, [pt.Limit("y", upper=1.0)])
    assert "the discrepancy of y is taken as zero: the posterior holds none of its coefficients" in found.notes
    _, found = batches_of(*corrected, [pt.Limit("y", upper=1.0)])
    assert not any("taken as zero" in note for note in found.notes)


def test_a_discrepancy_of_each_experiment_is_batch_to_batch_variation(corrected):
    """Coefficients of two experiments: the next batch has those of one of them, all from the same."""
    model, posterior, recipe, settings = corrected
    names = list(posterior.names)
    declared = [Parameter(f"{n}@run_{k}", 0.0, unit="1") for k in (1, 2) for n in names]
    draws = np.concatenate([np.full((400, len(names)), 0.1), np.full((400, len(names)), -0.1)], axis=1)
    _, found = batches_of(model, Posterior.from_draws(declared, draws), recipe, settings, [pt.Limit("y", upper=1.0)])
    table = np.stack([found.batches.values[n] for n in names])
    assert (table == table[0]).all()
    assert set(table[0]) == {0.1, -0.1}
    lines = [line for line in found.includes if "discrepancy of y" in line]
    assert lines == ["batch-to-batch variation: discrepancy of y as in one of the fitted experiments, drawn at random"]


def test_a_limit_on_a_field_is_a_limit_like_any_other():
    """A bar of five cells, heated at one end by a flux q and held at 20 degC at the other: its hottest point is at
    20 degC + q L / k, exactly also in linear elements, and so are the margins of all conductivities drawn."""
    fem = pytest.importorskip("physics_twin.fem")
    flux = pt.Setting("heating", "kW/m^2", bounds=(10, 200))
    model = fem.HeatConduction(
        mesh=fem.mesh.bar("10 cm", 5),
        materials={"bar": fem.Solid(conductivity=pt.Parameter("k", "40 W/m/K", bounds=("1 W/m/K", "500 W/m/K")))},
        boundaries={
            "left": fem.Flux(pt.Signal("flux", "W/m^2")),
            "right": fem.Temperature("20 degC"),
        },
        sensors={"hottest": fem.Maximum("bar")},
        steady=True,
    )
    recipe = pt.Recipe([pt.Phase("heat", flux=flux, duration="1 s")])
    k = 40.0 * np.exp(0.1 * np.random.default_rng(0).standard_normal((6, 1)))
    posterior = Posterior.from_draws([model.parameters["k"]], k)
    for over in (pt.final, pt.peak):
        limit = pt.Limit("hottest", upper="220 degC", over=over)
        problem, found = batches_of(model, posterior, recipe, [flux], [limit])
        fluxes = np.array([[50e3], [90e3]])
        margins = evaluate(problem, found.batches, fluxes).margins[:, :, 0]
        assert margins == pytest.approx(200.0 - fluxes * 0.1 / k[:, 0], abs=1e-6)
    assert (margins > 0.0).any()
    assert (margins < 0.0).any()


def varying(analytic, parameter, draws, variation, formula=lambda t, v: v["s0"] + 0.0 * v["k"], **options):
    """The values of k in the next batches."""
    model = analytic.closed_form({"y": formula}, [])
    model = replace(model, parameters=ParameterSet([parameter]))
    settings = analytic.knobs(1)
    posterior = Posterior.from_draws([parameter], draws[:, None])
    options = {"batch_variation": {"k": variation}, **options}
    return batches_of(model, posterior, analytic.one_hour(settings), settings, [pt.Limit("y", upper=1.0)], **options)[1]


@pytest.mark.parametrize("written", ["3 percent", "3 %", (3.0, "percent"), "3e0 %"])
def test_a_share_is_a_normal_spread_of_the_value_in_each_draw(analytic, written):
    """value / draw - 1 is normal with sd 0.03, whatever the draw, and independent of it."""
    rate = Parameter("k", "0.2 1/min")
    draws = np.random.default_rng(9).uniform(0.1, 0.4, N) / 60.0
    found = varying(analytic, rate, draws, written)
    relative = found.batches.values["k"] / draws - 1.0
    assert kstest(relative / 0.03, norm.cdf).pvalue > 1e-3
    low = draws < np.median(draws)
    for half in (relative[low], relative[~low]):
        assert half.std() == pytest.approx(0.03, rel=5.0 / np.sqrt(N))
    assert "batch-to-batch variation: k sd 3 % of its value in the draw" in found.includes[-1].replace("percent", "%")


def test_a_share_and_the_same_spread_in_the_parameter_s_unit_are_the_same_batches(analytic):
    """Where all draws are alike: 5 % of 40 W/(m2 K) are 2 W/(m2 K), bit for bit up to rounding."""
    film, draws = Parameter("k", "40 W/(m^2 K)"), np.full(500, 40.0)
    share, plain = (varying(analytic, film, draws, s).batches.values["k"] for s in ("5 %", "2 W/(m^2 K)"))
    assert share == pytest.approx(plain, rel=1e-12)


def test_a_share_of_a_negative_value_and_of_none(analytic):
    """The spread goes with the size of the value: a heat of reaction is negative, and a draw of zero stays zero."""
    heat = Parameter("k", "-50 kJ/mol")
    draws = np.tile([-50e3, 0.0], N // 2)
    found = varying(analytic, heat, draws, "10 %").batches.values["k"]
    assert found[::2].std() == pytest.approx(5e3, rel=5.0 / np.sqrt(N))
    assert (found[1::2] == 0.0).all()


def test_a_share_keeps_to_the_bounds_of_the_parameter(analytic):
    """Half of the normal lies below zero for a spread of the whole value: what is drawn does not."""
    rate = Parameter("k", "1 1/s", bounds=("0 1/s", "1.5 1/s"))
    found = varying(analytic, rate, np.full(N, 1.0), "100 %").batches.values["k"]
    assert found.min() >= 0.0 and found.max() <= 1.5
    # Of the normal of mean 1 and sd 1, cut at 0 and 1.5.
    cut = truncnorm(-1.0, 0.5, loc=1.0, scale=1.0)
    assert found.mean() == pytest.approx(cut.mean(), abs=5.0 * cut.std() / np.sqrt(N))


def test_percent_of_a_parameter_in_percent_are_points(analytic):
    """Of 80 % one percent is 79 % to 81 %, and not 79.2 % to 80.8 %."""
    purity = Parameter("k", "80 percent")
    found = varying(analytic, purity, np.full(N, 0.8), "1 percent").batches.values["k"]
    assert found.std() == pytest.approx(0.01, rel=5.0 / np.sqrt(N))


@pytest.mark.parametrize(
    ("value", "given", "match"),
    [
        ("0.8", "3 percent", 'batch_variation of k = 3 percent: of a plain number .*write "0.03 1"'),
        ("20 degC", "3 %", "k = 3 %: degC has its zero somewhere.* give a difference in K"),
        ("2 1/s", "-3 %", "k = -3 %: a standard deviation is zero or above"),
        ("2 1/s", "some", "batch_variation of k: .some. does not begin with a number"),
        ("2 1/s", "3 kg", "batch_variation of k: .3 kg. is in kg"),
    ],
)
def test_a_share_that_could_mean_something_else_is_refused(analytic, value, given, match):
    parameter = Parameter("k", value)
    with pytest.raises(PhysicsTwinError, match=match):
        varying(analytic, parameter, np.full(50, 1.0), given)


def test_a_share_of_a_temperature_difference_is_one(analytic):
    """5 % of a cooling by 20 K; only a temperature on a scale has no share."""
    cooling = Parameter("k", "20 K", difference=True)
    found = varying(analytic, cooling, np.full(N, 20.0), "5 %").batches.values["k"]
    assert found.std() == pytest.approx(1.0, rel=5.0 / np.sqrt(N))


def test_a_prior_of_the_batches_replaces_what_was_fitted_and_says_so(linear):
    """a ~ N(0, 0.1) as fitted, N(2, 0.01) as given: the batches have the latter alone, and the words say it."""
    limits = [pt.Limit("y", upper=1.0, over=pt.final)]
    _, found = batches_of(*linear, limits, batch_variation={"a": pt.Normal(2.0, 0.01)})
    a = found.batches.values["a"]
    assert np.mean(a) == pytest.approx(2.0, abs=5 * 0.01 / np.sqrt(N))
    assert np.std(a) == pytest.approx(0.01, rel=0.05)
    assert not any(line.startswith("parameters: a") for line in found.includes)
    said = (
        "batch-to-batch variation: a drawn from the given prior Normal(2, 0.01) for each batch, not from the posterior"
    )
    assert said in found.includes
    assert any(note.startswith("a: what was fitted is not in the probability") for note in found.notes)


def test_a_prior_of_what_was_not_fitted_replaces_nothing(analytic):
    model = analytic.closed_form({"y": lambda t, v: v["a"] + v["b"]}, ["a", "b"])
    posterior = Posterior.from_draws([Parameter("a", 0.1, unit="1")], np.random.default_rng(1).standard_normal((50, 1)))
    limits = [pt.Limit("y", upper=1.0, over=pt.final)]
    settings = analytic.knobs(1)
    given = {"b": pt.Normal(2.0, 0.01)}
    _, found = batches_of(model, posterior, analytic.one_hour(settings), settings, limits, batch_variation=given)
    assert found.includes == ("parameters: a", "batch-to-batch variation: b drawn from the given prior Normal(2, 0.01)")
    assert not any("not in the probability" in note for note in found.notes)


def test_a_new_lot_with_a_scatter_of_its_own_is_both_and_says_both(lots):
    """Variances add: of the mean 0.2^2, of the lots 0.5^2, of the batches 0.6^2."""
    limits = [pt.Limit("y", upper=1.0, over=pt.final)]
    _, found = batches_of(*lots, limits, batch_variation={"a": 0.6})
    sd = np.sqrt(0.2**2 + 0.5**2 + 0.6**2)
    assert np.std(found.batches.values["a"]) == pytest.approx(sd, rel=0.05)
    assert found.includes == (
        "batch-to-batch variation: a of a new lot, drawn from the population of the 2 that were fitted",
        "batch-to-batch variation: a sd 0.6",
    )
