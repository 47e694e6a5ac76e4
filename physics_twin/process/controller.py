"""A controller between a set point and an input: what an operator sets is not what the process sees."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import casadi as ca
import numpy as np

from physics_twin.errors import ModelError, unknown_name
from physics_twin.model import StateBlock, StateKind
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.process.fingerprint import model_hash
from physics_twin.process.process_model import ProcessModel
from physics_twin.signals import Signal
from physics_twin.units import QuantityLike, Unit, to_si


@dataclass(frozen=True)
class PI:
    """Proportional-integral control of one input on one output, with limits and rate.

    gain: input unit per unit of the (difference of the) output; negative for a reverse-acting loop.
    integral_time: time. limits: lowest and highest value of the input; the integral tracks the saturated value
    (back-calculation with the integral time: Astrom and Hagglund, Advanced PID Control, 2006, section 3.5), so it does
    not wind up. rate: largest change of the input per time; the actuator then follows with the lag `response`.
    start: value of the input at the beginning, from which the controller takes over without a bump at zero error.
    """

    gain: QuantityLike
    integral_time: QuantityLike
    limits: tuple[QuantityLike, QuantityLike]
    start: QuantityLike
    rate: QuantityLike | None = None
    response: QuantityLike = "1 s"


def with_controller(model: ProcessModel, input: str, output: str, controller: PI) -> ProcessModel:
    """A model whose `input` is set by a controller that holds `output` at the new input `<output>_setpoint`.

    The controller's gain and integral time are parameters of the new model (`<input>_gain`, `<input>_integral_time`);
    its integral, and with a rate limit the actuator's position, are states; `<input>` becomes an output as well.

    Raises UnknownNameError, UnitError, and ModelError when the output reacts to the input at once (an algebraic loop).
    """
    eq = model.equations
    if input not in eq.inputs:
        raise unknown_name("input", input, eq.inputs)
    if output not in eq.outputs:
        raise unknown_name("output", output, eq.outputs)
    if input in eq.outputs:
        raise ModelError(f'"{input}" is an output already; the loop adds one of this name: call the model\'s otherwise')
    drive = next(s for s in model.inputs if s.name == input)
    measured = next(s for s in model.outputs if s.name == output)
    loop = _Loop(model, drive, measured, controller)
    return loop.closed()


class _Loop:
    """The symbols of one closed loop; used once."""

    def __init__(self, model: ProcessModel, drive: Signal, measured: Signal, law: PI) -> None:
        self.model, self.drive, self.measured, self.law = model, drive, measured, law
        eq = model.equations
        span = drive.unit.difference()
        name = drive.name
        self.low, self.high = (to_si(x, drive.unit, name=f"limits of {name}") for x in law.limits)
        if not self.low < self.high:
            raise ModelError(f"the limits of {name} must ascend")
        self.start = to_si(law.start, drive.unit, name=f"start of {name}")
        self.rate = None if law.rate is None else to_si(law.rate, span / Unit("s"), name=f"rate of {name}")
        self.response = to_si(law.response, Unit("s"), name="response")
        gain_unit = span / measured.unit.difference()
        to_si(law.gain, gain_unit, name=f"{name}_gain")
        to_si(law.integral_time, Unit("s"), name=f"{name}_integral_time")
        if not self.low <= self.start <= self.high:
            raise ModelError(f"{name} starts at {drive.format(self.start)}, outside its limits")
        if to_si(law.integral_time, Unit("s"), name=f"{name}_integral_time") <= 0.0:
            raise ModelError(f"the integral time of {name} must be above zero")
        if self.rate is not None and not (self.rate > 0.0 and self.response > 0.0):
            raise ModelError(f"the rate and the response of {name} must be above zero")
        self.parameters = (
            Parameter(f"{name}_gain", law.gain, description=f"gain of the controller of {name}"),
            Parameter(f"{name}_integral_time", law.integral_time, description=f"integral time of the loop of {name}"),
        )
        names = [f"{name}_integral", *([f"{name}_position"] if self.rate is not None else [])]
        clash = {*names, *(p.name for p in self.parameters)} & {*eq.differential, *model.parameters.names}
        if clash:
            raise ModelError(f'the model already has a "{sorted(clash)[0]}"; it has a controller on {name}')
        self.states = names
        self.setpoint = Signal(f"{measured.name}_setpoint", measured.unit, description=f"set point of {measured.name}")

    def closed(self) -> ProcessModel:
        """The model with the loop closed."""
        model, eq = self.model, self.model.equations
        n_x, n_new = len(eq.differential), len(self.states)
        plain = n_x - eq.n_accumulators  # the controller's states go before the accumulators
        t = ca.SX.sym("t")
        x, z = ca.SX.sym("x", n_x + n_new), ca.SX.sym("z", len(eq.algebraic))
        u, p = ca.SX.sym("u", len(eq.inputs)), ca.SX.sym("p", len(eq.parameters) + 2 + n_new)
        q = ca.SX.sym("q", eq.rate.size1_in(5))
        own = ca.vertcat(x[:plain, :], x[plain + n_new :, :])
        mine = x[plain : plain + n_new, :]
        p_own = p[: len(eq.parameters), :]
        gain, integral_time = p[len(eq.parameters)], p[len(eq.parameters) + 1]
        k, m = eq.inputs.index(self.drive.name), eq.outputs.index(self.measured.name)
        base = [t, own, z, u, p_own, q]
        measured = eq.output(*base)[m]
        if ca.which_depends(measured, u, 1, False)[k]:
            raise ModelError(f'"{self.measured.name}" reacts to "{self.drive.name}" at once; measure it behind a lag')
        error = u[k] - measured
        wanted = mine[0] + gain * error
        limited = ca.fmin(ca.fmax(wanted, self.low), self.high)
        rates = [gain * error / integral_time + (limited - wanted) / integral_time]
        actual = limited
        if self.rate is not None:
            actual = mine[1]
            rates.append(ca.fmin(ca.fmax((limited - actual) / self.response, -self.rate), self.rate))
        driven = ca.vertcat(u[:k, :], actual, u[k + 1 :, :])
        arguments = [t, x, z, u, p, q]
        inner = [t, own, z, driven, p_own, q]

        def wrapped(name: str, function: ca.Function, edit: Callable[[Any], Any] = lambda v: v) -> ca.Function:
            return ca.Function(name, arguments, [ca.densify(edit(function(*inner)))])

        def with_mine(rate: Any) -> Any:
            return ca.vertcat(rate[:plain, :], *rates, rate[plain:, :])

        def jump_with_mine(new: Any) -> Any:
            if not eq.events:
                return ca.SX(new.shape[0] + n_new, 0)
            return ca.vertcat(new[:plain, :], ca.repmat(mine, 1, len(eq.events)), new[plain:, :])

        x0, z0, d0 = eq.initial(p_own)
        starts = p[len(eq.parameters) + 2 :, :]
        initials = tuple(f"initial.{name}" for name in self.states)
        closed = replace(
            eq,
            parameters=(*eq.parameters, *(parameter.name for parameter in self.parameters), *initials),
            inputs=(*eq.inputs[:k], self.setpoint.name, *eq.inputs[k + 1 :]),
            differential=(*eq.differential[:plain], *self.states, *eq.differential[plain:]),
            outputs=(*eq.outputs, self.drive.name),
            rate=wrapped("rate", eq.rate, with_mine),
            residual=wrapped("residual", eq.residual),
            output=wrapped("output", eq.output, lambda y: ca.vertcat(y, actual)),
            guard=wrapped("guard", eq.guard),
            jump=wrapped("jump", eq.jump, jump_with_mine),
            extreme=wrapped("extreme", eq.extreme),
            initial=ca.Function("initial", [p], [ca.vertcat(x0[:plain, :], starts, x0[plain:, :]), z0, d0]),
        )
        return replace(
            model,
            fingerprint=self._fingerprint(),
            parameters=ParameterSet([*model.parameters.parameters, *self.parameters, *self._initials()]),
            inputs=(*model.inputs[:k], self.setpoint, *model.inputs[k + 1 :]),
            outputs=(*model.outputs, Signal(self.drive.name, self.drive.unit, description=self.drive.description)),
            state=(*model.state[:plain], *self._blocks(), *model.state[plain:]),
            equations=closed,
        )

    def _initials(self) -> list[Parameter]:
        unit = self.drive.unit
        start = (float(unit.from_si(self.start)), unit.text)
        return [Parameter(f"initial.{name}", start, description=f"{name} at the start") for name in self.states]

    def _blocks(self) -> list[StateBlock]:
        scale = max(abs(self.low), abs(self.high), np.finfo(float).tiny)
        kind = StateKind.DIFFERENTIAL
        return [StateBlock(name, self.drive.unit, 1, scale, -np.inf, np.inf, kind) for name in self.states]

    def _fingerprint(self) -> str:
        numbers = (self.low, self.high, self.rate, self.response)
        parts = {"model": self.model.fingerprint, "loop": f"PI {self.measured.name} -> {self.drive.name} {numbers!r}"}
        return model_hash(parts)
