"""Ids of batches are texts whatever they look like: none is merged with another one, and none is lost."""

import datetime as dt
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from physics_twin.errors import DataError, UnknownNameError
from physics_twin.measurements.batches.batch_tags import ByTag, batches_by_tag
from physics_twin.measurements.batches.collection import Experiments
from physics_twin.measurements.batches.cutting import experiments_from
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.logs.cells import texts_of
from physics_twin.measurements.logs.conversion import convert_log
from physics_twin.measurements.logs.layout import Layout
from physics_twin.measurements.logs.log import Log, TagSamples
from physics_twin.measurements.logs.reading import Query, read_log
from physics_twin.measurements.tags.tag_table import Tag, TagTable
from physics_twin.recipes import HOLD

EACH = 10  # rows of a batch
TABLE = TagTable((Tag("T", output="t", unit="degC", noise="1 K"),))
TEXTS = Layout(texts=("ID",))
START = dt.datetime(2026, 7, 1, 6, tzinfo=dt.UTC)
# Ids that the plant tells apart, and that are one number, no number, or another number to a computer.
IDS = [
    ("1041", "1042A", "1043"),
    ("B1", "1042", "B3"),
    ("12345678901234567", "12345678901234568", "12345678901234569"),
    ("1E5", "100000", "1e5x"),
    ("00417", "417", "0417"),
    ("1041", "1042", "1043"),
    ("1,5", "1.5", "15"),
    ("1_000", "0x10", "inf"),
]


def rows_of(ids: tuple[str, ...]) -> list[tuple[str, str, float]]:
    """Stamp, id and a lively temperature of each minute; the plant is idle at the end."""
    noise = np.random.default_rng(0).normal(20.5, 1.0, EACH * len(ids) + 1).round(2)
    cells = [one for one in ids for _ in range(EACH)] + ["IDLE"]
    stamps = [f"{START + dt.timedelta(minutes=k):%Y-%m-%dT%H:%M:%SZ}" for k in range(len(cells))]
    return list(zip(stamps, cells, noise.tolist(), strict=True))


def wide(folder: Path, ids: tuple[str, ...]) -> Path:
    """Write one column a tag."""
    path = folder / "wide.csv"
    path.write_text("time;ID;T\n" + "".join(f"{at};{one};{t}\n" for at, one, t in rows_of(ids)))
    return path


def long(folder: Path, ids: tuple[str, ...]) -> Path:
    """Write one row a sample."""
    path = folder / "long.csv"
    lines = [f"ID;{at};{one}\nT;{at};{t}\n" for at, one, t in rows_of(ids)]
    path.write_text("tag;time;value\n" + "".join(lines))
    return path


def counts(found: Experiments) -> dict[str, int]:
    """Return the readings of each batch by the id that the plant gives it."""
    return {str(one.context.get("ID", one.name)): one["t"].times.size for one in found}


@pytest.mark.parametrize("ids", IDS)
@pytest.mark.parametrize("write", [wide, long])
def test_ids_stay_apart_however_they_look(tmp_path: Path, write: object, ids: tuple[str, ...]) -> None:
    """Each batch has its own readings and the one at which the next begins; cut from an export, and from a log."""
    path = write(tmp_path, ids)  # type: ignore[operator]
    expected = dict.fromkeys(ids, EACH)
    found = experiments_from(path, tags=TABLE, batches=ByTag("ID"))
    assert {name: n - n % EACH for name, n in counts(found).items()} == expected
    log = read_log(path, layout=TEXTS, tags=TagTable((*TABLE.tags, Tag("ID"))))
    assert log.layout.texts == ("ID",)
    assert log["ID"].states == (*ids, "IDLE")
    assert set(log["ID"].flags.tolist()) == {Flag.GOOD}
    assert counts(experiments_from(log, batches=ByTag("ID"))) == counts(found)
    assert "('ID',)" in found[0].provenance.options["texts"]


@pytest.mark.parametrize("write", [wide, long])
def test_a_converted_log_keeps_the_ids(tmp_path: Path, write: object) -> None:
    """Its file knows which tags are texts, and a log that is saved again does."""
    ids = ("00417", "1E5", "1 m")
    path = write(tmp_path, ids)  # type: ignore[operator]
    convert_log(path, tmp_path / "a.parquet", layout=TEXTS)
    read_log(tmp_path / "a.parquet").save(tmp_path / "b.parquet")
    read_log(path, layout=TEXTS).save(tmp_path / "c.parquet")
    for name in ("a", "b", "c"):
        found = experiments_from(tmp_path / f"{name}.parquet", tags=TABLE, batches=ByTag("ID"))
        assert sorted(counts(found)) == sorted(ids)


@pytest.mark.parametrize("ids", [("1041", "1042A", "1043"), ("<1", "2", "3"), ("1041.5", "2", "3")])
@pytest.mark.parametrize("write", [wide, long])
def test_a_log_that_took_ids_for_numbers_is_not_cut(tmp_path: Path, write: object, ids: tuple[str, ...]) -> None:
    """What a number cannot hold is lost by then: the message says how to read the log, and that works."""
    path = write(tmp_path, ids)  # type: ignore[operator]
    layout = Layout(decimal=".", thousands="")
    log = read_log(path, layout=layout)
    with pytest.raises(DataError, match=r'"ID" was read as numbers.*layout=pt\.Layout\(texts=\("ID",\)\)'):
        experiments_from(log, tags=TABLE, batches=ByTag("ID"))
    log = read_log(path, layout=Layout(decimal=".", thousands="", texts=("ID",)))
    assert sorted(counts(experiments_from(log, tags=TABLE, batches=ByTag("ID")))) == sorted(ids)


def test_a_log_of_whole_numbers_names_batches_by_them() -> None:
    """Below 2**53 a number is the name that was written; above it, it may be another one."""
    flags = np.full(3, Flag.GOOD, np.int8)

    def names(first: float) -> list[str]:
        samples = TagSamples("ID", np.arange(3.0), np.array([first, 1042.0, 0.0]), flags)
        log = Log({"ID": samples}, Layout(), None, "plant.csv", "", 3)
        return [batch.name for batch in batches_by_tag(log, ByTag("ID"))]

    assert names(1041.0) == ["1041", "1042"]
    assert names(2.0**53 - 1) == ["9007199254740991", "1042"]
    with pytest.raises(DataError, match="no whole number that is held exactly"):
        names(2.0**53)


def test_numbers_by_type_are_texts_without_a_fraction(tmp_path: Path) -> None:
    """Columns of integers and of floats in frames, Parquet and workbooks give 1041, and 17 digits of an integer."""
    rows = rows_of(("1041", "1042"))[:-1]
    stamps, values = [at for at, _, _ in rows], [t for _, _, t in rows]
    frames = {
        kind: pd.DataFrame({"time": pd.to_datetime(stamps), "ID": [kind(one) for _, one, _ in rows], "T": values})
        for kind in (int, float)
    }
    for frame in frames.values():
        times = pl.Series([dt.datetime.fromisoformat(one) for one in stamps])
        columns = {name: frame[name].to_numpy() for name in ("ID", "T")}
        pl.DataFrame({"time": times, **columns}).write_parquet(tmp_path / "log.parquet")
        tags = pl.DataFrame({"time": times, **columns}).unpivot(index="time", variable_name="tag")
        naive = frame.assign(time=frame["time"].dt.tz_localize(None))
        naive.to_excel(tmp_path / "log.xlsx", index=False)
        for source, layout in (
            (frame, None),
            (tags, None),
            (tmp_path / "log.parquet", None),
            (tmp_path / "log.xlsx", Layout(zone="UTC")),
        ):
            found = experiments_from(source, layout=layout, tags=TABLE, batches=ByTag("ID"))
            assert sorted(counts(found)) == ["1041", "1042"]
    large = frames[int].assign(ID=frames[int]["ID"] + 12345678901230000)
    found = experiments_from(large, tags=TABLE, batches=ByTag("ID"))
    assert sorted(counts(found)) == ["12345678901231041", "12345678901231042"]
    with closing(sqlite3.connect(":memory:")) as base:
        base.execute("CREATE TABLE log (time TEXT, ID INTEGER, T REAL)")
        base.executemany("INSERT INTO log VALUES (?, ?, ?)", zip(stamps, large["ID"].tolist(), values, strict=True))
        of_base = experiments_from(Query(base, "SELECT * FROM log"), tags=TABLE, batches=ByTag("ID"))
    assert counts(of_base) == counts(found)
    with pytest.raises(DataError, match=r"not exact beyond 2\*\*53"):
        experiments_from(large.astype({"ID": float}), tags=TABLE, batches=ByTag("ID"))
    assert texts_of(pl.Series("ID", [1041.0, None, 0.5, np.nan])).to_list() == ["1041", None, "0.5", None]


@pytest.mark.parametrize("idle", ["0", "0.0", "000", "", "NULL"])
def test_zeros_are_idle_however_they_are_written(tmp_path: Path, idle: str) -> None:
    """A tag that shows 0, 000 or nothing between batches shows no batch."""
    path = tmp_path / "log.csv"
    rows = [(at, idle if k < 5 else one, t) for k, (at, one, t) in enumerate(rows_of(("B1", "B2")))]
    path.write_text("time;ID;T\n" + "".join(f"{at};{one};{t}\n" for at, one, t in rows))
    assert sorted(counts(experiments_from(path, tags=TABLE, batches=ByTag("ID")))) == ["B1", "B2"]


def test_whole_numbers_with_a_fraction_of_zeros_are_whole(tmp_path: Path) -> None:
    """Exports write the number of a batch as 1041.00; lists of batches call it 1041."""
    path = wide(tmp_path, ("1041.00", "1042.00"))
    path.write_text(path.read_text().replace("IDLE", "0.00"))
    assert sorted(counts(experiments_from(path, tags=TABLE, batches=ByTag("ID")))) == ["1041", "1042"]


def test_a_tag_in_use_as_a_number_stays_one(tmp_path: Path) -> None:
    """A phase that is an input as well has its numbers in the recipe, and its name in the phases."""
    path = tmp_path / "log.csv"
    rows = rows_of(("A", "B"))
    path.write_text(
        "time;ID;PH;T\n" + "".join(f"{at};{i};{3 + k % 10 // 5};{t}\n" for k, (at, i, t) in enumerate(rows))
    )
    table = TagTable((*TABLE.tags, Tag("PH", input="stage", unit="1", rule=HOLD)))
    a, _ = experiments_from(path, tags=table, batches=ByTag("ID", phase="PH"))
    assert [phase.name for phase in a.phases] == ["3", "4"]
    assert {value for phase in a.recipe.phases for value in getattr(phase.inputs["stage"], "values", ())} == {3.0, 4.0}


def test_ids_do_not_tell_the_decimal_sign(tmp_path: Path) -> None:
    """Ids such as 1,041 leave the numbers of the other tags alone."""
    for write in (wide, long):
        path = write(tmp_path, ("1,041", "1,042", "7,5"))
        log = read_log(path, layout=TEXTS)
        assert log.layout.decimal == "."
        assert log["ID"].states == ("1,041", "1,042", "7,5", "IDLE")
        assert log["T"].counts[Flag.GOOD] == log["T"].n


def test_texts_are_declared_by_the_names_of_tags(tmp_path: Path) -> None:
    """A tag that is not there and a bare text are refused."""
    path = wide(tmp_path, ("1", "2"))
    with pytest.raises(UnknownNameError, match="ID"):
        read_log(path, layout=Layout(texts=("IDS",)))
    with pytest.raises(UnknownNameError, match="ID"):
        experiments_from(path, tags=TABLE, batches=ByTag("IDS"))
    convert_log(path, tmp_path / "log.parquet", layout=TEXTS, tags=["T"])
    assert tuple(read_log(tmp_path / "log.parquet").samples) == ("T",)
    with pytest.raises(DataError, match=r'texts=\("ID",\)'):
        Layout(texts="ID")  # type: ignore[arg-type]
