"""Dependent channels: found where they are, and nowhere else."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from physics_twin.arrays import Array
from physics_twin.errors import DataError
from physics_twin.measurements import Channel, Experiment, Redundancy, find_dependent_channels

# Fuguitt and Hawkins, J. Am. Chem. Soc. 69 (1947) 319: min, then percent of alpha-pinene, dipentene, alloocimene,
# pyronene, dimer; as in Box et al. (1973), table 1.
SPECIES = ("pinene", "dipentene", "alloocimene", "pyronene", "dimer")
ROWS = np.array(
    [
        [0, 100, 0, 0, 0, 0],
        [1230, 88.35, 7.3, 2.3, 0.4, 1.75],
        [3060, 76.4, 15.6, 4.5, 0.7, 2.8],
        [4920, 65.1, 23.1, 5.3, 1.1, 5.8],
        [7800, 50.4, 32.9, 6.0, 1.5, 9.3],
        [10680, 37.5, 42.7, 6.0, 1.9, 12.0],
        [15030, 25.9, 49.1, 5.9, 2.2, 17.0],
        [22620, 14.0, 57.4, 5.1, 2.6, 21.0],
        [36420, 4.5, 63.1, 3.8, 2.9, 25.7],
    ]
)


def alpha_pinene(first_row: int = 1) -> Experiment:
    """The published table, with or without its first row (the initial state)."""
    rows = ROWS[first_row:]
    return Experiment.from_arrays(
        "alpha_pinene",
        (rows[:, 0], "min"),
        dict(zip(SPECIES, rows[:, 1:].T, strict=True)),
        channels=[Channel(name, unit="percent", noise="1 percent") for name in SPECIES],
    )


def found(columns: Array, unit: str = "degC", noise: str = "0.5 K") -> Redundancy:
    """What is found in columns (n_rows, n_channels) of one unit."""
    names = [f"y{j + 1}" for j in range(columns.shape[1])]
    channels = [Channel(name, unit=unit, noise=noise) for name in names]
    data = dict(zip(names, columns.T, strict=True))
    return find_dependent_channels(Experiment.from_arrays("run", np.arange(len(columns)), data, channels=channels))


# What must be found --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first_row", [0, 1])
def test_both_dependencies_of_alpha_pinene_are_found(first_row: int) -> None:
    """The closed sum and the imputed pyronene, in the words and with the numbers of Box et al."""
    result = find_dependent_channels(alpha_pinene(first_row))
    imputed, closed = result.dependencies
    assert imputed.text.startswith("pyronene = 0.03 * (100 percent - pinene) in every row (imputed, not measured)")
    assert closed.text.startswith("pinene + dipentene + alloocimene + pyronene + dimer = 100 percent in every row")
    assert imputed.coefficients == {"pinene": 0.03, "pyronene": 1.0}
    assert (imputed.constant, imputed.imputed) == (3.0, "pyronene")
    assert closed.coefficients == dict.fromkeys(SPECIES, 1.0)
    assert closed.constant == 100.0
    # One decimal: h^2/12 a channel, with h = 0.1 percent.
    assert closed.rounding == pytest.approx(0.1 * np.sqrt(5 / 12), rel=1e-12)
    assert imputed.rounding == pytest.approx(0.1 * np.sqrt(1.0009 / 12), rel=1e-12)
    total = ROWS[first_row:, 1:].sum(axis=1)
    assert closed.residual == pytest.approx(np.sqrt(np.mean((total - 100.0) ** 2)), rel=1e-12)
    assert closed.residual < 3.0 * closed.rounding
    (eigenvalues,) = result.eigenvalues.values()
    assert (np.array(eigenvalues) < 9.0).tolist() == [True, True, False, False, False]


def test_what_is_left_of_alpha_pinene_is_independent() -> None:
    """The imputed channel goes first, then the one that the others give back best."""
    run = alpha_pinene()
    result = find_dependent_channels(run)
    assert result.leave_out == ("pyronene", "pinene")
    rest = find_dependent_channels(run.without(result.leave_out))
    assert rest.dependencies == ()
    assert "no linear dependency among dipentene, alloocimene, dimer" in str(rest)


def test_without_the_imputed_channel_the_sum_still_closes() -> None:
    """0.97 pinene and the three others make 97 percent."""
    (closed,) = find_dependent_channels(alpha_pinene().without("pyronene")).dependencies
    assert closed.coefficients == {"pinene": 0.97, "dipentene": 1.0, "alloocimene": 1.0, "dimer": 1.0}
    assert closed.constant == 97.0


def test_the_unit_of_a_channel_does_not_matter() -> None:
    """The same table, pinene as a fraction and the dimer in ppm: the same relations."""
    rows = ROWS[1:]
    scale = {"pinene": ("1", 0.01), "dimer": ("ppm", 1e4)}
    channels, data = [], {}
    for name, column in zip(SPECIES, rows[:, 1:].T, strict=True):
        unit, factor = scale.get(name, ("percent", 1.0))
        channels.append(Channel(name, unit=unit, noise="1 percent"))
        data[name] = np.round(column * factor, 6)
    run = Experiment.from_arrays("run", (rows[:, 0], "min"), data, channels=channels)
    result = find_dependent_channels(run)
    assert {tuple(d.coefficients) for d in result.dependencies} == {("pinene", "pyronene"), SPECIES}
    assert result.leave_out == ("pyronene", "pinene")


def test_a_balance_a_copy_and_a_scaled_column_are_found() -> None:
    """in = out 1 + out 2, one signal logged twice, a total computed by a factor."""
    rng = np.random.default_rng(5)
    a, b = np.round(50 + 10 * rng.standard_normal((2, 60)), 2)
    balance = found(np.column_stack([a + b, a, b]), "kg", "0.1 kg")
    assert [d.coefficients for d in balance.dependencies] == [{"y1": 1.0, "y2": -1.0, "y3": -1.0}]
    assert balance.dependencies[0].text.startswith("y1 - y2 - y3 = 0 kg in every row")
    copy = found(np.column_stack([a, b, a]), "kg", "0.1 kg")
    assert [d.coefficients for d in copy.dependencies] == [{"y1": 1.0, "y3": -1.0}]
    scaled = found(np.column_stack([a, np.round(0.25 * a, 2), b]), "kg", "0.1 kg")
    assert scaled.dependencies[0].text.startswith("y2 = 0.25 * y1 in every row (imputed, not measured)")
    assert scaled.leave_out == ("y2",)


def test_rows_of_several_experiments_are_taken_together() -> None:
    """Four rows of a table are too few, twice four are enough."""
    run = alpha_pinene(0)
    early, late = run.first(5), run.last(4)
    assert find_dependent_channels(early).dependencies == ()
    assert len(find_dependent_channels([early, late]).dependencies) == 2


# What must not be found ----------------------------------------------------------------------------------------------


def test_too_few_samples_are_not_evaluated() -> None:
    """Five rows of five channels fit any plane; the answer says so instead of guessing."""
    result = find_dependent_channels(alpha_pinene().first(5))
    assert (result.dependencies, result.leave_out, dict(result.eigenvalues)) == ((), (), {})
    assert result.not_evaluated == {SPECIES: "5 rows with all of them; 8 are needed"}
    assert "not evaluated: pinene" in str(result)


def test_the_published_gas_oil_data_are_independent() -> None:
    """Gas oil also cracks to coke and gas, which nobody measured."""
    y = np.array(
        [
            [1.0, 0], [0.8105, 0.2], [0.6208, 0.2886], [0.5258, 0.301], [0.4345, 0.3215], [0.3903, 0.3123],
            [0.3342, 0.2716], [0.3034, 0.2551], [0.2735, 0.2258], [0.2405, 0.1959], [0.2283, 0.1789], [0.2071, 0.1457],
            [0.1669, 0.1198], [0.153, 0.0909], [0.1339, 0.0719], [0.1265, 0.0561], [0.12, 0.046], [0.099, 0.028],
            [0.087, 0.019], [0.077, 0.014], [0.069, 0.01],
        ]
    )  # fmt: skip
    result = found(y, "1", "1 percent")
    assert result.dependencies == ()
    assert "no linear dependency among y1, y2" in str(result)


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 100_000),
    n=st.integers(8, 60),
    m=st.integers(2, 5),
    resolution=st.sampled_from([0.01, 0.1, 0.5, 1.0]),
    kind=st.sampled_from(["white", "walk", "kinetics", "warming"]),
)
def test_independent_channels_are_left_alone(seed: int, n: int, m: int, resolution: float, kind: str) -> None:
    """Noise of three resolutions and more, on four kinds of signals, coarse and fine, few rows and many."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0.0, 5.0, n)[:, None]
    noise = max(3.0 * resolution, 0.5) * rng.standard_normal((n, m))
    signal = {
        "white": np.zeros((n, m)),
        "walk": np.cumsum(3.0 * rng.standard_normal((n, m)), axis=0),
        "kinetics": 100.0 * np.exp(-t * rng.uniform(0.1, 3.0, m)),
        "warming": rng.uniform(10.0, 80.0, m) * (1.0 - np.exp(-t / rng.uniform(0.2, 4.0, m))),
    }[kind]
    values = np.round((signal + noise) / resolution) * resolution
    assert found(np.round(values, 6)).dependencies == ()


def test_channels_of_other_dimensions_are_not_compared() -> None:
    """A temperature and a pressure, a single channel."""
    y = np.arange(10.0)
    run = Experiment.from_arrays(
        "run",
        y,
        {"T": y, "p": y},
        channels=[Channel("T", unit="K", noise="1 K"), Channel("p", unit="bar", noise="1 bar")],
    )
    result = find_dependent_channels(run)
    assert (result.dependencies, dict(result.eigenvalues)) == ((), {})
    assert "nothing to compare" in str(result)


def test_a_constant_channel_is_said_and_not_called_dependent() -> None:
    """It agrees with any multiple of zero."""
    rng = np.random.default_rng(6)
    y = np.round(50 + 10 * rng.standard_normal((30, 2)), 1)
    result = found(np.column_stack([y, np.full(30, 21.0)]))
    assert result.constant == ("y3",)
    assert result.dependencies == ()


def test_a_relation_of_physics_is_reported_and_costs_no_channel() -> None:
    """Two sensors on one straight ramp: true in every row, with coefficients that nobody would have typed."""
    t = np.arange(200.0)
    result = found(np.round(np.column_stack([20.0 + 1.37 * t, 23.0 + 1.1317 * t]), 2))
    (relation,) = result.dependencies
    assert not relation.simple
    assert "may be physics" in relation.text
    assert result.leave_out == ()


def test_channels_sampled_at_different_times_have_no_rows_in_common() -> None:
    """Said, not guessed; and no experiment is an error."""
    channels = [Channel(name, unit="K", noise="1 K") for name in ("a", "b")]
    times = {"a": np.arange(10.0), "b": np.arange(10.0) + 0.5}
    run = Experiment.from_arrays("run", times, {"a": np.arange(10.0), "b": np.arange(10.0)}, channels=channels)
    assert find_dependent_channels(run).not_evaluated == {("a", "b"): "0 rows with all of them; 5 are needed"}
    with pytest.raises(DataError, match="at least one experiment"):
        find_dependent_channels([])


def test_the_finding_does_not_depend_on_the_order_of_rows_and_channels() -> None:
    """A law, not a pinned number."""
    rng = np.random.default_rng(7)
    rows = ROWS[1:][rng.permutation(8)]
    order = rng.permutation(5)
    names = [SPECIES[j] for j in order]
    run = Experiment.from_arrays(
        "run",
        np.arange(8.0),
        {name: rows[:, 1 + j] for name, j in zip(names, order, strict=True)},
        channels=[Channel(name, unit="percent", noise="1 percent") for name in names],
    )
    result = find_dependent_channels(run)
    assert result.leave_out == ("pyronene", "pinene")
    assert [set(d.coefficients) for d in result.dependencies] == [{"pinene", "pyronene"}, set(SPECIES)]
