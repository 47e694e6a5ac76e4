"""The reader against files as people, loggers and historians leave them: right numbers with right flags, or an error.

What is expected of each file is in `corpus/stories.toml` and was written down before the reader read it.
"""

import datetime as dt
import math
import re
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physics_twin.errors import PhysicsTwinError
from physics_twin.measurements import Channel, Experiment, Flag, Stamps
from physics_twin.measurements.logs.layout import Layout, LongForm, StampsAt, WideForm
from physics_twin.measurements.logs.log import Log, TagSamples
from physics_twin.measurements.logs.reading import read_log
from physics_twin.measurements.tags.checks import Checks
from physics_twin.measurements.tags.tag_table import Tag, TagTable
from physics_twin.units import unit

CORPUS = Path(__file__).parent / "corpus"
STORIES: list[dict[str, Any]] = tomllib.loads((CORPUS / "stories.toml").read_text(encoding="utf-8"))["story"]
FLAGS = {
    "G": Flag.GOOD,
    "N": Flag.NOT_EVALUATED,
    "S": Flag.SUSPECT,
    "B": Flag.BAD,
    "M": Flag.MISSING,
}
LETTERS = {int(flag): letter for letter, flag in FLAGS.items()}
CENSORED = {"<": -1, "=": 0, ">": 1}
READ = [story for story in STORIES if "experiment" not in story]
CHECKED = [story for story in STORIES if "experiment" in story]


def layout_of(story: dict[str, Any]) -> Layout | None:
    """Return what the story declares."""
    declared = dict(story.get("layout", {}))
    if not declared:
        return None
    if "form" in declared:
        declared["form"] = LongForm(**declared["form"])
    if "wide" in declared:
        declared["form"] = WideForm(quality=declared.pop("wide"))
    if "stamps_at" in declared:
        declared["stamps_at"] = StampsAt[declared["stamps_at"]]
    for key in ("column_names", "time"):
        if isinstance(declared.get(key), list):
            declared[key] = tuple(declared[key])
    return Layout(**declared)


def tags_of(story: dict[str, Any]) -> TagTable | list[str] | None:
    """Return the tags the story asks for."""
    if "names" in story:
        return list(story["names"])
    if "tags" not in story:
        return None
    table = [dict(tag) for tag in story["tags"]]
    return TagTable(tuple(Tag(**{**tag, "checks": Checks(**tag.get("checks", {}))}) for tag in table))


def read(story: dict[str, Any]) -> Log:
    """Read the file of a story as it declares it."""
    between = tuple(story["between"]) if "between" in story else None
    return read_log(CORPUS / story["file"], layout=layout_of(story), tags=tags_of(story), between=between)


def named(story: dict[str, Any], names: dict[str, int] = {}) -> str:  # noqa: B006 - a counter for the ids
    """Return the file, numbered where several stories are told of it."""
    names[story["file"]] = names.get(story["file"], 0) + 1
    return story["file"] if names[story["file"]] == 1 else f"{story['file']}-{names[story['file']]}"


@pytest.mark.parametrize("story", READ, ids=named)
def test_a_file_is_read_right_or_refused_with_its_reason(story: dict[str, Any]) -> None:
    """Every sample has its number, flag and moment, or the error names the place and the remedy."""
    outcomes: list[dict[str, Any]] = [{"error": story["error"]}] if "error" in story else [story["expect"]]
    outcomes += story.get("either", [])
    try:
        log = read(story)
    except PhysicsTwinError as error:
        wanted = [outcome["error"] for outcome in outcomes if isinstance(outcome.get("error"), list)]
        assert wanted, f"refused: {error}"
        assert any(all(part in str(error) for part in parts) for parts in wanted), f"{error}\nlacks one of {wanted}"
        return
    complaints = [
        "; ".join(differences(log, story, outcome))
        for outcome in outcomes
        if not isinstance(outcome.get("error"), list)
    ]
    assert complaints, f"was read, and should have been refused: {[(one.tag, one.values) for one in log]}"
    assert "" in complaints, "\n".join(complaints)


@pytest.mark.parametrize("story", CHECKED, ids=named)
def test_the_checks_say_what_is_wrong_and_nothing_else(story: dict[str, Any]) -> None:
    """Flags of what a record shows that no plant does; and a quench or a coarse converter is let alone."""
    options = dict(story["experiment"])
    its_unit = options.pop("unit")
    checks = Checks(**options.pop("checks")) if "checks" in options else None
    channel = Channel("T1", column=options.pop("column"), unit=its_unit, noise=(1.0, its_unit), checks=checks)
    experiment = Experiment.from_csv(CORPUS / story["file"], time=Stamps("time"), channels=[channel], **options)
    series = experiment["T1"]
    said = "\n".join([*series.notes, str(experiment)])
    complaints = []
    for outcome in [story["expect"], *story.get("either", [])]:
        wanted = outcome["T1"]
        np.testing.assert_array_equal(series.values, unit(its_unit).to_si(np.array(wanted["values"])))
        flags = "".join(LETTERS[int(flag)] for flag in series.flags)
        faults = [] if flags == wanted.get("flags", "G" * len(flags)) else [f"flags {flags}"]
        if "censored" in wanted:
            sides = [CENSORED[sign] for sign in wanted["censored"]]
            faults += [] if series.censored is not None and series.censored.tolist() == sides else ["censored"]
        elif series.censored is not None and series.censored.any():
            faults.append("censored")
        faults += [f'nothing says "{part}"' for part in wanted.get("notes", []) if part not in said]
        complaints.append("; ".join(faults))
    assert "" in complaints, f"{complaints}\n{said}"
    for part in story.get("notes", []):
        assert part in said


def differences(log: Log, story: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Say where a log is not as expected."""
    found: list[str] = []
    if "tags_are" in story and sorted(log.samples) != sorted(story["tags_are"]):
        found.append(f"tags {sorted(log.samples)}")
    for key, wanted in story.get("shown", {}).items():
        shown = getattr(log.layout, key)
        if (list(shown) if isinstance(shown, tuple) else shown) != wanted:
            found.append(f"layout.{key} is {shown!r}, not {wanted!r}")
    said = "\n".join([*log.notes, *(note for one in log for note in one.notes)])
    found += [f'no note says "{part}", but {said!r}' for part in story.get("notes", []) if part not in said]
    for tag, wanted in expected.items():
        if tag not in log.samples:
            found.append(f"no tag {tag!r} among {list(log.samples)}")
        else:
            found += [f"{tag}: {fault}" for fault in faults_of(log[tag], log, story, wanted)]
    return found


def faults_of(one: TagSamples, log: Log, story: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """Say where the samples of a tag are not as expected."""
    kept = np.ones(one.n, dtype=bool)
    if story.get("unreadable_rows") == "any":
        kept = np.isfinite(one.times)
        if not np.isin(one.flags[~kept], [Flag.BAD, Flag.MISSING]).all():
            return ["a row without a stamp is not bad"]
    values, flags = one.values[kept], "".join(LETTERS[int(flag)] for flag in one.flags[kept])
    n = len(wanted["states"] if "states" in wanted else wanted["values"])
    found = []
    if values.size != n:
        return [f"{values.size} samples instead of {n}: {values}"]
    if "states" in wanted:
        texts = [one.states[int(value)] if one.states and math.isfinite(value) else "" for value in values]
        if texts != wanted["states"]:
            found.append(f"texts {texts}")
    else:
        number = np.array(wanted["values"], dtype=np.float64)
        if one.states:
            found.append(f"numbers were taken for texts {one.states}")
        if not np.array_equal(values, number, equal_nan=True):
            found.append(f"values {values.tolist()} instead of {number.tolist()}")
    if flags != wanted.get("flags", "G" * n):
        found.append(f"flags {flags} instead of {wanted.get('flags', 'G' * n)}")
    censored = [0] * one.n if one.censored is None else one.censored.tolist()
    if censored != [CENSORED[sign] for sign in wanted.get("censored", "=" * one.n)]:
        found.append(f"censored {censored}")
    if "unit" in wanted and one.unit != wanted["unit"]:
        found.append(f"unit {one.unit!r}")
    found += [
        f'no note says "{part}", but {one.notes}'
        for part in wanted.get("notes", [])
        if not any(part in note for note in one.notes)
    ]
    return found + wrong_moments(one.times[kept].tolist(), log, wanted.get("times", story.get("times", [])))


def wrong_moments(times: list[float], log: Log, wanted: list[str | float]) -> list[str]:
    """Say which times are not as expected, to the microsecond (a workbook keeps milliseconds)."""
    accuracy = 1e-3 if log.source.endswith(".xlsx") else 1e-6
    if len(times) != len(wanted):
        return [f"{len(times)} times, and the story has {len(wanted)}"]
    found = []
    for row, (time, moment) in enumerate(zip(times, wanted, strict=True)):
        if moment == "":
            if math.isfinite(time):
                found.append(f"time {row} is {time:g} s and should be unreadable")
            continue
        if isinstance(moment, str):
            if log.origin is None:
                return ["the log has no origin"]
            seconds = (dt.datetime.fromisoformat(moment) - log.origin) / dt.timedelta(seconds=1)
        else:
            seconds = moment
        # a double holds microseconds for 285 years; beyond, for a database's end of time, its own last digit
        if not abs(time - seconds) <= max(accuracy, 4e-16 * abs(seconds)):
            found.append(f"time {row} is {time!r} s instead of {seconds!r} s ({moment})")
    return found


def test_every_file_has_its_story_and_is_small() -> None:
    """A file that nobody tells of tests nothing."""
    told = {story["file"] for story in STORIES}
    kept = {
        path.name for path in CORPUS.iterdir() if path.suffix in {".csv", ".txt", ".dat", ".xlsx", ".parquet", ".gz"}
    }
    assert told == kept
    assert len(told) >= 70
    assert max(path.stat().st_size for path in CORPUS.iterdir() if path.name in told) < 8192


def test_the_documentation_counts_the_stories_right() -> None:
    """The page of evidence says how many files and stories there are, chapter by chapter."""
    page = (Path(__file__).parents[2] / "docs" / "reference" / "logs-evidence.md").read_text(encoding="utf-8")
    assert f"{len({story['file'] for story in STORIES})} small files" in page
    assert f"{len(STORIES)} stories" in page
    told = re.findall(r"^\| [^|]+ \| (\d+) \| (\d+) \| (\d+) \|$", page, re.MULTILINE)
    chapters = re.split(r"^# .* -+$", (CORPUS / "stories.toml").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    counted = []
    for chapter in chapters:
        stories = tomllib.loads(chapter)["story"]
        files = {story["file"] for story in stories}
        counted.append((len(files), len(stories), sum("error" in story for story in stories)))
    assert [tuple(map(int, row)) for row in told] == counted
