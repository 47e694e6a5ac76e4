"""QuasiNewton on a heated wall with a hand-written adjoint: exact answers, agreement with GaussNewton, bad luck."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import optimize, stats

import physics_twin as pt
from physics_twin.errors import CalibrationError, ModelError, SolveError
from physics_twin.estimation import noise
from physics_twin.estimation.adjoint import pull_back
from physics_twin.estimation.adjoint_jacobian import find_jacobian
from physics_twin.estimation.descent import descend
from physics_twin.estimation.problem import set_up
from physics_twin.estimation.quasi_newton import Assumed, QuasiNewton, weighted
from physics_twin.measurements import EstimatedNoise, Experiment, UnknownBias, UnknownDelay
from physics_twin.posterior.drawing.many_draws import Shared, bounce, draw_many
from tests.estimation.heated_wall import AMBIENT, SENSORS, HeatedWall, WithSensitivities, design, measured, wall

N = 100
FLUX = [f"flux_{i}" for i in range(1, N + 1)]
TIMES = np.linspace(4.0, 600.0, 100)
PRIOR = pt.Normal("4 kW/m^2", "3 kW/m^2")
SMOOTH = pt.SmoothPrior(FLUX, "4 kW/m^2", "5 kW/m^2", length=12)
LOW_RANK = QuasiNewton(exact_up_to=60)


def exact(model: HeatedWall, run: Experiment, precision: np.ndarray, mean: float = 4000.0, sd: float = 0.2):
    """Mean and covariance of the linear-Gaussian posterior of the flux."""
    matrix = design(model, TIMES)
    rise = np.concatenate([run[name].values for name in SENSORS]) - AMBIENT
    hessian = matrix.T @ matrix / sd**2 + precision
    center = np.linalg.solve(hessian, matrix.T @ (rise - matrix @ np.full(N, mean)) / sd**2)
    return mean + center, np.linalg.inv(hessian)


def values_of(posterior: pt.Posterior, names: list[str]) -> np.ndarray:
    return np.array([posterior.mode[name] for name in names])


# Exact answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "said", "close", "narrow"),
    [(QuasiNewton(), "exact by 200 backward runs", 1e-8, 1e-8), (LOW_RANK, "of low rank", 1e-3, 2e-3)],
)
@pytest.mark.parametrize("prior", ["independent", "smooth"])
def test_the_linear_gaussian_posterior_is_reproduced(
    prior: str, method: QuasiNewton, said: str, close: float, narrow: float
) -> None:
    """100 unknowns, 200 samples: mean and covariance of the closed form, with the exact Hessian to rounding.

    Low rank: what is left out holds the information of about a hundredth of a parameter, so standard deviations are
    too large by well under a percent; the mode is limited by the tolerance of 1e-3 standard deviations.
    """
    model = wall(N, prior=PRIOR)
    run = measured(model, TIMES)
    if prior == "smooth":
        unknown, precision = [SMOOTH], np.linalg.inv(SMOOTH.correlation) / 5000.0**2
    else:
        unknown, precision = FLUX, np.eye(N) / 3000.0**2
    posterior = pt.calibrate(model, run, unknown=unknown, method=method, rng=1)
    mean, covariance = exact(model, run, precision)
    sd = np.sqrt(np.diag(covariance))
    away = values_of(posterior, FLUX) - mean
    assert posterior.converged
    assert said in posterior.message
    assert np.sqrt(away @ np.linalg.solve(covariance, away)) < close
    scaled = posterior.covariance.values / np.outer(sd, sd)
    np.testing.assert_allclose(scaled, covariance / np.outer(sd, sd), atol=narrow)
    if prior == "smooth":  # the truth is smooth, so only here are the residuals white and the draws classical
        assert set(posterior.inflation.values()) == {1.0}
        off = posterior.draws.values - mean
        distance = np.einsum("ij,ij->i", off, np.linalg.solve(covariance, off.T).T)
        assert stats.kstest(distance, stats.chi2(N).cdf).pvalue > 1e-3


def test_smooth_priors_are_the_same_for_gauss_newton() -> None:
    """The prior belongs to the problem, not to the method: GaussNewton finds the same closed form."""
    model = wall(N, kind=WithSensitivities)
    run = measured(model, TIMES)
    posterior = pt.calibrate(model, run, unknown=[SMOOTH], method=pt.GaussNewton(n_draws=10))
    mean, covariance = exact(model, run, np.linalg.inv(SMOOTH.correlation) / 5000.0**2)
    sd = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(values_of(posterior, FLUX), mean, atol=1e-6 * sd.min())
    np.testing.assert_allclose(np.sqrt(np.diag(posterior.covariance.values)), sd, rtol=1e-6)


def test_sensitivities_are_used_for_the_hessian_where_they_exist() -> None:
    """The same covariance from one integration with sensitivities as from 200 backward runs."""
    rows = pt.calibrate(wall(N), measured(wall(N), TIMES), unknown=[SMOOTH], method=QuasiNewton(n_draws=1))
    model = wall(N, kind=WithSensitivities)
    columns = pt.calibrate(model, measured(model, TIMES), unknown=[SMOOTH], method=QuasiNewton(n_draws=1))
    assert "exact by sensitivities" in columns.message
    assert model.calls.count("sensitivity") == 1
    np.testing.assert_allclose(columns.covariance.values, rows.covariance.values, rtol=1e-9, atol=1e-6)


def test_bounds_hold_exactly_and_the_mode_is_that_of_bounded_least_squares() -> None:
    """Flux not below zero: the mode of SciPy's BVLS, and draws that stay inside."""
    model = wall(N, prior=pt.Truncated(PRIOR, "0 W/m^2"), bounds=("0 W/m^2", None))
    run = measured(model, TIMES)
    posterior = pt.calibrate(model, run, unknown=FLUX, method=QuasiNewton(exact_up_to=80, n_draws=200), rng=1)
    matrix = design(model, TIMES)
    rise = np.concatenate([run[name].values for name in SENSORS]) - AMBIENT
    rows = np.concatenate([matrix / 0.2, np.eye(N) / 3000.0])
    witness = optimize.lsq_linear(
        rows, np.concatenate([rise / 0.2, np.full(N, 4000.0 / 3000.0)]), (0.0, np.inf), "bvls"
    )
    mode = values_of(posterior, FLUX)
    away = mode - witness.x
    assert np.sqrt(float((rows @ away) @ (rows @ away))) < 2e-3
    assert ((mode == 0.0) == (witness.x < 1e-6)).all()
    assert (mode == 0.0).sum() > 5
    assert posterior.draws.values.min() >= 0.0


# Agreement with GaussNewton ------------------------------------------------------------------------------------------


def test_nonlinear_unknowns_and_estimated_noise_agree_with_gauss_newton() -> None:
    """Conductivity beside the flux, noise levels estimated: the same mode, errors and noise.

    The Hessian may be that of a point near the mode, if steps on it did what it said to 2 %: errors to 1 %.
    """
    n = 30
    model = wall(n)
    smooth = pt.SmoothPrior(FLUX[:n], "4 kW/m^2", "5 kW/m^2", length=4)
    run = measured(model, TIMES, noise=EstimatedNoise("5 K"))
    unknown = [smooth, pt.Parameter("conductivity", "1 W/m/K", prior=pt.LogNormal("1.5 W/m/K", 0.3))]
    mine = pt.calibrate(model, run, unknown=unknown, method=QuasiNewton(n_draws=50))
    other = pt.calibrate(model, run, unknown=unknown, method=pt.GaussNewton(n_draws=50))
    assert mine.converged
    for name in other.names:
        assert abs(mine.mode[name] - other.mode[name]) < 2e-3 * other.standard_errors[name]
        assert mine.standard_errors[name] == pytest.approx(other.standard_errors[name], rel=1e-2)
    assert mine.mode["noise.near"] == pytest.approx(other.mode["noise.near"], rel=1e-4)
    assert 0.15 < mine.mode["noise.near"] < 0.25


def test_experiments_with_a_function_each_bias_and_delay_agree_with_gauss_newton() -> None:
    """A flux per experiment, shared conductivity, biases and delays: everything a fit can hold at once."""
    n = 12
    prior = [pt.SmoothPrior([pt.PerExperiment(f"flux_{i}") for i in range(1, n + 1)], "4 kW/m^2", "5 kW/m^2", length=3)]
    model = wall(n, kind=HeatedWall)
    runs = [
        measured(
            model, TIMES, seed=1, name="one", late=9.0, bias=UnknownBias("2 K"), delay=UnknownDelay("0 s", "30 s")
        ),
        measured(model, TIMES, seed=2, name="two"),
    ]
    unknown = [*prior, "conductivity"]
    mine = pt.calibrate(model, runs, unknown=unknown, method=QuasiNewton(n_draws=20))
    other = pt.calibrate(model, runs, unknown=unknown, method=pt.GaussNewton(n_draws=20))
    assert mine.names == other.names
    assert "flux_3@two" in mine.names and "delay.near" in mine.names
    assert "differences for delay.near, delay.far" in mine.message
    for name in mine.names:
        assert abs(mine.mode[name] - other.mode[name]) < 0.01 * other.standard_errors[name]
        assert mine.standard_errors[name] == pytest.approx(other.standard_errors[name], rel=1e-2)


# Gradients -----------------------------------------------------------------------------------------------------------


def test_the_gradient_passes_a_taylor_test() -> None:
    """The remainder of the misfit falls with the square of the step, biases, delays, logarithms, priors included."""
    n = 6
    model = wall(n, prior=pt.Normal("4 kW/m^2", "3 kW/m^2"))
    names = [f"flux_{i}" for i in range(1, n + 1)]
    run = measured(model, TIMES, bias=UnknownBias("2 K"))
    prior = pt.SmoothPrior(names, "4 kW/m^2", "5 kW/m^2", length=2)
    problem = set_up(model, (run,), [prior, "conductivity", "loss"])
    assumed = Assumed(noise.start_levels(problem), np.empty(0))
    rng = np.random.default_rng(4)
    z = 0.1 * rng.standard_normal(len(problem.names))
    direction = rng.standard_normal(z.size)
    here = weighted(problem, pull_back(problem, z), assumed)
    steps = 0.02 * 0.5 ** np.arange(5)
    remainder = [
        abs(
            weighted(problem, pull_back(problem, z + h * direction), assumed).misfit
            - here.misfit
            - 2.0 * h * float(here.half_slope @ direction)
        )
        for h in steps
    ]
    orders = np.diff(np.log(remainder)) / np.diff(np.log(steps))
    assert (np.abs(orders - 2.0) < 0.1).all(), orders


def test_rows_low_rank_and_gauss_newton_give_one_jacobian() -> None:
    """Rows by backward runs equal the columns of GaussNewton; the low rank one equals both in what the data see."""
    model = wall(N, prior=PRIOR)
    problem = set_up(model, (measured(model, TIMES),), FLUX)
    pulled = pull_back(problem, np.zeros(N))
    w = noise.weights(problem, np.empty(0))
    arguments = {"rng": np.random.default_rng(0), "record": lambda at, error: None}
    rows = find_jacobian(problem, pulled, w, exact_up_to=200, **arguments)
    low = find_jacobian(problem, pulled, w, exact_up_to=70, **arguments)
    scale = problem.space.slope(pulled.point.x)
    np.testing.assert_allclose(rows.jacobian, -design(model, TIMES) * scale, rtol=1e-9, atol=1e-12)
    assert np.linalg.matrix_rank(low.jacobian) <= 70
    left_out = (rows.jacobian - low.jacobian) * w[:, None] * problem.space.reference
    assert float((left_out**2).sum()) < 0.1, "information left out, as a number of parameters"


def test_a_gradient_costs_one_forward_and_one_backward_run_per_experiment() -> None:
    """Whatever the number of unknowns."""
    model = wall(N, prior=PRIOR)
    runs = tuple(measured(model, TIMES, seed=s, name=f"run_{s}") for s in range(3))
    problem = set_up(model, runs, [*FLUX, "conductivity"])
    model.calls.clear()
    weighted(problem, pull_back(problem, np.zeros(N + 1)), Assumed(np.empty(0), np.empty(0)))
    assert sorted(model.calls) == ["backward"] * 3 + ["forward"] * 3


# Bad luck and bad input ----------------------------------------------------------------------------------------------


def test_a_simulation_that_fails_shortens_the_step_and_is_recorded() -> None:
    """Where a wall melts above a flux that only overshooting steps reach, the mode is found all the same."""
    free = pt.calibrate(wall(N), measured(wall(N), TIMES), unknown=[SMOOTH], method=QuasiNewton(n_draws=10))
    limit = 1.01 * max(free.mode[name] for name in FLUX)
    model = wall(N, forbidden=lambda values: any(values[name] > limit for name in FLUX))
    posterior = pt.calibrate(model, measured(model, TIMES), unknown=[SMOOTH], method=QuasiNewton(n_draws=10))
    assert posterior.converged
    assert posterior.failures
    assert {f.reason for f in posterior.failures} == {"the wall melts"}
    assert posterior.failures[0].experiment == "run"
    for name in FLUX:
        assert abs(posterior.mode[name] - free.mode[name]) < 5e-3 * free.standard_errors[name]


def test_the_descent_never_accepts_a_point_that_failed() -> None:
    """A flat bowl whose first step overshoots into what cannot be simulated: failures told, the minimum found."""
    told: list[np.ndarray] = []

    def evaluate(x: np.ndarray) -> np.ndarray:
        if x[0] > 1.05:
            raise SolveError("too far", time=0.0)
        return x

    def measure(x: np.ndarray) -> tuple[float, np.ndarray]:
        return float(0.1 * (x[0] - 1.0) ** 2 + x[1] ** 4), np.array([0.2 * (x[0] - 1.0), 4.0 * x[1] ** 3])

    start, wide = np.array([0.3, 0.01]), np.full(2, np.inf)
    options = {"least": 1e-14, "max_iterations": 500, "rejected": lambda x, error: told.append(x)}
    went = descend(evaluate, measure, start, start, -wide, wide, step=lambda: None, **options)
    assert told
    assert all(x[0] > 1.05 for x in told)
    np.testing.assert_allclose(went.at[0], 1.0, atol=1e-5)


@pytest.mark.parametrize("jitter", [1e-7, 1e-6])
def test_integrator_noise_is_no_reason_to_fail(jitter: float) -> None:
    """Relative errors of the outputs that depend on the values without reason: converged, at the mode of exact runs."""
    unknown = [SMOOTH, pt.Parameter("conductivity", "1 W/m/K", prior=pt.LogNormal("1.5 W/m/K", 0.3))]
    clean = pt.calibrate(wall(N), measured(wall(N), TIMES), unknown=unknown, method=QuasiNewton(n_draws=10))
    model = wall(N, jitter=jitter)
    noisy = pt.calibrate(model, measured(wall(N), TIMES), unknown=unknown, method=LOW_RANK)
    assert noisy.converged
    for name in noisy.names:
        assert abs(noisy.mode[name] - clean.mode[name]) < 0.03 * clean.standard_errors[name]


def test_a_model_without_adjoints_is_told_of_gauss_newton(line, experiment) -> None:
    """ModelError with the name of the method that serves it."""
    run = experiment("run", np.arange(5.0), np.arange(5.0), noise="1 K")
    with pytest.raises(ModelError, match=r"no adjoints.*GaussNewton"):
        pt.calibrate(line(), run, unknown=["a"], method=QuasiNewton())


def test_a_wrong_adjoint_is_found_out() -> None:
    """Backward runs that are off by a tenth disagree with differences of the outputs, and the fit says so."""
    model = wall(N, wrong=1.1)
    posterior = pt.calibrate(model, measured(model, TIMES), unknown=[SMOOTH], method=LOW_RANK)
    assert any("disagree by" in w and "adjoint is wrong" in w for w in posterior.warnings)
    right = pt.calibrate(wall(N), measured(model, TIMES), unknown=[SMOOTH], method=LOW_RANK)
    assert not any("disagree" in w for w in right.warnings)


def test_a_gradient_of_the_wrong_length_is_an_error_of_the_model() -> None:
    """What was returned and what was asked for."""
    model = wall(4)
    inner = model.pullback
    model.pullback = lambda *a: (inner(*a)[0], lambda weights: np.zeros(3))  # type: ignore[method-assign]
    with pytest.raises(ModelError, match=r"shape \(3,\) for 4 names"):
        pt.calibrate(model, measured(model, TIMES), unknown=FLUX[:4], method=QuasiNewton())


def test_a_gradient_that_is_not_finite_is_a_failed_simulation() -> None:
    """Never a number in the fit: with nothing else to start from the calibration ends with the reason."""
    model = wall(4, wrong=np.nan)
    with pytest.raises(CalibrationError, match="backward run returned a number that is not finite"):
        pt.calibrate(model, measured(model, TIMES), unknown=FLUX[:4], method=QuasiNewton())


def test_too_few_iterations_are_said() -> None:
    """Not converged, with the distance that is left."""
    posterior = pt.calibrate(wall(N), measured(wall(N), TIMES), unknown=[SMOOTH], method=QuasiNewton(max_iterations=2))
    assert not posterior.converged
    assert "standard deviations from the minimum after 2 iterations" in posterior.message
    assert any("did not converge" in w for w in posterior.warnings)


def test_a_rank_that_does_not_suffice_is_said() -> None:
    """The last directions still held information."""
    posterior = pt.calibrate(wall(N), measured(wall(N), TIMES), unknown=[SMOOTH], method=QuasiNewton(exact_up_to=10))
    assert any("Hessian of rank 10 may leave out" in w and "exact_up_to" in w for w in posterior.warnings)


@pytest.mark.parametrize(
    "options", [{"starts": 0}, {"max_iterations": 0}, {"n_draws": 0}, {"exact_up_to": 0}, {"tolerance": 0.0}]
)
def test_options_out_of_range(options: dict[str, float]) -> None:
    """Each is refused with the object that holds it."""
    with pytest.raises(CalibrationError, match="QuasiNewton"):
        QuasiNewton(**options)  # type: ignore[arg-type]


def test_smooth_priors_refuse_what_is_not_a_function() -> None:
    """One name, a name twice, no length, a mean in another unit, half of it per experiment."""
    with pytest.raises(CalibrationError, match="several parameters"):
        pt.SmoothPrior("flux_1", "0 W/m^2", "1 W/m^2", length=2)
    with pytest.raises(CalibrationError, match="each once"):
        pt.SmoothPrior(["flux_1", "flux_1"], "0 W/m^2", "1 W/m^2", length=2)
    with pytest.raises(pt.BoundsError, match="length"):
        pt.SmoothPrior(["flux_1", "flux_2"], "0 W/m^2", "1 W/m^2", length=0)
    model = wall(2)
    run = measured(model, TIMES)
    with pytest.raises(pt.UnitError):
        pt.calibrate(model, run, unknown=[pt.SmoothPrior(["flux_1", "flux_2"], "20 degC", "1 W/m^2", length=2)])
    with pytest.raises(pt.UnknownNameError, match="flux_3"):
        pt.calibrate(model, run, unknown=[pt.SmoothPrior(["flux_1", "flux_3"], "0 W/m^2", "1 W/m^2", length=2)])
    mixed = pt.SmoothPrior(["flux_1", pt.PerExperiment("flux_2")], "0 W/m^2", "1 W/m^2", length=2)
    with pytest.raises(CalibrationError, match="PerExperiment"):
        pt.calibrate(model, run, unknown=[mixed])


# Starts, draws -------------------------------------------------------------------------------------------------------


def test_starts_find_one_minimum_in_any_executor() -> None:
    """Three starts, serial and in threads: the same bits, and the message counts them."""
    n = 8
    model = wall(n)
    names = [f"flux_{i}" for i in range(1, n + 1)]
    unknown = [pt.SmoothPrior(names, "4 kW/m^2", "5 kW/m^2", length=3), "conductivity"]
    run = measured(model, TIMES)
    method = QuasiNewton(starts=3, n_draws=20, exact_up_to=20)
    alone = pt.calibrate(model, run, unknown=unknown, method=method, rng=5)
    with ThreadPoolExecutor(2) as pool:
        together = pt.calibrate(model, run, unknown=unknown, method=method, rng=5, executor=pool)
    assert "3 of 3 starts reached this minimum" in alone.message
    assert (alone.draws.values == together.draws.values).all()


def test_bouncing_draws_are_those_of_rejection() -> None:
    """A correlated Gaussian in a box that rejection can still serve: the same marginals and correlations."""
    rng = np.random.default_rng(0)
    root = np.linalg.cholesky(np.array([[1.0, 0.8, 0.1], [0.8, 1.0, 0.3], [0.1, 0.3, 1.0]]))
    mean, low, high = np.array([-0.3, 0.2, 0.0]), np.array([0.0, -np.inf, -0.5]), np.array([1.5, np.inf, 0.4])
    tries = mean + rng.standard_normal((200_000, 3)) @ root.T
    witness = tries[((tries >= low) & (tries <= high)).all(axis=1)]
    found = bounce(np.tile(mean, (6000, 1)), root[None], low, high, rng)
    assert ((found >= low) & (found <= high)).all()
    for j in range(3):
        assert stats.ks_2samp(found[:, j], witness[:, j]).pvalue > 1e-3
    np.testing.assert_allclose(np.corrcoef(found.T), np.corrcoef(witness.T), atol=4.0 / np.sqrt(6000))


def test_many_draws_with_estimated_noise_are_the_multivariate_t() -> None:
    """One noise group, flat prior: Mahalanobis distances over d are F(d, nu), noise is scaled inverse chi-square."""
    rng = np.random.default_rng(1)
    d, nu = 5, 9.0
    j = rng.standard_normal((20, d))
    information = j.T @ j
    root = np.linalg.cholesky(np.linalg.inv(information))
    shared = Shared(np.zeros((d, d)), np.zeros(d), [information], [np.zeros(d)], np.array([0.7]), np.array([nu]))
    sd, y = draw_many(shared, root, np.eye(d), np.full(d, -np.inf), np.full(d, np.inf), 4000, rng)
    distance = np.einsum("ij,jk,ik->i", y, information, y) / d
    assert stats.kstest(distance, stats.f(d, nu).cdf).pvalue > 1e-3
    assert stats.kstest(nu * 0.49 / sd[:, 0] ** 2, stats.chi2(nu).cdf).pvalue > 1e-3


def test_a_parameter_that_nothing_depends_on_keeps_its_prior() -> None:
    """Flux after the last sample: silent, and said so; its draws are those of its prior."""
    model = wall(N, prior=PRIOR)
    run = measured(model, TIMES[TIMES < 500.0])
    posterior = pt.calibrate(model, run, unknown=FLUX, method=QuasiNewton(), rng=3)
    assert "no measured output depends on it" in str(posterior.verdicts["flux_95"])
    assert posterior.standard_errors["flux_95"] == pytest.approx(3000.0, rel=1e-9)
    assert stats.kstest(posterior["flux_95"], stats.norm(4000.0, 3000.0).cdf).pvalue > 1e-3
