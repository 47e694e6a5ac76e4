"""Nonlinear plants, recipes and memory of moving horizon estimation."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import casadi as ca
import numpy as np
import pytest

import physics_twin as pt
from physics_twin.assimilation import Converged, MovingHorizon, RealTimeIteration
from physics_twin.assimilation.belief import Belief, Observation, Step
from physics_twin.assimilation.keys import Key
from tests.assimilation import stirred_reactor, two_tanks
from tests.assimilation.decay import decay, of_model, started

REAL_TIME = MovingHorizon(solver=RealTimeIteration())


def reactor_errors(beliefs, states, of):
    c = of.coordinates
    error = np.array([b.states[0] for b in beliefs])[:, c.positions] - states[:, c.positions]
    return error / c.scale[: c.n_states]


def spreads(beliefs):
    return np.array([np.sqrt(np.diag(b.root @ b.root.T)) for b in beliefs])


@pytest.mark.parametrize("jacket_algebraic", [False, True], ids=["ode", "dae"])
def test_a_reactor_converges_to_the_truth_within_its_own_uncertainty(jacket_algebraic):
    """From a start 2 % off with a wrong rate: after 60 samples all errors lie within four of the stated sd."""
    of = stirred_reactor.dynamics(stirred_reactor.model(jacket_algebraic))
    rows, states = stirred_reactor.experiment(of, 60)
    beliefs = stirred_reactor.run(MovingHorizon(), of, stirred_reactor.start(of), rows)
    spread = spreads(beliefs)
    errors = np.column_stack(
        [
            reactor_errors(beliefs, states, of),
            np.array([(b.parameters[0, 0] - stirred_reactor.TRUE) / of.coordinates.scale[-1] for b in beliefs]),
        ]
    )
    assert (np.abs(errors[5:]) < 4.0 * spread[5:]).all()
    assert abs(beliefs[-1].parameters[0, 0] - stirred_reactor.TRUE) < 0.01 < abs(beliefs[0].parameters[0, 0] - 1.05)


def test_exact_samples_leave_no_error():
    """Without noise and with what the model says: the estimate is the truth, but for integrators and prior."""
    of = stirred_reactor.dynamics()
    rows, states = stirred_reactor.experiment(of, 40, noise=0.0, walk=0.0)
    beliefs = stirred_reactor.run(MovingHorizon(20), of, stirred_reactor.start(of), rows)
    assert np.abs(reactor_errors(beliefs, states, of)[-1]).max() < 1e-4
    assert beliefs[-1].parameters[0, 0] == pytest.approx(stirred_reactor.TRUE, abs=1e-3)


def test_one_iteration_to_a_sample_stays_near_the_converged_window():
    """After ten samples the real-time iteration is within a tenth of an sd of the converged estimate."""
    of = stirred_reactor.dynamics()
    rows, _ = stirred_reactor.experiment(of, 40)
    c, found = of.coordinates, []
    for method in (MovingHorizon(), REAL_TIME):
        beliefs = stirred_reactor.run(method, of, stirred_reactor.start(of), rows)
        found.append(np.array([c.of_members(b.states, b.parameters)[0] for b in beliefs]))
    assert (np.abs(found[0] - found[1])[10:] < 0.1 * spreads(beliefs)[10:]).all()
    assert np.abs(found[0] - found[1]).max() > 0.0


def test_more_iterations_to_a_sample_come_nearer():
    """Each further Gauss-Newton iteration takes the first estimate nearer to the converged one."""
    of = stirred_reactor.dynamics()
    rows, _ = stirred_reactor.experiment(of, 4)
    begin = stirred_reactor.start(of)

    def last(solver):
        belief = stirred_reactor.run(MovingHorizon(solver=solver), of, begin, rows)[-1]
        return of.coordinates.of_members(belief.states, belief.parameters)[0]

    exact = last(Converged(tolerance=1e-10))
    misses = [np.abs(last(RealTimeIteration(k)) - exact).max() for k in (1, 2, 4)]
    assert misses[0] > 3.0 * misses[1] > 9.0 * misses[2]


def test_a_drifting_parameter_is_followed():
    """A rate that grows by 0.4 % a sample is followed within 3 %; without a walk the estimate stays behind."""
    of = stirred_reactor.dynamics()
    rows, _ = stirred_reactor.experiment(of, 60, drift=4e-3)
    begin = stirred_reactor.start(of)
    truth = stirred_reactor.TRUE + 4e-3 * 59
    followed = stirred_reactor.run(REAL_TIME, of, begin, rows)[-1].parameters[0, 0]
    still = [(replace(step, variance=step.variance * [1, 1, 1, 1, 0.0]), seen) for step, seen in rows]
    stays = stirred_reactor.run(REAL_TIME, of, begin, still)[-1].parameters[0, 0]
    assert abs(followed - truth) < 0.03 * truth
    assert stays < truth - 0.06


# -- an independent solver --------------------------------------------------------------------------------------------
def test_the_converged_window_minimizes_as_an_interior_point_method_does():
    """The same problem by IPOPT, with the closed solution c0 / (1 + k c0 t) instead of collocation; k at its bound."""
    of = of_model(decay(), ["k"])
    times = np.arange(1.0, 7.0)
    values = 1000.0 * 2.0 / (1.0 + 0.6 * 2.0 * times)  # as if k were twice its upper bound
    belief = MovingHorizon(10).begin(started(of, [0.1, 0.4]), of, Key(0, 0))
    method = MovingHorizon(10, Converged(tolerance=1e-9), accuracy=1e-7, longest_element="0.1 s")
    for k, (time, value) in enumerate(zip(times, values, strict=True)):
        step = Step(time - 1.0, time, {}, np.zeros(2), Key(0, k))
        seen = Observation(np.array([0]), np.array([value]), np.array([400.0]), ("c",))
        belief = method.update(method.predict(belief, of, step), of, step, seen)
    c0, k = ca.SX.sym("c0"), ca.SX.sym("k")
    z0 = of.coordinates.of_members(*(started(of, [0.1, 0.4]).states, np.array([[of.fixed["k"]]])))[0]
    log = bool(of.coordinates.logarithmic[0])
    theta = ca.log(k * 1e-3) if log else k * 1e-3 / float(of.coordinates.scale[1])
    curve = c0 / (1.0 + k * c0 * ca.DM(times))
    cost = ((c0 - z0[0]) / 0.1) ** 2 + ((theta - z0[1]) / 0.4) ** 2 + ca.sumsqr((curve - values / 1000.0) / 0.02)
    nlp = ca.nlpsol("nlp", "ipopt", {"x": ca.vertcat(c0, k), "f": cost}, {"print_time": 0, "ipopt.print_level": 0})
    exact = np.array(nlp(x0=[2.0, 0.1], lbx=[0.0, 0.01], ubx=[np.inf, 0.3])["x"]).ravel()
    assert exact[1] == pytest.approx(0.3, abs=1e-7)
    bound = of.coordinates.declared["k"].bounds[1]
    assert bound * (1.0 - 1e-15) <= belief.parameters[0, 0] <= bound  # a unit in the last place, never beyond
    end = exact[0] / (1.0 + exact[1] * exact[0] * 6.0)
    assert belief.states[0, 0] / 1000.0 == pytest.approx(end, abs=1e-6)


# -- recipes, accumulators, frozen twins ------------------------------------------------------------------------------
def dosed():
    """A tank that is dosed and heated by a table, with an accumulator beside it."""
    m = pt.ProcessBuilder("dosed", version="1.0")
    heat = m.input("heat", "K/s")
    loss = m.parameter("loss", "0.05 1/s", bounds=("0.01 1/s", "0.5 1/s"))
    mass = m.state("mass", "kg", initial="1 kg", scale="1 kg")
    excess = m.state("excess", "K", initial="5 K", scale="1 K")
    m.rate(mass, m.constant("0 kg/s"))
    m.rate(excess, heat - loss * excess / mass * m.constant("1 kg"))
    burnt = m.accumulator("burnt", "K", heat)
    m.output("excess", excess)
    m.output("mass", mass)
    m.output("burnt", burnt)
    return m.build()


def dosed_recipe():
    return pt.Recipe(
        [
            pt.Phase("first", heat=pt.ramp("0 K/s", "2 K/s"), duration="7 s", start=[pt.dose("mass", "0.5 kg")]),
            pt.Phase(
                "second",
                heat=pt.table([0.0, 4.0, 6.5], [2.0, 0.5, 3.0], "K/s", pt.HOLD, hold_after=True),
                duration="20 s",
                at=[("3 s", [pt.dose("mass", "1 kg")]), ("20 s", [pt.discharge("mass", "0.5 kg")])],
            ),
            pt.Phase("third", heat="1 K/s", duration="5 s", start=[pt.dose("mass", "0.3 kg")]),
        ],
        hold_end=True,
    )


def test_doses_ramps_tables_and_phases_inside_steps_are_followed():
    """With exact samples every prediction is already right, wherever a step begins and ends in the recipe."""
    of = of_model(dosed(), ["loss"], dosed_recipe())
    method = MovingHorizon(6, accuracy=1e-7)
    begin = started(of, [0.1, 0.1, 0.1])
    belief, state = method.begin(begin, of, Key(0, 0)), begin.states[0]
    edges = [0.0, 0.0, 2.0, 7.0, 7.5, 11.0, 13.5, 26.0, 27.0, 31.0, 34.0, 40.0]
    for k, (t0, t1) in enumerate(itertools.pairwise(edges)):
        step = Step(t0, t1, {}, np.full(3, 1e-6 * (t1 - t0)), Key(0, k))
        state = of.model.advance(state, t0, t1, of.recipe, of.fixed) if t1 > t0 else state
        outputs = of.model.observe(state, t1, of.recipe, of.fixed)
        predicted = method.predict(belief, of, step)
        seen = Observation(np.arange(3), outputs, np.array([1e-2, 1e-2, 1e-2]), ("excess", "mass", "burnt"))
        belief = method.update(predicted, of, step, seen)
        np.testing.assert_allclose(predicted.outputs, outputs, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(belief.states[0][:2], state[:2], rtol=1e-6)
        assert belief.states[0][2] == predicted.belief.states[0][2]  # the accumulator is the model's own


def test_a_frozen_twin_keeps_its_parameters_and_still_learns_states():
    """Over one window the states are those of the joint estimate; the parameter's bits and variance stay."""
    rows, _ = stirred_reactor.experiment(stirred_reactor.dynamics(), 8)
    rows = [(replace(step, variance=step.variance * [1, 1, 1, 1, 0.0]), seen) for step, seen in rows]
    beliefs = {}
    for frozen in (False, True):
        of = stirred_reactor.dynamics(frozen=frozen)
        beliefs[frozen] = stirred_reactor.run(MovingHorizon(1), of, stirred_reactor.start(of), rows)
    first = beliefs[True][0]
    assert first.states[0] == pytest.approx(beliefs[False][0].states[0], rel=1e-9)
    for belief in beliefs[True]:
        assert np.array_equal(belief.parameters, [[1.0]])
        assert (belief.root @ belief.root.T)[-1, -1] == pytest.approx(0.01, rel=1e-9)
    assert spreads(beliefs[True])[-1, :4].max() < 0.05


def test_widen_begins_a_new_window_and_multiplies_the_variance_of_the_states():
    """Behind a jump the old samples no longer bind: the next sample moves the state almost all the way."""
    plant, begin, rows = two_tanks.dynamics(), two_tanks.start(), two_tanks.schedule(6)
    method = MovingHorizon(4)
    belief = two_tanks.run(method, plant, begin, rows[:5])[2][-1]
    step = rows[5][0]
    predicted = method.predict(belief, plant, step)
    wide = method.widen(predicted, plant, 1e4)
    levels = np.ix_([0, 2], [0, 2])  # no parameter enters these outputs
    np.testing.assert_allclose(wide.covariance[levels], 1e4 * predicted.covariance[levels], rtol=1e-12)
    seen = Observation(np.array([0]), predicted.outputs[:1] + 3.0, np.array([0.04]), ("upper",))
    held, moved = (method.update(p, plant, step, seen).states[0, 0] for p in (predicted, wide))
    assert abs(moved - seen.values[0]) < 0.01 < abs(held - seen.values[0])


# -- memory and bits --------------------------------------------------------------------------------------------------
def through_bytes(belief):
    """As a file keeps it: names, shapes and bytes."""

    def copied(array):
        return np.frombuffer(array.tobytes(), dtype=array.dtype).reshape(array.shape).copy()

    memory = {name: copied(array) for name, array in belief.memory.items()}
    return Belief(belief.method, copied(belief.states), copied(belief.parameters), copied(belief.root), memory)


def bits(belief):
    arrays = [belief.states, belief.parameters, belief.root, *(belief.memory[name] for name in sorted(belief.memory))]
    return b"".join(array.tobytes() for array in arrays)


@pytest.mark.parametrize("solver", [Converged(), RealTimeIteration()], ids=["converged", "real-time"])
def test_a_restored_belief_goes_on_bit_for_bit(solver):
    """What is saved holds all that counts: every step from copies of the arrays gives the same bits."""
    of = stirred_reactor.dynamics(stirred_reactor.model(jacket_algebraic=True))
    rows, _ = stirred_reactor.experiment(of, 14)
    method = MovingHorizon(5, solver)
    belief = restored = method.begin(stirred_reactor.start(of), of, Key(0, 0))
    for step, seen in rows:
        belief = method.update(method.predict(belief, of, step), of, step, seen)
        restored = through_bytes(restored)
        again = MovingHorizon(5, solver)
        restored = again.update(again.predict(restored, of, step), of, step, seen)
        assert bits(belief) == bits(restored)


def test_results_do_not_depend_on_what_was_computed_before():
    """A, B, A: another plant and another window in between change no bit."""
    of, other = stirred_reactor.dynamics(), stirred_reactor.dynamics(stirred_reactor.model(True))
    rows, _ = stirred_reactor.experiment(of, 8)
    begin = stirred_reactor.start(of)
    first = bits(stirred_reactor.run(MovingHorizon(3), of, begin, rows)[-1])
    stirred_reactor.run(MovingHorizon(7), other, stirred_reactor.start(other), stirred_reactor.experiment(other, 9)[0])
    assert bits(stirred_reactor.run(MovingHorizon(3), of, begin, rows)[-1]) == first


def test_threads_share_the_compiled_equations_safely():
    """Eight windows at once on the same model: each has the bits that it has alone."""
    of = stirred_reactor.dynamics()
    rows, _ = stirred_reactor.experiment(of, 8)
    begin = stirred_reactor.start(of)

    def last(horizon):
        return bits(stirred_reactor.run(MovingHorizon(horizon), of, begin, rows)[-1])

    horizons = [1, 2, 3, 4] * 2
    alone = [last(horizon) for horizon in horizons]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(last, horizons)) == alone
