"""Quality checks: what they must find, and what they must leave alone."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from physics_twin.arrays import Array
from physics_twin.measurements import Flag
from physics_twin.measurements.quality import duration_text, gaps, in_order, stuck, unit_jumps
from physics_twin.units import unit

DEGC, BAR, LITRES = unit("degC"), unit("bar"), unit("L/min")


def ramp(n: int = 120, noise: float = 0.2, seed: int = 1, decimals: int = 1) -> Array:
    """A furnace that heats up, as a logger writes it."""
    t = np.arange(n, dtype=float)
    return np.round(300.0 + 2.0 * t + noise * np.random.default_rng(seed).standard_normal(n), decimals)


# Time ----------------------------------------------------------------------------------------------------------------


def flags_of(times: list[float]) -> list[int]:
    return in_order(np.array(times))[0].tolist()


@pytest.mark.parametrize(
    ("times", "flags"),
    [
        ([0, 1, 2, 3], [1, 1, 1, 1]),
        ([0, 1, 2, 1, 3], [1, 1, 1, 4, 1]),
        ([0, 1, 2, 2.5, 2, 3], [1, 1, 1, 1, 4, 1]),
        ([0, 1, 1, 2], [1, 1, 3, 1]),
        ([0, 1, 1, 1, 2], [1, 1, 3, 3, 1]),
        ([0, 1, 1e9, 2, 3], [1, 1, 4, 1, 1]),  # one glitch into the future costs one row
        ([0, np.nan, 1], [1, 4, 1]),
        ([5], [1]),
    ],
)
def test_rows_that_go_back_are_bad_and_repeated_ones_suspect(times: list[float], flags: list[int]) -> None:
    """The first of two equal times stays good."""
    assert flags_of(times) == flags


@settings(deadline=None)
@given(st.lists(st.one_of(st.integers(0, 20).map(float), st.just(float("nan"))), min_size=1, max_size=30))
def test_what_is_kept_never_goes_back_and_is_as_much_as_can_be(times: list[float]) -> None:
    """Against a plain search for the longest series."""
    flags = in_order(np.array(times))[0]
    kept = np.array(times)[flags <= Flag.SUSPECT]
    assert (np.diff(kept) >= 0.0).all()
    best: list[int] = []
    finite = [t for t in times if t == t]
    for i, t in enumerate(finite):
        best.append(1 + max((best[j] for j in range(i) if finite[j] <= t), default=0))
    assert kept.size == max(best, default=0)
    good = np.array(times)[flags == Flag.GOOD]
    assert (np.diff(good) > 0.0).all()


def test_gaps_are_reported_with_place_and_length() -> None:
    """A planned change of the sampling step is none."""
    t = np.concatenate([np.arange(50.0), 50.0 + 300.0 + np.arange(50.0)])
    (note,) = gaps(t)
    assert note == "1 gap (the usual step is 1 s), the longest is 5.02 min from 49 s on"
    assert gaps(np.concatenate([np.arange(20.0), 20.0 + 60.0 * np.arange(20.0)])) == ()
    assert gaps(np.array([0.0, 1.0, 100.0])) == ()


def test_durations_read_as_people_say_them() -> None:
    """Seconds, minutes, hours, days."""
    assert [duration_text(x) for x in (0.5, 90.0, 3600.0, 7200.0, 4e5)] == ["0.5 s", "90 s", "60 min", "2 h", "4.63 d"]


# Unit jumps ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "factor", "offset"), [("degC to K", 1.0, 273.15), ("degC to degF", 1.8, 32.0), ("1.8", 1.8, 0.0)]
)
def test_a_temperature_in_another_unit_is_bad_from_there_on(words: str, factor: float, offset: float) -> None:
    """A transmitter was re-ranged in the middle of the run."""
    v = 300.0 + np.arange(120.0)
    v[60:] = factor * v[60:] + offset
    flags, notes = unit_jumps(v, DEGC)
    assert flags.tolist() == [1] * 60 + [4] * 60
    assert words in notes[0]
    assert "row 61" in notes[0]


@pytest.mark.parametrize("factor", [1000.0, 1e-3, 0.1, 10.0, 0.01])
def test_a_factor_is_found_where_the_steps_grow_with_it(factor: float) -> None:
    """bar to mbar, a slipped decimal point."""
    rng = np.random.default_rng(2)
    v = 5.0 + 0.01 * rng.standard_normal(100)
    v[70:] *= factor
    flags, _ = unit_jumps(v, BAR)
    assert flags.tolist() == [1] * 70 + [4] * 30


def test_a_unit_that_changes_back_is_good_again() -> None:
    """Only the stretch between is bad."""
    v = ramp(90, noise=0.1)
    v[30:60] += 273.15
    flags, notes = unit_jumps(v, DEGC)
    assert flags.tolist() == [1] * 30 + [4] * 30 + [1] * 30
    assert "changes back at row 61" in notes[1]


def test_a_jump_that_stands_out_less_is_suspect() -> None:
    """In use, and said."""
    rng = np.random.default_rng(3)
    v = 300.0 + 4.0 * rng.standard_normal(100)
    v[50:] += 273.15
    flags, _ = unit_jumps(v, DEGC)
    assert set(flags[50:].tolist()) == {Flag.SUSPECT}


@pytest.mark.parametrize(
    ("what", "values", "in_unit"),
    [
        (
            "a valve opened tenfold",
            np.where(np.arange(80) < 40, 1.0, 10.0) + 0.01 * np.sin(7.0 * np.arange(80)),
            LITRES,
        ),
        ("a set point", np.where(np.arange(80) < 40, 1.0, 10.0), LITRES),
        ("a quench", np.where(np.arange(80) < 40, 850.0, 60.0 + 500 * np.exp(-(np.arange(80) - 40.0) / 8)), DEGC),
        ("a step of 200 K", ramp(80, 0.1) + np.where(np.arange(80) < 40, 0.0, 200.0), DEGC),
        ("one spike", ramp(80, 0.1) + np.where(np.arange(80) == 40, 273.15, 0.0), DEGC),
        ("kinetics", np.array([100, 88.35, 76.4, 65.1, 50.4, 37.5, 25.9, 14.0, 4.5]), unit("percent")),
        ("a smooth decay", 100.0 * np.exp(-np.arange(80) / 3.0), LITRES),
        ("nothing", np.full(80, np.nan), DEGC),
    ],
)
def test_what_plants_do_is_no_unit_jump(what: str, values: Array, in_unit: object) -> None:
    """A wrong flag would throw half of the run away."""
    flags, _ = unit_jumps(values, in_unit)  # type: ignore[arg-type]
    assert (flags == Flag.GOOD).all(), what


@settings(deadline=None, max_examples=200)
@given(st.integers(0, 10_000), st.floats(0.001, 10.0), st.sampled_from(["walk", "white", "steps"]))
def test_noise_walks_and_steps_are_no_unit_jumps(seed: int, size: float, kind: str) -> None:
    """Random records of three kinds, none of which changes its unit."""
    rng = np.random.default_rng(seed)
    noise = size * rng.standard_normal(200)
    v = {
        "walk": 300.0 + np.cumsum(noise),
        "white": 300.0 + noise,
        "steps": 300.0 + noise + 40.0 * np.repeat(rng.integers(-3, 4, 10), 20),
    }[kind]
    flags, _ = unit_jumps(v, BAR)
    assert (flags == Flag.GOOD).all()


# Stuck sensors -------------------------------------------------------------------------------------------------------


def stuck_flags(v: Array) -> list[int]:
    flags, _ = stuck(v, np.arange(v.size, dtype=float), np.arange(v.size))
    return flags.tolist()


def test_a_lively_sensor_that_freezes_is_suspect() -> None:
    """From the first repeated value on, until it moves again."""
    v = ramp(100)
    v[50:80] = v[50]
    assert stuck_flags(v) == [1] * 50 + [3] * 30 + [1] * 20


@pytest.mark.parametrize(
    ("what", "values"),
    [
        ("a coarse converter near the steady state", np.round((60 - 40 * np.exp(-np.arange(600) / 90)) / 0.49) * 0.49),
        ("a smooth signal that settles", np.round(25.0 + 50.0 * np.exp(-np.arange(300) / 10.0), 2)),
        ("a fast process that arrives", np.round(25.0 + 50.0 * np.exp(-np.arange(100.0)), 2)),
        ("a constant", np.full(100, 20.0)),
        ("a flat beginning", np.concatenate([np.full(50, 20.0), ramp(50)])),
        ("a short plateau", np.concatenate([ramp(50), np.full(19, 999.0), ramp(30)])),
    ],
)
def test_flat_by_right_is_not_stuck(what: str, values: Array) -> None:
    """Resolution explains it, or nothing speaks against it."""
    assert set(stuck_flags(values)) == {Flag.GOOD}, what


@given(st.lists(st.integers(0, 12), min_size=1, max_size=25))
def test_a_log_in_pieces_keeps_as_many_rows_as_a_log_as_a_whole(times: list[int]) -> None:
    """Only what is out of order is searched, and the rows kept are a longest series all the same."""
    t = np.array(times, dtype=float)
    kept = t[in_order(t)[0] <= Flag.SUSPECT]
    assert (np.diff(kept) >= 0).all()
    best = [1] * t.size
    for i in range(t.size):
        best[i] = 1 + max([best[j] for j in range(i) if t[j] <= t[i]], default=0)
    assert kept.size == max(best)


# What is known of converter and historian ----------------------------------------------------------------------------


def test_changes_below_the_resolution_are_no_measure_of_a_jump() -> None:
    """Digits that a converter of 0.1 % cannot know: from 0.1 to 1 % is a valve that opens, not a slipped point."""
    rng = np.random.default_rng(4)
    v = 0.1 + 1e-4 * rng.standard_normal(100)
    v[50:] *= 10.0
    assert (unit_jumps(v, unit("percent"))[0] == Flag.BAD).any()
    assert (unit_jumps(v, unit("percent"), resolution=0.1)[0] == Flag.GOOD).all()
    kelvin = ramp()
    kelvin[60:] += 273.15
    assert (unit_jumps(kelvin, DEGC, resolution=0.5)[0][60:] == Flag.BAD).all()


def test_a_sensor_that_moves_by_steps_of_its_converter_is_not_lively() -> None:
    """What looks lively in digits may be the converter going back and forth."""
    v = ramp(60)
    v[40:] = v[40]
    t = np.arange(v.size, dtype=float)
    assert (stuck(v, t, np.arange(v.size))[0] == Flag.SUSPECT).any()
    assert (stuck(v, t, np.arange(v.size), resolution=1.5)[0] == Flag.GOOD).all()


def test_a_flat_stretch_of_compressed_samples_is_not_called_stuck() -> None:
    """Straight lines between archived points, one of them level, right after a lively stretch."""
    rng = np.random.default_rng(5)
    at = np.concatenate([np.arange(0, 400, 8), np.arange(400, 412), [600], np.arange(608, 1000, 8)])
    archived = 50.0 + np.cumsum(rng.standard_normal(at.size))
    archived[np.searchsorted(at, 600)] = archived[np.searchsorted(at, 411)]
    t = np.arange(993.0)
    v = np.round(np.interp(t, at, archived), 4)
    flags, notes = stuck(v, t, np.arange(t.size))
    assert (flags == Flag.GOOD).all()
    assert notes == ("no verdict on 1 flat stretch: the samples look compressed",)


def test_a_tank_that_fills_hot_has_no_other_unit() -> None:
    """From 75 to 140 degF within a minute, 1.87 times as much a little off each: water, no conversion."""
    rng = np.random.default_rng(19)
    cold, hot = 75.0 + 0.8 * rng.uniform(-1.0, 1.0, 30), 140.0 - 0.2 * np.arange(60) + 0.8 * rng.uniform(-1.0, 1.0, 60)
    flags, notes = unit_jumps(np.concatenate([cold, hot]), unit("degF"))
    assert (flags == Flag.GOOD).all()
    assert notes == ()
