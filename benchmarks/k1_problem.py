"""Problem K1: start-up of a jacketed stirred tank, A + B -> C, C + B -> D; six parameters, eight experiments.

Energy is scaled as in the problem's statement: heats of reaction in 100 K L/mol, activation energies in 100 kJ/mol.
"""

from typing import Any

import numpy as np

import physics_twin as pt

NAMES = ("ln_k1", "E1", "ln_k2", "E2", "UA", "dH1")
TRUE = (np.log(0.12), 0.62, np.log(0.015), 0.80, 0.25, 0.55)
PRIOR_MEAN = (np.log(0.06), 0.50, np.log(0.03), 0.70, 0.15, 0.80)
PRIOR_SD = (2.0, 0.3, 2.0, 0.3, 0.3, 0.5)
INPUTS = ("q", "cA_in", "cB_in", "T_in", "Tj_in")
EXPERIMENTS = (
    (0.05, 2.0, 2.5, 330.0, 330.0, 330.0),
    (0.05, 2.0, 2.5, 340.0, 340.0, 340.0),
    (0.08, 2.0, 2.5, 345.0, 345.0, 335.0),
    (0.03, 1.5, 3.0, 335.0, 350.0, 335.0),
    (0.05, 1.0, 3.0, 350.0, 350.0, 345.0),
    (0.02, 2.5, 2.5, 325.0, 335.0, 330.0),
    (0.10, 3.0, 2.0, 340.0, 345.0, 340.0),
    (0.04, 2.0, 4.0, 335.0, 340.0, 335.0),
)
OUTPUTS = ("cA", "cC", "cD", "T")
NOISE = (0.02, 0.02, 0.02, 0.3)
MINUTES = np.linspace(0.0, 60.0, 51)[1:]
RTOL, ATOL = 1e-6, 1e-8


def model(stiffness: float = 1.0) -> pt.ProcessModel:
    m = pt.ProcessBuilder("k1", version="1.0")
    th = [
        m.parameter(name, mean, prior=pt.Normal(mean, sd))
        for name, mean, sd in zip(NAMES, PRIOR_MEAN, PRIOR_SD, strict=True)
    ]
    q, cA_in, cB_in = m.input("q", "1/min"), m.input("cA_in", "mol/L"), m.input("cB_in", "mol/L")
    T_in, Tj_in = m.input("T_in", "K"), m.input("Tj_in", "K")
    cA, cB = m.state("cA", "mol/L", initial="1 mol/L"), m.state("cB", "mol/L", initial="1 mol/L")
    cC, cD = (m.state(name, "mol/L", initial="0 mol/L") for name in ("cC", "cD"))
    T, Tj = m.state("T", "K", initial="330 K"), m.state("Tj", "K", initial="330 K")
    a = m.constant("100 kJ/mol") * (1 / T - 1 / m.constant("350 K")) / m.constant("8.314e-3 kJ/mol/K")
    k = m.constant("1 L/mol/min")
    r1, r2 = k * pt.exp(th[0] - th[1] * a) * cA * cB, k * pt.exp(th[2] - th[3] * a) * cC * cB
    heat, per_minute = m.constant("100 K L/mol"), m.constant("1 1/min")
    m.rate(cA, q * (cA_in - cA) - r1)
    m.rate(cB, q * (cB_in - cB) - r1 - r2)
    m.rate(cC, r1 - r2 - q * cC)
    m.rate(cD, r2 - q * cD)
    m.rate(T, q * (T_in - T) + heat * (th[5] * r1 + 0.35 * r2) - per_minute * th[4] * (T - Tj))
    m.rate(Tj, per_minute * stiffness * (0.5 * (Tj_in - Tj) + 4.0 * th[4] * (T - Tj)))
    for name, state in zip(OUTPUTS, (cA, cC, cD, T), strict=True):
        m.output(name, state)
    return m.build(integrator=pt.Sundials(rtol=RTOL, atol=ATOL))


def recipe(u: tuple[float, ...]) -> pt.Recipe:
    q, cA, cB, T_in, Tj_in, T0 = u
    held = {
        "q": (q, "1/min"),
        "cA_in": (cA, "mol/L"),
        "cB_in": (cB, "mol/L"),
        "T_in": (T_in, "K"),
        "Tj_in": (Tj_in, "K"),
    }
    start = {"cA": (cA / 2, "mol/L"), "cB": (cB / 2, "mol/L"), "T": (T0, "K"), "Tj": (Tj_in, "K")}
    return pt.Recipe.constant(duration="60 min", **held).replace(initial=start)


def rates(_t: float, x: Any, th: Any, u: tuple[float, ...], stiffness: float = 1.0) -> Any:
    """The same equations in plain NumPy, in minutes, as most people would write them."""
    cA, cB, cC, cD, T, Tj = x
    q, cA_in, cB_in, T_in, Tj_in, _ = u
    a = 100 * (1 / T - 1 / 350) / 8.314e-3
    r1, r2 = np.exp(th[0] - th[1] * a) * cA * cB, np.exp(th[2] - th[3] * a) * cC * cB
    return [
        q * (cA_in - cA) - r1,
        q * (cB_in - cB) - r1 - r2,
        -q * cC + r1 - r2,
        -q * cD + r2,
        q * (T_in - T) + 100 * (th[5] * r1 + 0.35 * r2) - th[4] * (T - Tj),
        stiffness * (0.5 * (Tj_in - Tj) + 4 * th[4] * (T - Tj)),
    ]


def start(u: tuple[float, ...]) -> list[float]:
    return [u[1] / 2, u[2] / 2, 0.0, 0.0, u[5], u[4]]


def measurements(seed: int = 0) -> list[np.ndarray[Any, Any]]:
    """Synthetic data (50, 4) for each experiment, from the NumPy equations at tight tolerances."""
    from scipy.integrate import solve_ivp

    rng = np.random.default_rng(seed)
    tables = []
    for u in EXPERIMENTS:
        exact = solve_ivp(rates, (0, 60), start(u), "LSODA", MINUTES, args=(TRUE, u), rtol=1e-10, atol=1e-12)
        tables.append(exact.y[[0, 2, 3, 4]].T + rng.normal(size=(50, 4)) * NOISE)
    return tables
