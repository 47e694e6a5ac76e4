"""Envelope, posterior and experiments in one folder: they belong together, and what was touched is named."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.envelope import Budget, Limit, find_envelope
from physics_twin.envelope.files.folder import MANIFEST
from physics_twin.errors import EnvelopeError, FileFormatError
from physics_twin.measurements import Channel, Experiment


def record(name, shift=0.0):
    times = np.arange(5.0)
    return Experiment.from_arrays(name, times, {"y": 0.1 * times + shift}, channels=[Channel("y", unit="1", noise=0.1)])


@pytest.fixture(scope="module")
def runs():
    return (record("batch_1"), record("batch_2", 0.5))


@pytest.fixture(scope="module")
def posterior(analytic, runs):
    """As a fit to these experiments would leave it."""
    model = analytic.closed_form({"y": lambda t, v: v["s0"] + 0.1 * v["a"]}, ["a"])
    hashes = {run.name: run.sha256 for run in runs}
    drawn = analytic.gaussian_draws(model, 200, seed=2)
    return replace(drawn, provenance={**drawn.provenance, "experiments": json.dumps(hashes)})


@pytest.fixture(scope="module")
def envelope(analytic, posterior):
    model = analytic.closed_form({"y": lambda t, v: v["s0"] + 0.1 * v["a"]}, ["a"])
    settings = analytic.knobs(1)
    asked = {"recipe": analytic.one_hour(settings), "settings": settings, "limits": [Limit("y", upper=0.8)]}
    return find_envelope(model, posterior, **asked, rng=1, budget=Budget(n_points=8))


@pytest.fixture
def folder(tmp_path, envelope, posterior, runs):
    pt.save_study(tmp_path / "study", envelope=envelope, posterior=posterior, experiments=runs)
    return tmp_path / "study"


def test_everything_comes_back(folder, envelope, posterior, runs):
    """The same envelope, draws and records."""
    study = pt.load_study(folder)
    assert str(study.envelope) == str(envelope) and study.envelope.box == envelope.box
    assert (study.posterior.draws.values == posterior.draws.values).all()
    assert [run.sha256 for run in study.experiments] == [run.sha256 for run in runs]


def test_the_manifest_says_how_the_files_belong_together(folder, envelope, runs):
    """Hash of every file, of the draws and of the records, and the versions that wrote them."""
    manifest = json.loads((folder / MANIFEST).read_text())
    names = {"envelope.nc", "posterior.nc", "experiments/batch_1.nc", "experiments/batch_2.nc"}
    assert set(manifest["files"]) == names and all(len(sha) == 64 for sha in manifest["files"].values())
    assert manifest["envelope_posterior"] == envelope.certificate.posterior
    assert manifest["posterior_experiments"] == {run.name: run.sha256 for run in runs}
    assert {"physics-twin", "python", "numpy"} <= set(manifest["saved_with"])


def test_a_study_may_be_without_experiments(tmp_path, envelope, posterior):
    """The records may be kept elsewhere."""
    pt.save_study(tmp_path / "study", envelope=envelope, posterior=posterior)
    assert pt.load_study(tmp_path / "study").experiments == ()


# On save ----------------------------------------------------------------------------------------------------------


def test_strangers_are_refused_on_save(tmp_path, envelope, posterior, runs):
    """The name of the file that would not belong, and nothing is written."""
    other = replace(posterior, draws=posterior.draws + 1.0)
    cases = [
        (other, runs, "envelope.nc was certified with the posterior"),
        (posterior, (runs[0], record("batch_2", 0.6)), r"experiments/batch_2\.nc has the hash"),
        (posterior, (*runs, record("batch_3")), r"experiments/batch_3\.nc: .*not fitted to an experiment"),
        (posterior, runs[:1], r"posterior\.nc was also fitted to batch_2"),
        (posterior, (*runs, runs[0]), 'two experiments are called "batch_1"'),
    ]
    for draws, given, words in cases:
        with pytest.raises(EnvelopeError, match=words):
            pt.save_study(tmp_path / "study", envelope=envelope, posterior=draws, experiments=given)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_whole_or_not_there(tmp_path, envelope, posterior, runs, monkeypatch):
    """An error on the way leaves nothing behind, nor touches what was there."""

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(type(runs[0]), "save", full)
        with pytest.raises(OSError, match="No space left"):
            pt.save_study(tmp_path / "study", envelope=envelope, posterior=posterior, experiments=runs)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "study").mkdir()
    pt.save_study(tmp_path / "study", envelope=envelope, posterior=posterior, experiments=runs)
    before = (tmp_path / "study" / MANIFEST).read_bytes()
    with pytest.raises(EnvelopeError, match="exists and is not empty"):
        pt.save_study(tmp_path / "study", envelope=envelope, posterior=posterior)
    assert (tmp_path / "study" / MANIFEST).read_bytes() == before and len(list(tmp_path.iterdir())) == 1


# On load ----------------------------------------------------------------------------------------------------------


def test_damaged_missing_and_added_files_are_named(folder):
    """Each by its name."""
    path = folder / "experiments" / "batch_1.nc"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(FileFormatError, match=r"was changed after it was saved: experiments/batch_1\.nc"):
        pt.load_study(folder)
    path.unlink()
    with pytest.raises(FileFormatError, match=r"lacks experiments/batch_1\.nc"):
        pt.load_study(folder)
    path.write_bytes(content)
    (folder / "notes.txt").write_text("x")
    with pytest.raises(FileFormatError, match=r"added later: notes\.txt"):
        pt.load_study(folder)
    os.remove(folder / "notes.txt")
    pt.load_study(folder)


def test_files_that_do_not_belong_together_are_refused_on_load(folder, posterior):
    """Also where somebody wrote a new hash into the manifest."""
    import hashlib

    replace(posterior, draws=posterior.draws + 1.0).save(folder / "posterior.nc")
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["files"]["posterior.nc"] = hashlib.sha256((folder / "posterior.nc").read_bytes()).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(FileFormatError, match=r"envelope\.nc was certified with the posterior"):
        pt.load_study(folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "damaged"), ("{}", "damaged"), ('{"files": {}, "posterior_experiments": {}}', "not of a folder")],
)
def test_other_folders_are_refused(folder, tmp_path, text, words):
    """With a manifest of something else, without one, and a folder that is not there."""
    (folder / MANIFEST).write_text(text)
    with pytest.raises(FileFormatError, match=words):
        pt.load_study(folder)
    (folder / MANIFEST).unlink()
    with pytest.raises(FileFormatError, match=r"holds no manifest\.json"):
        pt.load_study(folder)
    with pytest.raises(FileNotFoundError):
        pt.load_study(tmp_path / "absent")


def test_a_newer_folder_says_so(folder):
    """The version stands in the message."""
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps({**manifest, "version": 2}))
    with pytest.raises(FileFormatError, match="has version 2, this library reads 1"):
        pt.load_study(folder)
