"""Posteriors drawn anew: the same law as the first draws, none of them again, from a file as well."""

import dataclasses

import h5py
import numpy as np
import pytest
from scipy import stats

import physics_twin as pt
from physics_twin.errors import CalibrationError, FileFormatError
from physics_twin.posterior.drawing.normal_at_mode import MANY
from physics_twin.posterior.drawing.origin import Priors
from physics_twin.posterior.members import member_values
from tests.estimation.heated_wall import AMBIENT, SENSORS, design, measured, wall

N = 4000
SURE = 1e-4
"""Chance at which a test of the same law would fail, all numbers being right."""
TIMES = np.linspace(0.5, 10.0, 20)
NOISE = 0.2


def line(gain_prior: object = None, low: str | None = None) -> pt.FunctionModel:
    """y = start + gain t, linear in both: its Laplace approximation is its posterior."""
    bounds = (low, None) if low else (None, None)
    return pt.FunctionModel(
        "line",
        version="1",
        rate=lambda t, s, u, v: {"y": v["gain"]},
        states={"y": ("K", "20 K")},
        parameters=[
            pt.Parameter("gain", "0.5 K/s", bounds=bounds, prior=gain_prior, unit="K/s"),
            pt.Parameter("unseen", "2", prior=pt.LogNormal("2", 0.3)),
        ],
        outputs={"y": "K"},
    )


def run(name: str, start: float = 20.0, gain: float = 0.4, noise: object = None) -> pt.Experiment:
    rng = np.random.default_rng([len(name), *name.encode()])
    y = start + gain * TIMES + NOISE * rng.standard_normal(TIMES.size)
    channel = pt.Channel("y", unit="K", noise=pt.EstimatedNoise("1 K") if noise is None else noise)
    return pt.Experiment.from_arrays(name, TIMES, {"y": y}, channels=[channel])


def fitted(n_draws: int = N, **model: object) -> pt.Posterior:
    unknown = [pt.PerExperiment("initial.y"), "gain", "unseen"]
    method = pt.GaussNewton(n_draws=n_draws)
    return pt.calibrate(line(**model), [run("a"), run("bb", 25.0)], unknown=unknown, method=method, rng=4)


@pytest.fixture(scope="module")
def posterior() -> pt.Posterior:
    return fitted()


def same_law(first: pt.Posterior, second: pt.Posterior, n_directions: int = 20) -> None:
    """Kolmogorov and Smirnov in each column and along random directions of all of them (Cramer and Wold 1936)."""
    both = np.concatenate([first.draws.values, second.draws.values])
    scale = both.std(axis=0)
    rng = np.random.default_rng(0)
    directions = np.concatenate([np.eye(len(scale)), rng.standard_normal((n_directions, len(scale)))])
    for direction in directions[:, scale > 0.0] / scale[scale > 0.0]:
        along = [p.draws.values[:, scale > 0.0] @ direction for p in (first, second)]
        assert stats.ks_2samp(*along).pvalue > SURE / len(directions)


def test_fresh_draws_have_the_law_of_the_first(posterior: pt.Posterior) -> None:
    """Columns, combinations, correlations; of experiments (name@experiment) and noise levels too."""
    fresh = posterior.redraw(N, rng=7)
    assert fresh.names == posterior.names
    assert "initial.y@bb" in fresh.names
    assert fresh.n_draws == fresh.effective_draws == N
    same_law(posterior, fresh)
    # The standard error of a correlation r of n draws is (1 - r^2) / sqrt(n), for each of the two.
    r, s = posterior.correlation.values, fresh.correlation.values
    off = ~np.eye(len(r), dtype=bool)
    assert (np.abs(r - s)[off] < 5.0 * np.sqrt(2.0 / N)).all()
    assert r[0, 2] < -0.3, "the case must have a correlation to show"
    assert "redrawn" in fresh.provenance and "redrawn" not in posterior.provenance


def test_fresh_draws_of_a_linear_model_are_exact() -> None:
    """With one noise level the slope is Student's t with n - p degrees about least squares; ln unseen keeps its prior.

    The noise is independent, so whether its residuals look correlated is chance; this run does not.
    """
    model, data = line(), run("single")
    found = pt.calibrate(model, data, unknown=["initial.y", "gain", "unseen"], method=pt.GaussNewton(n_draws=10), rng=1)
    assert set(found.inflation.values()) == {1.0}
    fresh = found.redraw(N, rng=2)
    x = np.stack([np.ones_like(TIMES), TIMES], axis=1)
    y = data.series["y"].values
    best, sum_of_squares = np.linalg.lstsq(x, y, rcond=None)[:2]
    degrees = TIMES.size - 2
    sd = np.sqrt(sum_of_squares[0] / degrees * np.linalg.inv(x.T @ x)[1, 1])
    assert stats.kstest(fresh["gain"], stats.t(degrees, best[1], sd).cdf).pvalue > SURE
    level = sum_of_squares[0] / fresh["noise.y"] ** 2
    assert stats.kstest(level, stats.chi2(degrees).cdf).pvalue > SURE
    assert stats.kstest(np.log(fresh["unseen"]), stats.norm(np.log(2.0), 0.3).cdf).pvalue > SURE


def test_fresh_draws_are_as_wide_as_correlated_residuals_make_the_first() -> None:
    """Slow waves in the residuals widen the draws; fresh ones too."""
    y = 20.0 + 0.4 * TIMES + NOISE * np.sin(1.5 * TIMES)
    data = pt.Experiment.from_arrays(
        "waves", TIMES, {"y": y}, channels=[pt.Channel("y", unit="K", noise=pt.EstimatedNoise("1 K"))]
    )
    found = pt.calibrate(line(), data, unknown=["initial.y", "gain"], method=pt.GaussNewton(n_draws=N), rng=1)
    assert found.inflation["initial.y"] > 1.2
    same_law(found, found.redraw(N, rng=2))


def test_bounds_cut_fresh_draws_as_the_first() -> None:
    """The slope of the data lies below its bound: a one-sided tail, nothing outside."""
    found = fitted(low="0.41 K/s")
    fresh = found.redraw(N, rng=3)
    assert fresh["gain"].min() >= 0.41
    assert found["gain"].min() < 0.412
    same_law(found, fresh)


def test_many_unknowns_are_drawn_anew_too() -> None:
    """The way of drawing that serves beyond MANY."""
    runs = [run(f"run_{i}", noise=f"{NOISE} K") for i in range(MANY + 2)]
    unknown = [pt.PerExperiment("initial.y"), "gain"]
    found = pt.calibrate(line(), runs, unknown=unknown, method=pt.GaussNewton(n_draws=1000), rng=4)
    assert len(found.names) > MANY
    same_law(found, found.redraw(1000, rng=3))


@pytest.mark.parametrize("as_generator", [False, True])
def test_no_draw_comes_twice(as_generator: bool) -> None:
    """The same seed, or a generator in the same state, gives other draws than it gave at first."""

    def seed() -> int | np.random.Generator:
        return np.random.default_rng(5) if as_generator else 5

    declared = [pt.Parameter("k", "1 1/s", prior=pt.Normal("1 1/s", "0.1 1/s"))]
    first = pt.Posterior.from_prior(declared, 500, rng=seed())
    again = first.redraw(500, rng=seed())
    assert not np.isin(again["k"], first["k"]).any()
    assert (again["k"] == first.redraw(500, rng=seed())["k"]).all()
    assert not np.isin(first.redraw(500, rng=6)["k"], again["k"]).any()
    given = np.random.default_rng(9)
    before = given.bit_generator.state
    first.redraw(10, rng=given)
    assert given.bit_generator.state == before


def population() -> list[pt.Parameter]:
    bounds = ("1e-6 1/s", "1 1/s")
    return [
        pt.Parameter("mean.k", "1e-3 1/s", bounds=bounds, prior=pt.LogNormal("1e-3 1/s", 0.2)),
        *(pt.Parameter(f"k@{lot}", "1e-3 1/s", bounds=bounds) for lot in "AB"),
        pt.Parameter("spread.k", "0.3", prior=pt.HalfNormal("0.3"), bounds=("1e-3", "3")),
    ]


def test_members_of_populations_belong_to_their_own_draw() -> None:
    """ln k of a lot, about the mean and over the spread of the same draw, is standard normal; of a new lot too."""
    first = pt.Posterior.from_prior(population(), 200, rng=1)
    fresh = first.redraw(N, rng=1)
    for lot in "AB":
        z = np.log(fresh[f"k@{lot}"] / fresh["mean.k"]) / fresh["spread.k"]
        assert stats.kstest(z, stats.norm.cdf).pvalue > SURE
    model = pt.FunctionModel(
        "lump",
        version="1",
        rate=lambda t, s, u, v: {"T": -v["k"] * s["T"]},
        states={"T": ("K", "400 K")},
        parameters=[pt.Parameter("k", "1e-3 1/s", bounds=("1e-6 1/s", "1 1/s"))],
        outputs={"T": "K"},
    )
    recipe = pt.Recipe.constant(duration="10 min")
    new, notes = member_values(
        fresh, model, recipe, np.arange(N), np.random.default_rng(3), experiment=None, values=None
    )
    z = np.log(new["k"] / fresh["mean.k"]) / fresh["spread.k"]
    assert stats.kstest(z, stats.norm.cdf).pvalue > SURE
    assert "of a new lot" in notes[0]


def test_a_saved_posterior_is_drawn_anew_to_the_same_bytes(posterior: pt.Posterior, tmp_path) -> None:
    posterior.save(tmp_path / "posterior.nc")
    loaded = pt.Posterior.load(tmp_path / "posterior.nc")
    assert loaded.redraw(50, rng=1).draws.values.tobytes() == posterior.redraw(50, rng=1).draws.values.tobytes()
    prior = pt.Posterior.from_prior(population(), 20, rng=1)
    prior.save(tmp_path / "prior.nc")
    loaded = pt.Posterior.load(tmp_path / "prior.nc")
    assert loaded.origin == Priors()
    assert loaded.redraw(50, rng=1).draws.values.tobytes() == prior.redraw(50, rng=1).draws.values.tobytes()


def test_files_of_before_have_no_origin_and_damaged_ones_are_refused(posterior: pt.Posterior, tmp_path) -> None:
    path = tmp_path / "posterior.nc"
    posterior.save(path)
    with h5py.File(path, "r+") as file:
        del file["origin"]
    assert pt.Posterior.load(path).origin is None
    posterior.save(path)
    with h5py.File(path, "r+") as file:
        del file["origin"]["low"]
    with pytest.raises(FileFormatError, match="damaged"):
        pt.Posterior.load(path)
    posterior.save(path)
    with h5py.File(path, "r+") as file:
        file["origin"].attrs["kind"] = "oracle"
    with pytest.raises(FileFormatError, match='"oracle"'):
        pt.Posterior.load(path)


def test_what_cannot_be_drawn_anew_says_what_to_do(posterior: pt.Posterior) -> None:
    given = pt.Posterior.from_draws(posterior.parameters, posterior.draws.values)
    with pytest.raises(CalibrationError, match=r"cannot be made anew.*from where these were made"):
        given.redraw(100, rng=1)
    chains = dataclasses.replace(given, provenance={"method": "MarkovChain(n_draws=100)"})
    with pytest.raises(CalibrationError, match=r"method=pt\.MarkovChain\(n_draws=300\)"):
        chains.redraw(300, rng=1)
    with pytest.raises(CalibrationError, match="at least one"):
        posterior.redraw(0, rng=1)


def test_profiles_and_populations_have_no_origin() -> None:
    """Profiles reshape draws; spreads of populations come from a pool of weighted tries, which stays as it is."""
    profiles = pt.calibrate(line(), run("a"), unknown=["gain"], method=pt.ProfileLikelihood(), rng=1)
    assert profiles.origin is None
    runs = [run(name, start) for name, start in (("a", 20.0), ("bb", 25.0), ("ccc", 23.0))]
    lots = [pt.Population("initial.y", spread="2 K"), "gain"]
    assert pt.calibrate(line(), runs, unknown=lots, method=pt.GaussNewton(n_draws=50), rng=1).origin is None


@pytest.mark.parametrize("n_flux", [20, MANY + 20])
def test_fresh_draws_of_quasi_newton_have_the_mean_and_covariance_of_the_closed_form(n_flux: int) -> None:
    """The flux into a wall: a linear model under known noise and a normal prior, by either way of drawing.

    Along any direction a draw is normal with the exact mean and variance (Cramer and Wold 1936); its square distance
    from the mean is chi square. The mean of n draws has the standard error sd / sqrt(n), an entry of their covariance
    sqrt((c_ij^2 + c_ii c_jj) / n) (Wishart): none of so many may be off by six of them.
    """
    flux = [f"flux_{i + 1}" for i in range(n_flux)]
    smooth = pt.SmoothPrior(flux, "4 kW/m^2", "5 kW/m^2", length=max(n_flux // 8, 2))
    model, times = wall(n_flux), np.linspace(4.0, 600.0, 100)
    data = measured(model, times)
    found = pt.calibrate(model, data, unknown=[smooth], method=pt.QuasiNewton(n_draws=20), rng=1)
    assert set(found.inflation.values()) == {1.0}  # else the draws are wider than the closed form, on purpose
    fresh = found.redraw(N, rng=2)
    assert fresh.n_draws == fresh.effective_draws == N
    assert fresh.provenance["redrawn"] == f"{N} draws from the posterior's normal approximation, seed 2"
    by = design(model, times)
    rise = np.concatenate([data[name].values for name in SENSORS]) - AMBIENT
    hessian = by.T @ by / 0.2**2 + np.linalg.inv(smooth.correlation) / 5000.0**2
    mean = 4000.0 + np.linalg.solve(hessian, by.T @ (rise - by @ np.full(n_flux, 4000.0)) / 0.2**2)
    covariance = np.linalg.inv(hessian)
    sd = np.sqrt(np.diag(covariance))
    drawn = np.stack([fresh[name] for name in flux], axis=1)
    assert (np.abs(drawn.mean(axis=0) - mean) < 6.0 * sd / np.sqrt(N)).all()
    error = np.sqrt((covariance**2 + np.outer(sd, sd) ** 2) / N)
    assert (np.abs(np.cov(drawn.T) - covariance) < 6.0 * error).all()
    distance = np.einsum("ij,jk,ik->i", drawn - mean, hessian, drawn - mean)
    assert stats.kstest(distance, stats.chi2(n_flux).cdf).pvalue > SURE
    for direction in np.random.default_rng(0).standard_normal((20, n_flux)) / sd:
        law = stats.norm(direction @ mean, np.sqrt(direction @ covariance @ direction))
        assert stats.kstest(drawn @ direction, law.cdf).pvalue > SURE / 20
    assert not np.isin(fresh[flux[0]], found[flux[0]]).any()
