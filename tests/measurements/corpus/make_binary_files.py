"""Write the corpus files that no editor writes: workbooks, Parquet, compressed text. Run by hand, results committed."""

import datetime as dt
import gzip
import io
import zipfile
from pathlib import Path

import openpyxl
import polars as pl
from openpyxl.utils.datetime import CALENDAR_MAC_1904

HERE = Path(__file__).parent
MOMENTS = [dt.datetime(2026, 11, 20, 6, minute) for minute in range(3)]
SERIALS = [46346.25, 46346.25 + 1.0 / 1440.0, 46346.25 + 2.0 / 1440.0]
VALUES = [21.5, 21.75, 22.5]
_NO_PROPERTIES = (
    b'<?xml version="1.0"?>'
    b'<coreProperties xmlns="http://schemas.openxmlformats.org/package/2006/metadata/core-properties"/>'
)


def workbook(name: str, **sheets: list[list[object]]) -> None:
    """Write a workbook of these sheets; a name ends in _1904 for the calendar of the Macintosh."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    if name.startswith("epoch_1904"):
        book.epoch = CALENDAR_MAC_1904
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    # Packed anew, with the clock of no computer in it: the same bytes in every run.
    with zipfile.ZipFile(buffer) as written, zipfile.ZipFile(HERE / name, "w", zipfile.ZIP_DEFLATED) as out:
        for entry in written.infolist():
            content = written.read(entry)
            if entry.filename == "docProps/core.xml":
                content = _NO_PROPERTIES
            out.writestr(zipfile.ZipInfo(entry.filename, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)


def rows(values: list[object], moments: list[object] | None = None) -> list[list[object]]:
    """Return header and rows of one tag."""
    stamps: list[object] = [*MOMENTS] if moments is None else moments
    return [["time", "T1"], *([a, b] for a, b in zip(stamps, values, strict=True))]


def main() -> None:
    """Write them all."""
    workbook(
        "serials.xlsx", Data=[[*row, second] for row, second in zip(rows([*VALUES]), ["T2", 7, 8, 9], strict=True)]
    )
    workbook("serials_plain.xlsx", Data=rows([*VALUES], [*SERIALS]))
    workbook("epoch_1904.xlsx", Data=rows([*VALUES]))
    workbook("numbers_as_text.xlsx", Data=rows(["21,5", "21,75", "22,5"]))
    workbook("errors.xlsx", Data=rows([21.5, "#DIV/0!", 22.5]))
    title: list[list[object]] = [["Plant west"], ["Campaign", 7], []]
    workbook("titles.xlsx", Data=[*title, ["time", "T1"], [None, "degC"], *rows([*VALUES])[1:]])
    workbook("two_sheets.xlsx", June=rows([*VALUES]), July=rows([31.5, 31.75, 32.5]))
    workbook("cover_sheet.xlsx", Cover=[["Campaign 7"], ["Made by", "MK"]], Data=rows([*VALUES]))
    workbook("formulas.xlsx", Data=rows([21.5, "=B2+0.25", 22.5]))
    workbook("text_stamps.xlsx", Data=rows([*VALUES], [f"20.11.2026 07:0{minute}:00" for minute in range(3)]))
    workbook("truth_values.xlsx", Data=rows([21.5, True, 22.5]))
    workbook("no_zone.xlsx", Data=rows([*VALUES]))
    whole = (HERE / "serials.xlsx").read_bytes()
    (HERE / "broken.xlsx").write_bytes(whole[: len(whole) // 2])
    (HERE / "workbook.csv").write_bytes((HERE / "no_zone.xlsx").read_bytes())

    zoned = pl.Series("time", MOMENTS, dtype=pl.Datetime("us")).dt.replace_time_zone("UTC")
    berlin = zoned.dt.convert_time_zone("Europe/Berlin")
    parquet(pl.DataFrame({"time": berlin, "T1": [21.5, None, 22.5]}), "typed_zone.parquet")
    naive = berlin.dt.replace_time_zone(None)
    parquet(pl.DataFrame({"time": naive, "T1": VALUES}), "typed_naive.parquet")
    long = {"tag": ["T1", "P1", "T1"], "time": [MOMENTS[k] for k in (0, 0, 1)]}
    frame = pl.DataFrame(long).with_columns(pl.col("time").dt.replace_time_zone("UTC"))
    extra = [pl.Series("value", [21.5, 1.5, 21.75]), pl.Series("quality", [192, 192, 0])]
    parquet(frame.with_columns(extra), "long.parquet")
    parquet(pl.DataFrame({"time": zoned, "T1": ["21.5", "Bad Input", "22.5"]}), "text_numbers.parquet")
    parquet(pl.DataFrame({"time": zoned, "T1": [21.5, float("inf"), float("nan")]}), "infinite.parquet")
    whole = (HERE / "typed_zone.parquet").read_bytes()
    (HERE / "broken.parquet").write_bytes(whole[: len(whole) // 2])

    lines = [f"2026-11-20T06:0{minute}:00Z,{value}\n" for minute, value in enumerate(VALUES)]
    text = "".join(["time,T1\n", *lines]).encode()
    packed = gzip.compress(text, mtime=0)
    (HERE / "plain.csv.gz").write_bytes(packed)
    (HERE / "broken.csv.gz").write_bytes(packed[: len(packed) // 2])


def parquet(frame: pl.DataFrame, name: str) -> None:
    """Write a frame, small."""
    frame.write_parquet(HERE / name, compression="snappy", statistics=False)


if __name__ == "__main__":
    main()
