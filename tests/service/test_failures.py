"""What fails costs as little as possible: a worker, an asset, a host's disk; the others go on."""

import asyncio
import json
import os
import shutil
import signal
import sqlite3
from pathlib import Path

import pytest

import physics_twin as pt
from tests.service.running import Running, Starter, wait_for
from tests.service.small_plant import T0, asset, brought_back, configuration, samples, straight, write
from tests.service.test_mqtt import TAGS as MQTT_TAGS, Broker, broker, messages  # noqa: F401
from tests.twin.journal.conftest import postgres, server  # noqa: F401

N = 200
HISTORY = 'live = false\nhistorian = "history/*.csv"'


def test_a_native_crash_costs_one_asset(serve: Starter, tmp_path: Path):
    """An asset whose native code aborts takes its worker down three times and is put in quarantine; its neighbor in the
    same worker has everything, the service is ready, and the samples of the sick one are in the journal.
    """
    write(tmp_path / "history" / "a.csv", 0, N)
    assets = [asset("sick", start="aborting", extra=HISTORY), asset("well", extra=HISTORY)]
    service = serve(configuration(*assets).replace("n = 2", "n = 1"))
    record = service.wait("quarantine")
    assert record["asset"] == "sick" and record["level"] == "error"
    assert len(service.events("worker_died")) == 3
    assert all(one["asset"] == "sick" and "signal 6" in one["message"] for one in service.events("worker_died"))
    wait_for(lambda: service.counted("well") == 2 * N, f"all samples of the other\n{service.text}")
    status, ready = service.get("/readyz")
    assert status == 200 and "sick is in quarantine: its worker ended with signal 6" in json.loads(ready)["degraded"][0]
    assert service.state("sick")["status"] == "FAILED"
    assert "quarantine" in service.state("sick")["alarms"][0] and "signal 6" in service.state("sick")["alarms"][0]
    assert "quarantine" not in str(service.state("well")["alarms"])
    assert service.terminate() == 0
    with pt.Journal(tmp_path / "plant.journal", read_only=True) as journal:
        assert len(list(journal.entries("sick"))) == 2 * N


def test_a_killed_worker_comes_back(serve: Starter, tmp_path: Path):
    """kill -9 of a worker: it is started again, and nothing is missing or twice."""
    write(tmp_path / "history" / "a.csv", 0, 2 * N)
    service = serve(configuration(asset("line1", extra=HISTORY), save_every='"0.2 s"'))
    worker = int(service.wait("worker_started")["message"].split("process ")[1].split(",")[0])
    wait_for(lambda: service.counted("line1") > 20, f"some samples\n{service.text}")
    os.kill(worker, signal.SIGKILL)
    service.wait("worker_started", 2)
    assert service.events("worker_died")
    wait_for(lambda: service.state("line1").get("time") == "2025-11-20T06:06:39Z", f"the end\n{service.text}")
    wait_for(lambda: service.state("line1")["pending"] == 0, "the end")
    assert service.terminate() == 0
    _same_as_straight(str(tmp_path / "plant.journal"), 4 * N)


ONE_WORKER = configuration(asset("line1", extra=HISTORY)).replace("n = 2", "n = 1\ncrashes = 2")


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a service that was stopped twice: its journal holds two states."""
    folder = tmp_path_factory.mktemp("left_behind")
    (folder / "service.toml").write_text(ONE_WORKER)
    for k in range(2):
        write(folder / "history" / f"{k}.csv", k * N, (k + 1) * N)
        service = Running(folder, {})
        try:
            wait_for(lambda k=k, s=service: (s.state("line1").get("time") or "") >= f"2025-11-20T06:0{3 * k + 3}", "it")
            wait_for(lambda s=service: s.state("line1")["pending"] == 0, "the end")
            assert service.terminate() == 0, service.text
        finally:
            service.close()
    return folder


def _with_damaged_states(serve: Starter, left: Path, folder: Path, which: str) -> Running:
    """A service that is started again on a journal with two states, of which some are damaged."""
    shutil.copytree(left, folder, dirs_exist_ok=True)
    with sqlite3.connect(folder / "plant.journal") as database:
        database.execute(f"UPDATE states SET content = CAST('no twin' AS BLOB) {which}")
    database.close()
    return serve(ONE_WORKER)


def test_an_older_state_is_taken_with_an_alarm(serve: Starter, left_behind: Path, tmp_path: Path):
    """The newest state is damaged: the twin is the same to the last bit, and the page says from what it came."""
    service = _with_damaged_states(serve, left_behind, tmp_path, "WHERE number = (SELECT MAX(number) FROM states)")
    record = service.wait("older_state")
    assert record["level"] == "error" and record["asset"] == "line1" and "plant.journal" in record["message"]
    wait_for(lambda: service.get("/readyz")[0] == 200, "ready")
    assert any("cannot be read" in one and "NetCDF" in one for one in service.state("line1")["alarms"])
    wait_for(lambda: service.state("line1")["pending"] == 0, "the end")
    assert service.terminate() == 0
    _same_as_straight(str(tmp_path / "plant.journal"), 4 * N)


def test_a_state_that_cannot_be_read_is_an_alarm(serve: Starter, left_behind: Path, tmp_path: Path):
    """No state can be read: FAILED, not ready, and alarms that name asset, journal and reason, not the model."""
    service = _with_damaged_states(serve, left_behind, tmp_path, "")
    service.wait("trouble")
    wait_for(lambda: service.state("line1")["status"] == "FAILED", "its status")
    assert "can be read" in service.state("line1")["alarms"][0]
    service.wait("quarantine")
    (alarm,) = service.state("line1")["alarms"]
    assert all(words in alarm for words in ("quarantine", "plant.journal", "twin of line1 saved at", "another name"))
    status, ready = service.get("/readyz")
    assert status == 503 and "no asset is at work" in ready and "line1 is in quarantine" in ready
    assert 'twin_status{asset="line1",status="FAILED"} 1.0' in service.get("/metrics")[1]
    assert service.terminate() == 0


def _same_as_straight(target: str, n: int) -> None:
    with pt.Journal(target, read_only=True) as journal:
        entries = list(journal.entries("line1"))
        assert len(entries) == n
    assert brought_back(target, "line1").digest == straight(entries).digest


@pytest.mark.slow
def test_a_hung_worker_is_killed(serve: Starter, tmp_path: Path):
    """A model that never comes back: its worker is killed and the asset put in quarantine; the other goes on."""
    write(tmp_path / "history" / "a.csv", 0, N)
    assets = [asset("stuck", start="hanging", extra=HISTORY), asset("well", extra=HISTORY)]
    text = configuration(*assets).replace("n = 2", "n = 1\ncrashes = 1").replace('"60 s"', '"25 s"')
    service = serve(text)
    service.wait("worker_hung")
    service.wait("quarantine")
    wait_for(lambda: service.counted("well") == 2 * N, f"all samples of the other\n{service.text}")
    assert service.terminate() == 0


def test_a_model_that_cannot_be_made_is_said(serve: Starter):
    """The reason is in the log with the asset, in words; the asset is left out."""
    service = serve(configuration(asset("line1", model="missing")).replace("n = 2", "n = 1\ncrashes = 1"))
    service.wait("quarantine")
    record = service.wait("trouble")
    assert record["asset"] == "line1" and "film coefficients" in record["message"]
    assert service.terminate() == 0


@pytest.mark.slow
def test_six_hours_are_filled_in_while_live(serve: Starter, broker: Broker, tmp_path: Path):  # noqa: F811
    """While six hours of a historian are taken in, live messages are in the journal and with the twin long before that
    is done; at the end the twin is the one that was given everything in order.
    """
    write(tmp_path / "history" / "a.csv", 0, 6 * 3600, step=5)
    (tmp_path / "word").write_text("tw1n")
    extra = f'{HISTORY}\nbegin = "{T0.isoformat()}"'
    text = configuration(asset("line1", extra=extra, tags=MQTT_TAGS)).replace("n = 2", "n = 1") + (
        f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\nclient = "line1"\nuser = "twin"\n'
        f'password = "file:{tmp_path / "word"}"\nauthority = "{broker.folder / "broker.pem"}"\n'
    )
    service = serve(text)
    service.wait("source_up")
    wait_for(lambda: service.counted("line1") > 100, f"the first of the history\n{service.text}")
    n_history, live = 2 * 6 * 720, samples(6 * 3600, 6 * 3600 + 50, 5)
    asyncio.run(broker.publish(messages(live)))
    wait_for(lambda: service.state("line1").get("time") == "2025-11-20T12:00:45Z", f"live samples\n{service.text}")
    assert service.counted("line1") < n_history, "the twin has the live samples while the history is being filled in"
    assert not service.events("filled")
    wait_for(lambda: service.counted("line1") == n_history + len(live), f"all\n{service.text}", 240.0)
    assert service.terminate() == 0
    _same_as_straight(str(tmp_path / "plant.journal"), n_history + len(live))


def test_the_same_with_postgresql(serve: Starter, postgres: str, tmp_path: Path):  # noqa: F811
    """A journal in PostgreSQL: taken in, stopped, and the twin that comes back is the same."""
    write(tmp_path / "history" / "a.csv", 0, N)
    text = configuration(asset("line1", extra=HISTORY)).replace('"plant.journal"', f'"{postgres}"')
    service: Running = serve(text.replace("n = 2", "n = 1"))
    wait_for(lambda: service.counted("line1") == 2 * N, f"all samples\n{service.text}")
    assert service.terminate() == 0, service.text
    _same_as_straight(postgres, 2 * N)
