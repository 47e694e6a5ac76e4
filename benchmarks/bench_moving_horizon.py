"""Moving horizon estimation of do-mpc's reactor: ten samples back, four states and one rate, with bounds.

Both write the same equations out by collocation of degree two, two elements to a step of 18 s, and get the same samples
(do-mpc by IPOPT with its MUMPS, printing switched off). do-mpc's call does everything for one sample. Ours is shown in
parts: a cycle (prediction by the model's own integrator and the linearization, then the update) and the update alone,
which is what stands between a sample and its estimate. do-mpc is no dependency; without it its rows are skipped.
"""

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import Any

import casadi as ca
import numpy as np
import pytest

from physics_twin.assimilation import Converged, MovingHorizon, RealTimeIteration
from physics_twin.assimilation.belief import Belief, Predicted
from tests.assimilation import stirred_reactor

Array = np.ndarray[Any, Any]
HORIZON, WARM, SAMPLES = 10, 15, 60
SOLVERS = {"converged": Converged(), "real-time iteration": RealTimeIteration()}
GROUP = "reactor, horizon 10, one parameter"


@pytest.fixture(scope="module")
def plant() -> Any:
    return stirred_reactor.dynamics()


@pytest.fixture(scope="module")
def rows(plant: Any) -> Any:
    return stirred_reactor.experiment(plant, WARM + SAMPLES, walk=0.0)[0]


def warm(method: MovingHorizon, plant: Any, rows: Any) -> Belief:
    """A belief with a full window."""
    return stirred_reactor.run(method, plant, stirred_reactor.start(plant), rows[:WARM])[-1]


def options(solver: str) -> MovingHorizon:
    return MovingHorizon(HORIZON, SOLVERS[solver], degree=2, accuracy=1e-4)


@pytest.mark.benchmark(group=GROUP)
@pytest.mark.parametrize("solver", SOLVERS)
def test_physics_twin_cycle(benchmark: Any, solver: str, plant: Any, rows: Any) -> None:
    """Prediction and update of every sample in turn."""
    method = options(solver)
    begin = warm(method, plant, rows)

    def cycle() -> Belief:
        belief = begin
        for step, seen in rows[WARM:]:
            belief = method.update(method.predict(belief, plant, step), plant, step, seen)
        return belief

    last = benchmark(cycle)
    benchmark.extra_info["units_of_work"] = SAMPLES
    assert abs(last.parameters[0, 0] - stirred_reactor.TRUE) < 0.01


@pytest.mark.benchmark(group=GROUP)
@pytest.mark.parametrize("solver", SOLVERS)
def test_physics_twin_update(benchmark: Any, solver: str, plant: Any, rows: Any) -> None:
    """From a sample to its estimate, the window being prepared."""
    method = options(solver)
    belief = warm(method, plant, rows)
    waiting: list[tuple[Predicted, Any, Any]] = []
    for step, seen in rows[WARM:]:
        predicted = method.predict(belief, plant, step)
        waiting.append((predicted, step, seen))
        belief = method.update(predicted, plant, step, seen)

    def updates() -> None:
        for predicted, step, seen in waiting:
            method.update(predicted, plant, step, seen)

    benchmark(updates)
    benchmark.extra_info["units_of_work"] = SAMPLES


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.benchmark(group=GROUP)
def test_do_mpc(benchmark: Any, plant: Any, rows: Any) -> None:
    """The same samples through do-mpc's estimator, converged with bounds."""
    estimator, feed = do_mpc_estimator(plant, rows)
    start = stirred_reactor.start(plant)
    z = plant.coordinates.of_members(start.states, start.parameters)[0]

    def run() -> Array:
        with quiet():
            estimator.reset_history()
            estimator.x0, estimator.p_est0 = z[:4].reshape(-1, 1), np.array([[start.parameters[0, 0]]])
            estimator.set_initial_guess()
            found = np.zeros((0, 1))
            for inputs, outputs in feed:
                found = estimator.make_step(np.concatenate([outputs, inputs]).reshape(-1, 1))
        return found

    benchmark(run)
    benchmark.extra_info["units_of_work"] = len(feed)
    assert abs(float(estimator.p_est0.cat) - stirred_reactor.TRUE) < 0.02


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def do_mpc_estimator(plant: Any, rows: Any) -> tuple[Any, list[tuple[Array, Array]]]:
    """do-mpc's estimator for the same equations in the same coordinates, and its samples (inputs, outputs)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it misses extras that have no part here
        do_mpc = pytest.importorskip("do_mpc")
    eq, c = plant.model.equations, plant.coordinates
    model = do_mpc.model.Model("continuous", "SX")
    x = [model.set_variable("_x", name) for name in c.names[:4]]
    u = [model.set_variable("_u", name) for name in ("feed", "heat")]
    activity = model.set_variable("_p", "activity")
    p = [activity if name == "activity" else plant.fixed.get(name, 0.0) for name in eq.parameters]
    scale = c.scale[:4]
    # Inputs over their typical size, so that do-mpc's own penalties and tolerances see numbers of order one.
    sizes = np.array([14.0 / 3600.0, 1000.0 / 3.6])
    here = (0.0, ca.vertcat(*x) * scale, ca.SX(0, 1), ca.vertcat(*u) * sizes, ca.vertcat(*p), ca.SX(0, 1))
    rate, output = eq.rate(*here), eq.output(*here)
    out_scale = np.array([1000.0, 100.0, 100.0])
    for k, name in enumerate(("y_c_b", "y_t_r", "y_t_k")):
        model.set_meas(name, output[k] / out_scale[k], meas_noise=True)
    for k, name in enumerate(("feed", "heat")):
        model.set_meas(f"y_{name}", u[k], meas_noise=False)
    for k, name in enumerate(c.names[:4]):
        model.set_rhs(name, rate[k] / scale[k], process_noise=False)
    model.setup()
    estimator = do_mpc.estimator.MHE(model, ["activity"])
    with quiet():
        estimator.settings.n_horizon = HORIZON
        estimator.settings.t_step = stirred_reactor.SAMPLE
        estimator.settings.store_full_solution = False
        estimator.settings.meas_from_data = True
        estimator.settings.collocation_deg = 2
        estimator.settings.collocation_ni = 2
        estimator.settings.nlpsol_opts = {"ipopt.print_level": 0, "ipopt.sb": "yes", "print_time": 0}
        sd = np.array([stirred_reactor.NOISE[name] for name in ("c_b", "t_r", "t_k")]) / out_scale
        arrival = np.diag(1.0 / np.array([0.1, 0.1, 0.02, 0.02]) ** 2)
        estimator.set_default_objective(P_v=np.diag(sd**-2.0), P_x=arrival, P_p=np.array([[100.0]]))
        for k, name in enumerate(c.names[:4]):
            if np.isfinite(c.lower[k]):
                estimator.bounds["lower", "_x", name] = c.lower[k]
                estimator.bounds["upper", "_x", name] = c.upper[k]
        estimator.bounds["lower", "_p_est", "activity"] = 0.5
        estimator.bounds["upper", "_p_est", "activity"] = 2.0
        estimator.setup()
    feed = []
    for step, seen in rows[WARM:]:
        live = np.array([step.settings["feed_now"], step.settings["heat_now"]]) / sizes
        feed.append((live, seen.values / out_scale))
    return estimator, feed
