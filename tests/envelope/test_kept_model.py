"""A worker keeps the model of the last piece of work, and simulates with no other than the one that was sent."""

import pickle
import sys
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.envelope import Limit, final
from physics_twin.envelope.limits.limits import bind_limits
from physics_twin.envelope.margins.evaluation import Problem, member_margins
from physics_twin.envelope.margins.kept_model import packed, unpacked
from physics_twin.recipes import Phase, Recipe
from physics_twin.signals import Setting, Signal

KNOB = Setting("s", "1", bounds=(0.0, 1.0))


@dataclass(frozen=True)
class Counted:
    """y = gain s + 1000 times how often a model was made of bytes in this process; only what a run needs."""

    gain: float
    outputs: tuple[Signal, ...] = (Signal("y", "1"),)
    made: ClassVar[int] = 0

    def __setstate__(self, state):
        self.__dict__.update(state)
        Counted.made += 1

    def initial_state(self, t0, recipe, values):
        return np.zeros(0)

    def advance(self, state, t0, t1, recipe, values):
        return state

    def observe(self, state, t, recipe, values):
        return np.array([self.gain * values["s"] + 1000.0 * Counted.made])


def problem(model):
    recipe = Recipe([Phase("run", duration="1 h")], initial={"s": KNOB})
    return Problem(model, recipe, (KNOB,), bind_limits([Limit("y", upper=0.9, over=final)], model.outputs), 4)


def test_the_same_model_is_made_once_and_another_one_anew(monkeypatch):
    """A, A, B, A: three models are made, and each problem is simulated with its own."""
    monkeypatch.setattr(Counted, "made", 0)
    first, second = problem(Counted(1.0)), problem(Counted(2.0))
    values = {"s": np.array([0.25])}
    seen = []
    for asked in (first, replace(first, n_nodes=8), second, first):
        arrived = pickle.loads(pickle.dumps(asked))  # noqa: S301 - our own bytes
        assert arrived == asked
        seen.append((Counted.made, float(0.9 - member_margins(arrived, values)[0][0, 0] - 1000.0 * Counted.made)))
    assert [made for made, _ in seen] == [1, 1, 2, 3]
    assert [y for _, y in seen] == pytest.approx([0.25, 0.25, 0.5, 0.25])


@pytest.mark.parametrize("installed", [True, False])
def test_a_process_model_travels_without_cloudpickle_too(installed, monkeypatch):
    """Only the extra fem brings cloudpickle: either way the model that arrives is the same to the last bit."""
    if not installed:
        monkeypatch.setitem(sys.modules, "cloudpickle", None)
    m = pt.ProcessBuilder("decay", version="1")
    rate, x = m.parameter("rate", "0.1 1/s"), m.state("x", "1", initial="1")
    m.rate(x, -rate * x)
    m.output("x", x)
    model = m.build()
    arrived = unpacked(packed(model))
    assert arrived.fingerprint == model.fingerprint
    there, here = (pt.simulate(one, [1.0])["x"].values for one in (arrived, model))
    assert there.tobytes() == here.tobytes()
