"""Arrays of sensors: places are checked, travel through files, and are drawn and printed together."""

import matplotlib as mpl
import numpy as np
import pytest

import physics_twin as pt
from physics_twin.errors import DataError, UnitError
from physics_twin.measurements import Channel, Experiment, Place

mpl.use("Agg")


def line(n: int = 15, times=(0.0,)) -> Experiment:
    rng = np.random.default_rng(5)
    channels = [Channel(f"T_{k}", unit="degC", noise="0.5 K", place=Place("rod", f"{4 * k} cm")) for k in range(n)]
    data = {c.output: 40.0 + rng.standard_normal(len(times)) for c in channels}
    return Experiment.from_arrays("run", list(times), data, channels=channels)


def test_a_place_is_in_metres_whatever_its_unit():
    """Lengths are converted; the place of a thermometer is no temperature."""
    assert Place("camera", "12 mm", "3 cm").coordinates == (0.012, 0.03)
    with pytest.raises(UnitError):
        Place("camera", "12 K")


@pytest.mark.parametrize("n", [0, 4])
def test_a_place_has_one_to_three_coordinates(n: int):
    """Neither none nor four."""
    with pytest.raises(DataError, match=f"has {n} coordinates; give one to three"):
        Place("camera", *["1 mm"] * n)


def test_an_array_is_looked_at_over_places_where_it_has_more_of_them_than_moments():
    """Fifteen thermocouples read once are one profile; three read a hundred times are three curves."""
    assert list(line(15, (0.0,)).arrays) == ["rod"]
    assert list(line(3, tuple(np.arange(100.0))).arrays) == []


def test_mixed_arrays_are_refused():
    """One array holds one kind of quantity, with one number of coordinates, and is no channel."""
    k = Channel("a", unit="degC", noise="1 K", place=Place("rod", "1 cm"))
    cases = [
        (Channel("b", unit="bar", noise="1 bar", place=Place("rod", "2 cm")), UnitError, "make it two"),
        (
            Channel("b", unit="degC", noise="1 K", place=Place("rod", "2 cm", "1 cm")),
            DataError,
            "1 coordinates, b has 2",
        ),
        (Channel("rod", unit="degC", noise="1 K"), DataError, "is an array and a channel"),
    ]
    for other, error, words in cases:
        with pytest.raises(error, match=words):
            Experiment.from_arrays("run", [0.0], {k.output: [1.0], other.output: [1.0]}, channels=[k, other])


def test_places_survive_a_file(tmp_path):
    """What is saved is read back equal, places included."""
    run = line()
    run.save(tmp_path / "run.nc")
    again = Experiment.load(tmp_path / "run.nc")
    assert again == run
    assert again["T_3"].channel.place == Place("rod", "12 cm")


def test_arrays_and_single_channels_share_a_file(tmp_path):
    """Two arrays, shuffled, a thermometer of its own at other times, a missing reading and an exclusion: all return."""
    rng = np.random.default_rng(6)
    channels = [
        Channel(f"{a}_{k}", unit="degC", noise="1 K", place=Place(a, f"{k} cm"))
        for a in ("rod", "bar")
        for k in range(6)
    ]
    channels = [channels[k] for k in rng.permutation(12)] + [Channel("room", unit="degC", noise="1 K")]
    data = {c.output: 20.0 + rng.standard_normal(2) for c in channels[:-1]} | {"room": np.array([20.0, 21.0, 22.0])}
    data["rod_3"][1] = np.nan
    times = {c.output: np.array([0.0, 1.0]) for c in channels[:-1]} | {"room": np.array([0.0, 5.0, 9.0])}
    cut = pt.measurements.Exclusion("0.5 s", "1.5 s", "door open", by="J. Doe", channels=("bar_2",))
    run = Experiment.from_arrays("run", times, data, channels=channels, exclude=[cut])
    run.save(tmp_path / "run.nc")
    again = Experiment.load(tmp_path / "run.nc")
    assert again == run
    assert "rod" in run.dataset and "rod_3" not in run.dataset


def test_an_experiment_without_places_keeps_its_hash():
    """The content of a record from before there were places hashes as it did (pinned)."""
    run = Experiment.from_arrays("run", [0.0, 1.0], {"a": [1.0, 2.0]}, channels=[Channel("a", unit="K", noise="1 K")])
    assert run.sha256 == "b3b11e7515b119a9d3dbfa93fddd2080a103ac8c6d6a590946909b93f0c568a2"


def test_an_array_is_one_row_and_one_picture():
    """A cloud of hundreds of points prints one line and draws one map."""
    run = line()
    assert "rod (15 places)" in str(run)
    assert "T_7" not in str(run)
    assert len(run.plot().axes) == 1
    x, y = (a.ravel() for a in np.meshgrid(np.arange(6.0), np.arange(5.0)))
    channels = [
        Channel(f"u_{k}", unit="um", noise="1 um", place=Place("camera", (a, "mm"), (b, "mm")))
        for k, (a, b) in enumerate(zip(x, y, strict=True))
    ]
    cloud = Experiment.from_arrays("cloud", [0.0], {c.output: [1.0] for c in channels}, channels=channels)
    axes = cloud.plot().axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("x / mm", "y / mm")


def test_place_is_public():
    """Reached as the other measurement classes are."""
    assert pt.Place is Place
