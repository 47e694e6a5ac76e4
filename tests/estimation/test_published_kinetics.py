"""Published optima of three kinetic problems (COPS), data typed in from their sources.

Targets: sum of squares within 1e-6 relative, parameters to four digits, standard errors within 2 %. The data tables
start with the initial condition, which is known and no measurement, so it is not among the samples.
"""

import numpy as np
import pytest

from physics_twin.estimation import GaussNewton, calibrate
from physics_twin.measurements import Channel, EstimatedNoise, Experiment
from physics_twin.posterior import Identification, Posterior
from physics_twin.process import ProcessBuilder, ProcessModel, Sundials

# Fuguitt and Hawkins 1947, as in Box et al. 1973: min, then percent.
ALPHA_PINENE = """
1230  88.35  7.3   2.3  0.4   1.75
3060  76.4   15.6  4.5  0.7   2.8
4920  65.1   23.1  5.3  1.1   5.8
7800  50.4   32.9  6.0  1.5   9.3
10680 37.5   42.7  6.0  1.9  12.0
15030 25.9   49.1  5.9  2.2  17.0
22620 14.0   57.4  5.1  2.6  21.0
36420  4.5   63.1  3.8  2.9  25.7
"""
SPECIES = ("pinene", "dipentene", "alloocimene", "pyronene", "dimer")

# Catalytic cracking of gas oil: t, gas oil, gasoline.
GAS_OIL = """
0.025 0.8105 0.2000
0.05  0.6208 0.2886
0.075 0.5258 0.3010
0.1   0.4345 0.3215
0.125 0.3903 0.3123
0.15  0.3342 0.2716
0.175 0.3034 0.2551
0.2   0.2735 0.2258
0.225 0.2405 0.1959
0.25  0.2283 0.1789
0.3   0.2071 0.1457
0.35  0.1669 0.1198
0.4   0.1530 0.0909
0.45  0.1339 0.0719
0.5   0.1265 0.0561
0.55  0.1200 0.0460
0.65  0.0990 0.0280
0.75  0.0870 0.0190
0.85  0.0770 0.0140
0.95  0.0690 0.0100
"""

# Methanol to hydrocarbons: t, y1, y2, y3.
METHANOL = """
0.05  0.7085 0.1621 0.0811
0.065 0.5971 0.1855 0.0965
0.08  0.5537 0.1989 0.1198
0.123 0.3684 0.2845 0.1535
0.233 0.1712 0.3491 0.2097
0.273 0.1198 0.3098 0.2628
0.354 0.0747 0.3576 0.2467
0.397 0.0529 0.3347 0.2884
0.418 0.0415 0.3388 0.2757
0.502 0.0261 0.3557 0.3167
0.553 0.0208 0.3483 0.2954
0.681 0.0085 0.3836 0.2950
0.75  0.0053 0.3611 0.2937
0.916 0.0019 0.3609 0.2831
0.937 0.0018 0.3485 0.2846
1.122 0.0006 0.3698 0.2899
"""


def experiment(name: str, text: str, time: str, outputs: tuple[str, ...], unit: str) -> Experiment:
    table = np.array([[float(x) for x in line.split()] for line in text.strip().splitlines()])
    noise = EstimatedNoise((0.1, unit), shared="all")  # one level for all: plain least squares
    return Experiment.from_arrays(
        name,
        (table[:, 0], time),
        {n: table[:, i + 1] for i, n in enumerate(outputs)},
        channels=[Channel(n, unit=unit, noise=noise) for n in outputs],
    )


def alpha_pinene() -> ProcessModel:
    m = ProcessBuilder("alpha_pinene", version="1.0")
    starts = ("6e-5 1/min", "3e-5 1/min", "2e-5 1/min", "2e-4 1/min", "4e-5 1/min")
    k = [m.parameter(f"k{i + 1}", s, bounds=("1e-7 1/min", "1e-2 1/min")) for i, s in enumerate(starts)]
    y = [m.state(n, "percent", initial="100 percent" if n == "pinene" else "0 percent") for n in SPECIES]
    m.rate(y[0], -(k[0] + k[1]) * y[0])
    m.rate(y[1], k[0] * y[0])
    m.rate(y[2], k[1] * y[0] - (k[2] + k[3]) * y[2] + k[4] * y[4])
    m.rate(y[3], k[2] * y[2])
    m.rate(y[4], k[3] * y[2] - k[4] * y[4])
    for name, state in zip(SPECIES, y, strict=True):
        m.output(name, state)
    return m.build(integrator=Sundials(rtol=1e-9, atol=1e-10))


def gas_oil() -> ProcessModel:
    m = ProcessBuilder("gas_oil", version="1.0")
    t1, t2, t3 = (m.parameter(f"t{i}", f"{v} 1/h", bounds=("0 1/h", "20 1/h")) for i, v in ((1, 5), (2, 5), (3, 5)))
    y1, y2 = m.state("gas_oil", "1", initial=1.0), m.state("gasoline", "1", initial=0.0)
    m.rate(y1, -(t1 + t3) * y1 * y1)
    m.rate(y2, t1 * y1 * y1 - t2 * y2)
    m.output("gas_oil", y1)
    m.output("gasoline", y2)
    return m.build(integrator=Sundials(rtol=1e-9, atol=1e-10))


def methanol() -> ProcessModel:
    m = ProcessBuilder("methanol", version="1.0")
    names = ("t1", "t2", "t3", "t4")
    t1, t2, t3, t4 = (m.parameter(n, "1 1/h", bounds=("0 1/h", "50 1/h")) for n in names)
    t5 = m.parameter("t5", "1 1/h", bounds=("0 1/h", "50 1/h"))
    y1, y2, y3 = (m.state(f"y{i}", "1", initial=1.0 if i == 1 else 0.0) for i in (1, 2, 3))
    d = (t2 + t5) * y1 + y2 * m.constant("1 1/h")
    one = m.constant("1 1/h")
    m.rate(y1, -(2.0 * t2 - t1 * y2 * one / d + t3 + t4) * y1)
    m.rate(y2, t1 * y1 * (t2 * y1 - y2 * one) / d + t3 * y1)
    m.rate(y3, t1 * y1 * (y2 * one + t5 * y1) / d + t4 * y1)
    for i, y in enumerate((y1, y2, y3), start=1):
        m.output(f"y{i}", y)
    return m.build(integrator=Sundials(rtol=1e-9, atol=1e-10))


def in_declared(posterior: Posterior, numbers: dict[str, float]) -> np.ndarray:
    return np.array([posterior.parameters[n].unit.from_si(x, difference=True) for n, x in numbers.items()])


@pytest.fixture(scope="module")
def pinene() -> Posterior:
    run = experiment("Fuguitt_Hawkins", ALPHA_PINENE, "min", SPECIES, "percent")
    return calibrate(alpha_pinene(), run, unknown=[f"k{i}" for i in range(1, 6)], rng=1)


def test_alpha_pinene_optimum(pinene: Posterior) -> None:
    """Sum of squares 19.87216693, five rate constants, standard errors from SSE/35."""
    published = [5.92584877e-5, 2.96340211e-5, 2.04728393e-5, 2.74467939e-4, 3.99795027e-5]
    errors = [5.07e-7, 4.91e-7, 3.10e-6, 2.32e-5, 8.38e-6]
    names = [f"k{i}" for i in range(1, 6)]
    assert pinene.sum_of_squares["percent"] == pytest.approx(19.87216693, rel=1e-6)
    np.testing.assert_allclose(in_declared(pinene, {n: float(pinene.mode[n]) for n in names}), published, rtol=5e-5)
    standard = {n: pinene.standard_errors[n] for n in names}
    np.testing.assert_allclose(in_declared(pinene, standard), errors, rtol=0.02)
    assert all(pinene.verdicts[n].identified for n in names)
    assert pinene.mode["noise.all"] == pytest.approx(np.sqrt(19.87216693 / 35) * 0.01, rel=1e-5)


def test_alpha_pinene_trap_is_found(pinene: Posterior) -> None:
    """Pyronene is 3 % of the conversion and rows sum to 100: the warnings say which columns are not independent."""
    text = "\n".join(pinene.warnings)
    assert "pyronene" in text and "imputed" in text
    assert "leave out" in text


def test_alpha_pinene_from_many_starts_over_five_decades() -> None:
    """Starts spread evenly in the logarithm over the bounds: the published optimum is the best of them."""
    run = experiment("Fuguitt_Hawkins", ALPHA_PINENE, "min", SPECIES, "percent")
    names = [f"k{i}" for i in range(1, 6)]
    posterior = calibrate(alpha_pinene(), run, unknown=names, method=GaussNewton(starts=6), rng=4)
    assert posterior.sum_of_squares["percent"] == pytest.approx(19.87216693, rel=1e-6)


def test_gas_oil_optimum() -> None:
    """Sum of squares 5.2365958339e-3 and three rate constants."""
    posterior = calibrate(
        gas_oil(), experiment("cracking", GAS_OIL, "h", ("gas_oil", "gasoline"), "1"), unknown=["t1", "t2", "t3"], rng=1
    )
    assert posterior.sum_of_squares["1"] == pytest.approx(5.2365958339e-3, rel=1e-6)
    names = ("t1", "t2", "t3")
    mode = in_declared(posterior, {n: float(posterior.mode[n]) for n in names})
    np.testing.assert_allclose(mode, [11.84673836, 8.34451948, 1.00143997], rtol=5e-5)
    errors = in_declared(posterior, {n: posterior.standard_errors[n] for n in names})
    np.testing.assert_allclose(errors, [0.335, 0.316, 0.359], rtol=0.02)


def test_methanol_optimum_with_its_active_bound() -> None:
    """Sum of squares 9.0222898577e-3, the fifth parameter exactly zero, and the verdict says so."""
    run = experiment("methanol", METHANOL, "h", ("y1", "y2", "y3"), "1")
    names = [f"t{i}" for i in range(1, 6)]
    posterior = calibrate(methanol(), run, unknown=names, method=GaussNewton(starts=4), rng=1)
    assert posterior.sum_of_squares["1"] == pytest.approx(9.0222898577e-3, rel=1e-6)
    mode = in_declared(posterior, {n: float(posterior.mode[n]) for n in names[:4]})
    np.testing.assert_allclose(mode, [1.77518736, 2.16798606, 1.85755549, 1.80244620], rtol=5e-5)
    assert posterior.mode["t5"] == 0.0
    assert posterior.verdicts["t5"].identification is Identification.AT_BOUND
    assert "at its lower bound 0" in str(posterior.verdicts["t5"])
    assert any("t5 is at its lower bound" in w for w in posterior.warnings)
    assert posterior["t5"].min() >= 0.0 and posterior["t5"].max() > 0.0, "its interval is one-sided, not a point"
