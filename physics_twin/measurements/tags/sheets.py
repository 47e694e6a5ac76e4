"""Tag tables as sheets: CSV with a row for each tag; `tag_files` documents the columns."""

import csv
import io
import re
import tomllib
from collections.abc import Mapping, Sequence

from physics_twin.errors import DataError, FileFormatError
from physics_twin.measurements.relations.cross_checks import Pair
from physics_twin.measurements.tags.records import (
    SENSOR_KEYS,
    TAG_KEYS,
    Entry,
    Record,
    check_keys,
    installation_from,
    named,
    quantity_from,
    quantity_text,
    sensor_from,
    sensor_record,
    tag_from,
    tag_record,
    toml_text,
)
from physics_twin.measurements.tags.sensors import Installation, Sensor
from physics_twin.measurements.tags.tag_table import TagTable

__all__ = ["tags_from_csv", "tags_to_csv"]

# CSV column -> key of a sensor, where `description` is that of the tag.
_SENSOR_COLUMNS = {("sensor_description" if key == "description" else key): key for key in SENSOR_KEYS}
_COLUMNS = ("tag", *TAG_KEYS, "since", *_SENSOR_COLUMNS, "pair", "tolerance")
# Cells of these columns are text whatever they look like.
_TEXTS = (
    *("tag", "output", "input", "unit", "export_unit", "rule", "description"),
    *("sensor", "sensor_description", "pair"),
)


def tags_from_csv(text: str) -> TagTable:
    """Return the table that a CSV text holds. Raises as `load_tags` does, without the name of a file."""
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    tags: dict[str, Entry] = {}
    sensors: dict[str, Entry] = {}
    installations: list[Installation] = []
    pairs: list[Pair] = []
    header: list[str] = []
    try:
        for cells in reader:
            line = f"line {reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = _header(cells)
                continue
            if len(cells) > len(header) and any(cell.strip() for cell in cells[len(header) :]):
                raise FileFormatError(f"{line} has {len(cells)} cells, and the header {len(header)}")
            row = _row(dict(zip(header, cells, strict=False)), line)
            named(line, lambda row=row, line=line: _take(row, line, tags, sensors, installations, pairs))  # type: ignore[misc]
    except csv.Error as error:
        raise FileFormatError(f"line {reader.line_num}: {error}") from None
    if not header:
        raise FileFormatError("is empty")
    return TagTable(
        tuple(tag_from(name, entry) for name, entry in tags.items()),
        tuple(sensor_from(serial, entry) for serial, entry in sensors.items()),
        tuple(installations),
        tuple(pairs),
    )


def _header(cells: Sequence[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    while names and not names[-1]:
        names.pop()
    check_keys(names, _COLUMNS, "column of a table of tags")
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise FileFormatError(f'the column "{sorted(twice)[0]}" is there twice')
    if "tag" not in names:
        raise FileFormatError('there is no column "tag"')
    return names


def _row(cells: Mapping[str, str], line: str) -> Record:
    """Return what the filled cells of a row hold: texts, numbers, and the values of TOML."""
    row: Record = {}
    for key, cell in cells.items():
        text = cell.strip()
        if not text:
            continue
        if key in _TEXTS:
            row[key] = cell if key in ("description", "sensor_description") else text
        elif text[0] in "{[" or key in ("since", "valid_until", "zero_is_missing"):
            row[key] = _toml_value(text.lower() if key == "zero_is_missing" else text, key, line)
        else:
            row[key] = _number_or_text(text)
    return row


def _toml_value(text: str, key: str, line: str) -> object:
    try:
        found = tomllib.loads(f"x = {text}\n")
    except tomllib.TOMLDecodeError as error:
        raise FileFormatError(f'{line}, column "{key}": cannot read {text!r}: {error}') from None
    if len(found) > 1:
        raise FileFormatError(f'{line}, column "{key}": {text!r} is more than one value')
    return found["x"]


def _number_or_text(text: str) -> object:
    plain_number = re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text)
    return float(text) if plain_number else text


def _take(
    row: Record,
    line: str,
    tags: dict[str, Entry],
    sensors: dict[str, Entry],
    installations: list[Installation],
    pairs: list[Pair],
) -> None:
    """Sort what a row holds into tags, sensors, installations and pairs."""
    name, serial = row.get("tag"), row.get("sensor")
    own = {key: row[key] for key in TAG_KEYS if key in row and key != "sensor"}
    if isinstance(name, str):
        if name not in tags:
            tags[name] = own
        elif own:
            raise DataError(
                f'tag "{name}" is there twice, and {", ".join(own)} in the second row; a further row of a tag holds '
                "its next sensor or pair only"
            )
    elif own or "pair" in row:
        raise DataError(f"{', '.join([*own, *(['pair'] if 'pair' in row else [])])} without a tag")
    told = {key: row[column] for column, key in _SENSOR_COLUMNS.items() if column in row}
    if not isinstance(serial, str):
        if told or "since" in row:
            raise DataError(f"{', '.join([*told, *(['since'] if 'since' in row else [])])} without a sensor")
    else:
        if told and sensors.get(serial):
            raise DataError(f"sensor {serial} is described twice")
        if told or serial not in sensors:
            sensors[serial] = told
        if isinstance(name, str):
            installations.append(installation_from(name, serial, row.get("since")))
    other = row.get("pair")
    if isinstance(name, str) and isinstance(other, str):
        pairs.append(
            Pair(name, other, quantity_from(row.get("tolerance"), f'tolerance of tags "{name}" and "{other}"'))
        )
    elif "tolerance" in row:
        raise DataError("a tolerance without a pair")


def tags_to_csv(table: TagTable) -> str:
    """Return the table as CSV text."""
    rows: list[dict[str, str]] = []
    described: set[str] = set()
    for tag in table.tags:
        own = [{"tag": tag.name, **_cells(tag_record(tag))}]
        for k, one in enumerate(table.installed(tag.name)):
            row = _nth(own, k, tag.name)
            row["sensor"] = one.serial
            row |= {} if one.since is None else {"since": one.since.isoformat()}
            if one.serial not in described:
                described.add(one.serial)
                row |= _sensor_cells(next(sensor for sensor in table.sensors if sensor.serial == one.serial))
        for k, pair in enumerate(pair for pair in table.pairs if pair.first == tag.name):
            _nth(own, k, tag.name).update(pair=pair.second, tolerance=quantity_text(pair.tolerance))
        rows += own
    for sensor in table.sensors:
        if sensor.serial not in described:
            rows.append({"sensor": sensor.serial, **_sensor_cells(sensor)})
    filled = [column for column in _COLUMNS if column == "tag" or any(column in row for row in rows)]
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, filled, lineterminator="\r\n")  # with a bare "\n" a "\r" would not be quoted
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _nth(rows: list[dict[str, str]], k: int, name: str) -> dict[str, str]:
    if k == len(rows):
        rows.append({"tag": name})
    return rows[k]


def _cells(record: Record) -> dict[str, str]:
    return {key: value if isinstance(value, str) else toml_text(value) for key, value in record.items()}


def _sensor_cells(sensor: Sensor) -> dict[str, str]:
    columns = {key: column for column, key in _SENSOR_COLUMNS.items()}
    return {columns[key]: cell for key, cell in _cells(sensor_record(sensor)).items()}
