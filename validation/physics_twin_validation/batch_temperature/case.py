"""The best temperature of a batch A -> B -> C: the intermediate product, which too much heat destroys."""

import functools

import numpy as np

import physics_twin as pt
from physics_twin.verification import ABSOLUTE, Case, Measured
from physics_twin_validation.reference import reference

PIECES = (20, 80, 200)
N_DRAWS, N_NEW = 300, 2000


def batch_reactor() -> pt.ProcessModel:
    """A -> B of second order, B -> C of first order; the batch takes one hour."""
    m = pt.ProcessBuilder("batch_reactor", version="1.0", description="Consecutive reactions, temperature free")
    temperature = m.input("temperature", "K")
    a = m.state("a", "1", initial=1.0)
    b = m.state("b", "1", initial=0.0)
    k1 = m.parameter("k1", "4000 1/h", bounds=("1000 1/h", "16000 1/h"))
    k2 = m.parameter("k2", "620000 1/h", bounds=("150000 1/h", "2500000 1/h"))
    first = k1 * pt.exp(-m.constant("2500 K") / temperature) * a * a
    second = k2 * pt.exp(-m.constant("5000 K") / temperature) * b
    m.rate(a, -first)
    m.rate(b, first - second)
    m.output("b", b)
    m.output("c", 1 - a - b)
    return m.build()


def best(pieces: int) -> pt.OptimalRecipe:
    """The best profile of so many constant pieces."""
    return pt.find_recipe(
        batch_reactor(),
        recipe=pt.Recipe.constant(duration="1 h", temperature="350 K"),
        profiles={"temperature": pt.Profile(bounds=("298 K", "398 K"), pieces=pieces)},
        objective=pt.Maximize("b"),
        method=pt.Collocation(elements=pieces, starts=1, tolerance=1e-10),
        rng=1,
    )


def _yields() -> Measured:
    return Measured([best(n).planned for n in PIECES], {"fingerprint": batch_reactor().fingerprint})


@functools.cache
def certified() -> pt.OptimalRecipe:
    """Uncertain rate constants (10 %), and at most 6 % of the second product at the end."""
    model = batch_reactor()
    spread = np.exp(0.1 * np.random.default_rng(0).standard_normal((N_DRAWS, 2)))
    draws = np.array([4000.0, 620000.0]) / 3600.0 * spread
    return pt.find_recipe(
        model,
        pt.Posterior.from_draws([model.parameters["k1"], model.parameters["k2"]], draws),
        recipe=pt.Recipe.constant(duration="1 h", temperature="320 K"),
        profiles={"temperature": pt.Profile(bounds=("298 K", "398 K"), pieces=5)},
        objective=pt.Maximize("b"),
        n_scenarios=4,
        limits=[pt.Limit("c", upper=0.06, over=pt.final)],
        method=pt.Collocation(elements=5, starts=1),
        rng=1,
    )


def _kept() -> Measured:
    """Share of new batches, that neither search nor certificate has seen, in which the limit holds."""
    model, found = batch_reactor(), certified()
    spread = np.exp(0.1 * np.random.default_rng(99).standard_normal((N_NEW, 2)))
    values = {"k1": 4000.0 / 3600.0 * spread[:, 0], "k2": 620000.0 / 3600.0 * spread[:, 1]}
    start = {name: np.full(N_NEW, x) for name, x in model.parameters.values().items() if name.startswith("initial.")}
    outputs, _, _ = model.trajectories(np.array([0.0, 3600.0]), found.recipe, {**values, **start})
    share = float((outputs[:, -1, 1] <= 0.06).mean())
    return Measured([float(found.passed), float(share >= 0.95)], {"share of new batches": f"{share:.4f}"})


CASES = (
    Case(
        name="batch_temperature",
        claim="The best temperature profile of a batch A -> B -> C gives the recomputed yields to 8 digits.",
        requirement="0.61045374 (20 intervals), 0.61077628 (80), 0.61079850 (200); published 0.610775",
        source="Ray, Advanced Process Control (1981); Logsdon and Biegler, IECR 28 (1989) 1628; recomputed",
        quantity="b at the end with 20, 80 and 200 pieces",
        expected=reference("batch_temperature"),
        tolerance=1e-8,
        acceptance="absolute: the recomputed numbers have eight decimals",
        compute=_yields,
        measure=ABSOLUTE,
    ),
    Case(
        name="batch_temperature_certified",
        claim="A profile certified at 0.95 for uncertain rate constants keeps its limit in 95 % of new batches.",
        requirement="recipes over a set of posterior draws, certified like a box",
        source="by construction: 2000 new draws of the same distribution",
        quantity="1 if certified; 1 if at least 95 % of the new batches keep the limit",
        expected=(1.0, 1.0),
        tolerance=1e-9,
        acceptance="both hold",
        compute=_kept,
        measure=ABSOLUTE,
    ),
)
