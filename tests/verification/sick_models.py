"""Models that break one clause of the contract each; every one wraps a sound model."""

from dataclasses import replace

import numpy as np

import physics_twin as pt
from physics_twin.model import Failure


def sound():
    """x' = -k x + u, with an output that is not linear in anything."""
    m = pt.ProcessBuilder("sound", version="1.0")
    k = m.parameter("k", "0.5 1/h", bounds=("0.1 1/h", "2 1/h"))
    u = m.input("u", "kg/h")
    x = m.state("x", "kg", initial="2 kg")
    m.rate(x, u - k * x**2 / m.constant("1 kg"))
    m.output("x", x)
    m.output("square", x**2)
    return m.build()


RECIPE = pt.Recipe(
    [
        pt.Phase("a", u="1 kg/h", duration=pt.Setting("hold", "h", bounds=(0.1, 5), value="1.1 h")),
        pt.Phase("b", u=pt.ramp("2 kg/h", "0 kg/h"), duration="2 h", start=[pt.dose("x", "1 kg")]),
    ]
)


class Wrapper:
    """A model that hands everything on."""

    def __init__(self, model=None):
        self.model = sound() if model is None else model

    def __getattr__(self, name):
        if name.startswith("__") or name == "model":
            raise AttributeError(name)
        return getattr(self.model, name)

    # Protocols look for these on the class.
    differentiable = property(lambda self: self.model.differentiable)

    def initial_state(self, t0, recipe, values):
        return self.model.initial_state(t0, recipe, values)

    def advance(self, state, t0, t1, recipe, values):
        return self.model.advance(state, t0, t1, recipe, values)

    def observe(self, state, t, recipe, values):
        return self.model.observe(state, t, recipe, values)

    def trajectory(self, times, recipe, values, state=None):
        return self.model.trajectory(times, recipe, values, state)

    def sensitivity(self, times, recipe, values, wrt, state=None):
        return self.model.sensitivity(times, recipe, values, wrt, state)

    def trajectories(self, times, recipe, values, states=None):
        return self.model.trajectories(times, recipe, values, states)

    def phase_times(self, recipe, values):
        return self.model.phase_times(recipe, values)


class Remembers(Wrapper):
    """Uses the last result as the next guess."""

    last = 0.0

    def trajectory(self, times, recipe, values, state=None):
        outputs, end = super().trajectory(times, recipe, values, state)
        outputs = outputs + 1e-13 * self.last
        self.last = float(outputs[-1, 0])
        return outputs, end


class LosesDose(Wrapper):
    """Forgets the event at the moment at which a run is split."""

    def advance(self, state, t0, t1, recipe, values):
        end = super().advance(state, t0, t1, recipe, values)
        starts = self.model.phase_times(recipe, values)
        return end * 0.9 if np.isclose(starts[1], t0) and t1 > t0 else end


class ObservesAnother(Wrapper):
    """observe is not what the trajectory records."""

    def observe(self, state, t, recipe, values):
        return super().observe(state, t, recipe, values) * (1.0 + 1e-3)


class WrongColumn(Wrapper):
    """A jacobian that is 0.1 % off in one column."""

    wrong = "k"

    def sensitivity(self, times, recipe, values, wrt, state=None):
        outputs, jacobian, end = super().sensitivity(times, recipe, values, wrt, state)
        jacobian = jacobian.copy()
        if self.wrong in wrt:
            jacobian[:, :, list(wrt).index(self.wrong)] *= 1.001
        return outputs, jacobian, end


class SilentZero(WrongColumn):
    """A name whose derivative was forgotten."""

    wrong = "hold"

    def sensitivity(self, times, recipe, values, wrt, state=None):
        outputs, jacobian, end = Wrapper.sensitivity(self, times, recipe, values, wrt, state)
        jacobian = jacobian.copy()
        if self.wrong in wrt:
            jacobian[:, :, list(wrt).index(self.wrong)] = 0.0
        return outputs, jacobian, end


class WrongTime(SilentZero):
    """dy/dt was forgotten."""

    wrong = "time"


class AcceptsAnyName(Wrapper):
    """A misspelt name has a derivative of zero."""

    def sensitivity(self, times, recipe, values, wrt, state=None):
        known = [name for name in wrt if name != "no_such_name"]
        outputs, jacobian, end = super().sensitivity(times, recipe, values, known, state)
        if len(known) < len(wrt):
            jacobian = np.zeros((*outputs.shape, len(wrt)))
        return outputs, jacobian, end


class EnsembleOfFriends(Wrapper):
    """Members see each other."""

    def trajectories(self, times, recipe, values, states=None):
        outputs, ends, failures = super().trajectories(times, recipe, values, states)
        return outputs + 1e-3 * outputs.mean(axis=0), ends, failures


class EnsembleThatForgets(Wrapper):
    """Members that go on from states begin again."""

    def trajectories(self, times, recipe, values, states=None):
        return super().trajectories(times, recipe, values)


class WrongStep(Wrapper):
    """A derivative by the state is 2 % off."""

    def advance_linearised(self, state, t0, t1, recipe, values, wrt):
        found = self.model.advance_linearised(state, t0, t1, recipe, values, wrt)
        by_state = found.state_by_state.copy()
        if t1 > t0:
            by_state[0, 0] *= 1.02
        return replace(found, state_by_state=by_state)


class StepAcrossNothing(Wrapper):
    """Derivatives by parameters are forgotten."""

    def advance_linearised(self, state, t0, t1, recipe, values, wrt):
        found = self.model.advance_linearised(state, t0, t1, recipe, values, wrt)
        return replace(found, outputs_by_values=0.0 * found.outputs_by_values)


class EnsembleThatFails(Wrapper):
    """A member fails that runs alone."""

    def trajectories(self, times, recipe, values, states=None):
        outputs, ends, _ = super().trajectories(times, recipe, values, states)
        return outputs, ends, (Failure(0, "bad luck", 0.0),)


class ReturnsNaN(Wrapper):
    """A failure becomes NaN."""

    def trajectory(self, times, recipe, values, state=None):
        try:
            return super().trajectory(times, recipe, values, state)
        except pt.SolveError:
            n = sum(block.size for block in self.model.state)
            return np.full((len(times), len(self.model.outputs)), np.nan), np.full(n, np.nan)


class ReturnsPenalty(Wrapper):
    """A failure becomes 1e99."""

    def trajectory(self, times, recipe, values, state=None):
        try:
            return super().trajectory(times, recipe, values, state)
        except pt.SolveError:
            n = sum(block.size for block in self.model.state)
            return np.full((len(times), len(self.model.outputs)), 1e99), np.full(n, 1e99)


class SilentError(Wrapper):
    """A failure without values."""

    def trajectory(self, times, recipe, values, state=None):
        try:
            return super().trajectory(times, recipe, values, state)
        except pt.SolveError as error:
            raise pt.SolveError(error.reason, time=error.time) from None


class BrokenByFailure(Wrapper):
    """A failure leaves a trace."""

    failed = False

    def trajectory(self, times, recipe, values, state=None):
        try:
            outputs, end = super().trajectory(times, recipe, values, state)
        except pt.SolveError:
            self.failed = True
            raise
        return (outputs * (1.0 + 1e-14), end) if self.failed else (outputs, end)


class StaysHome(Wrapper):
    """Cannot be pickled."""

    def __reduce__(self):
        raise TypeError("cannot pickle a stay-at-home")


class ChangesAbroad(Wrapper):
    """Gives other numbers once it was unpickled."""

    abroad = False

    def __reduce__(self):
        return _abroad, (self.model,)

    def trajectory(self, times, recipe, values, state=None):
        outputs, end = super().trajectory(times, recipe, values, state)
        return (outputs + 1e-12, end) if self.abroad else (outputs, end)


def _abroad(model):
    found = ChangesAbroad(model)
    found.abroad = True
    return found


class WrongSizes(Wrapper):
    """State blocks that do not add up."""

    @property
    def state(self):
        return self.model.state[:-1]


class NewFingerprint(Wrapper):
    """A fingerprint of the clock."""

    count = 0

    @property
    def fingerprint(self):
        self.count += 1
        return f"{self.count}"
