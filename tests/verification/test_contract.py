"""check_model: a sound model passes every clause, and each kind of sick model is told which clause it breaks."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.verification import check_model
from tests.verification import sick_models as sick


class Here:
    """An executor that runs in this process, so that a test need not spawn one."""

    def submit(self, function, *arguments):
        import pickle
        from concurrent.futures import Future

        future = Future()
        try:
            sent = pickle.loads(pickle.dumps(arguments))  # noqa: S301 - our own bytes
            future.set_result(function(*sent))
        except Exception as error:  # noqa: BLE001 - as an executor does
            future.set_exception(error)
        return future


def test_a_sound_model_passes_and_says_what_was_checked():
    """Ten clauses, in a spawned process too."""
    report = check_model(sick.sound(), recipe=sick.RECIPE)
    assert report.passed
    assert [clause.name for clause in report.clauses] == [
        "declarations",
        "same bits",
        "halves",
        "trajectory",
        "derivatives",
        "linearised",
        "ensemble",
        "after failure",
        "failure",
        "travel",
    ]
    text = str(report)
    assert "keeps the contract" in text and "Taylor" in text and "spawned" in text
    assert report.fingerprint in text


@pytest.mark.parametrize(
    ("model", "clause", "said"),
    [
        (sick.WrongSizes, "declarations", "add up"),
        (sick.NewFingerprint, "declarations", "fingerprint"),
        (sick.Remembers, "same bits", "trajectory"),
        (sick.LosesDose, "halves", "split"),
        (sick.ObservesAnother, "trajectory", "x differs"),
        (sick.WrongColumn, "derivatives", "d x / d k"),
        (sick.SilentZero, "derivatives", "hold"),
        (sick.WrongTime, "derivatives", "time"),
        (sick.AcceptsAnyName, "derivatives", "no_such_name"),
        (sick.EnsembleOfFriends, "ensemble", "member"),
        (sick.EnsembleThatForgets, "ensemble", "member"),
        (sick.WrongStep, "linearised", "d x / d x"),
        (sick.StepAcrossNothing, "linearised", "sensitivity"),
        (sick.EnsembleThatFails, "ensemble", "bad luck"),
        (sick.ReturnsNaN, "failure", "not finite"),
        (sick.ReturnsPenalty, "failure", "nan"),
        (sick.SilentError, "failure", "values"),
        (sick.BrokenByFailure, "after failure", "trajectory"),
        (sick.StaysHome, "travel", "stay-at-home"),
        (sick.ChangesAbroad, "travel", "trajectory"),
    ],
)
def test_each_sickness_is_named(model, clause, said):
    """The message names the model, the clause and what is wrong."""
    with pytest.raises(pt.ModelError, match=f'sound breaks the clause "({clause})".*{said}'):
        check_model(model(), recipe=sick.RECIPE, executor=Here())


def test_a_wrapper_that_changes_nothing_is_sound():
    """The sick models are sick by what they do and not by being wrapped."""
    assert check_model(sick.Wrapper(), recipe=sick.RECIPE, executor=Here()).passed


def test_what_cannot_be_checked_is_said():
    """A model with inputs needs a recipe; a recipe without end needs times."""
    with pytest.raises(pt.RecipeError, match="inputs"):
        check_model(sick.sound())
    with pytest.raises(pt.RecipeError, match="times"):
        check_model(sick.sound(), recipe=pt.Recipe.constant(u="1 kg/h"))
    times = np.array([0.0, 100.0, 5000.0])
    assert check_model(sick.sound(), recipe=pt.Recipe.constant(u="1 kg/h"), times=times, executor=Here()).passed
