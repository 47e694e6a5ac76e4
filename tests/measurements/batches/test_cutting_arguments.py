"""What is said wrongly to `experiments_from` is refused before a batch is built, with what to write instead."""

import datetime as dt
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import physics_twin as pt
from physics_twin.errors import DataError
from physics_twin.measurements.batches.batch import Batch
from physics_twin.measurements.logs.frames import Query
from physics_twin.measurements.logs.layout import Layout
from physics_twin.measurements.logs.reading import read_log
from physics_twin.measurements.tags.sensors import Installation

START = dt.datetime(2026, 11, 20, 6, tzinfo=dt.UTC)
BATCH = Batch("A", START, START + dt.timedelta(minutes=50))
CHANNELS = [pt.Channel("core", column="T1", unit="degC", noise="1 K")]


def frame() -> pd.DataFrame:
    """Return an hour of a log."""
    times = [START + dt.timedelta(minutes=k) for k in range(60)]
    return pd.DataFrame({"time": times, "T1": 80.0 + np.sin(np.arange(60.0)), "T2": 30.0})


def cut(**more: Any) -> Any:
    """Cut the log into one batch."""
    return pt.experiments_from(frame(), batches=[BATCH], channels=CHANNELS, **more)


@pytest.mark.parametrize(
    ("initial", "words"),
    [
        ({"level": "first"}, 'initial={"level": "first"}: "first" does not begin with a number'),
        ({"level": "first"}, 'pt.PerExperiment("initial.level")'),
        ({"level": "first"}, 'pt.FromContext("Charge degC", "degC")'),
        ({"level": "20 degX"}, 'unknown unit "degX"'),
        ({"level": pt.FromContext("Charge", "degX")}, 'unknown unit "degX"'),
        ({"level": pt.PerExperiment("level")}, "a quantity reads"),
        ({"level": None}, "no value was given"),
        ({"level": float("nan")}, "it is not finite"),
        ({"initial.level": "1 m"}, 'a state is named as in the model, without more: "level"'),
        ({"": "1 m"}, "a state is named as in the model"),
        ("first", 'initial="first": give "steady"'),
        ([1.0], "a mapping of state -> quantity"),
    ],
)
def test_an_initial_value_that_no_model_can_take_is_refused_at_once(initial: Any, words: str) -> None:
    """Before the calibration, and with what may stand there; from a function, with the batch that it is of."""
    with pytest.raises(DataError, match=f"^initial=.*{re.escape(words.removeprefix('initial='))}"):
        cut(initial=initial)
    with pytest.raises(DataError, match='batch "A": initial='):
        cut(initial=lambda batch: initial)


def test_initial_values_that_a_model_can_take_stay() -> None:
    """Quantities in their forms, settings, and a cell of the batch list."""
    batch = Batch("A", BATCH.start, BATCH.end, {"Charge": 3.5})
    given: dict[str, Any] = {
        "a": "20 degC",
        "b": (1.0, "m"),
        "c": 2.0,
        "d": pt.FromContext("Charge", "kg"),
        "e": pt.Setting("e0", "K"),
    }
    (run,) = pt.experiments_from(frame(), batches=[batch], channels=CHANNELS, initial=given)
    assert run.recipe.initial == {**given, "d": (3.5, "kg")}
    steady: tuple[Any, ...] = ("steady", lambda batch: "steady", None)
    assert [len(cut(initial=one)) for one in steady] == [1, 1, 1]


def test_a_laboratory_list_that_is_not_read_yet_gets_the_call_to_write() -> None:
    """A path, a frame or anything else: no header says what is what."""
    with pytest.raises(DataError, match=r'laboratory="Labor.csv": .*pt\.read_laboratory\("Labor.csv", output='):
        cut(laboratory="Labor.csv")
    with pytest.raises(DataError, match=r'pt\.read_laboratory\("Labor.csv", output='):
        cut(laboratory=Path("Labor.csv"))
    with pytest.raises(DataError, match=r"holds a DataFrame: .*pt\.read_laboratory\(frame, output="):
        cut(laboratory=frame())
    with pytest.raises(DataError, match="holds a NoneType"):
        cut(laboratory=None)
    with pytest.raises(DataError, match=r'laboratory= holds a str: .*pt\.read_laboratory\("Labor.csv"'):
        cut(laboratory=["Labor.csv"])
    assert len(cut(laboratory=())) == 1


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """A database with the log, a batch list and laboratory values; closed, or Python 3.13 warns somewhere else."""
    connection = sqlite3.connect(":memory:")
    frame().assign(time=lambda f: f["time"].map(dt.datetime.isoformat)).to_sql("log", connection, index=False)
    connection.execute("create table batches (batch, start, end)")
    connection.execute("insert into batches values ('A', '2026-11-20T06:00:00Z', '2026-11-20T06:50:00Z')")
    connection.execute("create table lab (batch, result)")
    connection.execute("insert into lab values ('A', 0.5)")
    yield connection
    connection.close()


def test_lists_are_read_from_a_database(connection: sqlite3.Connection) -> None:
    """As batch list and as laboratory list, with their hash."""
    lists = Query(connection, "select * from batches")
    values = pt.read_laboratory(
        Query(connection, "select * from lab"),
        output="c", value="result", unit="mol/L", uncertainty="0.01 mol/L", batch="batch",
    )  # fmt: skip
    (run,) = pt.experiments_from(
        Query(connection, "select * from log"), batches=lists, channels=CHANNELS, laboratory=values
    )
    assert (run.name, set(run.series)) == ("A", {"core", "c"})
    assert run.provenance.options["batches"] == "the query"
    assert len(run.provenance.options["batches sha256"]) == 64
    with pytest.raises(DataError, match="the query has no rows"):
        pt.read_batches(Query(connection, "select * from batches where batch = 'Z'"))
    with pytest.raises(DataError, match='two columns are called "batch"'):
        pt.read_batches(Query(connection, "select batch, batch from batches"))


def test_experiments_of_a_query_carry_its_text_and_the_hash_of_its_rows(connection: sqlite3.Connection) -> None:
    """The same rows, however many are fetched at a time, have the same hash, and a changed value another one."""
    sql = "select *\n  from log where time >= ?"
    log = read_log(Query(connection, sql, ("2026",)))
    (run,) = pt.experiments_from(log, batches=[BATCH], channels=CHANNELS)
    assert run.provenance.sha256 == log.sha256
    assert len(log.sha256) == 64
    assert run.provenance.options["query"] == "select * from log where time >= ?; parameters ('2026',)"
    assert read_log(Query(connection, sql, ("2026",))).sha256 == log.sha256
    assert read_log(Query(connection, sql, ("2025",))).sha256 != log.sha256
    connection.execute("update log set T1 = T1 + 1e-9 where rowid = 60")
    assert read_log(Query(connection, sql, ("2026",))).sha256 != log.sha256


def test_the_hash_of_a_query_does_not_depend_on_how_it_is_fetched(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seven rows at a time or all at once."""
    query = Query(connection, "select * from log")
    whole = read_log(query).sha256
    monkeypatch.setattr("physics_twin.measurements.logs.frames._FETCHED", 7)
    assert read_log(query).sha256 == whole


def test_declared_words_of_quality_are_in_the_provenance_in_words(tmp_path: Path) -> None:
    """As a person reads them."""
    path = tmp_path / "log.csv"
    rows = [f"{START + dt.timedelta(minutes=k):%Y-%m-%dT%H:%M:%SZ},{80 + k % 7},Wartung\n" for k in range(60)]
    path.write_text("time,T1,T1 quality\n" + "".join(rows))
    layout = Layout(quality_words={"Wartung": pt.Flag.SUSPECT})
    (run,) = pt.experiments_from(path, batches=[BATCH], channels=CHANNELS, layout=layout)
    assert run.provenance.options["quality_words"] == "Wartung: suspect"
    assert run["core"].counts[pt.Flag.SUSPECT] == 51


def test_a_tag_of_the_table_that_the_log_lacks_is_noted_once() -> None:
    """Reading says it, and cutting does not say it again."""
    tags = pt.TagTable((pt.Tag("T1", output="core", unit="degC", noise="1 K"), pt.Tag("T9", input="gas", unit="degC")))
    found = pt.experiments_from(frame(), batches=[BATCH], tags=tags)
    assert [note for note in found.report.notes if "T9" in note] == ["1 tags of the table are not in this log: T9"]


def test_the_collection_marks_expired_certificates_and_suspect_inputs() -> None:
    """In the print and in the summary, where one looks first."""
    sensor = pt.Sensor("TC-9", valid_until=dt.date(2026, 9, 30))
    tags = pt.TagTable(
        (
            pt.Tag("T1", output="core", unit="degC", noise="1 K"),
            pt.Tag("T2", input="gas", unit="degC", checks=pt.Checks(rate="5 K/min")),
        ),
        sensors=(sensor,),
        installations=(Installation("T1", "TC-9", None),),
    )
    data = frame()
    data["T2"] = 30.0 + np.cos(np.arange(60.0))
    data.loc[20:24, "T2"] = 60.0
    found = pt.experiments_from(data, batches=[BATCH], tags=tags)
    n = found["A"].inputs[0].counts[pt.Flag.SUSPECT]
    assert n > 0
    row = found.summary.loc["A"]
    assert (row["suspect in inputs"], row["expired certificates"], row["suspect"]) == (n, "TC-9", 0)
    text = str(found)
    assert f"note: {n} suspect samples of inputs are in use (gas@A)" in text
    assert "note: the certificate of sensor TC-9 ended on 2026-09-30: 51 later samples are in use (core@A)" in text
