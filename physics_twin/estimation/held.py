"""What a fit holds: model parameters and settings in SI, for each experiment those of its own recipe.

A number is the one in `values`, else the recipe's own, else the model's. One that could act nowhere is refused, so that
nobody believes a number to be in the fit that is not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from physics_twin.errors import BoundsError, CalibrationError, RecipeError, unknown_name
from physics_twin.estimation.unknowns import Kind, Unknowns, binds
from physics_twin.measurements import Experiment
from physics_twin.model import Model
from physics_twin.parameters import Values
from physics_twin.signals import Setting
from physics_twin.units import QuantityLike, to_si


@dataclass(frozen=True)
class Held:
    """Numbers of a fit that are not unknown."""

    of: Mapping[str, Mapping[str, float]]
    """Experiment -> name -> SI: model parameters and the recipe's settings; unknowns hold their declared value."""
    reported: Values
    """What was held, unknowns left out: a setting that `values` holds in all experiments under its own name, one with
    the value of a recipe as `name@experiment`."""


def hold(
    model: Model,
    experiments: Sequence[Experiment],
    unknowns: Unknowns,
    values: Mapping[str, QuantityLike] | Values | None,
) -> Held:
    """See `Held`. Raises UnknownNameError, UnitError, BoundsError, RecipeError, CalibrationError."""
    given = dict(values or {})
    settings = dict.fromkeys(name for e in experiments for name in e.recipe.settings)
    for name in given:
        _check_acts(name, model, experiments, unknowns, settings)
    of_model = {k: v for k, v in given.items() if k in model.parameters}
    numbers = model.parameters.values(Values(of_model) if isinstance(values, Values) else of_model)  # type: ignore[arg-type]
    common = {name: numbers.scalar(name) for name in model.parameters}
    targets = {c.target for c in unknowns.columns if c.kind is Kind.MODEL}
    of: dict[str, dict[str, float]] = {}
    for experiment in experiments:
        own = of[experiment.name] = dict(common)
        for name, setting in experiment.recipe.settings.items():
            if name in given:
                own[name] = _of_setting(setting, given[name], isinstance(values, Values), experiment.name)
            elif (start := _start(unknowns, name, experiment.name)) is not None:
                own[name] = start
            elif setting.value is not None:
                own[name] = setting.value
            else:
                raise RecipeError(
                    f'the recipes leave the setting "{name}" open; give it in values={{"{name}": "..."}} '
                    "or name it as unknown"
                )
    reported = {
        name: number
        for name, number in common.items()
        if name not in targets and not all(binds(e, Kind.MODEL, name) for e in experiments)
    }
    for name in settings:
        if name not in targets:
            found = {run: own[name] for run, own in of.items() if name in own}
            if name in given:
                reported[name] = next(iter(found.values()))
            else:
                reported.update({f"{name}@{run}": number for run, number in found.items()})
    return Held(of, Values(reported))


def _check_acts(
    name: str, model: Model, experiments: Sequence[Experiment], unknowns: Unknowns, settings: Mapping[str, None]
) -> None:
    if name not in model.parameters and name not in settings:
        raise unknown_name("parameter or setting", name, [*model.parameters, *settings])
    columns = [c for c in unknowns.columns if c.kind is Kind.MODEL and c.target == name]
    if columns:
        each = "" if columns[0].experiments is None else " for each experiment"
        raise CalibrationError(f'"{name}" is given in values and named as unknown{each}; it can be one of the two')
    if all(binds(e, Kind.MODEL, name) for e in experiments):
        who = f'experiment "{experiments[0].name}"' if len(experiments) == 1 else "every experiment"
        raise CalibrationError(
            f'"{name}" is given in values, but {who} binds it (its initial state is given), so the value cannot act; '
            "leave it out of initial= there, or out of values="
        )


def _start(unknowns: Unknowns, name: str, experiment: str) -> float | None:
    """Declared value of the unknown that stands for a setting in an experiment."""
    for c in unknowns.columns:
        if c.kind is Kind.MODEL and c.target == name and c.acts_on(experiment):
            return c.parameter.value
    return None


def _of_setting(setting: Setting, quantity: object, trusted: bool, experiment: str) -> float:
    number = float(quantity) if trusted else to_si(quantity, setting.unit, name=setting.name)  # type: ignore[arg-type]
    try:
        setting.check(number)
    except BoundsError as error:
        raise BoundsError(f'experiment "{experiment}": {error}') from None
    return number
