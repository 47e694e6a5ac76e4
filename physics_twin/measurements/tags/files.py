"""Tag tables as files: TOML for those who keep them under version control, CSV for those who keep them in a sheet.

TOML:

    [tags."31TI004.PV"]                     # the name in the export
    output = "core_temperature"             # or input = "...", or neither (batch, phase)
    unit = "degC"
    export_unit = "deg"                     # only where the export names another unit, and is wrong
    noise = "2 K"                           # or { value = "0.8 K", k = 2 }, or { estimate = "2 K", shared = "furnace" }
    bias = "0.5 K"                          # or { sd = "1 K" }
    delay = "20 s"                          # or { low = "0 s", high = "60 s" }
    place = ["rod", "10 cm"]
    rule = "hold"                           # of an input: "ramp" (straight lines) unless it says "hold"
    range = [0, 1200]                       # or low, high, one of them or both
    resolution = 0.1                        # also: deadband, spike
    rate = "5 K/s"
    flat = "30 min"
    gap = "5 min"
    zero_is_missing = true
    states = { Open = 1, Closed = 0 }
    description = "center of the load"
    sensor = "TC-0417"                      # installed from the beginning

    [sensors."TC-0417"]
    correction = [["0 degC", "0.5 K"], ["1000 degC", "-1.5 K"]]
    uncertainty = "0.8 K"                   # k = 2 as certificates state it, or { value = "0.8 K", k = 2 }
    valid_until = 2027-03-01
    # or, without a certificate, a class:
    # thermocouple = { type = "K", class = 1, at = "850 degC" }
    # pt100 = { class = "A", at = "100 degC", film = true }

    [[installations]]                       # a replacement
    tag = "31TI004.PV"
    sensor = "TC-0533"
    since = 2026-03-01T06:00:00+01:00

    [[pairs]]                               # two tags that show one quantity
    first = "31TI004.PV"
    second = "31TI005.PV"
    tolerance = "3 K"

A bare number for noise, bias, range, resolution, deadband or spike is in the tag's unit.

CSV has the same keys as columns, in any order, after the column `tag`; a cell that begins with { or [ is read like the
value in TOML. The columns sensor, since, correction, uncertainty, valid_until, thermocouple, pt100 and
sensor_description describe the sensor, `pair` and `tolerance` the other tag of a pair. A further row of the same tag
holds its next sensor or its next pair and is empty otherwise; a row without a tag holds a spare sensor. Separator: the
one among comma, semicolon and tab that the first line holds.
"""

import os
import tomllib
from dataclasses import replace
from pathlib import Path

from physics_twin.errors import FileFormatError, PhysicsTwinError
from physics_twin.files import atomic_write
from physics_twin.measurements.relations.cross_checks import Pair
from physics_twin.measurements.tags.records import (
    TAG_KEYS,
    Entry,
    Record,
    check_keys,
    installation_from,
    key_text,
    list_from,
    quantity_from,
    quantity_text,
    sensor_from,
    sensor_record,
    table_from,
    tag_from,
    tag_record,
    text_from,
    toml_text,
)
from physics_twin.measurements.tags.sensors import Installation
from physics_twin.measurements.tags.sheets import tags_from_csv, tags_to_csv
from physics_twin.measurements.tags.tag_table import TagTable

__all__ = ["load_tags", "save_tags", "tags_from_toml", "tags_to_toml"]

_INSTALLATION, _PAIR = ("tag", "sensor", "since"), ("first", "second", "tolerance")
_TABLES = ("tags", "sensors", "installations", "pairs")


def load_tags(path: str | os.PathLike[str]) -> TagTable:
    """Read a tag table from .toml or .csv.

    Raises FileFormatError for another suffix or a file that cannot be read as what it says it is; UnknownNameError for
    a key or column that is not in the schema; UnitError, BoundsError or DataError for what does not fit. All name the
    file, and the tag or the line.
    """
    path = Path(path)
    kind = _kind(path)
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if kind == ".toml":
            raise FileFormatError(f"{path.name}: TOML is UTF-8, and byte {error.start} is not") from None
        text = raw.decode("cp1252", errors="replace")  # what spreadsheets write where they do not write UTF-8
    try:
        table = tags_from_toml(text) if kind == ".toml" else tags_from_csv(text)
    except PhysicsTwinError as error:
        raise type(error)(f"{path.name}: {error}") from None
    if not table.tags:
        form = 'a section [tags."NAME"] for each' if kind == ".toml" else "a row for each, under the column `tag`"
        raise FileFormatError(f"{path.name} holds no tag: give {form}")
    return replace(table, file=path.name)


def save_tags(table: TagTable, path: str | os.PathLike[str]) -> None:
    """Write a tag table as .toml or .csv, whole or not at all. Raises FileFormatError for another suffix."""
    path = Path(path)
    text = tags_to_toml(table) if _kind(path) == ".toml" else tags_to_csv(table)
    with atomic_write(path) as temporary:
        temporary.write_bytes(text.encode())


def _kind(path: Path) -> str:
    kind = path.suffix.lower()
    if kind not in (".toml", ".csv"):
        raise FileFormatError(f"{path.name}: a table of tags is a .toml or a .csv file")
    return kind


def tags_from_toml(text: str) -> TagTable:
    """Return the table that a TOML text holds. Raises as `load_tags` does, without the name of a file."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FileFormatError(f"cannot be read as TOML: {error}") from None
    check_keys(document, _TABLES, "table")
    tags: dict[str, Entry] = {
        name: table_from(entry, f'tag "{name}"') for name, entry in table_from(document.get("tags", {}), "tags").items()
    }
    sensors: dict[str, Entry] = {
        name: table_from(entry, f"sensor {name}")
        for name, entry in table_from(document.get("sensors", {}), "sensors").items()
    }
    rows = {key: list_from(document.get(key, []), key) for key in ("installations", "pairs")}
    installations: list[Installation] = []
    for name, tag in tags.items():
        check_keys(tag, TAG_KEYS, f'key of tag "{name}"')
        if "sensor" in tag:
            installations.append(Installation(name, text_from(tag, "sensor", f'tag "{name}"')))
    for k, row in enumerate(rows["installations"]):
        where = f"installation {k + 1}"
        one = table_from(row, where)
        check_keys(one, _INSTALLATION, f"key of {where}")
        installations.append(
            installation_from(text_from(one, "tag", where), text_from(one, "sensor", where), one.get("since"))
        )
    pairs = []
    for k, row in enumerate(rows["pairs"]):
        where = f"pair {k + 1}"
        one = table_from(row, where)
        check_keys(one, _PAIR, f"key of {where}")
        tolerance = quantity_from(one.get("tolerance"), f"tolerance of {where}")
        pairs.append(Pair(text_from(one, "first", where), text_from(one, "second", where), tolerance))
    return TagTable(
        tuple(tag_from(name, entry) for name, entry in tags.items()),
        tuple(sensor_from(serial, entry) for serial, entry in sensors.items()),
        tuple(installations),
        tuple(pairs),
    )


def tags_to_toml(table: TagTable) -> str:
    """Return the table as TOML text."""
    blocks = [_block(f"[tags.{key_text(tag.name)}]", tag_record(tag)) for tag in table.tags]
    blocks += [_block(f"[sensors.{key_text(sensor.serial)}]", sensor_record(sensor)) for sensor in table.sensors]
    for one in table.installations:
        since: Record = {} if one.since is None else {"since": one.since}
        blocks.append(_block("[[installations]]", {"tag": one.tag, "sensor": one.serial, **since}))
    for pair in table.pairs:
        told: Record = {"first": pair.first, "second": pair.second, "tolerance": quantity_text(pair.tolerance)}
        blocks.append(_block("[[pairs]]", told))
    return "\n".join(blocks)


def _block(head: str, record: Record) -> str:
    return "".join([f"{head}\n", *(f"{key} = {toml_text(value)}\n" for key, value in record.items())])
