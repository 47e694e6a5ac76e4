"""Fuzz the reader of plant logs: mutated files go in, and out come right numbers or an error of the library.

    python scripts/fuzz_logs.py --n 100000 --seed 1 --processes 2 --out out/fuzz

Inputs are the files of tests/measurements/corpus and small tables in random layouts, changed by byte flips, deletions,
insertions, swapped, doubled and dropped lines, truncation, splices of two files, and other encodings. Each is read with
the layout that its story declares, with none, or with another one. A part of the inputs is read with the block size and
the limits of the fast paths turned down, so that a file of a few lines goes the way of one of a gigabyte.

What counts as a failure: any exception that is not a PhysicsTwinError (warnings are exceptions here), an error that
does not name the file, more than five seconds of processor time, a number, state or moment in the result that the
reference does not find in that line and column, and a number in the file that is not in the result, which does not say
why. The reference is the few lines under "Reference" below: it splits lines, takes Python's float() and Python's
datetime, and shares no code with the reader.

Input k of a seed is the same on every machine that has the same corpus. Failing inputs are shortened and kept in the
folder of --out, beside record.json and record.md.
"""

import argparse
import contextlib
import csv
import datetime as dt
import faulthandler
import hashlib
import json
import math
import multiprocessing
import os
import platform
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import tomllib
import traceback
import warnings
import zoneinfo
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

os.environ.setdefault("POLARS_MAX_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import openpyxl
import polars as pl

from physics_twin.errors import PhysicsTwinError
from physics_twin.measurements.logs import cells, text
from physics_twin.measurements.logs.layout import Layout, LongForm, StampsAt, WideForm
from physics_twin.measurements.logs.log import Log, TagSamples
from physics_twin.measurements.logs.reading import read_log

CORPUS = Path(__file__).parents[1] / "tests" / "measurements" / "corpus"
SECONDS = 5.0  # of processor time that one input may take; they take a few milliseconds
BINARY = {".xlsx": 0.03, ".parquet": 0.1}  # share of these files that is used: workbooks are slow to open
ELAPSED = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0, "hr": 3600.0, "d": 86400.0}


def digest(folder: Path, pattern: str) -> str:
    """Return the hash of files, as they were when this process began."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.glob(pattern)))).hexdigest()[:12]


READER, FILES = digest(Path(text.__file__).parent, "*.py"), digest(CORPUS, "*.*")


_MARKS = ("<!-- the record of a fuzz run -->", "<!-- end of the record -->")  # on a page


class TooSlow(BaseException):
    """An input took more than its time; no `except Exception` on the way may catch it."""


@dataclass(frozen=True)
class Input:
    """One input: a file's suffix and bytes, what is declared of it, and whether the limits are turned down."""

    suffix: str
    content: bytes
    layout: Layout | None
    names: tuple[str, ...] | None = None
    between: tuple[str, str] | None = None
    tight: bool = False


# Inputs --------------------------------------------------------------------------------------------------------------


def corpus() -> list[Input]:
    """Return the files of the corpus, each with the layout its story declares."""
    stories = tomllib.loads((CORPUS / "stories.toml").read_text(encoding="utf-8"))["story"]
    return [
        Input(story["file"][story["file"].index(".") :], (CORPUS / story["file"]).read_bytes(), declared(story))
        for story in stories
    ]


def declared(story: dict[str, Any]) -> Layout | None:
    """Return the layout that a story declares."""
    given = dict(story.get("layout", {}))
    if not given:
        return None
    if "form" in given:
        given["form"] = LongForm(**given["form"])
    if "wide" in given:
        given["form"] = WideForm(quality=given.pop("wide"))
    if "stamps_at" in given:
        given["stamps_at"] = StampsAt[given["stamps_at"]]
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    return Layout(**fields)


STAMPS: dict[str, Callable[[dt.datetime], str]] = {
    "ISO": lambda t: t.isoformat(),
    "%d.%m.%Y %H:%M:%S": lambda t: f"{t:%d.%m.%Y %H:%M:%S}",
    "%m/%d/%Y %I:%M:%S %p": lambda t: f"{t:%m/%d/%Y %I:%M:%S %p}",
    "%d-%b-%y %H:%M:%S": lambda t: f"{t:%d-%b-%y %H:%M:%S}",
    "%Y%m%d%H%M%S": lambda t: f"{t:%Y%m%d%H%M%S}",
    "unix s": lambda t: repr(t.replace(tzinfo=dt.UTC).timestamp()),
    "unix ms": lambda t: repr(round(1e3 * t.replace(tzinfo=dt.UTC).timestamp())),
}
WORDS = ["Bad Input", "", "NaN", "--", "I/O Timeout", "<0.05", ">100", "Open", "Closed", "#DIV/0!", "1e", "12 %"]


def generated(rng: random.Random) -> Input:
    """Return a small table in a random layout, declared in full or not."""
    decimal = rng.choice(".,")
    separator = rng.choice(";\t|,") if decimal == "." else rng.choice(";\t|")
    stamp_format = rng.choice(list(STAMPS))
    zone = rng.choice(["UTC", "Europe/Berlin", "America/New_York"])
    start = rng.choice([dt.datetime(2026, 11, 20, 6), dt.datetime(2026, 10, 25, 1, 30), dt.datetime(2026, 3, 29, 1)])
    step = dt.timedelta(seconds=rng.choice([0.25, 1, 60, 600, 3600]))
    tags = rng.sample(["TI-101", "31TI004.PV", "P [bar]", "Drehzahl", "FQ", "Phase"], rng.randint(1, 4))
    long = rng.random() < 0.4

    def cell(tag: str) -> str:
        if rng.random() < 0.1:
            return rng.choice(WORDS)
        if tag == "Phase":
            return rng.choice(["FILL", "HEAT", "HOLD"])
        number = rng.choice([repr(rng.uniform(-1e3, 1e3)), f"{rng.uniform(0, 100):.2f}", f"{rng.randint(-5, 5000)}"])
        return number.replace(".", decimal)

    lines = ["tag;time;value;quality" if long else ";".join(["time", *tags])]
    if not long and rng.random() < 0.2:
        lines.append(";".join(["", *("degC" for _ in tags)]))
    for row in range(rng.randint(1, 14)):
        stamp = STAMPS[stamp_format](start + row * step)
        if long:
            tag = rng.choice(tags)
            lines.append(f"{tag};{stamp};{cell(tag)};{rng.choice(['192', '192', '0', '64'])}")
        else:
            lines.append(";".join([stamp, *(cell(tag) for tag in tags)]))
    encoding = rng.choice(["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le"])
    whole = rng.choice(["\n", "\r\n"]).join([*lines, ""]).replace(";", separator)
    layout = Layout(
        encoding=encoding if rng.random() < 0.5 else None,
        separator=separator if rng.random() < 0.5 else None,
        decimal=decimal if rng.random() < 0.8 else None,
        thousands="" if rng.random() < 0.5 else None,
        time="time",
        stamp_format=stamp_format,
        zone=zone,
        form=(LongForm("tag", "value", "quality") if long else WideForm()) if rng.random() < 0.8 else None,
    )
    return Input(".csv", whole.encode(encoding), layout)


TOKENS = [
    *(
        ";",
        ",",
        "\t",
        "|",
        '"',
        "'",
        "\n",
        "\r",
        "\r\n",
        "\0",
        " ",
        "\u00a0",
        ".",
        "-",
        "+",
        "e",
        "E5",
        "#",
        "%",
        "=1+1",
    ),
    *("1,5", "1.5", "1.234", "1.234,5", "1e999", "NaN", "inf", "0x1F", "1_000", "<0,05", "\u22125", "\u0663", "\ufeff"),
    *("\u2028", "\x0c", "\x85", "\x1a", "24:00:00", "31.02.2026 06:00:00", "2026-10-25T02:30:00", "9999-12-31", "12"),
    *(
        "2026-11-20T06:00:00Z",
        "1970-01-01",
        "1795154400",
        "46346.25",
        "AM",
        "Bad Input",
        "192",
        "0",
        "time",
        "T1",
        "sep=;",
    ),
    *(
        "\N{GRINNING FACE}",
        "a" * 300,
        "9" * 40,
        "0." + "0" * 30 + "1",
        '"a\nb"',
        '""',
        "(",
        "[degC]",
        "25.10.2026 02:30:00",
    ),
]


def mutated(one: Input, others: list[Input], rng: random.Random) -> bytes:
    """Return the bytes of an input after one to a few changes."""
    data = one.content
    for _ in range(1 + int(rng.expovariate(0.7))):
        data = CHANGES[rng.randrange(len(CHANGES))](data, others, rng)
    return data[:16384]


def _flip(data: bytes, _: list[Input], rng: random.Random) -> bytes:
    if not data:
        return bytes([rng.randrange(256)])
    at = rng.randrange(len(data))
    new = rng.choice([data[at] ^ (1 << rng.randrange(8)), rng.randrange(256), rng.choice(b'0123456789.,;\n"')])
    return data[:at] + bytes([new]) + data[at + 1 :]


def _delete(data: bytes, _: list[Input], rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + 1 + int(rng.expovariate(0.2)) :]


def _insert(data: bytes, _: list[Input], rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    token = rng.choice(TOKENS)
    encoding = "utf-16-le" if data[:2] == b"\xff\xfe" else rng.choice(["utf-8", "utf-8", "cp1252"])
    return data[:at] + token.encode(encoding, "replace") + data[at:]


def _insert_cell(data: bytes, _: list[Input], rng: random.Random) -> bytes:
    """Put a token in the place of a whole cell."""
    pieces = re.split(rb"([;,\t|\n\r]+)", data)
    at = 2 * rng.randrange((len(pieces) + 1) // 2)
    pieces[at] = rng.choice(TOKENS).encode("utf-8")
    return b"".join(pieces)


def _lines(data: bytes, _: list[Input], rng: random.Random) -> bytes:
    lines = data.split(b"\n")
    a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.randrange(4)
    if kind == 0:
        lines[a], lines[b] = lines[b], lines[a]
    elif kind == 1:
        lines.insert(b, lines[a])
    elif kind == 2:
        del lines[a]
    else:
        lines[min(a, b) : max(a, b)] = lines[min(a, b) : max(a, b)] * 2
    return b"\n".join(lines)


def _truncate(data: bytes, _: list[Input], rng: random.Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] if rng.random() < 0.8 else data[at:]


def _splice(data: bytes, others: list[Input], rng: random.Random) -> bytes:
    other = rng.choice(others).content
    a, b = rng.randrange(len(data) + 1), rng.randrange(len(other) + 1)
    if rng.random() < 0.5:  # at the ends of lines: two logs in one file
        a, b = data.rfind(b"\n", 0, a) + 1, other.rfind(b"\n", 0, b) + 1
    return data[:a] + other[b:]


def _encode(data: bytes, _: list[Input], rng: random.Random) -> bytes:
    there = rng.choice(["utf-8", "cp1252", "utf-16"])
    back = rng.choice(["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-be", "latin-1"])
    return data.decode(there, "replace").encode(back, "replace")


def _replace(data: bytes, _: list[Input], rng: random.Random) -> bytes:
    a, b = (rng.choice([b";", b",", b"\t", b".", b"\n", b"\r\n", b" ", b":", b"-", b'"', b"2", b"0"]) for _ in range(2))
    return data.replace(a, b) if rng.random() < 0.5 else data.replace(a, b, 1)


CHANGES = [
    _flip,
    _flip,
    _delete,
    _delete,
    _insert,
    _insert,
    _insert_cell,
    _insert_cell,
    _lines,
    _lines,
    _truncate,
    _splice,
]
CHANGES += [_encode, _replace]


def inputs(seed: int, first: int, n: int, seeds: list[Input]) -> Iterator[tuple[int, Input]]:
    """Yield the inputs `first` to `first + n` of a seed."""
    text_seeds = [one for one in seeds if one.suffix not in BINARY]
    for index in range(first, first + n):
        rng = random.Random(f"{seed}:{index}")
        if rng.random() < 0.35:
            base = generated(rng)
        else:
            base = rng.choice(seeds)
            while rng.random() > BINARY.get(base.suffix, 1.0):
                base = rng.choice(seeds)
        layout = base.layout
        if rng.random() < 0.3:
            layout = rng.choice([None, Layout(zone="UTC"), rng.choice(seeds).layout])
        names = tuple(rng.sample(["T1", "T2", "P1", "value"], 2)) if rng.random() < 0.03 else None
        between = ("2026-11-20T06:00:30Z", "2026-11-20T06:02:00Z") if rng.random() < 0.05 else None
        content = mutated(base, text_seeds, rng)
        yield index, Input(base.suffix, content, layout, names, between, rng.random() < 0.5)


# Reference -----------------------------------------------------------------------------------------------------------


def reference_number(cell: str, layout: Layout) -> float | None:
    """Return the number that a cell shows, by Python's float and nothing else."""
    bare = re.sub("^(<=|>=|[<>≤≥])", "", cell.strip()).strip().replace("\u2212", "-")
    point, sign = re.escape(layout.decimal or "."), layout.thousands or ""
    groups = (
        "[ \u00a0\u202f\u2009]"
        if sign in " \u00a0\u202f\u2009"
        else "['\u2019]"
        if sign in "'\u2019"
        else re.escape(sign)
    )
    if sign and re.fullmatch(rf"[+-]?[1-9][0-9]{{0,2}}({groups}[0-9]{{3}})+({point}[0-9]*)?", bare):
        bare = re.sub(groups, "", bare)
    if not re.fullmatch(rf"[+-]?([0-9]+({point}[0-9]*)?|{point}[0-9]+)([eE][+-]?[0-9]+)?", bare):
        return None
    number = float(bare.replace(",", "."))
    return number if math.isfinite(number) else None


def reference_seconds(stamp: str, layout: Layout, origin: dt.datetime | None) -> list[float] | None:
    """Return the moments a stamp may mean, in s since `origin`; None where this reference cannot tell."""
    kind = layout.stamp_format or "ISO"
    stamp = stamp.strip()
    shift = 0.0
    if layout.period is not None:
        number, unit = layout.period.split()
        shift = 0.5 * float(number) * ELAPSED[unit] * (1.0 if layout.stamps_at is StampsAt.START else -1.0)
    if kind in ELAPSED:
        number_ = reference_number(stamp, layout)
        return None if number_ is None else [number_ * ELAPSED[kind] + shift]
    if origin is None:
        return []
    if kind in ("unix s", "unix ms", "excel"):
        found = reference_number(stamp, layout)
        if found is None:
            return None
        zero = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        if kind != "excel":
            return [(zero - origin).total_seconds() + found / (1e3 if kind == "unix ms" else 1.0) + shift]
        naive = dt.datetime(1899, 12, 30) + dt.timedelta(days=found)
    else:
        try:
            naive = dt.datetime.fromisoformat(stamp) if kind == "ISO" else dt.datetime.strptime(stamp, kind)
        except ValueError:
            return None
    if naive.tzinfo is not None:
        return [(naive - origin).total_seconds() + shift]
    zone = zoneinfo.ZoneInfo(layout.zone or "UTC")
    return [(naive.replace(tzinfo=zone, fold=fold) - origin).total_seconds() + shift for fold in (0, 1)]


def reference_rows(content: bytes, layout: Layout) -> tuple[list[str], list[list[str]]]:
    """Return the header, whose names may run over several lines, and the cells of every line after it."""
    separator = layout.separator or ","
    whole = content.decode(layout.encoding or "utf-8", "replace").removeprefix("\ufeff")
    lines = re.split("\r\n|\n|\r", whole)[layout.skiprows or 0 :]
    header: list[list[str]] = []
    reader = csv.reader((line + "\n" for line in lines), delimiter=separator)
    with contextlib.suppress(StopIteration, csv.Error):
        while len(header) < (1 if layout.header is None else layout.header):
            row = next(reader)
            if any(cell.strip() for cell in row):
                header.append(row)
    rows = []
    for line in lines[reader.line_num :]:
        if '"' in line:
            with contextlib.suppress(StopIteration, csv.Error):
                rows.append(next(csv.reader([line], delimiter=separator)))
        else:
            rows.append(line.split(separator))
    names = [_name(cell) for cell in header[0]] if header else []
    return [name or f"column {k}" for k, name in enumerate(names, 1)], rows


def wrong_numbers(log: Log, content: bytes, checked: Counter[str], *, whole: bool = True) -> str:
    """Say which number, state or moment of a log of delimited text is not in the file, "" if all are.

    whole: whether all of the file was asked for; then nothing may be left out in silence either.
    """
    layout = log.layout
    header, body = reference_rows(content, layout)
    names = list(layout.column_names or header)
    stamp_columns = [layout.time] if isinstance(layout.time, str) else list(layout.time or ())
    if not set(stamp_columns) <= set(names):
        return f"columns: the time {stamp_columns} is none of {names}"
    stamps_at = [names.index(name) for name in stamp_columns]
    for one in log:
        if isinstance(layout.form, LongForm):
            if not {layout.form.tag, layout.form.value} <= set(names):
                return f"columns: those of {layout.form} are none of {names}"
            tag_at, value_at = names.index(layout.form.tag), names.index(layout.form.value)
            lines = [row for row in body if len(row) > tag_at and _name(row[tag_at]) == _name(one.tag)]
        else:
            if one.tag not in names:
                checked["columns without a name"] += 1
                continue
            value_at, lines = names.index(one.tag), body
        fault = wrong_samples(one, lines, value_at, stamps_at, log, checked)
        if fault and any("newest to the oldest" in note for note in log.notes):
            fault = wrong_samples(one, lines[::-1], value_at, stamps_at, log, checked)
        if not fault and whole and not one.states and not log.notes and not one.notes:
            fault = lost_samples(one, lines, value_at, stamps_at, log, len(names))
        if fault:
            return fault
    return ""


def _name(cell: str) -> str:
    return " ".join(cell.replace("\ufeff", "").split())


def lost_samples(
    one: TagSamples, lines: list[list[str]], value_at: int, stamps_at: list[int], log: Log, width: int
) -> str:
    """Count the lines that surely hold a number and a moment: as many are in the log, or it says why not."""
    n = 0
    for row in lines:
        if len(row) == width and reference_number(row[value_at], log.layout) is not None:
            n += bool(reference_seconds(" ".join(row[j].strip() for j in stamps_at), log.layout, log.origin))
    found = int(np.isfinite(one.values).sum())
    return f"loss of {n - found} of {n} numbers of {one.tag}, without a word" if found < n else ""


def wrong_samples(
    one: TagSamples, lines: list[list[str]], value_at: int, stamps_at: list[int], log: Log, checked: Counter[str]
) -> str:
    """Find each sample in a line of its own, in the order of the file."""
    at = 0
    tolerance = 1e-3 if log.layout.stamp_format == "excel" else 2e-6
    for k in np.flatnonzero(np.isfinite(one.values)):
        value, moment = float(one.values[k]), float(one.times[k])
        while at < len(lines):
            row = lines[at]
            at += 1
            if len(row) <= max(value_at, *stamps_at):
                continue
            cell = row[value_at]
            if one.states:
                if one.states[int(value)] != _name(cell):
                    continue
            elif reference_number(cell, log.layout) != value:
                continue
            if not math.isfinite(moment):
                checked["values without a time"] += 1
                break
            stamp = " ".join(row[j].strip() for j in stamps_at)
            expected = reference_seconds(stamp, log.layout, log.origin)
            if expected is None:
                checked["values at moments that the reference cannot read"] += 1
                break
            if any(abs(moment - second) <= tolerance + 4e-16 * abs(second) for second in expected):
                checked["states and moments" if one.states else "numbers and moments"] += 1
                break
        else:
            shown = f"state {one.states[int(value)]!r}" if one.states else f"number {value!r}"
            return f"{shown}, sample {k} of {one.tag} at {moment!r} s, is in no line of its own"
    return ""


# Running -------------------------------------------------------------------------------------------------------------


@dataclass
class Tally:
    """What came of a run."""

    n: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    checked: Counter[str] = field(default_factory=Counter)
    failures: list[dict[str, object]] = field(default_factory=list)
    slowest: float = 0.0

    def add(self, other: "Tally") -> None:
        """Add the tally of another process."""
        self.n += other.n
        self.outcomes += other.outcomes
        self.checked += other.checked
        self.failures += other.failures
        self.slowest = max(self.slowest, other.slowest)


_USUAL = (text._SMALL, text.Lines.blocks.__defaults__, cells._FEW)


def turn_limits(tight: bool) -> None:
    """Let small files go the ways of large ones: blocks of a few lines, polars for all of them."""
    text._SMALL, text.Lines.blocks.__defaults__, cells._FEW = (0, (97,), 0) if tight else _USUAL


def alarm(_: int, __: FrameType | None) -> None:
    """End a reading that takes too long."""
    raise TooSlow


def outcome_of(one: Input, folder: Path, checked: Counter[str]) -> tuple[str, str]:
    """Read one input; return its outcome and, for a failure, what is wrong ("" else)."""
    path = folder / f"fuzzed{one.suffix}"
    path.write_bytes(one.content)
    turn_limits(one.tight)
    faulthandler.dump_traceback_later(60.0 * SECONDS, exit=True)  # for a hang in compiled code, or one that waits
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        log = read_log(path, layout=one.layout, tags=one.names, between=one.between)
        signal.setitimer(signal.ITIMER_PROF, 0.0)
    except PhysicsTwinError as error:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        # What is wrong with an option is wrong for every file.
        if "fuzzed" in str(error) or str(error).startswith(("between", "there is no time zone")):
            return f"refused: {type(error).__name__}", ""
        return "nameless", f"the error does not name the file: {error}"
    except TooSlow:
        return "hang", "".join(traceback.format_exc().splitlines(keepends=True)[-9:])
    except BaseException as error:  # polars' panics are no Exception, and every kind is a finding
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        if isinstance(error, KeyboardInterrupt):
            raise
        frames = traceback.extract_tb(error.__traceback__)
        place = next(
            (f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames) if "physics_twin" in f.filename), ""
        )
        return f"crash: {type(error).__name__} at {place}", "".join(traceback.format_exception(error)[-6:])
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        faulthandler.cancel_dump_traceback_later()
    if one.suffix in BINARY or one.suffix.endswith(".gz"):
        return "read, not compared", ""
    fault = wrong_numbers(log, one.content, checked, whole=one.between is None)
    return (f"wrong {fault.partition(' ')[0]}", fault) if fault else ("read", "")


def shortened(one: Input, outcome: str, folder: Path) -> Input:
    """Return a shorter input with the same outcome: lines, then bytes, are left out while it stays."""
    ignored: Counter[str] = Counter()
    tries = 0
    for unit in (b"\n", b""):
        pieces = one.content.split(b"\n") if unit else [bytes([byte]) for byte in one.content]
        size = max(1, len(pieces) // 2)
        while size and tries < 400:
            at = 0
            while at < len(pieces) and tries < 400:
                fewer = Input(
                    one.suffix,
                    unit.join(pieces[:at] + pieces[at + size :]),
                    one.layout,
                    one.names,
                    one.between,
                    one.tight,
                )
                tries += 1
                if outcome_of(fewer, folder, ignored)[0] == outcome:
                    pieces = pieces[:at] + pieces[at + size :]
                    one = fewer
                else:
                    at += size
            size //= 2
    return one


def run(seed: int, first: int, n: int, out: str) -> Tally:
    """Read `n` inputs in this process."""
    warnings.simplefilter("error")
    signal.signal(signal.SIGPROF, alarm)
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="fuzz_logs_", dir=memory if memory.is_dir() else None))
    tally = Tally()
    kept: Counter[str] = Counter()
    seeds = corpus()
    try:
        for index, one in inputs(seed, first, n, seeds):
            began = time.process_time()
            outcome, fault = outcome_of(one, folder, tally.checked)
            tally.slowest = max(tally.slowest, time.process_time() - began)
            tally.n += 1
            tally.outcomes[outcome] += 1
            if fault:
                kept[outcome] += 1
                if kept[outcome] <= 3:
                    small = shortened(one, outcome, folder) if outcome != "hang" else one
                    path = Path(out) / f"failing_{seed}_{index}{one.suffix}"
                    path.write_bytes(small.content)
                    (Path(out) / f"failing_{seed}_{index}{one.suffix}.whole").write_bytes(one.content)
                    words = {"index": index, "outcome": outcome, "fault": fault, "file": path.name}
                    options = {"layout": repr(small.layout), "names": small.names, "between": small.between}
                    tally.failures.append(
                        {**words, **options, "tight": small.tight, "bytes": repr(small.content[:400])}
                    )
    finally:
        turn_limits(False)
        shutil.rmtree(folder, ignore_errors=True)
    return tally


def failed(tally: Tally) -> int:
    """Return how many inputs failed."""
    return sum(n for outcome, n in tally.outcomes.items() if not outcome.startswith(("read", "refused")))


def record(tally: Tally, seed: int, seconds: float, out: Path) -> None:
    """Write what came of the run, for people and for programs."""
    versions = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "polars": pl.__version__,
        "openpyxl": openpyxl.__version__,
        "SHA-256 of the reader's files": READER,
        "SHA-256 of the corpus": FILES,
    }
    content = {
        "inputs": tally.n,
        "seed": seed,
        "failures": failed(tally),
        "outcomes": dict(tally.outcomes.most_common()),
        "compared": dict(tally.checked.most_common()),
        "seconds": round(seconds, 1),
        "slowest_s": round(tally.slowest, 3),
        "versions": versions,
        "kept": tally.failures,
    }
    (out / "record.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    rows = [("inputs", f"{tally.n:,}"), ("seed", str(seed)), ("failures", str(failed(tally)))]
    rows += [(outcome, f"{n:,}") for outcome, n in tally.outcomes.most_common()]
    rows += [(f"compared: {what}", f"{n:,}") for what, n in tally.checked.most_common()]
    rows += [("slowest (processor time)", f"{tally.slowest:.2f} s")]
    rows += list(versions.items())
    lines = ["| | |", "|---|---|", *(f"| {a} | {b} |" for a, b in rows)]
    (out / "record.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def onto_page(table: Path, page: Path) -> int:
    """Write the table of a record between the two marks of a page."""
    above, mark, rest = page.read_text(encoding="utf-8").partition(f"{_MARKS[0]}\n")
    _, last, below = rest.partition(_MARKS[1])
    if not mark or not last:
        raise SystemExit(f"{page} has no marks {_MARKS}")
    page.write_text(f"{above}{mark}\n{table.read_text(encoding='utf-8')}\n{last}{below}", encoding="utf-8")
    return 0


def main() -> int:
    """Run, and return 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="first input of the seed, to read one again")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"))
    parser.add_argument("--page", type=Path, help="only write the record in --out into this page of the documentation")
    options = parser.parse_args()
    if options.page is not None:
        return onto_page(options.out / "record.md", options.page)
    options.out.mkdir(parents=True, exist_ok=True)
    piece = 2_000
    begins = range(options.first, options.first + options.n, piece)
    jobs = [(options.seed, k, min(piece, options.first + options.n - k), str(options.out)) for k in begins]
    began = time.perf_counter()
    total = Tally()
    results: Iterator[Tally]
    with contextlib.ExitStack() as stack:
        if options.processes > 1:
            pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(options.processes))
            results = pool.imap_unordered(_run, jobs)
        else:
            results = map(_run, jobs)
        for tally in results:
            total.add(tally)
            record(total, options.seed, (time.perf_counter() - began) * options.processes, options.out)
            print(f"{total.n:>9,} inputs, {failed(total)} failures", flush=True)
    print((options.out / "record.md").read_text(encoding="utf-8"))
    return 1 if failed(total) else 0


def _run(job: tuple[int, int, int, str]) -> Tally:
    return run(*job)


if __name__ == "__main__":
    sys.exit(main())
