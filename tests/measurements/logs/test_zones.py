"""From the clock on a wall to UTC: every row in its own hour, or marked."""

import datetime as dt
import itertools
import zoneinfo

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from physics_twin.errors import UnknownNameError
from physics_twin.measurements.flags import Flag
from physics_twin.measurements.logs.zones import NO_TIME, to_utc, transitions

MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC", "Africa/Casablanca"]
# Summer time ends in Berlin at 01:00 UTC of 25 October 2026.
BERLIN = int(dt.datetime(2026, 10, 25, 1, tzinfo=dt.UTC).timestamp()) * 1_000_000


def moment(us: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=us)


def wall(
    utc: "np.ndarray[tuple[int], np.dtype[np.int64]] | list[int]", zone: str
) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """What a clock on the wall shows at these times."""
    local = zoneinfo.ZoneInfo(zone)
    shown = [moment(int(t)).astimezone(local).replace(tzinfo=dt.UTC) for t in utc]
    return np.array([(s - moment(0)) // dt.timedelta(microseconds=1) for s in shown], dtype=np.int64)


def berlin(*minutes: float) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """UTC of minutes after the end of summer time in Berlin."""
    return np.array([BERLIN + round(m * MINUTE) for m in minutes], dtype=np.int64)


def clock(*texts: str) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """The wall of Berlin in that night."""
    times = [dt.datetime.fromisoformat(f"2026-10-25T{text}") for text in texts]
    return np.array([(t - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1) for t in times], dtype=np.int64)


@pytest.mark.parametrize("zone", ZONES)
def test_transitions_are_found_to_the_second(zone: str) -> None:
    """On either side of each, the zone has the two offsets; between them it has one."""
    local = zoneinfo.ZoneInfo(zone)
    second = dt.timedelta(seconds=1)
    for year in (1945, 1986, 2007, 2026):
        found = transitions(zone, year)
        for change in found:
            at = moment(change.at)
            for when, offset in ((at - second, change.before), (at, change.after)):
                assert when.astimezone(local).utcoffset() == dt.timedelta(microseconds=offset)
        edges = [
            dt.datetime(year, 1, 1, tzinfo=dt.UTC),
            *(moment(c.at) for c in found),
            dt.datetime(year + 1, 1, 1, tzinfo=dt.UTC),
        ]
        for begin, end in itertools.pairwise(edges):
            hours = [begin + dt.timedelta(hours=h) for h in range(int((end - begin).total_seconds() // 3600))]
            assert len({h.astimezone(local).utcoffset() for h in hours}) <= 1
    assert [moment(c.at).isoformat() for c in transitions("Europe/Berlin", 2026)] == [
        "2026-03-29T01:00:00+00:00",
        "2026-10-25T01:00:00+00:00",
    ]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("period", [7 * MINUTE, 15 * MINUTE, 30 * MINUTE, 60 * MINUTE, 90 * MINUTE, 240 * MINUTE])
@pytest.mark.parametrize("backward", [False, True])
def test_a_regular_log_over_two_years_comes_back(zone: str, period: int, backward: bool) -> None:
    """Through every change of the clock, newest row first or last, nothing bad and nothing suspect."""
    truth = np.arange(1_767_225_600_000_000 + 20 * MINUTE, 1_767_225_600_000_000 + 730 * DAY, period)
    near = np.zeros(truth.size, dtype=np.bool_)  # three days around each change are enough of it
    for change in (c for year in (2026, 2027) for c in transitions(zone, year)):
        near |= np.abs(truth - change.at) < 3 * DAY
    truth = truth[near | (np.arange(truth.size) < 3)]
    truth = truth[::-1] if backward else truth
    utc, flags, notes = to_utc(wall(truth, zone), zone)
    assert (utc == truth).all()
    assert (flags == Flag.GOOD).all()
    assert notes == ()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.sampled_from([z for z in ZONES if z not in ("Asia/Kathmandu", "UTC")]),
    st.integers(1, 40 * 60),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.3]),
    st.booleans(),
)
def test_an_irregular_log_comes_back_or_says_so(zone: str, seconds: int, seed: int, doubled: float, gaps: bool) -> None:
    """Random steps, some rows twice: a row that is not in its place is suspect, never in silence an hour off."""
    rng = np.random.default_rng(seed)
    change = next(c for c in transitions(zone, 2026) if c.after < c.before)
    n = min(400, 4 * 3600 // seconds + 4)
    steps = rng.uniform(0.2, 1.8, n) * seconds * 1_000_000
    steps[rng.integers(n, size=2)] += gaps * rng.uniform(0.0, 7200e6, 2)
    truth = change.at - round(steps.sum() / 2) + np.cumsum(np.where(rng.random(n) < doubled, 0, steps)).astype(np.int64)
    utc, flags, _ = to_utc(wall(truth, zone), zone)
    assert (flags[utc != truth] == Flag.SUSPECT).all()
    both = (np.abs(truth - change.at) < (change.before - change.after)).sum()
    if seconds <= 300 and both > 10 and not gaps:  # rows enough in both passes to see the clock jump back
        assert (utc == truth).all() and (flags == Flag.GOOD).all()


def test_rows_that_are_doubled_at_the_border_stay_in_their_pass() -> None:
    """A row twice just before the clocks are put back, and twice just after."""
    truth = berlin(-62, -61, -60, -60, -30, -1, -1, 0, 0, 1, 30, 59, 59, 60, 61)
    utc, flags, _ = to_utc(wall(truth, "Europe/Berlin"), "Europe/Berlin")
    assert (utc == truth).all()
    assert (flags == Flag.GOOD).all()


def test_a_row_out_of_order_does_not_end_the_first_pass() -> None:
    """A second of jitter at 02:10 is no hour."""
    truth = berlin(*np.arange(-120, 120, 0.5))
    truth[[140, 141]] = truth[[141, 140]]
    truth[[30, 31]] = truth[[31, 30]]
    utc, flags, _ = to_utc(wall(truth, "Europe/Berlin"), "Europe/Berlin")
    assert (utc == truth).all()
    assert (flags == Flag.GOOD).all()


def test_each_autumn_is_resolved_on_its_own() -> None:
    """What one night shows says nothing about the night a year later."""
    first = berlin(*range(-120, 120, 10))
    second = np.array([BERLIN + 364 * DAY + 6 * DAY + 23 * HOUR + 30 * MINUTE], dtype=np.int64)
    second = np.array([transitions("Europe/Berlin", 2027)[1].at - 30 * MINUTE], dtype=np.int64)
    truth = np.concatenate([first, second, second + 30 * DAY])
    utc, flags, notes = to_utc(wall(truth, "Europe/Berlin"), "Europe/Berlin")
    assert (utc[: first.size] == first).all()
    assert flags.tolist() == [Flag.GOOD] * first.size + [Flag.SUSPECT, Flag.GOOD]
    assert notes[0].startswith(
        "1 stamps lie in the hour that Europe/Berlin repeats, and the rows do not show which pass"
    )
    assert f"from row {first.size + 1} on" in notes[0]


@pytest.mark.parametrize(
    ("texts", "minutes", "suspect"),
    [
        # The logger stops in the first pass, or starts in the second: the rows run on to the one side only.
        (["01:58", "01:59", "02:00", "02:01", "05:00"], [-62, -61, -60, -59, 180], []),
        (["00:30", "02:57", "02:58", "02:59", "03:00", "03:01"], [-150, 57, 58, 59, 60, 61], []),
        # A gap within: before it the first pass, after it the second.
        (["01:59", "02:00", "02:01", "02:58", "02:59", "03:00"], [-61, -60, -59, 58, 59, 60], []),
        # A few rows between two gaps may be of either pass.
        (
            ["00:58", "00:59", "01:00", "02:30", "02:31", "05:00", "05:01"],
            [-122, -121, -120, None, None, 180, 181],
            [3, 4],
        ),
        # A log that lies within the hour as a whole.
        (["02:30", "02:31", "02:32"], [None, None, None], [0, 1, 2]),
        # Rows without order.
        (["02:30", "02:10", "02:40", "02:20", "02:50"], [None] * 5, [0, 1, 2, 3, 4]),
    ],
)
def test_gaps_in_the_repeated_hour(texts: list[str], minutes: list[float | None], suspect: list[int]) -> None:
    """Rows that run on from before are in the first pass, those that run on to after in the second, others suspect."""
    utc, flags, _ = to_utc(clock(*texts), "Europe/Berlin")
    assert np.flatnonzero(flags == Flag.SUSPECT).tolist() == suspect
    assert [None if i in suspect else (t - BERLIN) / MINUTE for i, t in enumerate(utc)] == minutes


def test_a_clock_that_does_not_follow_summer_time_shows() -> None:
    """One pass without a seam in autumn, rows in the skipped hour in spring: the note says which zone to declare."""
    shown = clock(*[f"{h:02d}:{m:02d}" for h in range(24) for m in (0, 20, 40)])
    _, flags, notes = to_utc(shown, "Europe/Berlin")
    assert np.flatnonzero(flags == Flag.SUSPECT).tolist() == [6, 7, 8]
    assert 'the clock may not follow summer time: then say zone="Etc/GMT-1"' in notes[0]
    spring = shown - (dt.date(2026, 10, 25) - dt.date(2026, 3, 29)).days * DAY
    utc, flags, notes = to_utc(spring, "Europe/Berlin")
    assert np.flatnonzero(flags == Flag.BAD).tolist() == [6, 7, 8]
    assert (utc[6:9] == NO_TIME).all()
    assert notes[0].startswith(
        "3 stamps do not exist in Europe/Berlin (the hour that summer time skips), the first is row 7"
    )
    assert 'zone="Etc/GMT-1"' in notes[0]
    utc, flags, notes = to_utc(spring, "Etc/GMT-1")
    assert (np.diff(utc) == 20 * MINUTE).all() and notes == ()


def test_rows_without_a_time_and_rows_in_utc_are_not_touched() -> None:
    """They are bad, or pass as they are; the rows around them are resolved as without them."""
    truth = berlin(*range(-90, 90, 10))
    shown = wall(truth, "Europe/Berlin")
    known = np.zeros(truth.size, dtype=np.bool_)
    known[[7, 12]] = True
    shown[known] = truth[known]
    shown[[5, 10]] = NO_TIME
    utc, flags, notes = to_utc(shown, "Europe/Berlin", offset_known=known)
    good = np.ones(truth.size, dtype=np.bool_)
    good[[5, 10]] = False
    assert (utc[good] == truth[good]).all()
    assert (flags == np.where(good, Flag.GOOD, Flag.BAD)).all()
    assert (utc[~good] == NO_TIME).all()
    assert notes == ()


def test_stamps_outside_two_centuries_are_bad_and_named() -> None:
    """The 31 December 9999 that stands for "never", and a year that was mistyped."""
    shown = clock("06:00", "07:00", "08:00")
    shown[1] = (dt.date(9999, 12, 31) - dt.date(1970, 1, 1)).days * DAY
    shown[2] = (dt.date(226, 1, 1) - dt.date(1970, 1, 1)).days * DAY
    utc, flags, notes = to_utc(shown, "Europe/Berlin", where=lambda row: f"line {row + 2}")
    assert flags.tolist() == [Flag.GOOD, Flag.BAD, Flag.BAD]
    assert utc[0] == shown[0] - HOUR
    assert notes == ("2 stamps lie outside the years 1900 to 2100, the first is line 3: they are bad",)


def test_nothing_and_an_unknown_zone() -> None:
    """No rows are no error; a zone that does not exist is one, with the nearest name."""
    utc, flags, notes = to_utc(np.empty(0, dtype=np.int64), "UTC")
    assert (utc.size, flags.size, notes) == (0, 0, ())
    with pytest.raises(UnknownNameError, match='did you mean "Europe/Berlin"'):
        to_utc(clock("06:00"), "Europe/Berlinn")
