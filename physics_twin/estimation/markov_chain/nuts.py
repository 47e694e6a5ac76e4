"""One chain of the no-U-turn sampler (Hoffman and Gelman 2014), by the library nutpie."""

from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.checkpoints import Memo
from physics_twin.estimation.markov_chain.chain import Chain, Settings, missing, no_start
from physics_twin.estimation.markov_chain.coordinates import RejectedPoint
from physics_twin.estimation.markov_chain.visits import UnsimulatedPoint, Visits
from physics_twin.estimation.markov_chain.whitening import Whitening, start
from physics_twin.estimation.problem import Problem


def nuts_chain(problem: Problem, whitened: Whitening, settings: Settings, seed: int, memo: Memo) -> Chain:
    """One chain from a start of its own; the same for a seed, wherever it runs."""
    visits = Visits(problem, whitened, True, memo)
    rng = np.random.default_rng(seed)
    first = start(whitened, visits.at, rng)
    if first is None:
        raise no_start(visits.failures)
    trace = _sample(visits, first, settings, int(rng.integers(2**31)))
    stats = trace["sample_stats"]
    diverging = np.asarray(stats["diverging"].values[0], dtype=bool)
    messages = [str(m) for m in np.asarray(stats["divergence_message"].values[0])[diverging]]
    cut_short = sum(RejectedPoint.__name__ in m or UnsimulatedPoint.__name__ in m for m in messages)
    return Chain(
        u=np.asarray(trace["posterior"]["u"].values[0], dtype=float)[:, None, :],
        log_density=np.asarray(stats["logp"].values[0], dtype=float)[:, None],
        acceptance=float(np.mean(stats["mean_tree_accept"].values[0])),
        divergences=int(diverging.sum()) - cut_short,
        cut_short=cut_short,
        energy=np.asarray(stats["energy"].values[0], dtype=float),
        n_evaluations=visits.n_evaluations,
        failures=tuple(visits.failures),
    )


def _sample(visits: Visits, first: Array, settings: Settings, seed: int) -> Any:
    """The trace of nutpie: groups "posterior" (u) and "sample_stats", warm-up apart."""
    try:
        import nutpie
        from nutpie import compiled_pyfunc
    except ImportError as error:
        raise missing("nutpie", error) from error
    broken: list[BaseException] = []

    def density(u: Array) -> tuple[float, Array]:
        if broken:
            raise RejectedPoint
        try:
            return visits.at(u)
        except RejectedPoint:
            raise
        except BaseException as error:
            # nutpie would end the process; it is told to go on, to nothing, and the error is raised when it is done.
            broken.append(error)
            raise RejectedPoint from error

    def expanded(u: Array) -> dict[str, Array]:
        return {"u": np.asarray(u)}

    n = first.size
    model = compiled_pyfunc.from_pyfunc(
        n,
        lambda: density,
        lambda *_: expanded,
        [np.dtype("float64")],
        [(n,)],
        ["u"],
        make_initial_point_fn=lambda _: first,
    )
    trace = nutpie.sample(
        model,
        chains=1,
        cores=1,
        seed=seed,
        draws=settings.steps,
        tune=settings.warm_up,
        target_accept=settings.target_acceptance,
        progress_bar=False,
    )
    if broken:
        raise broken[0]
    return trace
