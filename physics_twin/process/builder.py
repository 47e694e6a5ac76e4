"""`ProcessBuilder`: write a process model as equations with units.

    m = ProcessBuilder("first_order", version="1.0")
    k = m.parameter("k", "0.1 1/min")
    c = m.state("concentration", "mol/L", initial="2 mol/L")
    m.rate(c, -k * c)
    m.output("concentration", c)
    model = m.build()

Every operation checks units where it is written. `build` checks that the system is complete and returns an immutable
`ProcessModel`; the builder can go on being used and built again.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import casadi as ca
import numpy as np

from physics_twin.errors import ModelError, UnitError, check_name, unknown_name
from physics_twin.expressions import Condition, Expression, Switch, constant
from physics_twin.model import StateBlock, StateKind
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.priors import Prior
from physics_twin.process.equations import Equations
from physics_twin.process.fingerprint import expression_hashes, model_hash
from physics_twin.process.process_model import ProcessModel, state_blocks
from physics_twin.process.sundials import Sundials
from physics_twin.recipes import Phase
from physics_twin.signals import Signal
from physics_twin.splines import Spline
from physics_twin.units import QuantityLike, Unit, to_si

_PHASE_WORDS = frozenset(inspect.signature(Phase).parameters) - {"inputs"}
_ZERO = Expression(0.0, Unit("1").dimension)


@dataclass
class _State:
    """A declared state, algebraic or discrete variable or running extreme."""

    name: str
    unit: Unit
    expression: Expression
    kind: StateKind
    initial: Expression
    initial_parameter: str | None
    scale: float
    lower: float
    upper: float
    equation: Expression | None = None
    sign: float = 0.0


class ProcessBuilder:
    """Collects the equations of one model.

    name: an identifier. version: the model card's version. Names of parameters, inputs, states and discrete values
    are identifiers and differ from one another; outputs may repeat the name of a state.
    """

    def __init__(self, name: str, *, version: str, description: str = "") -> None:
        check_name("model", name)
        self.name, self.version, self.description = name, version, description
        self._symbols: dict[str, ca.SX] = {}
        self._parameters: dict[str, Parameter] = {}
        self._inputs: dict[str, Signal] = {}
        self._states: dict[str, _State] = {}
        self._outputs: dict[str, tuple[Signal, Expression]] = {}
        self._residuals: dict[str, Expression] = {}
        self._events: dict[str, tuple[Condition, dict[str, Expression]]] = {}
        self._validity: dict[str, tuple[float, float]] = {}
        self._time = ca.SX.sym("t")

    # -- declarations -----------------------------------------------------------------------------------------------
    def parameter(
        self,
        name: str,
        value: QuantityLike,
        *,
        bounds: tuple[Any, Any] | None = None,
        prior: Prior | None = None,
        description: str = "",
        source: str = "",
        difference: bool = False,
    ) -> Expression:
        """A named quantity that a fit may change; see `Parameter` for the arguments."""
        return self.declare(
            Parameter(
                name,
                value,
                bounds=bounds,
                prior=prior,
                description=description,
                source=source,
                difference=difference,
            )
        )

    def declare(self, parameter: Parameter) -> Expression:
        """The same from a `Parameter` made elsewhere."""
        symbol = self._new(parameter.name)
        self._parameters[parameter.name] = parameter
        return Expression(symbol, parameter.unit.dimension)

    def function(self, spline: Spline, of: Expression) -> Expression:
        """An unknown function of `of`, with its values at the knots as parameters; see `Spline`.

        One function may be asked at several places. Raises UnitError for an argument of another unit than the knots.
        """
        values = []
        for parameter in spline.parameters:
            if self._parameters.get(parameter.name) is not parameter:
                self.declare(parameter)
            values.append(Expression(self._symbols[parameter.name], parameter.unit.dimension))
        return spline.of(constant(of), values)

    def constant(self, quantity: QuantityLike) -> Expression:
        """A fixed number with its unit; part of the fingerprint."""
        return constant(quantity)

    def input(self, name: str, unit: str, *, description: str = "") -> Expression:
        """A quantity that a recipe gives over time, as a keyword of its phases."""
        if name in _PHASE_WORDS:
            raise ModelError(f'an input cannot be called "{name}": pt.Phase has an argument of that name')
        symbol = self._new(name)
        self._inputs[name] = Signal(name, unit, description=description)
        return Expression(symbol, self._inputs[name].unit.dimension)

    @property
    def time(self) -> Expression:
        """Time since the recipe's start."""
        return Expression(self._time, Unit("s").dimension)

    def state(
        self,
        name: str,
        unit: str,
        *,
        initial: QuantityLike | Expression,
        scale: QuantityLike | None = None,
        lower: QuantityLike | None = None,
        upper: QuantityLike | None = None,
        description: str = "",
    ) -> Expression:
        """A differential state; give its equation with `rate`.

        initial: a quantity, which becomes the parameter `initial.<name>`, or an expression of parameters. scale: its
        typical magnitude, for the absolute tolerance; by default the initial value, or one `unit` where that is zero.
        lower, upper: physical bounds, for filters.
        """
        return self._add(StateKind.DIFFERENTIAL, name, unit, initial, scale, lower, upper, description)

    def algebraic(
        self,
        name: str,
        unit: str,
        *,
        guess: QuantityLike | Expression,
        scale: QuantityLike | None = None,
        description: str = "",
    ) -> Expression:
        """A variable that an `equation` determines at every moment. guess: where its solution is sought."""
        return self._add(StateKind.ALGEBRAIC, name, unit, guess, scale, None, None, description)

    def accumulator(
        self, name: str, unit: str, rate: Any, *, initial: QuantityLike | None = None, description: str = ""
    ) -> Expression:
        """The integral of `rate` over time (energy, dose, lethality): a state that filters never update."""
        start = (0.0, Unit(unit).text) if initial is None else initial
        expression = self._add(StateKind.ACCUMULATOR, name, unit, start, None, None, None, description)
        self.rate(expression, rate)
        return expression

    def maximum(self, name: str, quantity: Any, *, unit: str | None = None) -> Expression:
        """The highest value that `quantity` has had since the start; for outputs only."""
        return self._extreme(name, quantity, unit, 1.0)

    def minimum(self, name: str, quantity: Any, *, unit: str | None = None) -> Expression:
        """The lowest value that `quantity` has had since the start; for outputs only."""
        return self._extreme(name, quantity, unit, -1.0)

    def discrete(self, name: str, unit: str = "1", *, initial: QuantityLike) -> Expression:
        """A value that only events change: on or off, a count, a set point."""
        return self._add(StateKind.INTERNAL, name, unit, initial, None, None, None, "")

    # -- equations --------------------------------------------------------------------------------------------------
    def rate(self, state: Expression, rate: Any) -> None:
        """d(state)/dt = rate. Raises UnitError when the rate is not the state's unit per time."""
        declared = self._declared(state, (StateKind.DIFFERENTIAL, StateKind.ACCUMULATOR), "rate")
        if declared.equation is not None:
            raise ModelError(f'the rate of "{declared.name}" is given twice')
        expected = declared.unit.difference() / Unit("s")
        declared.equation = self._checked(rate, expected, f'rate of "{declared.name}"')

    def equation(self, name: str, left: Any, right: Any = 0) -> None:
        """left = right, at every moment; as many equations as algebraic variables. `name` is for messages."""
        if name in self._residuals:
            raise ModelError(f'two equations are called "{name}"')
        try:
            residual = constant(left) - right
        except UnitError as error:
            raise UnitError(f'equation "{name}": {error}') from None
        self._residuals[name] = residual

    def event(self, name: str, *, when: Condition, then: Mapping[Expression, Any]) -> None:
        """When the condition becomes true, set states or discrete values: `then={level: "0 m"}`.

        The moment is located; sensitivities jump as they must. An event acts again only after its condition was false.
        """
        if name in self._events:
            raise ModelError(f'two events are called "{name}"')
        if not isinstance(when, Condition):
            raise ModelError(f'event "{name}": when= is a comparison of expressions, such as temperature >= "400 K"')
        new: dict[str, Expression] = {}
        for target, value in then.items():
            kinds = (StateKind.DIFFERENTIAL, StateKind.ACCUMULATOR, StateKind.INTERNAL)
            declared = self._declared(target, kinds, f'event "{name}"')
            new[declared.name] = self._checked(value, declared.unit, f'event "{name}" sets "{declared.name}"')
        self._events[name] = (when, new)

    def output(self, name: str, expression: Any, *, unit: str | None = None, description: str = "") -> None:
        """Something that can be measured or limited.

        unit: how it is shown; by default that of the state of which it is a copy, or SI.
        """
        check_name("output", name)
        if name in self._outputs:
            raise ModelError(f'two outputs are called "{name}"')
        e = constant(expression)
        shown = Unit(unit) if unit is not None else self._unit_of(e)
        if shown.dimension != e.dimension:
            raise UnitError(f'output "{name}" is in {Unit.from_dimension(e.dimension)}; {shown} does not fit')
        self._outputs[name] = (Signal(name, shown, description=description), e)

    def valid(self, name: str, low: QuantityLike, high: QuantityLike) -> None:
        """The range of a parameter, input or output in which the model may be trusted."""
        unit = self._unit_named(name)
        self._validity[name] = (to_si(low, unit, name=name), to_si(high, unit, name=name))

    # -- the model --------------------------------------------------------------------------------------------------
    def build(self, *, integrator: Sundials | None = None) -> ProcessModel:
        """The finished model.

        Raises ModelError for a state without a rate, for fewer or more equations than algebraic variables, for a
        parameter or input that reaches nothing, and for a model without states or outputs.
        """
        self._complete()
        x = self._of(StateKind.DIFFERENTIAL) + self._of(StateKind.ACCUMULATOR)
        z, d = self._of(StateKind.ALGEBRAIC), self._of(StateKind.INTERNAL)
        w = [s for s in self._states.values() if s.sign]
        switches = self._switches()
        initial_parameters = [s.initial_parameter for s in x + d if s.initial_parameter]
        names = [*self._parameters, *initial_parameters]
        symbols = {**self._symbols, **{n: ca.SX.sym(n) for n in initial_parameters}}
        modes = [s.mode for s in switches]
        p = _column([symbols[n] for n in names])
        arguments = [
            self._time,
            _column([self._magnitude(s) for s in x]),
            _column([self._magnitude(s) for s in z]),
            _column([self._symbols[n] for n in self._inputs]),
            p,
            _column([*(self._magnitude(s) for s in d), *modes, *(self._magnitude(s) for s in w)]),
        ]
        start = {
            s.name: symbols[s.initial_parameter] if s.initial_parameter else s.initial.magnitude for s in x + z + d
        }
        jumps = [
            _column([new[s.name].magnitude if s.name in new else self._magnitude(s) for s in x + d])
            for _, new in self._events.values()
        ]

        def function(name: str, rows: list[Any]) -> ca.Function:
            return ca.Function(name, arguments, [ca.densify(_column(rows))])

        try:
            equations = Equations(
                parameters=tuple(names),
                inputs=tuple(self._inputs),
                differential=tuple(s.name for s in x),
                n_accumulators=len(self._of(StateKind.ACCUMULATOR)),
                algebraic=tuple(s.name for s in z),
                discrete=tuple(s.name for s in d),
                extremes=tuple(s.name for s in w),
                extreme_signs=tuple(s.sign for s in w),
                outputs=tuple(self._outputs),
                events=tuple(self._events),
                n_switches=len(switches),
                rate=function("rate", [_equation(s).magnitude for s in x]),
                residual=function("residual", [r.magnitude for r in self._residuals.values()]),
                output=function("output", [e.magnitude for _, e in self._outputs.values()]),
                guard=function("guard", [*(s.guard for s in switches), *(c.guard for c, _ in self._events.values())]),
                jump=ca.Function(
                    "jump", arguments, [ca.densify(ca.horzcat(*jumps)) if jumps else ca.SX(len(x) + len(d), 0)]
                ),
                extreme=function("extreme", [_equation(s).magnitude for s in w]),
                initial=ca.Function(
                    "initial", [p], [ca.densify(_column([start[s.name] for s in b])) for b in (x, z, d)]
                ),
            )
        except RuntimeError as error:
            raise ModelError(f"the equations use a symbol of another builder: {error}") from None
        parameters = ParameterSet(
            [*self._parameters.values(), *(self._initial_parameter(s) for s in x + d if s.initial_parameter)]
        )
        blocks = state_blocks(_blocks(x), _blocks(z), _blocks(d), _blocks(w), tuple(self._events))
        return ProcessModel(
            name=self.name,
            version=self.version,
            fingerprint=self._fingerprint(symbols, switches),
            parameters=parameters,
            inputs=tuple(self._inputs.values()),
            outputs=tuple(signal for signal, _ in self._outputs.values()),
            state=blocks,
            validity=dict(self._validity),
            equations=equations,
            integrator=Sundials() if integrator is None else integrator,
            description=self.description,
        )

    # -- inside -----------------------------------------------------------------------------------------------------
    def _new(self, name: str) -> ca.SX:
        check_name("quantity of a model", name)
        if name in self._symbols:
            raise ModelError(f'"{name}" is declared twice')
        self._symbols[name] = ca.SX.sym(name)
        return self._symbols[name]

    def _add(
        self,
        kind: StateKind,
        name: str,
        unit_text: str,
        initial: Any,
        scale: Any,
        lower: Any,
        upper: Any,
        description: str,
    ) -> Expression:
        unit = Unit(unit_text)
        symbol = self._new(name)
        what = f'initial value of "{name}"'
        if isinstance(initial, Expression):
            start, parameter = self._checked(initial, unit, what), None
            typical = 0.0
        else:
            number = to_si(initial, unit, name=what)
            start = Expression(number, unit.dimension)
            parameter = f"initial.{name}" if kind is not StateKind.ALGEBRAIC else None
            typical = abs(number)
        if scale is not None:
            typical = to_si(scale, unit.difference(), name=f'scale of "{name}"')
            if not typical > 0.0:
                raise ModelError(f'the scale of "{name}" must be above zero')
        expression = Expression(symbol, unit.dimension)
        self._states[name] = _State(
            name,
            unit,
            expression,
            kind,
            start,
            parameter,
            typical or unit.factor,
            -np.inf if lower is None else to_si(lower, unit, name=f'lower bound of "{name}"'),
            np.inf if upper is None else to_si(upper, unit, name=f'upper bound of "{name}"'),
        )
        return expression

    def _extreme(self, name: str, quantity: Any, unit: str | None, sign: float) -> Expression:
        e = constant(quantity)
        shown = Unit(unit) if unit is not None else self._unit_of(e)
        value = self._checked(e, shown, f'running extreme "{name}"')
        expression = Expression(self._new(name), shown.dimension)
        self._states[name] = _State(
            name, shown, expression, StateKind.ACCUMULATOR, value, None, shown.factor, -np.inf, np.inf, value, sign
        )
        return expression

    def _initial_parameter(self, s: _State) -> Parameter:
        assert s.initial_parameter is not None
        number = float(s.unit.from_si(s.initial.magnitude))
        return Parameter(s.initial_parameter, (number, s.unit.text), description=f"{s.name} at the start")

    def _of(self, kind: StateKind) -> list[_State]:
        return [s for s in self._states.values() if s.kind is kind and not s.sign]

    def _magnitude(self, s: _State) -> ca.SX:
        return self._symbols[s.name]

    def _declared(self, expression: Any, kinds: tuple[StateKind, ...], where: str) -> _State:
        for s in self._states.values():
            if s.expression is expression:
                if s.kind not in kinds or s.sign:
                    raise ModelError(f'{where}: "{s.name}" is {s.kind.value} and has no such equation')
                return s
        raise ModelError(f"{where}: the first argument must be a state of this builder, not {expression!r}")

    def _checked(self, value: Any, unit: Unit, what: str) -> Expression:
        if isinstance(value, int | float | np.number) and not isinstance(value, bool):
            if value != 0 and not unit.is_dimensionless:
                raise UnitError(f'{what}: {value!r} has no unit; expected {unit}, for example "{value} {unit}"')
            return Expression(float(value), unit.dimension)
        e = value if isinstance(value, Expression) else constant(value)
        if e.dimension != unit.dimension:
            given = Unit.from_dimension(e.dimension)
            found = "has no unit" if given.is_one else f"is in {given}"
            expected = "a pure number" if unit.is_one else f'the dimension of "{unit}"'
            raise UnitError(f"{what} {found}; expected {expected}")
        return e

    def _unit_of(self, e: Expression) -> Unit:
        for s in self._states.values():
            if s.expression is e:
                return s.unit
        for name, signal in self._inputs.items():
            if self._symbols[name] is e.magnitude:
                return signal.unit
        return Unit.from_dimension(e.dimension)

    def _unit_named(self, name: str) -> Unit:
        if name in self._parameters:
            return self._parameters[name].unit
        if name in self._inputs:
            return self._inputs[name].unit
        if name in self._outputs:
            return self._outputs[name][0].unit
        raise unknown_name("parameter, input or output", name, [*self._parameters, *self._inputs, *self._outputs])

    def _every(self) -> dict[str, Any]:
        """Every expression of the model by a name that does not depend on the order of declaration."""
        found: dict[str, Any] = {}
        for s in self._states.values():
            found[f"{'extreme' if s.sign else 'rate'}:{s.sign:g}:{s.name}"] = (
                _ZERO if s.equation is None else s.equation
            )
            found[f"initial:{s.name}"] = _ZERO if s.initial_parameter or s.sign else s.initial
        found |= {f"equation:{name}": e for name, e in self._residuals.items()}
        found |= {f"output:{name}": e for name, (_, e) in self._outputs.items()}
        for name, (when, new) in self._events.items():
            found[f"event:{name}"] = Expression(when.guard, (), when.switches)
            found |= {f"event:{name}:{target}": e for target, e in new.items()}
        return found

    def _switches(self) -> list[Switch]:
        found: list[Switch] = []
        for e in self._every().values():
            found += [s for s in e.switches if not any(s is known for known in found)]
        return found

    def _complete(self) -> None:
        if not self._outputs:
            raise ModelError(f'model "{self.name}" has no output; add m.output(...)')
        differential = self._of(StateKind.DIFFERENTIAL) + self._of(StateKind.ACCUMULATOR)
        if not differential:
            raise ModelError(f'model "{self.name}" has no state; add m.state(...) and m.rate(...)')
        missing = [s.name for s in differential if s.equation is None]
        if missing:
            raise ModelError(f'state "{missing[0]}" has no rate; add m.rate({missing[0]}, ...)')
        n_equations, n_algebraic = len(self._residuals), len(self._of(StateKind.ALGEBRAIC))
        if n_equations != n_algebraic:
            raise ModelError(f"{n_algebraic} algebraic variables need as many equations; {n_equations} are given")
        expressions = [e.magnitude for e in self._every().values()] + [s.guard for s in self._switches()]
        extremes = [s for s in self._states.values() if s.sign]
        memory = [e.magnitude for name, e in self._every().items() if not name.startswith("output:")]
        for s in extremes:
            if ca.depends_on(_column(memory + [w.guard for w in self._switches()]), self._symbols[s.name]):
                raise ModelError(f'the running extreme "{s.name}" is for outputs only: a rate may not depend on it')
        everything = _column(expressions)
        for name in [*self._parameters, *self._inputs]:
            if not ca.depends_on(everything, self._symbols[name]):
                what = "parameter" if name in self._parameters else "input"
                raise ModelError(f'{what} "{name}" appears in no equation, event, initial value or output')

    def _fingerprint(self, symbols: dict[str, ca.SX], switches: list[Switch]) -> str:
        named = [("time", self._time)]
        named += [(f"symbol:{n}", s) for n, s in symbols.items() if not n.startswith("initial.")]
        # A mode is named by its own condition, whose modes are named before it (conditions nest, but never in a
        # circle), so that the order in which conditions were written does not matter.
        waiting = list(switches)
        while waiting:
            unnamed = ca.vertcat(*(s.mode for s in waiting))
            ready = [s for s in waiting if not ca.depends_on(ca.SX(s.guard), unnamed)]
            hashes = expression_hashes(named, [ca.SX(s.guard) for s in ready])
            named += [(f"mode:{name}", s.mode) for name, s in zip(hashes, ready, strict=True)]
            waiting = [s for s in waiting if not any(s is known for known in ready)]
        every = self._every()
        hashes = expression_hashes(named, [ca.SX(e.magnitude) for e in every.values()])
        parts = dict(zip(every, hashes, strict=True))
        parts |= {f"unit:{s.name}": Unit.from_dimension(s.unit.dimension).text for s in self._states.values()}
        return model_hash({"name": self.name, **parts})


def _equation(s: _State) -> Expression:
    assert s.equation is not None
    return s.equation


def _blocks(group: list[_State]) -> list[StateBlock]:
    return [StateBlock(s.name, s.unit, 1, s.scale, s.lower, s.upper, s.kind) for s in group]


def _column(rows: list[Any]) -> ca.SX:
    return ca.densify(ca.vertcat(*(ca.SX(row) for row in rows))) if rows else ca.SX(0, 1)
