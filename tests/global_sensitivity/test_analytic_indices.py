"""Functions whose indices are known in closed form, as models."""

from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import physics_twin as pt

PI = np.pi
END = pt.Recipe.constant(duration="1 s")


def still(t: float, state: Any, inputs: Any, values: Any) -> dict[str, float]:
    return {"clock": 0.0}


def formula_model(names: list[str], formula: Any, low: float, high: float) -> pt.FunctionModel:
    """y = formula(values), whatever the time."""
    return pt.FunctionModel(
        "formula",
        version="1",
        rate=still,
        states={"clock": ("s", "0 s")},
        parameters=[pt.Parameter(n, (0.5 * (low + high), "1"), bounds=((low, "1"), (high, "1"))) for n in names],
        outputs={"y": ("1", formula)},
    )


def ishigami(t: float, state: Any, inputs: Any, v: Mapping[str, float]) -> float:
    return float(np.sin(v["x1"]) + 7.0 * np.sin(v["x2"]) ** 2 + 0.1 * v["x3"] ** 4 * np.sin(v["x1"]))


def ishigami_indices() -> tuple[dict[str, float], dict[str, float]]:
    """First and total indices (Ishigami and Homma 1990), a = 7, b = 0.1."""
    a, b = 7.0, 0.1
    v1, v2, v13 = 0.5 * (1 + b * PI**4 / 5) ** 2, a**2 / 8, b**2 * PI**8 * (1 / 18 - 1 / 50)
    v = v1 + v2 + v13
    first = {"x1": v1 / v, "x2": v2 / v, "x3": 0.0}
    return first, {"x1": (v1 + v13) / v, "x2": v2 / v, "x3": v13 / v}


@pytest.fixture(scope="module")
def found() -> pt.Influences:
    model = formula_model(["x1", "x2", "x3"], ishigami, -PI, PI)
    return pt.rank_influences(model, END, of="y", factors=["x1", "x2", "x3"], method=pt.Sobol(n=512))


def test_ishigami(found: pt.Influences) -> None:
    """First and total indices within twice the 95 % half intervals that the bootstrap states, none of them wide."""
    first, total = ishigami_indices()
    for kind, exact in (("first", first), ("total", total)):
        for name, share in exact.items():
            value, half = found.index(kind, name)
            assert abs(value - share) < 2.0 * half + 1e-12
            assert half < 0.2
    assert found.ranked() == ("x1", "x2", "x3")


def test_the_same_seed_gives_the_same_bytes(found: pt.Influences) -> None:
    """Points, indices and bootstrap; another seed gives others. The executor changes nothing."""
    model = formula_model(["x1", "x2", "x3"], ishigami, -PI, PI)

    def again(rng: int, executor: Executor | None = None) -> xr.Dataset:
        method = pt.Sobol(n=512)
        return pt.rank_influences(
            model, END, of="y", factors=["x1", "x2", "x3"], method=method, rng=rng, executor=executor
        ).dataset()

    with ThreadPoolExecutor(2) as pool:
        assert again(0, pool).identical(found.dataset())
    assert not again(1).identical(found.dataset())


def g_function(t: float, state: Any, inputs: Any, v: Mapping[str, float]) -> float:
    return float(np.prod([(abs(4.0 * v[n] - 2.0) + a) / (1.0 + a) for n, a in G.items()]))


G = {"g1": 0.0, "g2": 1.0, "g3": 9.0, "g4": 99.0}


def test_g_function() -> None:
    """First indices of the g-function (Saltelli and Sobol' 1995)."""
    parts = {n: 1.0 / 3.0 / (1.0 + a) ** 2 for n, a in G.items()}
    whole = np.prod([1.0 + p for p in parts.values()]) - 1.0
    found = pt.rank_influences(
        formula_model(list(G), g_function, 0.0, 1.0), END, of="y", factors=list(G), method=pt.Sobol(256)
    )
    for name, part in parts.items():
        value, half = found.index("first", name)
        assert abs(value - part / whole) < 2.0 * half + 1e-3
    assert found.ranked() == ("g1", "g2", "g3", "g4")


def screening(t: float, state: Any, inputs: Any, v: Mapping[str, float]) -> float:
    return float(5.0 * v["p1"] + 2.0 * v["p2"] ** 2 + 3.0 * v["p3"] * v["p4"])


def test_morris_finds_inert_factors() -> None:
    """Of 30 factors 26 do nothing: their effect is exactly zero. Linear ones have no spread and their slope."""
    names = [f"p{i}" for i in range(1, 31)]
    model = formula_model(names, screening, 0.0, 1.0)
    found = pt.rank_influences(model, END, of="y", factors=names, method=pt.Morris(n_trajectories=20))
    assert found.n_simulations == 20 * 31
    assert set(found.ranked()[:4]) == {"p1", "p2", "p3", "p4"}
    for name in names[4:]:
        assert found.index("mu_star", name)[0] == 0.0
    assert found.index("mu_star", "p1")[0] == pytest.approx(5.0, rel=1e-9)
    assert found.index("sigma", "p1")[0] == pytest.approx(0.0, abs=1e-9)
    assert found.index("sigma", "p3")[0] > 0.1
    # p2^2 on the levels 0, 1/3, 2/3, 1 with steps of 2/3: effects 2 (2 x + 2/3) of x = 0 or 1/3
    assert 4.0 / 3.0 <= found.index("mu_star", "p2")[0] <= 8.0 / 3.0


# Units, limits, inputs, initial values, posteriors -------------------------------------------------------------------


@pytest.fixture(scope="module")
def cooling() -> pt.ProcessModel:
    m = pt.ProcessBuilder("cooling", version="1")
    rate = m.parameter("rate", "0.1 1/min", bounds=("0.05 1/min", "0.2 1/min"))
    ambient = m.input("ambient", "degC")
    T = m.state("T", "degC", initial="100 degC", scale="10 K")
    m.rate(T, -rate * (T - ambient))
    m.output("T", T)
    return m.build()


def around(setting: pt.Setting) -> pt.Recipe:
    return pt.Recipe.constant(duration="10 min", ambient=setting)


AIR = pt.Setting("air", "degC", bounds=("10 degC", "30 degC"))
CHOSEN = {"air": None, "rate": ("0.09 1/min", "0.11 1/min"), "initial.T": pt.Normal("100 degC", "2 K")}


def test_a_limit_is_the_same_as_its_output(cooling: pt.ProcessModel) -> None:
    """Shares of the margin of an upper limit are those of the output: it is the level minus the output."""
    limit = pt.Limit("T", upper="60 degC", over=pt.final)
    found = pt.rank_influences(
        cooling, around(AIR), of=["T", limit, pt.Of("T", pt.at("5 min"))], factors=CHOSEN, method=pt.Sobol(64)
    )
    values = found.dataset()
    np.testing.assert_allclose(values["total"][0], values["total"][1], rtol=1e-9)
    assert found.tables[1].name.startswith("margin of final T")
    shown = next(line for line in str(found).splitlines() if line.startswith("margin"))
    assert " degC: 95 % of the runs between " in shown and shown.endswith(" K")  # a margin is a difference
    assert not np.allclose(values["total"][0], values["total"][2])
    # Nearly linear: first and total agree and add up to one. T(10 min) = air + (T0 - air) exp(-rate 10 min).
    shares = np.array([(20 / np.sqrt(12) * (1 - np.exp(-1))), 80 * np.exp(-1) * 0.2 / np.sqrt(12), 2 * np.exp(-1)]) ** 2
    for name, share in zip(("air", "rate", "initial.T"), shares / shares.sum(), strict=True):
        value, half = found.index("total", name)
        assert abs(value - share) < 2.0 * half + 0.01


def test_effects_carry_their_unit(cooling: pt.ProcessModel) -> None:
    """A Morris effect of a temperature in degC is a difference in K: 20 K of air move T by (1 - 1/e) of it."""
    found = pt.rank_influences(cooling, around(AIR), of="T", factors=["air"], method=pt.Morris(4))
    assert found.index("mu_star", "air")[0] == pytest.approx(20.0 * (1 - np.exp(-1.0)), rel=1e-5)
    assert "12.6 K" in str(found)
    assert found.dataset()["units"].item() == "K"


def test_factors_by_default(cooling: pt.ProcessModel) -> None:
    """What has bounds or a prior: the setting and the rate, and not the initial temperature, which has neither."""
    assert pt.rank_influences(cooling, around(AIR), of="T", method=pt.Morris(4)).names == ("air", "rate")


def draws(correlation: float) -> pt.Posterior:
    rng = np.random.default_rng(0)
    z = rng.multivariate_normal([0.0, 0.0], [[1.0, correlation], [correlation, 1.0]], size=2000)
    parameters = [pt.Parameter("rate", "0.1 1/min"), pt.Parameter("initial.T", "100 degC")]
    return pt.Posterior.from_draws(parameters, np.array([0.1 / 60, 373.15]) + z * np.array([0.01 / 60, 1.0]))


def test_a_posterior_gives_the_ranges(cooling: pt.ProcessModel) -> None:
    """Marginals of the draws; what is not a factor has its mode."""
    found = pt.rank_influences(cooling, around(AIR), of="T", posterior=draws(0.0), method=pt.Sobol(64))
    assert found.names == ("air", "rate", "initial.T")
    assert found.factors[1].words == "draws of the posterior"
    assert found.correlations == ()


def test_correlated_draws_are_said(cooling: pt.ProcessModel) -> None:
    """Both methods take the factors as independent, and the draws say that they are not."""
    with pytest.warns(UserWarning, match="rate and initial.T have the correlation 0.9"):
        found = pt.rank_influences(cooling, around(AIR), of="T", posterior=draws(0.9), method=pt.Sobol(8))
    assert "taken as independent, but rate and initial.T" in str(found)


# Failures and mistakes ---------------------------------------------------------------------------------------------


def fragile(t: float, state: Any, inputs: Any, v: Mapping[str, float]) -> dict[str, float]:
    if v["x1"] > 0.9 * PI:
        raise ValueError("the pump cavitates")
    return {"clock": 0.0}


@pytest.mark.parametrize("method", [pt.Sobol(64), pt.Morris(20)])
def test_failed_runs_take_their_block_along(method: Any) -> None:
    """Blocks with a failed run are left out, counted and said; the rest is analyzed as it is."""
    model = formula_model(["x1", "x2"], lambda t, s, i, v: v["x1"] + v["x2"], -PI, PI)
    broken = pt.FunctionModel(
        "fragile",
        version="1",
        rate=fragile,
        states={"clock": ("s", "0 s")},
        parameters=[model.parameters["x1"], model.parameters["x2"]],
        outputs={"y": ("1", lambda t, s, i, v: v["x1"] + v["x2"])},
    )
    found = pt.rank_influences(broken, END, of="y", factors=["x1", "x2"], method=method)
    assert found.failures
    assert all(f.values["x1"] > 0.9 * PI and "cavitates" in f.reason for f in found.failures)
    size = method.block_size(2)
    points = method.points(2, 0)
    lost = (points[:, 0] > 0.95).reshape(-1, size).any(axis=1)
    assert found.tables[0].n_blocks == int((~lost).sum()) < found.n_blocks
    assert f"{int(lost.sum())} of {found.n_blocks} blocks are left out" in str(found)
    assert np.isfinite(found.dataset()[next(iter(found.tables[0].indices))]).all()


def test_too_many_failures() -> None:
    """Nothing is made of next to nothing."""

    def never(t: float, s: Any, i: Any, v: Any) -> dict[str, float]:
        raise ValueError("the pump cavitates")

    broken = pt.FunctionModel(
        "broken",
        version="1",
        rate=never,
        states={"clock": ("s", "0 s")},
        parameters=[pt.Parameter("x", "1", bounds=("0", "2"))],
        outputs={"clock": "s"},
    )
    with pytest.raises(pt.SolveError, match=r"only 0 of 8 blocks .*cavitates.*narrow the ranges"):
        pt.rank_influences(broken, END, of="clock", factors=["x"], method=pt.Sobol(8))


def test_mistakes(cooling: pt.ProcessModel) -> None:
    """Each says what to do."""
    with pytest.raises(pt.UnknownNameError, match="rat"):
        pt.rank_influences(cooling, around(AIR), of="T", factors=["rat"])
    with pytest.raises(pt.UnknownNameError, match="temperature"):
        pt.rank_influences(cooling, around(AIR), of="temperature")
    with pytest.raises(pt.BoundsError, match="give a range"):
        pt.rank_influences(cooling, around(AIR), of="T", factors=["initial.T"])
    with pytest.raises(pt.UnitError):
        pt.rank_influences(cooling, around(AIR), of="T", factors={"rate": ("1 K", "2 K")})
    with pytest.raises(pt.BoundsError, match="one of the two"):
        pt.rank_influences(cooling, around(AIR), of="T", factors=["rate"], values={"rate": "0.1 1/min"})
    bound = around(AIR).replace(initial={"T": "90 degC"})
    with pytest.raises(pt.RecipeError, match="bound by the recipe"):
        pt.rank_influences(cooling, bound, of="T", factors=["initial.T"])
    with pytest.raises(pt.BoundsError, match="power of two"):
        pt.Sobol(100)


def test_saved_and_drawn(found: pt.Influences, cooling: pt.ProcessModel, tmp_path: Path) -> None:
    """The file holds the same numbers; both pictures are drawn."""
    import matplotlib.pyplot as plt

    found.save(tmp_path / "influences.nc")
    with xr.open_dataset(tmp_path / "influences.nc", engine="h5netcdf") as stored:
        np.testing.assert_array_equal(stored["total"], found.dataset()["total"])
    assert found.plot().axes[0].get_xlabel() == "share of the variance"
    screened = pt.rank_influences(cooling, around(AIR), of="T", method=pt.Morris(4))
    assert screened.plot().axes[0].get_xlabel() == "mean size of the effect / K"
    plt.close("all")
