"""Stamps: exactly what is written, or not at all."""

import calendar
import datetime as dt

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings, strategies as st

from physics_twin.errors import DataError
from physics_twin.measurements.logs import stamps as module
from physics_twin.measurements.logs.stamp_formats import MONTH_OF, pattern_of, read_stamp
from physics_twin.measurements.logs.stamps import NO_TIME, detect_stamp_format, read_stamps

EPOCH = dt.datetime(1970, 1, 1)
FORMATS = [
    "ISO",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d/%m/%Y %H:%M:%S.%f",
    "%m/%d/%Y %I:%M:%S %p",
    "%d-%b-%y %H:%M:%S",
    "%Y/%m/%d %H:%M:%S%z",
    "%Y%m%d%H%M%S",
    "%H:%M:%S:%f %d %B %Y",
]


def us(*moment: int) -> int:
    """Microseconds since 1970 of year, month, day, hour, ..."""
    return (dt.datetime(*moment) - EPOCH) // dt.timedelta(microseconds=1)  # type: ignore[arg-type]


def read(texts: list[str | None], format: str = "ISO") -> list[int | None]:
    """Read a column, in a short one and in a long one: both have to say the same. None is no stamp."""
    short = read_stamps(pl.Series("t", texts, dtype=pl.String), format=format)
    times = module._FEW + 2 if len(texts) < 100 else 2  # each text often enough for a template of its own
    long = read_stamps(pl.Series("t", texts * times, dtype=pl.String), format=format)
    for key in ("local_us", "offset_known", "ok"):
        assert (np.tile(getattr(short, key), times) == getattr(long, key)).all(), texts
    assert [int(row) + len(texts) * k for k in range(times) for row in short.midnights] == long.midnights.tolist()
    assert ((short.local_us == NO_TIME) == ~short.ok).all()
    return [int(stamp) if ok else None for stamp, ok in zip(short.local_us, short.ok, strict=True)]


MOMENTS = st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2068, 12, 31))
DAMAGE = st.tuples(st.integers(0, 30), st.sampled_from([*"0123456789:.,-/ TZ+eAPM", "\xa0", "１", "é", "", "  "]))


@pytest.mark.parametrize("format", FORMATS)
def test_a_stamp_that_is_read_is_the_one_that_the_standard_library_reads(format: str) -> None:
    """Whole, or with a sign changed: it is the moment that strptime or fromisoformat give, or it is no stamp."""

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(st.lists(st.tuples(MOMENTS, st.none() | DAMAGE), min_size=1, max_size=8))
    def check(cases: list[tuple[dt.datetime, tuple[int, str] | None]]) -> None:
        texts, truths = [], []
        for moment, damage in cases:
            moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
            if format == "ISO":
                text = moment.isoformat(sep=" ", timespec="milliseconds")
            else:
                text = moment.replace(tzinfo=dt.UTC).strftime(format)
            if damage is not None:
                place, sign = damage
                text = text[: place % len(text)] + sign + text[place % len(text) + 1 :]
            texts.append(text)
            truths.append((moment, damage is None))
        for text, found, (moment, whole) in zip(texts, read(texts, format), truths, strict=True):
            if whole:
                finest = "milliseconds" if format == "ISO" or "%f" in format else "seconds"
                finest = "minutes" if "%S" not in format and format != "ISO" else finest
                assert found == us(*dt.datetime.fromisoformat(moment.isoformat(timespec=finest)).timetuple()[:6]) + (
                    moment.microsecond if finest == "milliseconds" else 0
                )
            if found is None or "24:" in text or "2400" in text:
                continue
            plain = " ".join(text.replace("\xa0", " ").split())
            try:
                if format == "ISO":
                    expected = dt.datetime.fromisoformat(plain)
                else:
                    fraction = "%f" not in format or "." in plain or format.startswith("%H")
                    expected = dt.datetime.strptime(plain, format if fraction else format.replace(".%f", ""))
            except ValueError:
                continue  # the points of "a.m.", a comma before the fraction, a month in another language
            if expected.tzinfo is not None:
                expected = expected.astimezone(dt.UTC).replace(tzinfo=None)
            assert found == (expected - EPOCH) // dt.timedelta(microseconds=1), text

    check()


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(
        st.text(st.sampled_from([*"0123456789:-. TZ+", "\n", "\xa0"]), max_size=30) | st.text(max_size=5), max_size=5
    )
)
@example(
    ["2026-11-20T06:00:00" + "0" * 20, "2026-11-20T06:00:00.", "2026-11-20T06:00:00.1234567890", "-2026-11-20T06:00"]
)
def test_short_and_long_columns_agree_on_any_text(texts: list[str]) -> None:
    """Read one by one or as a matrix of digits, with a good stamp in front: the same."""
    assert read(["2026-11-20 06:00:00.125", *texts])[0] == us(2026, 11, 20, 6, 0, 0, 125_000)


def test_iso_as_it_is_written() -> None:
    """With T or a blank, with or without seconds, fraction and offset; the basic form; a date is its midnight."""
    assert read(
        [
            "2026-11-20T06:00:00Z",
            "2026-11-20 06:00:00.123",
            "2026-11-20 06:00",
            "2026-11-20T07:00:00,5+01:00",
            "2026-11-20T00:30:00-0530",
            "20261120T060000Z",
            " 2026-11-20 06:00:00 UTC\xa0",
            "2026-11-20",
            "2026-11-20T06",
            "2026-W47-5",
            "20261120",
            "2026-1-2 06:00",
            None,
            "",
        ]
    ) == [
        us(2026, 11, 20, 6),
        us(2026, 11, 20, 6, 0, 0, 123_000),
        us(2026, 11, 20, 6),
        us(2026, 11, 20, 6, 0, 0, 500_000),
        us(2026, 11, 20, 6),
        us(2026, 11, 20, 6),
        us(2026, 11, 20, 6),
        us(2026, 11, 20),
        *[None] * 6,
    ]
    known = read_stamps(pl.Series(["2026-11-20T06:00Z", "2026-11-20T06:00", "x", "2026-11-20T06:00+01"]), format="ISO")
    assert known.offset_known.tolist() == [True, False, False, True]


def test_every_date_of_four_centuries_exists_or_does_not() -> None:
    """The 29 February of 1900 and 2100 does not, that of 2000 does; no day is shifted into the next month."""
    texts, truths = [], []
    for year in (*range(1896, 1905), *range(1996, 2005), 2026, *range(2096, 2105), 1, 9999, 0):
        for month in range(14):
            for day in range(33):
                texts.append(f"{year:04d}-{month:02d}-{day:02d} 12:00")
                exists = 1 <= month <= 12 and year and 1 <= day <= calendar.monthrange(year, month)[1]
                truths.append(us(year, month, day, 12) if exists else None)
    assert read(texts) == truths


def test_times_that_do_not_exist() -> None:
    """Minute 60, the leap second, hour 24 with a minute after it."""
    assert (
        read(["2016-12-31T23:59:60Z", "2026-11-20T06:60:00Z", "2026-11-20T24:00:01Z", "2026-11-20T25:00:00Z"])
        == [None] * 4
    )
    assert read(["31.02.2026 00:00:00", "29.02.2026 00:00:00"], "%d.%m.%Y %H:%M:%S") == [None, None]


def test_the_end_of_a_day_as_24_hours_is_the_next_midnight_and_is_counted() -> None:
    """Over the end of a month and of a year; in the order of the rows."""
    column = ["31.12.2026 24:00:00", "31.12.2026 23:00:00", "28.02.2028 24:00:00"]
    assert read(column, "%d.%m.%Y %H:%M:%S") == [us(2027, 1, 1), us(2026, 12, 31, 23), us(2028, 2, 29)]
    assert read_stamps(pl.Series(column), format="%d.%m.%Y %H:%M:%S").midnights.tolist() == [0, 2]


def test_what_no_datetime_can_hold_is_no_stamp() -> None:
    """The end of the year 9999, and the beginning of year 1 east of Greenwich."""
    last = us(9999, 12, 31, 23, 59, 59, 999_999)
    texts = ["9999-12-31T23:59:59.999999", "9999-12-31T24:00", "9999-12-31T23:59:59.9999996", "0001-01-01T00:00+00:01"]
    assert read([*texts, "0001-01-01T00:00"]) == [last, None, None, None, us(1, 1, 1)]


def test_fractions_are_rounded_to_the_microsecond() -> None:
    """From one digit to nine, over the full second; .NET and Java write seven and nine."""
    fractions = ["1", "12", "123456", "1234564", "1234565", "9999999", "000000499", "000000500", "1234567890"]
    expected = [100_000, 120_000, 123_456, 123_456, 123_457, 1_000_000, 0, 1]
    found = read([f"2026-11-20 23:59:59.{fraction}" for fraction in fractions])
    assert found == [us(2026, 11, 20, 23, 59, 59) + part for part in expected] + [None]
    # After a colon "5" may be 5 ms or half a second.
    assert read(["20.11.2026 06:00:00:005", "20.11.2026 06:00:00:5"], "%d.%m.%Y %H:%M:%S:%f") == [
        us(2026, 11, 20, 6, 0, 0, 5000),
        None,
    ]


def test_months_by_name_in_several_languages() -> None:
    """With and without the point of an abbreviation; years of two digits are of this century until 68."""
    texts = [
        "20-Nov-26 07:00:00",
        "20-nov.-26 07:00:00",
        "1-Mrz-69 07:00:00",
        "1-mars-68 07:00:00",
        "1-DÉC-26 07:00:00",
    ]
    assert read([*texts, "1-Foo-26 07:00:00", "31-Feb-26 07:00:00"], "%d-%b-%y %H:%M:%S") == [
        us(2026, 11, 20, 7),
        us(2026, 11, 20, 7),
        us(1969, 3, 1, 7),
        us(2068, 3, 1, 7),
        us(2026, 12, 1, 7),
        None,
        None,
    ]
    assert {MONTH_OF[name] for name in MONTH_OF} == set(range(1, 13))


def test_the_clock_to_twelve() -> None:
    """12 AM is midnight and 12 PM noon; 0 and 13 are none of its hours; a no-break blank before PM is understood."""
    texts = ["12:00 AM", "12:30 PM", "1:05\u202fpm", "11:59 p. m.", "0:30 AM", "13:00 PM"]
    assert read([f"1/5/2026 {text}" for text in texts], "%m/%d/%Y %I:%M %p") == [
        us(2026, 1, 5),
        us(2026, 1, 5, 12, 30),
        us(2026, 1, 5, 13, 5),
        us(2026, 1, 5, 23, 59),
        None,
        None,
    ]
    assert read(["1/5/2026 13:00 PM", "1/5/2026 08:00 PM"], "%m/%d/%Y %H:%M %p") == [us(2026, 1, 5, 13), None]


def test_other_formats_within_a_column_are_not_ok_and_the_others_are() -> None:
    """A restart of the logger in another language does not shift a row."""
    texts = ["20.11.2026 06:00:00", "11/20/2026 06:00:00", "2026-11-20 06:00:00", "20.11.2026 06:00", "Zeit"]
    assert read(texts, "%d.%m.%Y %H:%M:%S") == [us(2026, 11, 20, 6), None, None, None, None]


def test_many_ways_to_write_one_format() -> None:
    """Digits missing in front, offsets that change: more templates than one, every row in its place."""
    moments = [dt.datetime(2026, 1, 1) + dt.timedelta(hours=7 * i) for i in range(1500)]
    texts = [f"{m.month}/{m.day}/{m.year} {m.hour % 12 or 12}:{m:%M} {m:%p}" for m in moments]
    assert read(texts, "%m/%d/%Y %I:%M %p") == [us(*m.timetuple()[:5]) for m in moments]
    texts = [m.isoformat() + ("+01:00" if i % 3 else "+02:00") for i, m in enumerate(moments)]
    assert read(texts) == [us(*m.timetuple()[:5]) - (1 if i % 3 else 2) * 3_600_000_000 for i, m in enumerate(moments)]


def test_a_column_of_rubbish_ends() -> None:
    """Thousands of texts that are all different and no stamps, with stamps between them."""
    texts = [f"rubbish {i}" if i % 5 else f"2026-11-20T{i % 24:02d}:00:00Z" for i in range(5000)]
    found = read_stamps(pl.Series(texts), format="ISO")
    assert found.ok.tolist() == [i % 5 == 0 for i in range(5000)]
    blanks = pl.Series([f"2026-11-20 06:00{' ' * 10**5}x"])
    assert not read_stamps(blanks, format="%Y-%m-%d %H:%M %z").ok.any()
    assert (
        read_stamps(pl.Series(["1" * 10**6, " " * 10**6, "2026-11-20" + " " * 10**5 + "x"]), format="ISO").ok.sum() == 0
    )


def test_days_since_1900() -> None:
    """To the millisecond, which is what their digits carry; local time; from March 1900 on."""
    texts = ["46346.25", "46346,2506944444", "46346", "60", "0.5", "3000000", "x"]
    stamps = read_stamps(pl.Series(texts), format="excel", decimal=None)
    assert stamps.ok.tolist() == [False, True, True, False, False, False, False]  # the first has the other sign
    stamps = read_stamps(pl.Series([46346.25, 46346.250694444446, 61.0, 60.0, None]), format="excel")
    assert stamps.local_us[:3].tolist() == [us(2026, 11, 20, 6), us(2026, 11, 20, 6, 1), us(1900, 3, 1)]
    assert stamps.ok.tolist() == [True, True, True, False, False]
    assert not stamps.offset_known.any()
    minutes = np.arange(1440) / 1440 + 46346
    for column in (pl.Series(minutes), pl.Series([f"{m:.10f}" for m in minutes])):
        assert (np.diff(read_stamps(column, format="excel").local_us) == 60_000_000).all()


def test_seconds_since_1970() -> None:
    """To the microsecond also from nanoseconds; a time that is not of these decades is none."""
    for format, text in (
        ("unix s", "1795154400.123457"),
        ("unix ms", "1795154400123.457"),
        ("unix us", "1795154400123457"),
        ("unix ns", "1795154400123456789"),
    ):
        stamps = read_stamps(pl.Series([text, "0", "", "-1", "1e300"]), format=format)
        assert stamps.local_us[0] == us(2026, 11, 20, 6, 0, 0, 123_457)
        assert stamps.ok.tolist() == [True, False, False, False, False]
        assert stamps.offset_known.all()
    assert read_stamps(pl.Series([1795154400123456789]), format="unix ns").local_us[0] == us(
        2026, 11, 20, 6, 0, 0, 123_457
    )


def test_elapsed_time_in_a_unit() -> None:
    """Nothing for a zone to do; with a decimal comma as well."""
    stamps = read_stamps(pl.Series(["0", "1,5", "-2", "<3", "x"]), format="min")
    assert stamps.local_us[:3].tolist() == [0, 90_000_000, -120_000_000]
    assert stamps.ok.tolist() == [True, True, True, False, False]
    assert stamps.offset_known.all()
    assert read_stamps(pl.Series([1.5]), format="h").local_us.tolist() == [5_400_000_000]


def test_stamps_of_frames() -> None:
    """Datetimes in any unit and zone, dates, whole numbers written as stamps; plain numbers are none."""
    moment = dt.datetime(2026, 11, 20, 6, 0, 0, 123_000)
    for unit in ("ms", "us", "ns"):
        stamps = read_stamps(pl.Series([moment, None]).cast(pl.Datetime(unit)), format="ISO")  # type: ignore[arg-type]
        assert stamps.local_us.tolist() == [us(2026, 11, 20, 6, 0, 0, 123_000), NO_TIME]
        assert stamps.offset_known.tolist() == [False, False]
    zoned = pl.Series([moment]).dt.replace_time_zone("Europe/Berlin")
    stamps = read_stamps(zoned, format="ISO")
    assert (stamps.local_us[0], stamps.offset_known[0]) == (us(2026, 11, 20, 5, 0, 0, 123_000), True)
    assert read_stamps(pl.Series([moment.date()]), format="ISO").local_us[0] == us(2026, 11, 20)
    assert read_stamps(pl.Series([20261120060000]), format="%Y%m%d%H%M%S").local_us[0] == us(2026, 11, 20, 6)
    assert not read_stamps(pl.Series([1.0, 2.0]), format="ISO").ok.any()
    assert not read_stamps(pl.Series([None, None]), format="ISO").ok.any()


def test_date_and_time_of_day_in_two_columns() -> None:
    """As texts with a format for both, or typed as a workbook has them; a row without one of them is no stamp."""
    dates, clocks = pl.Series(["20.11.2026", "21.11.2026", None]), pl.Series(["06:00", None, "06:00"])
    stamps = read_stamps(dates, format="%d.%m.%Y %H:%M", second=clocks)
    assert stamps.local_us.tolist() == [us(2026, 11, 20, 6), NO_TIME, NO_TIME]
    typed = pl.Series([dt.datetime(2026, 11, 20)])
    for clock in (pl.Series(["06:00"]), pl.Series([dt.time(6)]), pl.Series([dt.datetime(1899, 12, 31, 6)])):
        assert read_stamps(typed, format="%d.%m.%Y %H:%M", second=clock).local_us.tolist() == [us(2026, 11, 20, 6)]
    with pytest.raises(DataError, match="3 dates and 1 times of day"):
        read_stamps(dates, format="ISO", second=clocks[:1])


@pytest.mark.parametrize(
    ("format", "words"),
    [
        ("%d.%m.%Y %Q", '"%Q" is not known'),
        ("%d.%m.%d %Y", "comes twice"),
        ("%H:%M", "needs a year, a month and a day"),
        ("%d.%m.%Y %I:%M", "hours to twelve"),
        ("dd.mm.yyyy", 'say "ISO"'),
        ("kg", "a unit of time"),
    ],
)
def test_a_format_that_is_none_is_refused(format: str, words: str) -> None:
    """The error says what a format looks like."""
    with pytest.raises(DataError, match=words):
        read_stamps(pl.Series(["1"]), format=format)


@pytest.mark.parametrize(
    ("samples", "format"),
    [
        (["2026-11-20T06:00:00Z", "2026-11-20T06:00:00.5Z", "2026-11-20"], "ISO"),
        (["20.11.2026 06:00", "01.02.2026 06:00"], "%d.%m.%Y %H:%M"),
        (["01.02.2026 06:00:00", "01.02.2026 06:00:01,5"], "%d.%m.%Y %H:%M:%S.%f"),
        (["1.2.2026 6:00:00", ""], "%d.%m.%Y %H:%M:%S"),
        (["11.20.2026 06:00"], "%m.%d.%Y %H:%M"),
        (["02/01/2026 06:00", "20/11/2026 06:00"], "%d/%m/%Y %H:%M"),
        (["1/2/2026 6:00:00 AM", "11/20/2026 6:00:00 PM"], "%m/%d/%Y %I:%M:%S %p"),
        (["13/01/68 06:00"], "%d/%m/%y %H:%M"),
        (["20-Nov-26 07:00:00", "1-Dez-26 07:00:00"], "%d-%b-%y %H:%M:%S"),
        (["20-Nov-2026 07:00:00.123"], "%d-%b-%Y %H:%M:%S.%f"),
        (["2026/11/20 06:00:00"], "%Y/%m/%d %H:%M:%S"),
        (["20 novembre 2026 06:00"], "%d %b %Y %H:%M"),
        (["Nov 20, 2026 6:00 PM"], "%b %d, %Y %I:%M %p"),
        (["20.11.2026"], "%d.%m.%Y"),
        (["20261120060000", "20261120060001"], "%Y%m%d%H%M%S"),
        (["202611200600"], "%Y%m%d%H%M"),
        (["1795154400", "1795154401.5"], "unix s"),
        (["1795154400123"], "unix ms"),
        (["1795154400123456789"], "unix ns"),
        (["46346.2506944444", "46346"], "excel"),
        (["46346,2506944444"], "excel"),
    ],
)
def test_formats_that_are_detected(samples: list[str], format: str) -> None:
    """All samples fit, no other format does, and the column is then read."""
    assert detect_stamp_format(samples) == format
    stamps = read_stamps(pl.Series([text for text in samples if text]), format=format)
    assert stamps.ok.all()


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (
            ["05/06/2026 06:00", "07/06/2026 06:00"],
            'say stamp_format="%d/%m/%Y %H:%M" or stamp_format="%m/%d/%Y %H:%M"',
        ),
        (["05/05/2026 06:00"], "2 ways, and none of the 1 stamps"),
        (["05-06-2026 06:00:00"], "%d-%m-%Y %H:%M:%S"),
        (["20/11/26 06:00"], '"%d/%m/%y %H:%M" or stamp_format="%y/%m/%d %H:%M"'),
        (["05/06/07 06:00"], "can be read in 3 ways"),
        (["20.11.2026 06:00", "yesterday"], '"yesterday" is no stamp like "20.11.2026 06:00"'),
        (["13/06/2026 06:00", "06/13/2026 06:00"], '"06/13/2026 06:00" is no stamp like "13/06/2026 06:00"'),
        (["0", "1", "2.5"], 'say stamp_format="s", "min" or "h"'),
        (["46346.25", "46346.5"], 'say stamp_format="excel", stamp_format="s"'),
        (["20261120"], "elapsed time in no stated unit"),
        (["06:00:00"], "is no stamp that is known"),
        (["31.02.2026 06:00"], "is no stamp that is known"),
        (["", " "], "the column of stamps is empty"),
    ],
)
def test_formats_that_have_to_be_declared(samples: list[str], words: str) -> None:
    """What is ambiguous or unknown is asked for, with the candidates."""
    with pytest.raises(DataError) as error:
        detect_stamp_format(samples)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("header", "unit"), [("t [min]", "min"), ("Time (s)", "s"), ("time_h", "h"), ("Elapsed seconds", "s")]
)
def test_elapsed_time_has_the_unit_of_its_header(header: str, unit: str) -> None:
    """Without one, it is asked for."""
    assert detect_stamp_format(["0", "0.5", "1"], header=header) == unit


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.text(st.sampled_from([*"0123456789:-./ TAPMZ,"]), max_size=20) | st.text(max_size=4), max_size=4))
def test_detection_answers_or_asks(samples: list[str]) -> None:
    """Whatever the samples are: a format that reads all of them, or a DataError."""
    try:
        format = detect_stamp_format(samples)
    except DataError:
        return
    cells = [text for text in samples if text.strip()]
    assert read_stamps(pl.Series(cells, dtype=pl.String), format=format).ok.all()


def test_a_pattern_that_matches_has_one_reading() -> None:
    """Digits side by side are two each: 1112026 is no day, month and year."""
    assert read_stamp("1112026", pattern_of("%d%m%Y")) is None
    assert read_stamp("01112026", pattern_of("%d%m%Y")) is not None
