"""What the library raises.

Every error is a `PhysicsTwinError` and also the built-in error a Python programmer would catch (`ValueError`,
`KeyError`, `RuntimeError`). A message says what is wrong, what was given with its unit, what was expected and what
to try. Errors cross process borders, so each of them pickles with its attributes.
"""

import difflib
import keyword
import re
from collections.abc import Iterable, Mapping

_EXPERIMENT = re.compile(r"[\w.\-]+")


class PhysicsTwinError(Exception):
    """Anything that physics_twin raises on purpose."""


class UnitError(PhysicsTwinError, ValueError):
    """A quantity has no unit, an unknown one, or one of another dimension."""


class UnknownNameError(PhysicsTwinError, KeyError):
    """A name that nothing here has; the message gives the nearest right one."""

    def __str__(self) -> str:
        """Return the message as it is (`KeyError` would print its repr)."""
        return str(self.args[0]) if self.args else ""


class ShapeError(PhysicsTwinError, ValueError):
    """An array where a scalar is expected, or an array of another shape."""


class BoundsError(PhysicsTwinError, ValueError):
    """A number outside its range, or a range that holds no number."""


class ModelError(PhysicsTwinError, ValueError):
    """A model that cannot be built, or that does not do what was asked."""


class MissingDependencyError(PhysicsTwinError, ImportError):
    """Something that is installed beside the library is not there; the message says what to install."""


class DataError(PhysicsTwinError, ValueError):
    """Measurements that cannot be used as they are."""


class FileFormatError(PhysicsTwinError, ValueError):
    """A file that is not what it should be."""


class CalibrationError(PhysicsTwinError, RuntimeError):
    """A fit that could not be carried out."""


class StoppedError(CalibrationError):
    """A long run that something outside it stopped: a full disk, a checkpoint folder in use, a worker that died.

    It says nothing about model and data: remove the cause and call again.
    """


class JournalError(PhysicsTwinError, RuntimeError):
    """A journal that cannot be written or read now: a full disk, another writer, a database that does not answer.

    What was committed before is kept, and nothing of what was refused is in it: remove the cause and call again.
    """


class EnvelopeError(PhysicsTwinError, ValueError):
    """An envelope that was asked for in a way that has no answer."""


class RecipeError(PhysicsTwinError, ValueError):
    """A recipe that contradicts itself or does not fit the model."""


class SolveError(PhysicsTwinError, RuntimeError):
    """One simulation failed.

    `reason` in plain words, `time` in s from the recipe's start, `values` and `state` (names to SI numbers) as far as
    they are known where it failed.
    """

    def __init__(
        self,
        reason: str,
        *,
        time: float,
        values: Mapping[str, float] | None = None,
        state: Mapping[str, float] | None = None,
    ) -> None:
        self.reason = reason
        self.time = float(time)
        self.values = dict(values or {})
        self.state = dict(state or {})
        # Values and state stay attributes: in SI and by the dozen they would drown the reason.
        super().__init__(f"{reason} (at t = {self.time:.6g} s)")

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle by the arguments: the message alone would lose time and values."""
        return _solve_error, (type(self), self.reason, self.time, self.values, self.state)


class ExperimentFailed(SolveError):
    """A simulation of an experiment failed; `experiment` says of which."""

    experiment: str = ""


def _solve_error(
    cls: type[SolveError], reason: str, time: float, values: Mapping[str, float], state: Mapping[str, float]
) -> SolveError:
    return cls(reason, time=time, values=values, state=state)


def nearest(name: str, known: Iterable[str], n: int = 3) -> list[str]:
    """Return up to `n` of `known` that look like `name`, best first; upper and lower case count as the same.

    >>> nearest("filmcoefficient", ["film_coefficient", "emissivity"])
    ['film_coefficient']
    """
    candidates = list(dict.fromkeys(known))
    lowered: dict[str, list[str]] = {}
    for candidate in candidates:
        lowered.setdefault(candidate.lower(), []).append(candidate)
    found = [c for match in difflib.get_close_matches(name.lower(), lowered, n=n, cutoff=0.6) for c in lowered[match]]
    return found[:n]


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """Return the error for a name that is not among `known`; `kind` is what it should name ("parameter").

    >>> print(unknown_name("parameter", "emisivity", ["emissivity", "film_coefficient"]))
    there is no parameter "emisivity"; did you mean "emissivity"? known: emissivity, film_coefficient
    """
    names = list(dict.fromkeys(known))
    text = f'there is no {kind} "{name}"'
    close = nearest(str(name), names)
    if close:
        text += "; did you mean " + " or ".join(f'"{c}"' for c in close) + "?"
    elif names:
        text += ";"
    if names:
        text += " known: " + ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    else:
        text += f"; no {kind} is declared here"
    return UnknownNameError(text)


def check_name(kind: str, name: object, *, library_forms: bool = False) -> str:
    """Return `name` if it can name a `kind`; it must be a Python identifier and no keyword.

    With `library_forms` also what the library forms itself: `initial.pinene`, `jacket.area`, and
    `ambient_temperature@charge_0417` for a value that belongs to one experiment. Raises `PhysicsTwinError`'s
    `ModelError` otherwise.
    """
    if not isinstance(name, str):
        raise ModelError(f"the name of a {kind} is a text, not {name!r}")
    stem, at, experiment = name.partition("@")
    parts = stem.split(".") if library_forms else [stem]
    if at and library_forms and not _EXPERIMENT.fullmatch(experiment):
        guess = re.sub(r"[^\w.-]+", "_", experiment).strip("_")
        hint = f'; try "{guess}"' if _EXPERIMENT.fullmatch(guess) else ""
        raise ModelError(f'"{experiment}" cannot name an experiment: use letters, digits and underscores{hint}')
    if at and not library_forms:
        raise ModelError(f'"{name}" cannot name a {kind}: "@" stands between a name and an experiment')
    for part in parts:
        if keyword.iskeyword(part):
            raise ModelError(f'"{part}" cannot name a {kind}: it is a Python keyword; try "{part}_"')
        if not part.isidentifier():
            guess = re.sub(r"\W+", "_", part).strip("_")
            guess = f"x{guess}" if guess[:1].isdigit() else guess
            hint = f'; try "{guess}"' if guess.isidentifier() and not keyword.iskeyword(guess) else ""
            raise ModelError(f'"{name}" cannot name a {kind}: use letters, digits and underscores{hint}')
    return name
