"""The page in a real browser, and the addresses for machines."""

import base64
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import physics_twin as pt
from tests.service import small_plant
from tests.service.running import Running, Starter, wait_for
from tests.service.small_plant import asset, configuration, write

N = 240
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def envelope(folder: Path) -> None:
    """A small certified range for the heater's power."""
    power = pt.Setting("power", "W", bounds=(10, 80))
    recipe = pt.Recipe([pt.Phase("hold", duration="20 min", power=power)])
    limit = pt.Limit("T", upper="75 degC")
    draws = np.exp(0.02 * np.random.default_rng(1).standard_normal((400, 1)))
    posterior = pt.Posterior.from_draws([small_plant.model().parameters["loss"]], draws)
    found = pt.find_envelope(
        small_plant.model(), posterior, recipe=recipe, settings=[power], limits=[limit], probability=0.9, rng=1
    )
    found.save(folder / "e.nc")


@pytest.fixture
def service(serve: Starter, tmp_path: Path) -> Running:
    """One asset that has taken in its file; one sample of it is far off, and one asset waits."""
    path = tmp_path / "history" / "a.csv"
    write(path, 0, N)
    rows = path.read_text().splitlines()
    rows[200] = rows[200].split(",")[0] + ",99.0,50"
    path.write_text("\n".join(rows) + "\n")
    envelope(tmp_path)
    extra = 'live = false\nhistorian = "history/*.csv"\nenvelope = "e.nc"'
    running = serve(configuration(asset("line1", extra=extra), asset("line2")).replace("n = 2", "n = 1"))
    wait_for(lambda: running.counted("line1") == 2 * N, f"all samples\n{running.text}")
    wait_for(lambda: running.state("line1")["status"] not in ("WAITING", "PREDICTION ONLY"), "its health")
    return running


def test_machines_and_people(service: Running, tmp_path: Path):
    """Health and metrics say what the twin says; the page shows its numbers, its charts and the sample that is off."""
    status, body = service.get("/assets/line1/health")
    health = json.loads(body)
    assert status == 200 and health["twin"]["counts"]["samples"] == 2 * N
    assert health["status"] == health["twin"]["status"]
    _, metrics = service.get("/metrics")
    numbers = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
    assert float(numbers['twin_samples{asset="line1",kind="samples"}']) == 2 * N
    assert float(numbers['twin_update_seconds_count{asset="line1"}']) >= 1
    assert float(numbers['twin_rejected_samples_total{asset="line1"}']) == 1
    assert float(numbers["service_journaled_samples"]) == 2 * N
    assert service.get("/assets/nobody/health")[0] == 404
    assert service.get("/../service.toml")[0] == 404
    assert service.get("/readyz") == (200, '{"ready": true, "reasons": [], "degraded": []}')
    state = service.state("line1")
    assert not [row for row in state["channels"]["T"]["rows"] if row[1] == 99.0 and row[4]]
    low, high, present, unit = state["envelope"]["power"]
    assert low < present == 50.0 < high and unit == "W"
    _browser(service, tmp_path, state)


def _browser(service: Running, folder: Path, state: dict) -> None:
    binary = next((found for found in map(shutil.which, BROWSERS) if found), None)
    if binary is None:
        pytest.skip("no Chromium is installed here: the page was not opened")
    options = (
        "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
        f"--disable-component-update --disable-sync --user-data-dir={folder / 'browser'} --virtual-time-budget=5000"
    ).split()
    address = f"http://127.0.0.1:{service.port}/assets/line1"
    done = subprocess.run([binary, *options, "--dump-dom", address], capture_output=True, text=True, timeout=120)
    dom = done.stdout
    mean, sd, _ = state["present"]["loss"]
    digits = max(1 - int(np.floor(np.log10(sd))), 0)
    assert f'data-value="loss">{mean:.{digits}f}<' in dom, done.stderr + dom
    assert dom.count("<svg") >= 3, "a channel, a parameter, the envelope"
    assert 'class="band"' in dom and 'class="mean"' in dom
    assert dom.count('class="good"') > 100 and dom.count('class="bad"') == 1
    assert "inside" in dom and "line2: WAITING" in dom
    assert f'id="status">{state["status"]}<' in dom
    picture = folder / "page.png"
    size = "--window-size=1280,1500"
    subprocess.run(
        [binary, *options, size, f"--screenshot={picture}", address], capture_output=True, timeout=120, check=True
    )
    assert picture.stat().st_size > 30_000


def test_a_token_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With a token nothing but /healthz answers without it; as bearer, or as the password that a browser asks for."""
    import asyncio

    import aiohttp
    from twin_service.board import Board
    from twin_service.configuration import read
    from twin_service.web import Web

    monkeypatch.setenv("TWIN_TOKEN", "w0rd")
    text = configuration(asset("line1")).replace("port = 0", 'port = 0\ntoken = "env:TWIN_TOKEN"')
    (tmp_path / "service.toml").write_text(text)

    async def life() -> dict[str, list[int]]:
        web = Web(read(tmp_path / "service.toml"), Board(["line1"]), lambda: b"", list, list, lambda name: [])
        await web.start()
        base = f"http://127.0.0.1:{web.port}"
        found: dict[str, list[int]] = {}
        headers = {
            "none": {},
            "wrong": {"Authorization": "Bearer w1rd"},
            "bearer": {"Authorization": "Bearer w0rd"},
            "basic": {"Authorization": "Basic " + base64.b64encode(b"me:w0rd").decode()},
            "broken": {"Authorization": "Basic %%%"},
        }
        async with aiohttp.ClientSession() as session:
            for name, own in headers.items():
                found[name] = []
                for path in ("/healthz", "/", "/assets/line1/state", "/metrics"):
                    async with session.get(base + path, headers=own) as answer:
                        found[name].append(answer.status)
            async with session.post(base + "/assets/line1/state", headers=headers["bearer"]) as answer:
                found["post"] = [answer.status]
        await web.stop()
        return found

    found = asyncio.run(life())
    assert found["none"] == found["wrong"] == found["broken"] == [200, 401, 401, 401]
    assert found["bearer"] == found["basic"] == [200, 200, 200, 200]
    assert found["post"] == [405], "nothing can be written"
