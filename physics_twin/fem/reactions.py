"""Reaction in the solid: local states at every point, with rates of temperature and state."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from physics_twin.errors import ModelError


@dataclass(frozen=True)
class Local:
    """A local state: its start, its rate and its unit.

    rate: a function of T, the local states, parameters and inputs, in the state's unit per second. initial: a quantity,
    Parameter or function of the coordinates; a quantity becomes the parameter `initial.<name>`.
    """

    rate: Any
    initial: Any = 0.0
    unit: str = "1"
    scale: float = 1.0


@dataclass(frozen=True)
class Reactions:
    """Local states by name, and the heat they release per volume and time (W/m^3; negative: consumed).

    heat: {"cure": "350 kJ/kg"}, per mass of the solid and unit of the state (times density and rate); or a function in
    W/m^3 of T, the local states and, under the name `<state>_rate`, their rates.
    """

    states: Mapping[str, Local]
    heat: Any = None
    parameters: tuple[Any, ...] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        """Refuse states that are no `Local`."""
        for name, local in self.states.items():
            if not isinstance(local, Local):
                raise ModelError(f'the reaction\'s state "{name}" is a fem.Local(rate=..., initial=...), not {local!r}')
