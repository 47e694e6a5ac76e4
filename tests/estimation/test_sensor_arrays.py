"""Arrays of sensors, read once: one noise level, and residuals that are correlated along the array."""

import matplotlib as mpl
import numpy as np
import pytest
from scipy.stats import binom

import physics_twin as pt
from physics_twin.estimation.cloud_correlation import Cloud, _moments, _pairs, _weights, examine_cloud
from physics_twin.measurements import Channel, EstimatedNoise, Experiment, Place
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.signals import Signal

mpl.use("Agg")


def grid(nx: int, ny: int, seed: int = 0) -> np.ndarray:
    """(n, 2) points a millimetre apart, a tenth out of place."""
    x, y = np.meshgrid(np.arange(nx) * 1e-3, np.arange(ny) * 1e-3)
    return np.column_stack([x.ravel(), y.ravel()]) + np.random.default_rng(seed).normal(0.0, 1e-4, (nx * ny, 2))


def distances(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points[None], axis=2)


def plane(points: np.ndarray) -> np.ndarray:
    """(n, 3) orthonormal columns: a plane fitted to the points."""
    return np.linalg.qr(np.column_stack([np.ones(len(points)), points]))[0]


def fitted(points: np.ndarray, root: np.ndarray, rng: np.random.Generator) -> tuple[Cloud, float]:
    """Residuals after a plane was fitted to errors root @ white, and their standard deviation."""
    u = plane(points)
    e = root @ rng.standard_normal(len(points))
    r = e - u @ (u.T @ e)
    sd = float(np.sqrt(r @ r / (len(points) - 3)))
    return Cloud(points, r / sd, u), sd


def test_moments_of_the_statistic_are_those_of_dense_matrices():
    """Mean and variance of r.L r / r.r for fitted white noise, by the formulas and by a large simulation."""
    points = grid(8, 7)
    cloud, _ = fitted(points, np.eye(56), np.random.default_rng(1))
    pairs = _pairs([cloud], 1e-3, 7e-3)
    weights = _weights(pairs.distance, 4e-3)
    mean, sd = _moments(pairs, weights)
    m = np.eye(56) - cloud.u @ cloud.u.T
    dense = np.zeros((56, 56))
    # L is linear in the sums that the pass over the pairs makes: it is read off unit vectors.
    for k in range(56):
        unit = np.zeros(56)
        unit[k] = 1.0
        dense[:, k] = weights @ _pairs([Cloud(points, unit, cloud.u)], 1e-3, 7e-3).br
    lm = dense @ m
    nu = np.trace(m)
    assert mean == pytest.approx(np.trace(lm) / nu, rel=1e-10)
    variance = 2.0 * (nu * np.trace(lm @ lm) - np.trace(lm) ** 2) / (nu**2 * (nu + 2.0))
    assert sd == pytest.approx(np.sqrt(variance), rel=1e-10)


def test_white_residuals_are_called_correlated_one_time_in_twenty():
    """Of 200 clouds without correlation no more are called correlated than a chance of 5 % allows (99.9 %)."""
    points, rng = grid(10, 6), np.random.default_rng(2)
    n = sum(examine_cloud([fitted(points, np.eye(60), rng)[0]]).significant for _ in range(200))
    assert n <= binom.ppf(0.999, 200, 0.05)


@pytest.mark.parametrize("memory", [1e-3, 3e-3])
def test_correlation_over_a_plane_is_found_and_paid_for(memory: float):
    """Half the variance correlated over a memory: always found, and standard errors come out right in the median.

    Ratios to the true ones scatter by 0.45 from cloud to cloud, the median of 25 by 0.11: three times that is allowed.
    """
    points, rng = grid(30, 15), np.random.default_rng(3)
    n = len(points)
    c = 0.5 * np.eye(n) + 0.5 * np.exp(-distances(points) / memory)
    root, u = np.linalg.cholesky(c), plane(points)
    true = np.diag(u.T @ c @ u)
    ratios, found = [], 0
    for _ in range(25):
        cloud, sd = fitted(points, root, rng)
        answer = examine_cloud([cloud])
        found += answer.significant
        ratios.append(sd * np.sqrt(np.diag(np.eye(3) + answer.excess) / true))
    assert found >= 24
    np.testing.assert_allclose(np.median(ratios, axis=0), 1.0, atol=0.3)


def test_clouds_of_two_moments_are_no_neighbors():
    """The same place at another moment is another series: errors that repeat in time say nothing of the plane."""
    points, rng = grid(10, 8), np.random.default_rng(4)
    one, _ = fitted(points, np.eye(80), rng)
    half = Cloud(points, one.r, one.u / np.sqrt(2.0))
    alone, twice = examine_cloud([one]), examine_cloud([half, half])
    assert not alone.significant
    assert not twice.significant
    assert twice.n_samples == 160


# -- through calibrate ------------------------------------------------------------------------------------------------


@pytest.fixture
def profile(closed_form):
    """A straight line over n places: output k is a + b x_k, whatever the time."""

    def build(n: int):
        x = np.linspace(0.0, 1.0, n)
        return closed_form(
            lambda t, v: np.stack([v["a"] + v["b"] * xk + 0.0 * t for xk in x], axis=1),
            ParameterSet([Parameter("a", "1 K"), Parameter("b", "1 K/m")]),
            tuple(Signal(f"T_{k}", "K") for k in range(n)),
        )

    return build


def array_run(values: np.ndarray, unit: str = "m", factor: float = 1.0) -> Experiment:
    x = np.linspace(0.0, 1.0, values.size) * factor
    noise = EstimatedNoise("1 K", shared="sensor")
    channels = [Channel(f"T_{k}", unit="K", noise=noise, place=Place("rod", (xk, unit))) for k, xk in enumerate(x)]
    return Experiment.from_arrays("run", [0.0], {f"T_{k}": [v] for k, v in enumerate(values)}, channels=channels)


def slow_errors(n: int) -> np.ndarray:
    rng = np.random.default_rng(7)
    x = np.linspace(0.0, 1.0, n)
    c = np.exp(-np.abs(x[:, None] - x[None]) / 0.05)
    return 3.0 + 2.0 * x + 0.5 * np.linalg.cholesky(c + 1e-12 * np.eye(n)) @ rng.standard_normal(n)


def test_sensors_read_once_share_one_noise(profile):
    """The noise of n sensors with one sample each is SSE/(n - p), and the standard errors are those of regression."""
    n, rng = 15, np.random.default_rng(6)
    x = np.linspace(0.0, 1.0, n)
    y = 3.0 + 2.0 * x + rng.normal(0.0, 0.3, n)
    posterior = pt.calibrate(profile(n), array_run(y), unknown=["a", "b"], rng=1)
    j = np.column_stack([np.ones(n), x])
    solution, sse = np.linalg.lstsq(j, y, rcond=None)[:2]
    sd = np.sqrt(sse[0] / (n - 2))
    assert posterior.mode["noise.sensor"] == pytest.approx(sd, rel=1e-8)
    assert posterior.mode["b"] == pytest.approx(solution[1], rel=1e-8)
    errors = sd * np.sqrt(np.diag(np.linalg.inv(j.T @ j)))
    assert posterior.standard_errors["b"] == pytest.approx(errors[1], rel=1e-8)


def test_correlation_along_an_array_widens_and_one_channel_over_time_says_the_same(profile, line):
    """A profile over 120 places widens as a record over 120 times does: places in m, times in s."""
    y = slow_errors(120)
    posterior = pt.calibrate(profile(120), array_run(y), unknown=["a", "b"], rng=1)
    assert posterior.inflation["b"] > 1.5
    assert any("rod: residuals are correlated" in w and " m)" in w for w in posterior.warnings)
    channel = Channel("y", unit="K", noise=EstimatedNoise("1 K", shared="sensor"))
    record = Experiment.from_arrays("run", np.linspace(0.0, 1.0, 120), {"y": y}, channels=[channel])
    over_time = pt.calibrate(line(), record, unknown=["a", "b"], rng=1)
    for name in ("a", "b"):
        assert posterior.inflation[name] == pytest.approx(over_time.inflation[name], rel=1e-9)


def test_units_of_places_and_order_of_channels_change_nothing(profile):
    """Millimetres or metres, sensors in any order: the same widening."""
    y = slow_errors(60)
    one = pt.calibrate(profile(60), array_run(y), unknown=["a", "b"], rng=1)
    run = array_run(y, "mm", 1000.0)
    shuffled = np.random.default_rng(1).permutation(list(run.series))
    other = Experiment(run.name, {k: run.series[k] for k in shuffled}, run.recipe, run.provenance)
    two = pt.calibrate(profile(60), other, unknown=["a", "b"], rng=1)
    assert one.inflation["b"] > 1.0
    assert two.inflation["b"] == pytest.approx(one.inflation["b"], rel=1e-9)


def test_an_array_is_one_row_one_panel_and_survives_a_file(profile, tmp_path):
    """The table shows the array, the pictures its profile, and a saved posterior knows it."""
    posterior = pt.calibrate(profile(15), array_run(slow_errors(15)), unknown=["a", "b"], rng=1)
    assert "rod (15 places)" in str(posterior)
    assert len(posterior.plot_fit().axes) == 1
    assert posterior.plot_residuals().axes[0].get_xlabel() == "x / cm"
    posterior.save(tmp_path / "p.nc")
    again = pt.Posterior.load(tmp_path / "p.nc")
    assert again.channels == posterior.channels
    assert again.residuals.identical(posterior.residuals)
