"""The report: one file that stands alone, says what is in it with units, and escapes what others wrote."""

import datetime as dt
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.envelope.text import box_table
from physics_twin.report.content import draws_hash

VOID = {"meta", "img", "br", "hr"}


class Page(HTMLParser):
    """Reads a page and checks on the way that what opens is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.headings: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        assert tag not in ("script", "link", "iframe", "object"), f"<{tag}> fetches or runs something"
        assert not any(key.startswith("on") for key in given)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [given["href"] or ""] if "href" in given else []
        if tag == "img":
            self.images.append(given)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        if self.open[-1:] == ["h2"]:
            self.headings.append(re.sub(r"^\d+\. ", "", data))
        self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def full(job: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Page, str]:
    path = pt.write_report(
        tmp_path_factory.mktemp("report") / "new" / "report.html",
        title="Batch <b>7</b> & more",
        posterior=job.posterior,
        experiments=job.experiment,
        model=job.model,
        recipe=job.recipe,
        comparison=job.comparison,
        holdout=job.check,
        envelope=job.envelope.marked('hold-out says "no" & <why>'),
        dependent=pt.find_dependent_channels(job.experiment),
        alternatives={"other seed": job.posterior},
        notes=["a note with <angle> brackets"],
        date=dt.date(2026, 1, 31),
    )
    text = path.read_text(encoding="utf-8")
    return Page(text), text


def test_every_chapter_is_there_and_in_the_contents(full: tuple[Page, str]) -> None:
    """The table of contents leads to each of them."""
    page, _ = full
    chapters = [
        *("Summary", "Data", "Model", "Fit", "Residuals", "Parameters"),
        *("Channels that are not independent", "Check on samples held back", "Operating envelope", "What was run"),
    ]
    assert page.headings == ["Contents", *chapters]
    assert [link.removeprefix("#") for link in page.links] == page.ids


def test_nothing_is_fetched_and_every_picture_says_what_it_shows(full: tuple[Page, str]) -> None:
    """Pictures are inside the file, as are the styles; no address of the network occurs outside of them."""
    page, text = full
    assert len(page.images) >= 8
    for image in page.images:
        assert str(image["src"]).startswith("data:image/svg+xml;base64,") and image["alt"]
    without_pictures = re.sub(r'src="data:[^"]*"', "", text)
    assert "http" not in without_pictures and "url(" not in without_pictures and "@import" not in without_pictures


def test_what_others_wrote_is_escaped(full: tuple[Page, str]) -> None:
    """Titles, notes, reasons and descriptions are text, whatever characters they hold."""
    page, text = full
    for foreign in (
        "Batch <b>7</b> & more",
        "a note with <angle> brackets",
        "valve <stuck>",
        "First-order decay <of x>",
    ):
        assert foreign in page.text
    assert "<angle>" not in text and "<stuck>" not in text
    assert 'hold-out says "no" & <why>' in page.text


def test_numbers_carry_unit_and_uncertainty(full: tuple[Page, str], job: Any) -> None:
    """The parameter with its interval, the box and the set point, in declared units."""
    page, _ = full
    low, high = (f"{3600 * q:.5f}" for q in job.posterior.quantile([0.025, 0.975]).sel(parameter="k").values)
    assert f"{low} to {high}" in page.text and "1/h" in page.text
    printed = re.search(r"hold time from ([\d.]+) h to ([\d.]+) h", page.text)
    assert printed is not None
    low, high = (edge / 3600.0 for edge in job.envelope.box["hold_time"])
    # Rounded into the box, never out of it, and by no more than a hundredth of its width.
    assert 0.0 <= float(printed[1]) - low < 0.011 * (high - low)
    assert 0.0 <= high - float(printed[2]) < 0.011 * (high - low)
    assert "final x ≤ 4 g/L" in page.text and "g/L" in page.text


def test_the_range_has_the_digits_of_the_print_and_of_the_export(full: tuple[Page, str], job: Any) -> None:
    """The same side of the box is the same number wherever it is read."""
    low, high, unit = job.envelope.in_units()["box"]["hold_time"]
    cells = box_table(job.envelope)[1][1:3]
    assert [float(cell.split()[0]) for cell in cells] == [low, high]
    assert f"hold time from {cells[0]} to {cells[1]}" in full[0].text and unit == "h"


def test_the_box_claims_what_was_asked_and_no_more(full: tuple[Page, str], job: Any) -> None:
    """What the tried points showed stands beside the claim and is not the claim."""
    asked, shown = job.envelope.required, job.envelope.probability_lower
    said = f"all limits are met: at least {100 * asked:.3g} % (confidence 95 %; the worst points tried showed at least"
    assert said in full[0].text
    assert shown > asked
    (printed,) = re.findall(r"worst points tried showed at least ([\d.]+) %", full[0].text)
    assert 0.0 <= 100.0 * shown - float(printed) <= 0.1


def test_draws_of_the_caller_are_not_called_a_fit_that_converged(job: Any, tmp_path: Path) -> None:
    drawn = pt.Posterior.from_draws([pt.Parameter("k", "0.2 1/h")], np.linspace(1e-5, 9e-5, 50)[:, None])
    for model, called in ((None, "The model has"), (job.model, f"The model {job.model.name.replace('_', ' ')}")):
        path = pt.write_report(tmp_path / "draws.html", title="Draws", posterior=drawn, model=model)
        page = Page(path.read_text(encoding="utf-8"))
        assert f"Nothing was fitted. {called}" in page.text
        assert "1 parameter of the plant, known as draws. ! draws given by the caller" in page.text
        assert "converged" not in page.text


def test_flags_and_exclusions_reach_the_report(full: tuple[Page, str]) -> None:
    """The missing sample, the one excluded by hand, and why."""
    page, _ = full
    assert "some samples flagged or left out" in page.text
    assert "1 not measured" in page.text and "valve <stuck>" in page.text
    assert "18 used" in page.text


def test_the_hold_out_and_the_warning_stand_beside_the_envelope(full: tuple[Page, str], job: Any) -> None:
    """Whoever reads the box reads how the prediction fared."""
    _, text = full
    envelope = Page(text[text.index('<section id="envelope">') : text.index('<section id="provenance">')])
    assert job.check.sentence in envelope.text
    assert "read before use" in envelope.text
    assert 'It rests on the draws of the fit "all channels"' in envelope.text
    assert "parameters: k (parameters only: no batch-to-batch variation" in envelope.text


def test_what_was_run_is_told(full: tuple[Page, str], job: Any) -> None:
    """Fingerprint, hash of the data, seed, versions."""
    page, _ = full
    assert job.model.fingerprint in page.text and job.experiment.sha256 in page.text
    assert job.envelope.certificate.posterior == draws_hash(job.posterior)
    assert "2026-01-31" in page.text and "numpy" in page.text


def test_five_sentences_open_the_report(full: tuple[Page, str]) -> None:
    """One for each question of the reader."""
    _, text = full
    summary = text[text.index('<ol class="summary">') : text.index("</ol>", text.index('<ol class="summary">'))]
    starts = ["What was fitted.", "How well.", "What is uncertain.", "Checked on data held back.", "How to operate."]
    assert re.findall(r"<li><b>(.*?) ?</b>", summary) == starts


def test_the_same_input_gives_the_same_bytes(job: Any, tmp_path: Path) -> None:
    """Without a date nothing in the file depends on when or where it was written."""
    given = dict(title="t", posterior=job.posterior, experiments=job.experiment, model=job.model, envelope=job.envelope)
    first, second = (pt.write_report(tmp_path / name, **given).read_bytes() for name in ("a.html", "b.html"))
    assert first == second


def test_chapters_without_content_are_left_out(job: Any, tmp_path: Path) -> None:
    """Draws alone make a report too, and it says that nothing was checked."""
    drawn = pt.Posterior.from_prior([pt.Parameter("k", "0.2 1/h", prior=pt.LogNormal("0.2 1/h", 0.3))], 200)
    page = Page(pt.write_report(tmp_path / "draws.html", title="Draws", posterior=drawn).read_text(encoding="utf-8"))
    assert page.headings == ["Contents", "Summary", "Parameters", "What was run"]
    assert "No samples were held back" in page.text and "No operating envelope was asked for" in page.text
    nothing = Page(pt.write_report(tmp_path / "nothing.html", title="Nothing").read_text(encoding="utf-8"))
    assert nothing.headings == ["Contents", "Summary", "What was run"]


def test_an_empty_envelope_is_an_answer(job: Any, tmp_path: Path) -> None:
    """The report says that there is no box, and by how much the limit is missed."""
    setting = job.envelope.settings[0]
    impossible = [pt.Limit("x", upper="3 g/L", over=pt.at("1 h"))]
    envelope = pt.find_envelope(
        job.model, job.posterior, recipe=job.recipe, settings=[setting], limits=impossible, probability=0.9, rng=1
    )
    assert envelope.empty
    path = pt.write_report(tmp_path / "empty.html", title="Empty", posterior=job.posterior, envelope=envelope)
    page = Page(path.read_text(encoding="utf-8"))
    assert "There is no operating box" in page.text and "no box" in page.text
    assert "−" in page.text  # the margin that is missing is negative


def test_an_envelope_of_other_draws_is_said_to_be_one(job: Any, tmp_path: Path) -> None:
    """A report never lets a fit vouch for an envelope that does not rest on it."""
    other = pt.Posterior.from_draws(job.posterior.parameters, job.posterior.draws[::-1])
    path = pt.write_report(tmp_path / "other.html", title="Other", posterior=other, envelope=job.envelope)
    assert "a posterior that is not in this report" in path.read_text(encoding="utf-8")


def test_no_figure_stays_open(job: Any, tmp_path: Path) -> None:
    """A service that writes reports does not gather figures."""
    from matplotlib import pyplot as plt

    before = plt.get_fignums()
    pt.write_report(
        tmp_path / "a.html", title="t", posterior=job.posterior, experiments=job.experiment, model=job.model
    )
    assert plt.get_fignums() == before


def test_the_noise_is_that_of_the_samples(tmp_path: Path) -> None:
    """Means of four samples of 0.3 K are reported with 0.15 K, and not with the noise of their channel."""
    rng = np.random.default_rng(4)
    channel = pt.Channel("T", unit="degC", noise="0.3 K")
    run = pt.Experiment.from_arrays(
        "run", np.arange(400.0), {"T": 20.0 + 0.3 * rng.standard_normal(400)}, channels=[channel]
    )
    path = pt.write_report(tmp_path / "noise.html", title="Noise", experiments=[run.average("4 s")])
    page = path.read_text(encoding="utf-8")
    assert "0.15 K" in page.replace("\N{NO-BREAK SPACE}", " ").replace("&nbsp;", " ").replace("<span", " <span")
