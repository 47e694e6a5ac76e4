"""Files of twins: the same bits, or an error that says what is wrong."""

import dataclasses
import gc
import hashlib
import io
import json
import logging
import random
import weakref

import h5netcdf
import numpy as np
import pytest
import xarray as xr

import physics_twin as pt
from physics_twin import assimilation
from physics_twin.assimilation import moving_horizon
from physics_twin.assimilation.ensemble_kalman import AdaptiveInflation, Localized
from physics_twin.assimilation.moving_horizon import Converged, RealTimeIteration
from physics_twin.errors import DataError, FileFormatError
from physics_twin.measurements.places import Place
from physics_twin.twin import storage
from physics_twin.twin.machine import this_machine
from physics_twin.twin.migrations import migrated
from physics_twin.twin.packing import CLASSES, Packed, Packer, Unpacker
from physics_twin.twin.timeline import Act, Operation
from tests.twin.plants import HEATER_CHANNELS, at, fed, heater_block, heater_samples, heater_twin

METHODS = {
    "unscented": pt.UnscentedKalman(),
    "extended": pt.ExtendedKalman(inflation=1.01, per="1 min"),
    "ensemble": pt.EnsembleKalman(n_members=8, inflation=AdaptiveInflation(initial=1.02)),
    "moving horizon": pt.MovingHorizon(horizon=5, solver=RealTimeIteration(2)),
}
ACTS = [
    Operation(Act.MASK, at(30) + 1, "Å. Müller", "being cleaned", {"channel": "T2", "until": at(40)}),
    Operation(Act.MODE, at(100) + 1, "Å. Müller", "lunch", {"mode": "idle"}),
    Operation(Act.MODE, at(115) + 1, "Å. Müller", "back", {"mode": "running"}),
]


def whole(method="unscented", **options):
    """A twin with everything: masks, an audit log, a late sample that waits, a missing one, one of a laboratory."""
    twin = fed(heater_twin(method=METHODS[method], batch="charge 17", seed=7, **options), [*ACTS, *heater_samples(40)])
    late = [
        pt.Sample("T1", at(190), float("nan"), "degC"),
        pt.Sample("T2", at(188), 30.0, "degC", quality=pt.Flag.SUSPECT, reported=at(200), source="lab/3"),
        pt.Sample("T1", at(500), 31.0, "degC"),
    ]
    return fed(twin, late, until=at(200))


def everything(twin):
    """All that a file holds of a twin, as comparable values."""
    packed = Packer().packed(dataclasses.replace(twin, warnings=()))
    return json.dumps(packed.text), {kind: array.tobytes() for kind, array in packed.arrays.items()}


@pytest.mark.parametrize("method", METHODS)
def test_a_twin_comes_back_to_the_last_bit(tmp_path, method):
    """Every field: states, snapshots, entries, what waits, audit, setup, options of the filter."""
    twin = whole(method)
    twin.save(tmp_path / "a.nc")
    again = pt.Twin.load(tmp_path / "a.nc", heater_block())
    assert again.digest == twin.digest and again.warnings == ()
    assert everything(again) == everything(twin)
    assert again.setup.method == twin.setup.method and again.setup.guard == twin.setup.guard
    assert again.audit == twin.audit and again.counts == twin.counts and len(again.audit) == 3
    assert [e.key for e in again.pending] == [e.key for e in twin.pending] and len(twin.pending) == 1
    assert again.state is again.snapshots[-1], "what is one object stays one"
    assert again.setup.posterior.draws.equals(twin.setup.posterior.draws)


@pytest.mark.parametrize("method", METHODS)
def test_a_loaded_twin_goes_on_as_the_one_that_was_not_stopped(tmp_path, method):
    """Saved and loaded after each of the calls, also before late samples: the same bits at the end."""
    samples = heater_samples(40)
    calls = [samples[:60], samples[80:120], samples[60:80], samples[120:]]
    straight = stopped = heater_twin(method=METHODS[method])
    for k, call in enumerate(calls):
        straight = fed(straight, call)
        stopped.save(tmp_path / f"{k}.nc")
        stopped = fed(pt.Twin.load(tmp_path / f"{k}.nc", heater_block()), call)
        assert stopped.digest == straight.digest
    assert everything(stopped)[1] == everything(straight)[1]


@pytest.mark.parametrize(
    "method",
    [
        pt.EnsembleKalman(localization=Localized("50 mm", {"T1": Place("rod", "1 cm", "2 mm")})),
        pt.EnsembleKalman(localization=Localized((0.05, "m"))),
        pt.ExtendedKalman(per="1 min", inflation=1.1, iterations=2),
        pt.UnscentedKalman(alpha=0.7, steps=pt.RungeKutta("30 s")),
        pt.MovingHorizon(horizon=4, solver=Converged(1e-8, 20), longest_element="30 s"),
    ],
)
def test_options_of_filters_come_back(method):
    """Each option of each class, read into an equal object."""
    packed = Packer().packed(method)
    packed = Packed(json.loads(json.dumps(packed.text)), packed.arrays)
    assert Unpacker(packed, heater_block()).value() == method


def test_all_filters_and_their_options_can_be_saved():
    """Whoever writes a new one adds its classes to the table."""
    public = [getattr(package, name) for package in (assimilation, moving_horizon) for name in package.__all__]
    assert {one.__name__ for one in public if dataclasses.is_dataclass(one)} <= set(CLASSES)


def test_the_order_of_arrays_in_memory_comes_back():
    """Sums round by it: Fortran stays Fortran. Kinds, shapes and odd numbers too."""
    values = {
        "fortran": np.asfortranarray(np.random.default_rng(1).standard_normal((3, 4))),
        "c": np.array([[np.nan, -0.0], [5e-324, np.inf]]),
        "integers": np.arange(6).reshape(1, 2, 3),
        "bool": np.array([True, False]),
        "empty": np.empty((0, 3)),
        "none": np.empty(0),
    }
    packed = Packer().packed(values)
    again = Unpacker(Packed(json.loads(json.dumps(packed.text)), packed.arrays), heater_block()).value()
    for name, array in values.items():
        assert again[name].dtype == array.dtype and again[name].shape == array.shape
        assert again[name].tobytes("K") == array.tobytes("K")
        assert again[name].flags.f_contiguous == array.flags.f_contiguous


def test_objects_that_live_for_a_moment_are_told_apart():
    """Entries become columns that are gone when the next ones are written: each comes back as its own."""
    samples = heater_samples(10)
    parts = tuple(tuple(samples[4 * k : 4 * k + 4]) for k in range(10))
    packed = Packer().packed(parts)
    again = Unpacker(Packed(json.loads(json.dumps(packed.text)), packed.arrays), heater_block()).value()
    assert [[e.key for e in part] for part in again] == [[e.key for e in part] for part in parts]


def test_what_no_file_can_hold_is_refused_and_the_old_file_stays(tmp_path):
    """A function among the options: DataError at save, and the file before is whole."""
    twin = whole()
    twin.save(tmp_path / "a.nc")
    before = (tmp_path / "a.nc").read_bytes()
    memory = {"": np.zeros(1), "f": len}
    odd = dataclasses.replace(twin.state, belief=dataclasses.replace(twin.state.belief, memory=memory))
    with pytest.raises(DataError, match="which no file can hold"):
        dataclasses.replace(twin, state=odd).save(tmp_path / "a.nc")
    assert (tmp_path / "a.nc").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.nc"]


def test_every_changed_byte_is_found(tmp_path):
    """A hundred files with one bit turned, anywhere: each is refused, and so is one that was cut short anywhere."""
    content = storage.to_bytes(whole())
    rng = random.Random(1)
    for _ in range(100):
        changed = bytearray(content)
        changed[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        with pytest.raises(FileFormatError, match=r"a\.nc (is damaged|is not)"):
            storage.from_bytes(bytes(changed), heater_block(), name="a.nc")
    for _ in range(40):
        with pytest.raises(FileFormatError, match=r"a\.nc is (damaged|not)"):
            storage.from_bytes(content[: rng.randrange(len(content))], heater_block(), name="a.nc")
    with pytest.raises(FileFormatError, match="damaged"):
        storage.from_bytes(content + b"\n", heater_block(), name="a.nc")


def test_something_else_is_refused(tmp_path):
    """A text, an empty file, a posterior, a file that is not there."""
    for name, content in {"text.nc": b"no twin", "empty.nc": b""}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FileFormatError, match=f"{name} is not a NetCDF file"):
            pt.Twin.load(tmp_path / name, heater_block())
    heater_twin().setup.posterior.save(tmp_path / "posterior.nc")
    with pytest.raises(FileFormatError, match=r"posterior\.nc is not a twin .*physics_twin posterior"):
        pt.Twin.load(tmp_path / "posterior.nc", heater_block())
    with pytest.raises(FileNotFoundError, match=r"absent\.nc"):
        pt.Twin.load(tmp_path / "absent.nc", heater_block())


def test_a_twin_of_another_model_is_refused(tmp_path):
    """The equations differ, the name is the same: both fingerprints are named."""
    m = pt.ProcessBuilder("heater_block", version="1.1")
    t = m.state("T1", "degC", initial="20 degC")
    m.rate(t, m.parameter("UA", "1 K/s", bounds=("0 K/s", "2 K/s")))
    m.output("T1", t)
    other = m.build()
    whole().save(tmp_path / "a.nc")
    with pytest.raises(
        FileFormatError, match=rf"heater_block 1\.0 .* not of heater_block 1\.1 \({other.fingerprint[:12]}"
    ):
        pt.Twin.load(tmp_path / "a.nc", other)


def resealed(content, **attrs):
    """The file with other attributes, and a seal that fits."""
    buffer = io.BytesIO(content[: -storage._ENDING])
    with h5netcdf.File(buffer, "a") as file:
        file.attrs.update(attrs)
    body = buffer.getvalue()
    return body + storage.SEAL + hashlib.sha256(body).digest()


def test_a_later_format_is_refused_by_the_name_of_its_writer():
    """Whoever reads it is told which library to use."""
    content = resealed(storage.to_bytes(whole()), version=99, writer="physics_twin 9.9")
    with pytest.raises(FileFormatError, match=r"written by physics_twin 9\.9 in format version 99.*up to 1"):
        storage.from_bytes(content, heater_block(), name="a.nc")


def test_an_earlier_format_goes_through_all_steps_between():
    """A chain of steps, each from one version to the next; a version that nothing leads on from is refused."""
    steps = {k: lambda packed, k=k: Packed({**packed.text, "trace": [*packed.text["trace"], k]}, {}) for k in (1, 2, 3)}
    assert migrated(Packed({"trace": []}, {}), 1, 4, steps).text["trace"] == [1, 2, 3]
    assert migrated(Packed({"trace": []}, {}), 3, 4, steps).text["trace"] == [3]
    with pytest.raises(FileFormatError, match="version 0 is older"):
        migrated(Packed({"trace": []}, {}), 0, 4, steps)
    with pytest.raises(FileFormatError, match="version 0 is older"):
        storage.from_bytes(resealed(storage.to_bytes(whole()), version=0), heater_block(), name="a.nc")


def test_a_file_of_another_machine_says_so(tmp_path, monkeypatch, caplog):
    """Equal to tolerance only: a warning in the log and on the twin, which says what differs."""
    here = dict(this_machine())
    monkeypatch.setattr(storage, "this_machine", lambda: {**here, "numpy": "1.0", "processor": "abacus"})
    content = storage.to_bytes(whole())
    with caplog.at_level(logging.WARNING):
        twin = storage.from_bytes(content, heater_block(), name="a.nc")
    (warning,) = twin.warnings
    assert "not bit for bit" in warning and f"numpy (1.0 there, {here['numpy']} here)" in warning
    assert "abacus" in warning and "casadi" not in warning
    assert warning in caplog.text


def test_a_class_that_is_not_listed_is_not_made():
    """A file cannot name what it likes: no class, no module, no enum outside the table."""
    for root in ({"enum": ["Popen", "x"]}, {"is": 0}, {"call": "x"}):
        text = {"root": root, "objects": [["os.system", "x"]], "arrays": [], "fields": {"os.system": ["a"]}}
        with pytest.raises(FileFormatError):
            Unpacker(Packed(text, {}), heater_block()).value()


def test_a_header_needs_no_model(tmp_path):
    """Model, time, mode, parameters in their units: what a table of all twins shows; NetCDF readers open the file."""
    twin = whole()
    twin.save(tmp_path / "a.nc")
    said = storage.header(tmp_path / "a.nc")
    assert (said.model, said.time, said.batch, said.mode) == ("heater_block", at(200), "charge 17", "running")
    assert said.digest == twin.digest and said.writer == f"physics_twin {pt.__version__}"
    mean, sd, unit = said.parameters["UA"]
    assert mean == twin.mean["UA"] and sd == twin.spread["UA"] and unit == "W/K"
    with xr.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as dataset:
        assert dataset.attrs["format"] == storage.FORMAT and dataset.attrs["time"] == "2026-11-20T06:03:20Z"


def test_a_file_is_small():
    """A twin of a small model with its full window: below a megabyte, most of it numbers."""
    twin = fed(heater_twin(method=pt.EnsembleKalman(n_members=50)), heater_samples(150, step=2.0))
    content = storage.to_bytes(twin)
    assert len(content) < 1_000_000
    assert len(content) < 1.5 * twin.size + 100_000


def test_channels_with_everything_come_back():
    """Bias that is not known, a delay, a range: what the codec of channels keeps."""
    channels = [
        pt.Channel("T1", unit="degC", noise="0.1 K", bias="0.5 K", delay="3 s"),
        HEATER_CHANNELS[1],
    ]
    twin = heater_twin(channels=channels, window=pt.Window(seconds=60.0, n=3), guard=pt.Guard(gap=17.0))
    again = storage.from_bytes(storage.to_bytes(twin), heater_block(), name="a.nc")
    assert again.setup.channels == dict(twin.setup.channels)
    assert again.setup.window == twin.setup.window and again.setup.guard.gap == 17.0


def test_a_file_that_unpacks_without_end_is_refused(monkeypatch):
    """Few bytes that stand for many: refused by their number, before memory is."""
    monkeypatch.setattr(storage, "_MOST_TEXT", 1000)
    with pytest.raises(FileFormatError, match="more than 1000 bytes of text"):
        storage.from_bytes(storage.to_bytes(heater_twin()), heater_block(), name="line3.nc")


def test_assets_share_a_posterior(tmp_path):
    """Many files of one posterior: it is read once, and stays no longer than the twins that have it."""
    twin = whole()
    for name in ("a.nc", "b.nc"):
        twin.save(tmp_path / name)
    found = [pt.Twin.load(tmp_path / name, heater_block()) for name in ("a.nc", "b.nc")]
    assert found[0].setup.posterior is found[1].setup.posterior
    assert found[0].setup.posterior is not twin.setup.posterior
    found[1].save(tmp_path / "c.nc")
    assert pt.Twin.load(tmp_path / "c.nc", heater_block()).digest == twin.digest
    alive = weakref.ref(found[0].setup.posterior)
    del found
    gc.collect()
    assert alive() is None
