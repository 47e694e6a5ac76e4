"""Slices with sliders: what the page holds, and what it does in a real browser."""

import base64
import html
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.envelope import Budget, Envelope, final
from physics_twin.errors import EnvelopeError
from physics_twin.report.slices import N_NODES, SHARES, slices
from tests.envelope.conftest import closed_form, gaussian_draws, one_hour

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
MOVED = 0.2
"""Where the test puts the third slider."""
PROBE = """<script>
const probe = {errors: window.errors, before: look()};
function look() {
  return {
    edges: Array.from(document.querySelectorAll(".edge"), e => e.getAttribute("d")),
    maps: Array.from(document.querySelectorAll(".panels image"), e => e.getAttribute("href").length),
    beside: document.querySelectorAll(".frame.beside").length,
    outputs: Array.from(document.querySelectorAll("output"), e => e.textContent),
    verdict: document.querySelector(".verdict").textContent,
    hidden: document.querySelector(".slices").hidden,
    batches: document.querySelectorAll(".panels .batch").length,
    faint: document.querySelector(".panels .batch").getAttribute("opacity"),
  };
}
const slider = document.querySelector("#slice-2");
slider.focus();
probe.focused = document.activeElement === slider;
slider.value = MOVED * slider.max;
slider.dispatchEvent(new Event("input"));
probe.after = look();
const said = document.createElement("pre");
said.id = "probe";
said.textContent = JSON.stringify(probe);
document.body.appendChild(said);
</script></body>"""


@pytest.fixture(scope="module")
def envelope() -> Envelope:
    """Two sums of a temperature, a time and a charge that trade against one another."""
    settings = (
        pt.Setting("soak_temperature", "degC", bounds=(100, 200)),
        pt.Setting("hold_time", "min", bounds=(10, 60)),
        pt.Setting("charge", "kg", bounds=(0, 5)),
    )

    def load(t: Any, v: Any) -> Any:
        u = [(v[s.name] - s.bounds[0]) / (s.bounds[1] - s.bounds[0]) for s in settings]
        return u[0] + u[1] + u[2] + 0.1 * v["a"]

    model = closed_form({"load": load}, ["a"])
    limits = [pt.Limit("load", lower=0.9, upper=2.1, over=final)]
    found = pt.find_envelope(
        model,
        gaussian_draws(model, 500, 1),
        recipe=one_hour(settings),
        settings=settings,
        limits=limits,
        probability=0.9,
        rng=1,
        budget=Budget(n_points=60),
    )
    assert not found.empty
    return found


@pytest.fixture(scope="module")
def history(envelope: Envelope) -> list[pt.Experiment]:
    """A batch at the set point that passed, and one that failed."""
    runs = []
    for name, level in (("good", 1.5), ("bad", 2.5)):
        at = {s.name: s.format(envelope.set_point[s.name], 8) for s in envelope.settings}
        channel = pt.Channel("load", unit="1", noise=0.01)
        data = {"load": np.full(9, level)}
        times = (np.linspace(0.0, 3600.0, 9), "s")
        runs.append(pt.Experiment.from_arrays(name, times, data, channels=[channel], context=at))
    return runs


@pytest.fixture(scope="module")
def path(envelope: Envelope, history: list[pt.Experiment], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("slices")
    return pt.write_report(folder / "r.html", title="Three settings", envelope=envelope, history=history)


def test_the_page_stands_alone_and_is_small(path: Path) -> None:
    """One script, nothing fetched, the static picture beside it, and below two megabytes."""
    text = path.read_text(encoding="utf-8")
    assert text.count("<script>") == 1 and "src=" in text
    without = re.sub(r'src="data:[^"]*"', "", text).replace('"http://www.w3.org/2000/svg"', "")
    assert "http" not in without and "import(" not in without and "fetch(" not in without
    assert path.stat().st_size < 2_000_000
    # Without scripts nothing can be moved, so the sliders are not shown; the picture is.
    assert '<div class="slices" hidden>' in text and text.count("<img") == 1
    for key in re.findall(r'<input type="range" id="([^"]+)"', text):
        assert f'<label for="{key}">' in text


def test_the_grid_is_what_the_search_predicts(envelope: Envelope) -> None:
    """Every node holds the predicted probability to half a step of its rounding."""
    held = re.search(r'class="data">(.*?)</script>', slices(envelope, None))
    assert held is not None
    data = json.loads(held[1])
    n = N_NODES[3]
    chance = np.frombuffer(base64.b64decode(data["chance"]), dtype=np.uint8).reshape(n, n, n) / SHARES
    index = np.random.default_rng(0).integers(0, n, (40, 3))
    exact = envelope.space.joint_probability(index / (n - 1))
    assert np.abs(chance[tuple(index.T)] - exact).max() <= 0.5 / SHARES + 1e-12
    assert data["settings"][0] == {"name": "soak temperature", "unit": "°C", "low": 100.0, "high": 200.0}


def test_fewer_settings_and_no_design_have_no_sliders(envelope: Envelope, job: Any) -> None:
    """The picture says it all for one or two settings; without its design nothing can be predicted."""
    assert slices(job.envelope, None) == ""
    assert slices(replace(envelope, design=None), None) == ""


def test_the_chapter_says_how_past_batches_fared(
    path: Path, envelope: Envelope, history: list[pt.Experiment], job: Any
) -> None:
    """Counts with intervals, the verdict and the capability; a history of no or another envelope is refused."""
    text = html.unescape(re.sub(r"<[^>]+>", " ", path.read_text(encoding="utf-8")))
    assert "2 past batches" in text and "Failures inside" in text
    assert "1 of 2 batches inside failed" in text
    assert "Ppk" in text
    with pytest.raises(EnvelopeError, match="give envelope= with history="):
        pt.write_report(path.parent / "no.html", title="No", history=history)
    with pytest.raises(EnvelopeError, match="judged against another envelope"):
        pt.write_report(path.parent / "no.html", title="No", envelope=job.envelope, history=envelope.against(history))


def test_a_slider_moves_the_slices(path: Path, envelope: Envelope) -> None:
    """In a browser: no error, the other panels stay, the edge of the panel that holds the setting moves, and so do the
    number beside the slider, the frame of the box and the fading of the batches."""
    binary = next((found for found in map(shutil.which, BROWSERS) if found), None)
    if binary is None:
        pytest.skip("no Chromium is installed here: the page was not opened")
    text = path.read_text(encoding="utf-8")
    watched = text.replace(
        "<head>", "<head><script>window.errors = []; onerror = (m) => { errors.push(String(m)); };</script>", 1
    )
    probed = path.parent / "probed.html"
    probed.write_text(watched.replace("</body>", PROBE.replace("MOVED", str(MOVED))), encoding="utf-8")
    options = (
        "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --enable-logging=stderr "
        f"--disable-component-update --disable-sync --user-data-dir={path.parent / 'browser'} "
        "--virtual-time-budget=5000"
    ).split()
    command = [binary, *options, "--dump-dom", probed.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    said = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)
    assert said is not None, done.stderr
    assert "CONSOLE" not in done.stderr
    probe = json.loads(html.unescape(said[1]))
    before, after = probe["before"], probe["after"]
    assert probe["errors"] == [] and probe["focused"] and not before["hidden"]
    # Panels: temperature and time (holds the charge), temperature and charge, time and charge.
    assert len(before["edges"]) == 3 and all(before["edges"])
    assert before["edges"][0] != after["edges"][0] and before["edges"][1:] == after["edges"][1:]
    assert before["outputs"][2] != after["outputs"][2] == "1.00 kg"
    assert before["outputs"][:2] == after["outputs"][:2]
    assert before["beside"] == 0 and "inside the operating range" in before["verdict"]
    assert envelope.box["charge"][0] > 1.0, "the slice at 1 kg passes beside the box"
    assert after["beside"] == 1 and "outside the operating range: not certified" in after["verdict"]
    assert before["batches"] == 6 and float(after["faint"]) < float(before["faint"]) == 1.0
    predicted = re.search(r"probability (0\.\d+)", after["verdict"])
    assert predicted is not None
    at = np.array([(envelope.set_point[s.name] - s.bounds[0]) / (s.bounds[1] - s.bounds[0]) for s in envelope.settings])
    at[2] = MOVED
    exact = float(envelope.space.joint_probability(at[None])[0])
    assert float(predicted[1]) == pytest.approx(exact, abs=0.03)  # interpolated between nodes 1/24 apart
