"""Laboratory lists: long, wide and by analyte; limits of detection; when it was sampled and when it was known."""

import datetime as dt
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from physics_twin.errors import DataError, UnitError, UnknownNameError
from physics_twin.measurements.batches.batch import LaboratoryValue
from physics_twin.measurements.batches.laboratory import read_laboratory
from physics_twin.measurements.uncertainty import Uncertainty

ONE: dict[str, Any] = {"output": "c", "value": "c mol/L", "unit": "mol/L", "uncertainty": "0.01 mol/L"}


def utc(text: str) -> dt.datetime:
    """A stamp of UTC."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def written(folder: Path, text: str) -> Path:
    """Write a list."""
    path = folder / "lab.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_one_quantity_with_limits_of_detection(tmp_path: Path) -> None:
    """<0,05 is censored at 0.05; an empty cell is no result; times are UTC."""
    path = written(
        tmp_path,
        "Batch;Sampled;Reported;c mol/L\nB1;01.03.2026 13:00;01.03.2026 15:30;0,732\nB1;01.03.2026 14:00;;<0,05\n"
        "B1;01.03.2026 14:30;;\nB1;31.03.2026 14:00;;> 2,5\n",
    )
    found = read_laboratory(
        path, **ONE, batch="Batch", sampled_at="Sampled", reported_at="Reported", zone="Europe/Berlin"
    )
    assert [(one.value, one.censored) for one in found] == [(0.732, 0), (0.05, -1), (2.5, 1)]
    assert found[0].sampled_at == utc("2026-03-01 12:00")
    assert found[0].reported_at == utc("2026-03-01 14:30")
    assert found[1].reported_at is None
    assert found[0].source == "lab.csv, row 1 (line 2)"


def test_wide_form_has_an_output_a_column_and_the_end_of_the_batch(tmp_path: Path) -> None:
    """Results at the end of a batch have no time of their own; each column has its unit and uncertainty."""
    path = written(tmp_path, "Batch,Yield %,Water ppm\nB 1,91.5,120\nB2,,90\n")
    found = read_laboratory(
        path,
        batch="Batch",
        outputs={
            "Yield %": ("yield_ratio", "percent", "0.4 percent"),
            "Water ppm": ("water", "mg/kg", Uncertainty("10 mg/kg")),
        },
    )
    assert [(one.batch, one.output, one.value) for one in found] == [
        ("B_1", "yield_ratio", 91.5),
        ("B_1", "water", 120.0),
        ("B2", "water", 90.0),
    ]
    assert all(one.sampled_at is None for one in found)
    assert found[1].uncertainty == (5.0, "mg/kg")


def test_long_form_has_a_row_a_result(tmp_path: Path) -> None:
    """The analyte tells the output; others in the list are not meant, and one that never occurs is a mistake."""
    path = written(tmp_path, "Batch,Test,Result\nB1,acid,0.7\nB1,water,120\nB1,color,4\n")
    outputs = {"acid": ("c", "mol/L", "2 percent"), "water": ("water", "mg/kg", "10 mg/kg")}
    found = read_laboratory(path, batch="Batch", analyte="Test", value="Result", outputs=outputs)
    assert [(one.output, one.value) for one in found] == [("c", 0.7), ("water", 120.0)]
    assert found[0].uncertainty == (pytest.approx(0.014), "mol/L")
    with pytest.raises(DataError, match='no row has "base"; there are "acid", "color", "water"'):
        read_laboratory(
            path, batch="Batch", analyte="Test", value="Result", outputs={"base": ("c", "mol/L", "1 mol/L")}
        )


def test_uncertainties_may_stand_in_a_column(tmp_path: Path) -> None:
    """Each result with its own; one that is missing is named by row and column."""
    path = written(tmp_path, "Batch,c mol/L,u\nB1,0.7,0.02\nB1,0.8,\n")
    with pytest.raises(DataError, match=r'lab\.csv, row 2 \(line 3\), column "u"'):
        read_laboratory(path, batch="Batch", **ONE | {"uncertainty": "u"})
    path = written(tmp_path, "Batch,c mol/L,u\nB1,0.7,0.02\nB1,0.8,0.03\n")
    found = read_laboratory(path, batch="Batch", **ONE | {"uncertainty": "u"})
    assert [one.uncertainty for one in found] == [(0.02, "mol/L"), (0.03, "mol/L")]


def test_a_percentage_has_an_absolute_uncertainty() -> None:
    """2 percent of a yield in percent is two points, and not a share of it."""
    frame = pd.DataFrame({"batch": ["B1"], "yield": [50.0]})
    (one,) = read_laboratory(frame, batch="batch", output="y", value="yield", unit="percent", uncertainty="2 percent")
    assert one.uncertainty == (2.0, "percent")


def test_text_that_is_no_result_is_kept_as_text(tmp_path: Path) -> None:
    """ "pending" is neither lost nor a number."""
    (one,) = read_laboratory(written(tmp_path, "Batch,c mol/L\nB1,pending\n"), batch="Batch", **ONE)
    assert (one.text, one.value != one.value) == ("pending", True)


def test_in_the_repeated_hour_the_order_of_a_batch_tells_the_pass(tmp_path: Path) -> None:
    """Two samples at 02:30 and 02:10 of one batch are forty minutes apart."""
    path = written(
        tmp_path,
        "Batch,Sampled,Reported,c mol/L\nB1,2026-10-25 02:30,2026-10-25 02:20,0.7\nB1,2026-10-25 02:10,,0.6\n",
    )
    first, second = read_laboratory(
        path, **ONE, batch="Batch", sampled_at="Sampled", reported_at="Reported", zone="Europe/Berlin"
    )
    assert (first.sampled_at, second.sampled_at) == (utc("2026-10-25 00:30"), utc("2026-10-25 01:10"))
    assert first.reported_at == utc("2026-10-25 01:20")
    assert "first pass" in first.notes[0]
    assert second.notes == ()


def test_what_is_missing_is_named_by_row(tmp_path: Path) -> None:
    """A result without batch or without time says where it stands; so does a stamp that is none."""
    path = written(tmp_path, "Batch,Sampled,c mol/L\n,2026-03-01T10:00Z,0.7\nB1,,0.8\n")
    with pytest.raises(DataError, match=r'row 1 \(line 2\), column "Batch": the result "0.7" has no batch'):
        read_laboratory(path, batch="Batch", **ONE)
    with pytest.raises(DataError, match=r'row 2 \(line 3\), column "Sampled": the result "0.8" has no time'):
        read_laboratory(path, sampled_at="Sampled", **ONE)
    path = written(tmp_path, "Sampled,c mol/L\n2026-03-01T10:00Z,0.7\nafter lunch,0.8\n")
    with pytest.raises(DataError, match=r'line .*column "Sampled"'):
        read_laboratory(path, sampled_at="Sampled", **ONE)


def test_one_list_holds_samples_of_the_process_and_of_the_product(tmp_path: Path) -> None:
    """An empty time with a batch is the end of that batch; with neither, the row is named."""
    text = "Batch,Sampled,c mol/L\nB1,2026-03-01T10:00Z,0.7\nB1,,0.8\n,2026-03-01T11:00Z,0.6\n"
    found = read_laboratory(written(tmp_path, text), batch="Batch", sampled_at="Sampled", **ONE)
    assert [(one.value, one.batch, one.sampled_at) for one in found] == [
        (0.7, "B1", utc("2026-03-01 10:00")),
        (0.8, "B1", None),
        (0.6, "", utc("2026-03-01 11:00")),
    ]
    path = written(tmp_path, text + ",,0.9\n")
    words = r'row 4 \(line 5\), column "Sampled": the result "0.9" has no time of its sample and no batch'
    with pytest.raises(DataError, match=words):
        read_laboratory(path, batch="Batch", sampled_at="Sampled", **ONE)


def test_what_is_declared_has_to_fit_together(tmp_path: Path) -> None:
    """One quantity or several, a batch or a time, columns that are there, units that fit."""
    path = written(tmp_path, "Batch,c mol/L\nB1,0.7\n")
    with pytest.raises(DataError, match="say batch="):
        read_laboratory(path, **ONE)
    with pytest.raises(DataError, match="give output="):
        read_laboratory(path, batch="Batch", output="c")
    with pytest.raises(UnknownNameError, match='"c mol/l"'):
        read_laboratory(path, batch="Batch", **ONE | {"value": "c mol/l"})
    with pytest.raises(UnitError, match="uncertainty of c"):
        read_laboratory(path, batch="Batch", **ONE | {"uncertainty": "1 K"})


def test_elapsed_times_of_a_frame_have_their_unit() -> None:
    """A trial without a clock on the wall has minutes."""
    frame = pd.DataFrame({"t": [30.0, 60.0], "c mol/L": [0.7, 0.6]})
    found = read_laboratory(frame, sampled_at="t", format="min", **ONE)
    assert [one.sampled_at for one in found] == [1800.0, 3600.0]
    assert isinstance(found[0], LaboratoryValue)
