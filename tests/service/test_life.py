"""The service from its first sample to its last: files in, twins out; stopped, killed, started again."""

import json
import os
import signal

import physics_twin as pt
from tests.service import small_plant
from tests.service.running import Starter, wait_for
from tests.service.small_plant import asset, brought_back, configuration, straight, write

N = 300
HISTORY = 'live = false\nhistorian = "history/*.csv"'


def digest(folder, name="line1"):
    """Of the twin that the journal brings back."""
    return brought_back(str(folder / "plant.journal"), name).digest


def test_a_file_becomes_a_twin_and_a_stop_saves_it(serve: Starter, tmp_path):
    """All samples of a file are taken in; SIGTERM ends with 0, the states are files, and they are the twin itself."""
    write(tmp_path / "history" / "a.csv", 0, N)
    service = serve(configuration(asset("line1", extra=HISTORY), asset("line2", extra=HISTORY)))
    for name in ("line1", "line2"):
        wait_for(lambda name=name: service.counted(name) == 2 * N, f"all samples of {name}\n{service.text}")
    assert service.get("/healthz") == (200, "alive\n")
    assert service.get("/readyz")[0] == 200
    assert service.terminate() == 0, service.text
    assert [one["message"] for one in service.events("stopped")] == ["everything is saved"]
    expected = straight(_read_back(tmp_path))
    assert digest(tmp_path) == digest(tmp_path, "line2") == expected.digest
    saved = pt.Twin.load(tmp_path / "twins" / "line1.nc", small_plant.model())
    assert saved.digest == expected.digest


def _read_back(folder):
    with pt.Journal(folder / "plant.journal", read_only=True) as journal:
        return list(journal.entries("line1"))


def test_kill_9_and_again(serve: Starter, tmp_path):
    """Killed while it works, with another file when it comes back: every sample once, and the same bits."""
    write(tmp_path / "history" / "a.csv", 0, 2 * N)
    text = configuration(asset("line1", extra=HISTORY), save_every='"0.3 s"')
    for n in (50, 700):
        service = serve(text)
        wait_for(lambda n=n, s=service: s.counted("line1") > n, f"{n} samples\n{service.text}")
        service.process.send_signal(signal.SIGKILL)
        service.process.wait()
    write(tmp_path / "history" / "b.csv", 2 * N, 3 * N)
    service = serve(text)
    wait_for(lambda: service.state("line1").get("time") == "2025-11-20T06:14:59Z", f"the end\n{service.text}")
    wait_for(lambda: service.state("line1")["pending"] == 0, "the end")
    assert len(service.events("resumed")) == 1
    assert service.terminate() == 0
    entries = _read_back(tmp_path)
    assert len(entries) == 6 * N and len({one.key for one in entries}) == 6 * N
    assert digest(tmp_path) == straight(entries).digest
    with pt.Journal(tmp_path / "plant.journal", read_only=True) as journal:
        assert set(journal.positions("line1")) == {"historian:a.csv", "historian:b.csv"}


def test_workers_end_with_the_service(serve: Starter, tmp_path):
    """After kill -9 of the service no process of it is left."""
    service = serve(configuration(asset("line1", extra=HISTORY)))
    worker = int(service.wait("worker_started")["message"].split("process ")[1].split(",")[0])
    wait_for(lambda: service.get("/readyz")[0] == 200, "ready")
    service.process.send_signal(signal.SIGKILL)
    service.process.wait()

    def gone():
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return True
        with open(f"/proc/{worker}/stat") as file:
            return file.read().split()[2] == "Z"

    wait_for(gone, "the end of the worker")


def test_records_are_json_with_codes_of_the_table(serve: Starter, tmp_path):
    """Every line is a record with asset, event code and twin time; the codes are those that are documented."""
    from twin_service.logs import Event

    write(tmp_path / "history" / "a.csv", 0, 20)
    service = serve(configuration(asset("line1", extra=HISTORY)))
    begun = service.wait("begun")
    assert begun["asset"] == "line1" and begun["twin_time"] == "2025-11-20T06:00:00Z"
    assert service.terminate() == 0
    lines = [json.loads(line) for line in service.text.splitlines()]
    assert {line["event"] for line in lines} <= {event.code for event in Event}
    assert all(set(line) == {"time", "level", "event", "asset", "twin_time", "message"} for line in lines)
