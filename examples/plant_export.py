"""The export of a made-up plant, with the dirt that exports have: what `plant_log.py` reads.

Reactor 31 runs batches of an exothermic reaction around the clock, over the night in which summer time ends. Its
historian writes one row a sample in the local time of the plant; the operators keep a batch list as a workbook; the
laboratory reports concentrations hours later. The physics is the catalogue's `jacketed_reactor` with the feed shut, at
the parameters in `TRUTH`, so that what a fit finds can be compared with what is true.

`python examples/plant_export.py` writes the four files into the folder plant/.
"""

import datetime as dt
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openpyxl
from numpy.typing import NDArray

import physics_twin as pt
from physics_twin_models.jacketed_reactor import jacketed_reactor

type Column = NDArray[np.float64]

ZONE = zoneinfo.ZoneInfo("Europe/Berlin")
FIRST = dt.datetime(2026, 10, 24, 4, 10, tzinfo=dt.UTC)  # 06:10 on the clock of the plant
EVERY = dt.timedelta(hours=4, minutes=50)
N_BATCHES = 10
KNOWN = {"volume": "2000 L", "heat_capacity": "2 J/g/K"}
TRUTH = {"wall_conductance": 1.6e5, "rate_factor": 2.0e10, "heat_of_reaction": -4.6e4}  # J/min/K, 1/min, J/mol
BIAS = {"TC-1187": 0.9, "TC-2203": -0.5}  # K, of the two thermocouples; the second from batch 107 on
REPLACED = dt.datetime(2026, 10, 25, 8, 0, tzinfo=dt.UTC)
STEP = 60.0  # s between the samples of a thermocouple
SHUT = {"feed_flow": "0 L/min", "feed_temperature": "20 degC", "feed_concentration": "0 mol/L"}
TAGS = """\
[tags."31TI004.PV"]
output = "temperature"
unit = "degC"
noise = "0.25 K"
range = [-10, 400]
resolution = 0.1
spike = 5
flat = "20 min"
description = "contents of reactor 31, thermocouple type K"

[tags."31TI010.PV"]
input = "coolant_temperature"
unit = "degC"
range = [-10, 150]
description = "jacket"

[tags."31TIC010.SP"]
unit = "degC"
description = "set point of the jacket"

[tags."31YS001.ST"]
states = { Ein = 1, Aus = 0 }
description = "agitator"

[sensors."TC-1187"]
uncertainty = { value = "1.5 K", k = 2 }
valid_until = 2026-09-30
description = "thermocouple type K, works certificate"

[sensors."TC-2203"]
uncertainty = { value = "1.5 K", k = 2 }
valid_until = 2028-10-31
description = "thermocouple type K, works certificate"

[[installations]]
tag = "31TI004.PV"
sensor = "TC-1187"

[[installations]]
tag = "31TI004.PV"
sensor = "TC-2203"
since = 2026-10-25T08:00:00Z
"""


@dataclass(frozen=True)
class Charge:
    """A batch as it was run; phase ends in min after the start."""

    name: str
    start: dt.datetime
    lot: str
    concentration: float  # mol/L
    temperature: float  # degC, at the start
    soak: float  # degC, of the jacket
    heating: float
    reacting: float
    length: float


def charges(rng: np.random.Generator) -> list[Charge]:
    """Return the batches that were run; the starting concentration and the jacket differ."""
    found = []
    for k in range(N_BATCHES):
        found.append(
            Charge(
                name=f"B{101 + k}",
                start=FIRST + k * EVERY + dt.timedelta(minutes=int(rng.integers(0, 8))),
                lot=f"L{26 + k // 4}-{'ABC'[k // 4]}",
                concentration=round(float(rng.uniform(1.1, 1.5)), 2),
                temperature=round(float(rng.uniform(18.0, 26.0)), 1),
                soak=float(rng.choice([46.0, 48.0, 50.0, 52.0])),
                heating=float(rng.integers(35, 50)),
                reacting=float(rng.integers(140, 155)),
                length=float(rng.integers(195, 210)),
            )
        )
    return found


def set_point(charge: Charge, minutes: Column) -> Column:
    """Return the set point of the jacket, degC (n,): up, hold, down."""
    times = [0.0, charge.heating, charge.reacting, charge.length]
    return np.interp(minutes, times, [22.0, charge.soak, charge.soak, 15.0])


def jacket(charge: Charge, minutes: Column) -> Column:
    """Return the jacket temperature, degC (n,): two minutes behind its set point."""
    lag, fine = 2.0, np.arange(0.0, charge.length + 1.0, 0.1)
    wanted, value, found = set_point(charge, fine), 22.0, []
    for target in wanted:
        value += 0.1 / lag * (target - value)
        found.append(value)
    return np.interp(minutes, fine, found)


def run(charge: Charge, minutes: Column) -> pt.Run:
    """Return the true course of a batch at `minutes` (n,)."""
    fine = np.arange(0.0, charge.length + 1.0, 1.0)
    recipe = pt.Recipe.constant(
        duration=(charge.length, "min"),
        coolant_temperature=pt.table((fine, "min"), jacket(charge, fine), "degC"),
        **SHUT,
    )
    values = {
        **KNOWN,
        "wall_conductance": (TRUTH["wall_conductance"], "J/min/K"),
        "rate_factor": (TRUTH["rate_factor"], "1/min"),
        "heat_of_reaction": (TRUTH["heat_of_reaction"], "J/mol"),
        "initial.temperature": (charge.temperature, "degC"),
        "initial.concentration": (charge.concentration, "mol/L"),
    }
    return pt.simulate(jacketed_reactor(), (minutes, "min"), recipe, values=values)


@dataclass(frozen=True)
class Row:
    """One row of the historian."""

    at: dt.datetime
    tag: str
    value: str
    unit: str = "°C"
    quality: int = 192


def comma(value: float, digits: int = 1) -> str:
    """Return a number as a German export writes it."""
    return f"{value:.{digits}f}".replace(".", ",")


def local(at: dt.datetime, pattern: str = "%d.%m.%Y %H:%M:%S") -> str:
    """Return a moment as the clock of the plant shows it: 02:30 comes twice in that night."""
    return at.astimezone(ZONE).strftime(pattern)


def course() -> tuple[list[Charge], list[dt.datetime], Column, Column, Column]:
    """Return batches, moments, and at the moments (n,): true reactor and jacket temperature and its set point, degC."""
    rng = np.random.default_rng(31)
    batches = charges(rng)
    n = int((batches[-1].start - FIRST).total_seconds() / STEP + batches[-1].length) + 45
    minutes = np.arange(n, dtype=float) - 15.0
    reactor, mantle, wanted = np.full((3, n), np.nan)
    knots: list[tuple[float, float]] = [(-15.0, batches[0].temperature)]
    for batch in batches:
        begin = (batch.start - FIRST).total_seconds() / 60.0
        inside = (minutes >= begin) & (minutes <= begin + batch.length)
        since = minutes[inside] - begin
        reactor[inside] = run(batch, since)["temperature"].values - 273.15
        mantle[inside], wanted[inside] = jacket(batch, since), set_point(batch, since)
        # Between the batches the vessel is emptied, rinsed and charged.
        knots += [(begin - 5.0, batch.temperature), (begin - 1.0, batch.temperature)]
        knots += [(begin + batch.length + 1.0, float(reactor[inside][-1])), (begin + batch.length + 15.0, 35.0)]
    idle = np.isnan(reactor)
    reactor[idle] = np.interp(minutes[idle], *zip(*knots, strict=True))
    mantle[idle], wanted[idle] = 20.0, 20.0
    return batches, [FIRST + dt.timedelta(minutes=float(m)) for m in minutes], reactor, mantle, wanted


def historian(
    batches: list[Charge], moments: list[dt.datetime], reactor: Column, mantle: Column, wanted: Column, seed: int
) -> list[Row]:
    """Return the rows of the historian, with what went wrong in those two days."""
    rng = np.random.default_rng(seed)
    after = np.array([at >= REPLACED for at in moments])
    bias = np.where(after, BIAS["TC-2203"], BIAS["TC-1187"])
    shown = reactor + bias + rng.normal(0.0, 0.25, reactor.size)
    mantle = mantle + rng.normal(0.0, 0.05, mantle.size)
    second = {batch.name: batch.start for batch in batches}

    def window(name: str, begin: float, end: float) -> Column:
        low, high = (second[name] + dt.timedelta(minutes=m) for m in (begin, end))
        return np.array([low <= at < high for at in moments])

    stuck = window("B103", 80.0, 118.0)
    shown[stuck] = shown[stuck][0]  # the transmitter froze
    shown[window("B105", 60.0, 61.0)] += 14.0  # a welding set nearby
    shown[window("B102", 31.0, 32.0)] = 850.0  # an open thermocouple reads full scale
    kelvin = window("B108", 100.0, 132.0)
    shown[kelvin] += 273.15  # somebody tried the transmitter in K
    lost = window("B106", 95.0, 119.0)  # the buffer of the collector was full
    failed = window("B104", 20.0, 24.0)
    doubtful = window("B109", 10.0, 18.0)
    timeout = window("B110", 70.0, 73.0)

    rows: list[Row] = []
    kept_point, agitated = np.nan, ""
    for k, at in enumerate(moments):
        agitator = "Ein" if any(b.start <= at <= b.start + dt.timedelta(minutes=b.length) for b in batches) else "Aus"
        if agitator != agitated:
            rows.append(Row(at, "31YS001.ST", agitator, ""))
            agitated = agitator
        if lost[k]:
            continue
        if failed[k]:
            rows.append(Row(at, "31TI004.PV", "Bad Input", quality=24))
        else:
            rows.append(Row(at, "31TI004.PV", comma(float(shown[k])), quality=64 if doubtful[k] else 192))
        if timeout[k]:
            rows.append(Row(at, "31TI010.PV", "I/O Timeout", quality=8))
        else:
            rows.append(Row(at, "31TI010.PV", comma(float(mantle[k]))))
        if not abs(wanted[k] - kept_point) <= 1.0:  # exception reporting: only what has changed is kept
            kept_point = float(wanted[k])
            rows.append(Row(at, "31TIC010.SP", comma(kept_point)))
    return rows


def write_historian(path: Path, rows: list[Row]) -> None:
    """Write the long form in two parts with one preamble, as if exported day by day and pasted together."""
    header = "Messstelle;Zeit;Wert;Einheit;Qualität"
    lines = ["Historian-Export Werk 3, Anlage 31", "erzeugt 26.10.2026 09:14 von hmüller", "", header]
    pasted = False
    for row in rows:
        if not pasted and row.at.day == 25:
            lines.append(header)
            pasted = True
        lines.append(f"{row.tag};{local(row.at)};{row.value};{row.unit};{row.quality}")
    path.write_text("\r\n".join(lines) + "\r\n", encoding="cp1252", newline="")


def write_batch_list(path: Path, batches: list[Charge]) -> None:
    """Write the workbook of the operators; one end was forgotten, and one batch of the plan was never run."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.title = "Batches"
    stamps = ["Start", "End", "Reaction from", "Cooling from"]
    sheet.append(["Batch", "Lot", *stamps, "Charge mol/L", "Charge degC", "Operator", "Remark"])
    remarks = {
        "B102": "TI-004 full scale for a moment, terminal tightened",
        "B105": "welding at the gallery",
        "B107": "TI-004 replaced before the batch, now TC-2203",
        "B108": "instrumentation on site from 100 min on",
    }
    operators = ("Akin", "Brandt", "Weiß")
    for k, batch in enumerate(batches):
        ends = [batch.start + dt.timedelta(minutes=m) for m in (batch.length, batch.heating, batch.reacting)]
        end, reaction, cooling = (at.astimezone(ZONE).replace(tzinfo=None) for at in ends)
        start = batch.start.astimezone(ZONE).replace(tzinfo=None)
        known_end = None if batch.name == "B104" else end
        row = [batch.name, batch.lot, start, known_end, reaction, cooling, batch.concentration, batch.temperature]
        sheet.append([*row, operators[k % 3], remarks.get(batch.name, "")])
    planned = (FIRST + N_BATCHES * EVERY).astimezone(ZONE).replace(tzinfo=None)
    sheet.append(["B111", "L28-C", planned, planned + dt.timedelta(hours=3), None, None, 1.3, None, "", "planned"])
    book.save(path)


def write_laboratory(path: Path, batches: list[Charge], seed: int) -> None:
    """Write the results of the laboratory: below its limit it says so, and it answers hours later."""
    rng = np.random.default_rng(seed)
    lines = ["Batch;Sampled;Reported;Result;Concentration mol/L"]
    for batch in batches:
        drawn = np.array([30.0, 55.0, 80.0, batch.length])
        for minute, true in zip(drawn, run(batch, drawn)["concentration"].values / 1e3, strict=True):
            value = true * (1.0 + rng.normal(0.0, 0.02)) + rng.normal(0.0, 0.005)
            at = batch.start + dt.timedelta(minutes=float(minute))
            back = at + dt.timedelta(minutes=float(rng.integers(110, 300)))
            result = "<0,05" if value < 0.05 else comma(value, 3)
            lines.append(f"{batch.name};{local(at, '%d.%m.%Y %H:%M')};{local(back, '%d.%m.%Y %H:%M')};final;{result}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_plant(folder: Path | str = "plant", *, seed: int = 12) -> Mapping[str, Path]:
    """Write historian.csv, batches.xlsx, laboratory.csv and tags.toml into a folder; return their paths by stem.

    seed: of the noise of historian and laboratory; the batches are always the same.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    batches, *signals = course()
    paths = {
        Path(name).stem: folder / name for name in ("historian.csv", "batches.xlsx", "laboratory.csv", "tags.toml")
    }
    write_historian(paths["historian"], historian(batches, *signals, seed))
    write_batch_list(paths["batches"], batches)
    write_laboratory(paths["laboratory"], batches, seed + 1000)
    paths["tags"].write_text(TAGS, encoding="utf-8")
    return paths


if __name__ == "__main__":
    for path in write_plant().values():
        print(path)


def write_line(path: Path | str = "line3.csv", *, seed: int = 3) -> Path:
    """Write four hours of a heated vessel as a historian exports them, for a page to look things up; return the path.

    Two thermocouples in one water, of which the second drifts away; a heater and a tag of the phase, of which only
    changes are kept.
    """
    rng = np.random.default_rng(seed)
    begin = dt.datetime(2026, 3, 2, 6, 0)  # on the clock of the plant
    lines, water = ["Export of line 3", "Tag;Zeit;Wert;Einheit;Status"], 20.0
    for minute in range(240):
        at = f"{begin + dt.timedelta(minutes=minute):%d.%m.%Y %H:%M:%S}"
        power = 9.0 if 30 <= minute < 180 else 0.0
        readings = {"TI101": water + rng.normal(0.0, 0.2), "TI102": water + rng.normal(0.0, 0.2)}
        readings["TI102"] += max(0.0, 0.04 * (minute - 120))  # this one drifts
        for tag, reading in readings.items():
            failed = tag == "TI101" and minute == 50
            lines.append(f"{tag};{at};{'Bad Input' if failed else comma(reading)};°C;{0 if failed else 192}")
        if minute in (0, 30, 180):
            lines.append(f"JI101;{at};{power:.0f},0;kW;192")
            lines.append(f"PHASE;{at};{'HEAT' if power else 'IDLE'};;192")
        water += (20.0 + 40.0 * power / 9.0 - water) / 15.0
    path = Path(path)
    path.write_bytes("\r\n".join([*lines, ""]).encode("cp1252"))
    return path
