"""What a search says while it runs: lines in a file, stages in the log, silence unless asked."""

import io
import logging

import pytest
from rich.console import Console

from physics_twin.envelope import Budget, Limit, final, find_envelope
from physics_twin.progress import EVERY, Progress


@pytest.fixture
def search(analytic):
    """A search of a second."""

    def run(**options):
        model = analytic.closed_form({"y": lambda t, v: v["s0"] + 0.1 * v["a"]}, ["a"])
        settings = analytic.knobs(1)
        return find_envelope(
            model,
            analytic.gaussian_draws(model, 500, 1),
            recipe=analytic.one_hour(settings),
            settings=settings,
            limits=[Limit("y", upper=0.9, over=final)],
            rng=1,
            budget=Budget(n_points=20),
            **options,
        )

    return run


def test_who_waits_without_a_terminal_gets_a_line_at_once(search, capfd):
    """A night job that writes to a file shows a sign of life, with the simulations done; results stay the same."""
    envelope = search(progress=True)
    out, errors = capfd.readouterr()
    first = errors.splitlines()[0]
    assert out == "" and first.startswith("operating envelope, 0 s: first settings and scouts")
    assert "0 simulations so far" in first
    assert str(search()) == str(envelope)


def test_nothing_is_printed_unless_asked_and_the_log_has_every_stage(search, capfd, caplog):
    """progress=False: stages at INFO, counted."""
    with caplog.at_level(logging.INFO, logger="physics_twin.envelope.search"):
        search()
    assert capfd.readouterr() == ("", "")
    said = [record.message for record in caplog.records]
    assert any("attempt 1: at most" in text for text in said) and any("of the map in doubt" in text for text in said)
    counts = [int(text.split("; ")[-1].split()[0]) for text in said]
    assert counts == sorted(counts) and counts[0] == 0 and counts[-1] > 1000


def test_lines_come_now_and_then():
    """The first at once, then one each half minute at most, the last with the time it took."""
    now, shown = 0.0, io.StringIO()
    with Progress(True, Console(file=shown, width=60), lambda: now).stages("operating envelope") as say:
        for number in range(100):
            say(f"attempt {number}, [1/2] of a line that is longer than the width of the console is")
            now += 0.1 * EVERY
    lines = shown.getvalue().splitlines()
    assert len(lines) == 11
    assert lines[0].startswith("operating envelope, 0 s: attempt 0, [1/2]") and lines[0].endswith("console is")
    assert lines[1].startswith("operating envelope, 30 s: attempt 10,")
    assert lines[-1] == "operating envelope: done in 5.0 min"


def test_a_terminal_shows_the_last_words():
    """One line that changes."""
    shown = io.StringIO()
    with Progress(True, Console(file=shown, force_terminal=True, width=100)).stages("set point") as say:
        say("attempt 1")
    assert "set point" in shown.getvalue()
