"""Errors say what to do, are built-in errors too, and cross process borders."""
# ruff: noqa: S301 -- our own objects, pickled as they are between worker processes

import inspect
import pickle

import pytest

from physics_twin import errors
from physics_twin.errors import ModelError, PhysicsTwinError, SolveError, UnknownNameError, check_name, unknown_name

PLAIN = [
    c
    for _, c in inspect.getmembers(errors, inspect.isclass)
    if issubclass(c, PhysicsTwinError) and not issubclass(c, SolveError | UnknownNameError)
]


@pytest.mark.parametrize("cls", PLAIN)
def test_every_error_is_a_physics_twin_error_and_pickles(cls: type[PhysicsTwinError]) -> None:
    """One `except` catches all; class and text survive the way from a worker process."""
    back = pickle.loads(pickle.dumps(cls("what, where, why")))
    assert type(back) is cls and str(back) == "what, where, why"


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [(errors.UnitError, ValueError), (UnknownNameError, KeyError), (SolveError, RuntimeError)],
)
def test_errors_are_the_builtin_ones_a_programmer_would_catch(cls: type, builtin: type) -> None:
    """`except ValueError` catches a unit error, `except KeyError` an unknown name."""
    assert issubclass(cls, builtin)


def test_a_solve_error_keeps_reason_time_values_and_state_across_processes() -> None:
    """The message is the reason and the time; pickling loses none of the rest."""
    error = SolveError("step size below 1e-12", time=61.5, values={"k1": 1e-6}, state={"pinene": 0.5})
    back = pickle.loads(pickle.dumps(error))
    assert (back.reason, back.time, back.values, back.state) == (
        "step size below 1e-12",
        61.5,
        {"k1": 1e-6},
        {"pinene": 0.5},
    )
    assert str(back) == str(error)
    assert str(error) == "step size below 1e-12 (at t = 61.5 s)"


def test_an_unknown_name_comes_with_the_nearest_right_one_and_prints_plainly() -> None:
    """The text is not the quoted repr that KeyError would print, before and after pickling."""
    error = unknown_name("parameter", "Film_Coeficient", ["emissivity", "film_coefficient"])
    assert str(error).startswith('there is no parameter "Film_Coeficient"; did you mean "film_coefficient"?')
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_an_unknown_name_far_from_all_lists_what_is_known() -> None:
    """No guess is better than a wild one."""
    text = str(unknown_name("signal", "zzz", ["pressure", "flow"]))
    assert "did you mean" not in text and "pressure, flow" in text
    assert "no signal is declared here" in str(unknown_name("signal", "zzz", []))


@pytest.mark.parametrize("name", ["film_coefficient", "k1", "T_ambient", "α"])
def test_identifiers_are_names(name: str) -> None:
    """Whatever Python takes as an identifier."""
    assert check_name("parameter", name) == name


@pytest.mark.parametrize("name", ["lambda", "film coefficient", "2nd", "", "a-b", "a.b", "x@y", 5, None])
def test_what_is_no_identifier_is_refused(name: object) -> None:
    """Keywords, blanks, leading digits, dots and numbers."""
    with pytest.raises(ModelError):
        check_name("setting", name)


def test_a_refused_name_comes_with_one_that_would_do() -> None:
    """The error proposes a name."""
    with pytest.raises(ModelError, match='keyword; try "lambda_"'):
        check_name("parameter", "lambda")
    with pytest.raises(ModelError, match='try "film_coefficient"'):
        check_name("parameter", "film coefficient")
    with pytest.raises(ModelError, match=r'"spring 1" cannot name an experiment.*try "spring_1"'):
        check_name("parameter", "x@spring 1", library_forms=True)


@pytest.mark.parametrize(
    "name", ["initial.pinene", "jacket.area", "ambient_temperature@charge_0417", "bias.TC3@run-2.b"]
)
def test_the_forms_that_the_library_makes_are_names_where_they_are_allowed(name: str) -> None:
    """Dots and "@experiment", for parameters only."""
    assert check_name("parameter", name, library_forms=True) == name


@pytest.mark.parametrize("name", ["initial.", ".x", "a..b", "x@", "@run", "initial.class", "x@a b"])
def test_half_forms_are_refused(name: str) -> None:
    """Each part must stand by itself."""
    with pytest.raises(ModelError):
        check_name("parameter", name, library_forms=True)
