"""The folder in which a search keeps its simulations, so that a stopped one goes on.

Envelopes, set points, recipes and recertifications are computed alike: the work is a function of the question, the
posterior, the seed and what its simulations return. So the folder holds the simulations, and which work they belong to:
called again, it asks for the same ones, is answered from the journal up to where it was stopped, and goes on to the
same bytes.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from physics_twin.checkpoints import NO_MEMO, Checkpoint, Memo
from physics_twin.envelope.files.question_record import question_text
from physics_twin.envelope.question import Question
from physics_twin.model import Model

LIBRARIES = ("physics-twin", "numpy", "scipy", "casadi")
"""A change of one of them may change the last bit of a simulation."""


@contextmanager
def remembering(
    checkpoint: str | os.PathLike[str] | None,
    question: Question,
    model: Model,
    posterior: str,
    seed: str,
    what: str = "envelope",
    more: Mapping[str, str] | None = None,
) -> Iterator[Memo]:
    """The journal of a search in the folder `checkpoint`; one that remembers nothing without a folder.

    posterior: hash of its draws. what: is searched, for messages. more: arguments that the question does not hold, by
    name. Raises StoppedError for the folder of another search, one that another process uses or that cannot be written,
    FileFormatError for a folder of something else.
    """
    if checkpoint is None:
        yield NO_MEMO
        return
    folder = Checkpoint(Path(checkpoint), what)
    with folder.open({**_search(question, model, posterior, seed), **(more or {})}), folder.memo("simulations") as memo:
        yield memo


def replays_said(report: Callable[[str], None], memo: Memo) -> Callable[[str], None]:
    """`report`, which also says how much of the work was read from the journal."""

    def say(text: str) -> None:
        report(f"{text} ({memo.recalled} pieces of work replayed from the checkpoint)" if memo.recalled else text)

    return say


def _search(question: Question, model: Model, posterior: str, seed: str) -> Mapping[str, str]:
    """Everything on which the bytes of the answer depend, by name."""
    about = {"model": f"{model.name} {model.version}", "fingerprint": model.fingerprint, "posterior": posterior}
    asked = {name: text for name, text in question_text(question).items() if name != "seed"}
    libraries = {name: version(name) for name in LIBRARIES}
    return {**about, **asked, "seed": seed, "python": ".".join(map(str, sys.version_info[:3])), **libraries}
