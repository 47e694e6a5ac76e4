"""Approvals and advice: what a person signed, what is refused, and that proposing writes nothing."""

import json
import sys
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from physics_twin.advisor import Advisor, Approval, approve, envelope_hash, withdraw
from physics_twin.envelope import Budget, Envelope, Limit, find_envelope
from physics_twin.envelope.ranges.shapes import Polytope
from physics_twin.errors import DataError, EnvelopeError, FileFormatError, UnitError, UnknownNameError
from physics_twin.parameters import Parameter, ParameterSet, Values
from physics_twin.posterior import Posterior
from physics_twin.recipes import Phase, Recipe
from physics_twin.signals import Setting, Signal
from physics_twin.twin.audit import Audit

HEAT = Setting("temperature", "degC", bounds=(0, 100))
HOLD = Setting("hold", "min", bounds=(0, 60))
AT, NOW, LATER = "2026-11-21T06:00Z", "2026-11-21T07:00Z", "2026-12-21T07:00Z"
PERSON = {"who": "A. Miller", "reason": "trial of week 47", "at": AT}


@dataclass(frozen=True)
class Quality:
    """A model in closed form: heat and time add up to a quality, up to a little noise."""

    parameters: ParameterSet = field(default_factory=lambda: ParameterSet([Parameter("noise", 0.0, unit="1")]))
    name: str = "quality"
    version: str = "1"
    fingerprint: str = "quality-1"
    inputs: tuple[Signal, ...] = ()
    outputs: tuple[Signal, ...] = (Signal("quality", "1"),)
    state: tuple[Signal, ...] = ()
    validity: dict[str, tuple[float, float]] = field(default_factory=dict)

    def trajectories(self, times, recipe, values, states=None):
        sum_ = (values["temperature"] - 273.15) / 100.0 + values["hold"] / 3600.0 + 0.01 * values["noise"]
        t = np.broadcast_to(times, (len(sum_), np.shape(times)[-1]))
        return np.repeat(sum_[:, None, None], t.shape[1], axis=1), np.zeros((len(sum_), 0)), ()


def found(**options):
    model = Quality()
    posterior = Posterior.from_draws(model.parameters, np.random.default_rng(0).standard_normal((500, 1)))
    recipe = Recipe([Phase("run", duration="1 h")], initial={"heat": HEAT, "time": HOLD})
    limits = [Limit("quality", lower="0.7 1"), Limit("quality", upper="1.3 1")]
    budget = Budget(n_points=40)
    asked = {"recipe": recipe, "settings": [HEAT, HOLD], "limits": limits, "rng": 1, "budget": budget, **options}
    return find_envelope(model, posterior, **asked)


@pytest.fixture(scope="module")
def envelope():
    return found()


@pytest.fixture(scope="module")
def slanted():
    """Quality between 0.7 and 1.3 is a band across both settings, of which a box is a small part."""
    return found(shape=Polytope(2))


@pytest.fixture(scope="module")
def approval(envelope):
    return approve(envelope, **PERSON, until="2026-12-01T00:00Z")


def corner(approval, share=0.02):
    """A point near the lower corner of the approved ranges."""
    return Values({name: low + share * (high - low) for name, (low, high) in approval.ranges.items()})


def test_an_approval_says_who_what_why_and_until_when(approval, envelope):
    assert approval.ranges == envelope.box
    assert approval.envelope == envelope_hash(envelope)
    text = str(approval)
    for words in ("A. Miller", "trial of week 47", "2026-11-21T06:00:00Z", "until 2026-12-01", "degC", "min"):
        assert words in text


def test_only_what_is_certified_can_be_approved(envelope):
    low, high = envelope.box["temperature"]
    part = {"temperature": ((low + 1.0, "K"), (high - 1.0, "K"))}
    approval = approve(envelope, **PERSON, ranges=part)
    assert approval.ranges["temperature"] == (low + 1.0, high - 1.0)
    assert approval.ranges["hold"] == envelope.box["hold"]
    with pytest.raises(EnvelopeError, match=r"temperature: .* is more than the certified"):
        approve(envelope, **PERSON, ranges={"temperature": ((low, "K"), (high + 1.0, "K"))})
    with pytest.raises(EnvelopeError, match="before it begins"):
        approve(envelope, **PERSON, ranges={"temperature": ((high, "K"), (low, "K"))})
    with pytest.raises(UnknownNameError):
        approve(envelope, **PERSON, ranges={"temprature": ("1 K", "2 K")})
    with pytest.raises(UnitError):
        approve(envelope, **PERSON, ranges={"temperature": ("1 min", "2 min")})
    with pytest.raises(DataError, match="before it begins"):
        approve(envelope, **PERSON, until="2026-11-20T00:00Z")
    with pytest.raises(DataError, match="who"):
        approve(envelope, **{**PERSON, "who": " "})
    with pytest.raises(EnvelopeError, match="nothing to approve"):
        approve(replace(envelope, empty=True), **PERSON)


def test_approvals_follow_one_another_in_one_log(envelope, approval):
    second = approve(envelope, **{**PERSON, "at": NOW}, log=approval.log)
    assert len(second.log) == 2
    assert second.record.previous == approval.hash
    second.log.verify()


def test_a_file_gives_the_approval_back_and_shows_every_change(approval, tmp_path):
    path = tmp_path / "approval.json"
    approval.save(path)
    assert Approval.load(path) == approval
    text = path.read_text(encoding="utf8")
    content = json.loads(text)
    for change in (
        lambda r: r.update(who="B. Smith"),
        lambda r: r["content"].update(until=None),
        lambda r: r["content"]["ranges"]["hold"].update(high=1e4),
    ):
        changed = json.loads(text)
        change(changed["log"][-1])
        path.write_text(json.dumps(changed), encoding="utf8")
        with pytest.raises(DataError, match="changed after it was written"):
            Approval.load(path)
    for broken in ("nothing", json.dumps({"format": "else"}), json.dumps({**content, "version": 9})):
        path.write_text(broken, encoding="utf8")
        with pytest.raises(FileFormatError):
            Approval.load(path)
    path.write_text(json.dumps({**content, "log": []}), encoding="utf8")
    with pytest.raises(DataError, match="does not hold the approval"):
        Approval.load(path)


def test_a_record_of_another_act_is_no_approval(tmp_path, approval):
    log = approval.log.append(NOW, "A. Miller", "something else", "because", approval.record.content)
    Approval(log[-1], log).save(tmp_path / "a.json")
    with pytest.raises(FileFormatError, match="no approval"):
        Approval.load(tmp_path / "a.json")


def test_the_hash_is_that_of_the_claim(envelope, tmp_path):
    envelope.save(tmp_path / "e.nc")
    assert envelope_hash(Envelope.load(tmp_path / "e.nc")) == envelope_hash(envelope)
    assert envelope_hash(envelope.marked("the model failed its hold-out")) != envelope_hash(envelope)
    low, high = envelope.box["hold"]
    wider = replace(envelope, box={**envelope.box, "hold": (low, np.nextafter(high, np.inf))})
    assert envelope_hash(wider) != envelope_hash(envelope)


def test_moves_stay_inside_the_approved_ranges_and_their_limits(envelope, approval):
    advisor = Advisor(approval, envelope, rate_limits={"temperature": "1 K/h"}, steps={"hold": "1 min"})
    here, n = corner(approval), 0
    while True:
        advice = advisor.propose(here, at=NOW)
        assert not advice.refused
        if not advice.moves:
            break
        assert abs(advice.moves["temperature"]) <= 1.0 + 1e-9
        assert abs(advice.moves["hold"]) <= 60.0 + 1e-7
        for name, (low, high) in approval.ranges.items():
            assert low <= advice.settings[name] <= high
        here, n = Values(advice.settings), n + 1
    assert n > 1
    assert dict(here) == pytest.approx(envelope.set_point)
    assert "this is the set point" in advice.reason


def test_advice_has_units_gain_and_reason(envelope, approval):
    advice = Advisor(approval, envelope, rate_limits={"temperature": "1 K/h"}).propose(corner(approval), at=NOW)
    assert advice.gain > 0.0
    assert advice.in_units()["hold"][1] == "min"
    assert advice.approval == approval.hash
    text = str(advice)
    for words in ("move (step 1 of", "certified at 0.95", "degC (", "approval"):
        assert words in text


def test_an_advisor_says_what_it_may_do_and_on_whose_authority(envelope, approval):
    advisor = Advisor(
        approval, envelope, rate_limits={"temperature": "2 K/h"}, steps={"temperature": "5 K"}, step="30 min"
    )
    text = str(advisor)
    point = envelope.setting("temperature").format(envelope.set_point["temperature"])
    for words in (
        "inside approved ranges; it writes nothing anywhere",
        f"temperature: to {point}, by at most 1 K a step",
        "a step takes 30 min; all settings may move in a step",
        str(approval),
    ):
        assert words in text
    assert "hold: to" in text and "by at most" not in text.split("hold: to")[1].splitlines()[0]
    assert "Advisor(" not in repr(advisor)
    assert "one setting in each step" in str(Advisor(approval, envelope, one_at_a_time=True))


def test_margins_of_an_advice_are_in_plant_words(envelope, approval):
    """The least margin in its limit's unit first; what rounds to zero is no gain and not -8e-05 sd."""
    far = Advisor(approval, envelope).propose(corner(approval), at=NOW).reason
    assert "the margin of all limits together grows by" in far and " sd" not in far
    nudged = dict(envelope.set_point)
    nudged["temperature"] += 1e-5
    near = Advisor(approval, envelope).propose(Values(nudged), at=NOW)
    assert abs(near.gain) < 0.005 and "no gain in the margin of all limits together" in near.reason


def test_outside_of_a_part_the_nearest_approved_point_is_the_goal(envelope):
    low, _ = envelope.box["temperature"]
    top = 0.5 * (low + envelope.set_point["temperature"])
    approval = approve(envelope, **PERSON, ranges={"temperature": ((low, "K"), (top, "K"))})
    advice = Advisor(approval, envelope).propose(corner(approval), at=NOW)
    assert advice.settings["temperature"] == pytest.approx(top)
    assert "nearest to the set point" in advice.reason


def test_no_advice_without_a_valid_approval(envelope, approval):
    advisor = Advisor(approval, envelope)
    for at, words in ((LATER, "expired at 2026-12-01"), ("2026-11-20T06:00Z", "begins at")):
        advice = advisor.propose(corner(approval), at=at)
        assert advice.refused
        assert not advice.moves
        assert words in advice.reason
    outside = advisor.propose({"temperature": "99 degC", "hold": "1 min"}, at=NOW)
    assert outside.refused
    assert "outside the approved" in outside.reason
    assert "no advice" in str(outside)


def test_an_envelope_that_was_not_approved_is_refused(envelope, approval):
    with pytest.raises(EnvelopeError, match="have it approved anew"):
        Advisor(approval, envelope.marked("something new is known"))
    forged = replace(approval, record=replace(approval.record, who="B. Smith"))
    with pytest.raises(EnvelopeError, match="own log"):
        Advisor(forged, envelope)
    with pytest.raises(DataError, match="changed"):
        Advisor(Approval(forged.record, Audit((forged.record,))), envelope)


def test_proposing_writes_nothing_and_calls_nobody(envelope, approval):
    """Python's own audit events of files opened for writing, of sockets and of processes."""
    advisor = Advisor(approval, envelope, rate_limits={"temperature": "1 K/h"})
    here = corner(approval)
    advisor.propose(here, at=NOW)  # imports are done
    seen, listening = [], True

    def hook(event, args):
        if not listening:
            return
        writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
        if writes or event.startswith(("socket.", "subprocess.", "os.", "shutil.")):
            seen.append((event, args))

    sys.addaudithook(hook)
    first, again = advisor.propose(here, at=NOW), advisor.propose(here, at=NOW)
    listening = False
    assert seen == []
    assert first.settings == again.settings


GONE = {"who": "C. Jones", "reason": "a crack in the jacket", "at": "2026-11-21T09:00Z"}


def test_a_withdrawn_approval_gives_no_advice_at_any_moment(envelope, approval, tmp_path):
    """One more record of the same log, by a named person; the file over the old one says it too."""
    withdrawn = withdraw(approval, **GONE)
    assert withdrawn.record == approval.record
    assert withdrawn.hash == approval.hash
    assert len(withdrawn.log) == len(approval.log) + 1
    assert (withdrawn.log[-1].who, withdrawn.log[-1].reason) == ("C. Jones", "a crack in the jacket")
    withdrawn.log.verify()
    assert approval.withdrawal is None
    assert "WITHDRAWN by C. Jones, 2026-11-21T09:00:00Z: a crack in the jacket" in str(withdrawn)
    assert "WITHDRAWN" not in str(approval)
    withdrawn.save(tmp_path / "approval.json")
    for known in (withdrawn, Approval.load(tmp_path / "approval.json")):
        for at in ("2026-11-21T10:00Z", NOW):  # after it, and a clock that is behind
            advice = Advisor(known, envelope).propose(corner(approval), at=at)
            assert advice.refused
            assert not advice.moves
            assert "withdrawn by C. Jones at 2026-11-21T09:00:00Z: a crack in the jacket" in advice.reason
    assert Advisor(approval, envelope).propose(corner(approval), at=NOW).moves


def test_a_withdrawal_is_of_one_approval_and_cannot_be_edited(envelope, approval, tmp_path):
    """Another approval in the same log stands; a record that was taken out of the middle breaks the chain."""
    second = approve(envelope, **{**PERSON, "at": NOW}, log=approval.log)
    both = withdraw(approval, **GONE, log=second.log)
    assert Approval(second.record, both.log).withdrawal is None
    third = approve(envelope, **{**PERSON, "at": "2026-11-21T12:00Z"}, log=both.log)
    assert third.withdrawal is None
    assert not Advisor(third, envelope).propose(corner(approval), at="2026-11-21T13:00Z").refused
    Approval(approval.record, third.log).save(tmp_path / "first.json")
    assert Approval.load(tmp_path / "first.json").withdrawal == both.log[-1]
    content = json.loads((tmp_path / "first.json").read_text(encoding="utf8"))
    del content["log"][2]
    (tmp_path / "first.json").write_text(json.dumps(content), encoding="utf8")
    with pytest.raises(DataError, match="does not follow the one before it"):
        Approval.load(tmp_path / "first.json")


def test_what_is_no_withdrawal_is_refused(envelope, approval):
    withdrawn = withdraw(approval, **GONE)
    with pytest.raises(EnvelopeError, match=r"was withdrawn by C\. Jones at 2026-11-21T09:00:00Z already"):
        withdraw(withdrawn, **GONE)
    with pytest.raises(DataError, match="before the approval of 2026-11-21T06"):
        withdraw(approval, **{**GONE, "at": "2026-11-20T06:00Z"})
    with pytest.raises(DataError, match="who"):
        withdraw(approval, **{**GONE, "who": ""})
    with pytest.raises(DataError, match="reason"):
        withdraw(approval, **{**GONE, "reason": " "})
    with pytest.raises(EnvelopeError, match="does not stand in that log"):
        withdraw(approval, **GONE, log=approve(envelope, **{**PERSON, "at": NOW}).log)


def test_a_polytope_is_approved_as_it_is_certified(slanted, tmp_path):
    """Advice where no box reaches; a corner of its ends that is outside of its sides is refused, and the side named."""
    approval = approve(slanted, **PERSON)
    vertices = slanted.polytope.vertices
    names = [s.name for s in slanted.settings]
    for k, name in enumerate(names):
        assert approval.ranges[name] == pytest.approx((vertices[:, k].min(), vertices[:, k].max()))
    approval.save(tmp_path / "approval.json")
    loaded = Approval.load(tmp_path / "approval.json")
    assert loaded == approval
    text = str(loaded)
    assert "the certified polytope: not every combination of these, only those with" in text
    assert all(line in text for line in slanted.polytope.lines[2:])
    middle = vertices.mean(axis=0)
    advisor = Advisor(loaded, slanted, steps={"temperature": "5 K", "hold": "3 min"})
    outside_the_box = 0
    for vertex in vertices:
        point = vertex + 0.02 * (middle - vertex)
        here = dict(zip(names, point.tolist(), strict=True))
        outside_the_box += any(not low <= here[n] <= high for n, (low, high) in slanted.box.items())
        while True:
            advice = advisor.propose(Values(here), at=NOW)
            assert not advice.refused
            if not advice.moves:
                break
            here = dict(advice.settings)
            assert slanted.polytope.contains(np.array([list(here.values())])).all()
    assert outside_the_box >= 2
    low, high = (dict(zip(names, f(vertices, axis=0).tolist(), strict=True)) for f in (np.min, np.max))
    refused = [advisor.propose(Values(corner), at=NOW) for corner in (low, high)]
    assert all(advice.refused and "outside a side of the approved polytope" in advice.reason for advice in refused)
    assert refused[1].reason.endswith(slanted.polytope.lines[2 if slanted.polytope.sides[4, 0] > 0 else 3])


def test_a_box_inside_a_polytope_can_be_approved_too(slanted):
    """Ranges given are a box; each combination of them has to be certified."""
    ranges = {s.name: tuple((end, s.unit.si_text) for end in slanted.box[s.name]) for s in slanted.settings}
    approval = approve(slanted, **PERSON, ranges=ranges)
    assert approval.sides is None
    assert approval.ranges == slanted.box
    vertex = slanted.polytope.vertices[np.argmax(slanted.polytope.vertices[:, 0])]
    here = Values(dict(zip(ranges, vertex.tolist(), strict=True)))
    assert "outside the approved" in Advisor(approval, slanted).propose(here, at=NOW).reason
    top = {
        name: (ranges[name][0], (float(slanted.polytope.vertices[:, k].max()), "K" if k == 0 else "s"))
        for k, name in enumerate(ranges)
    }
    with pytest.raises(EnvelopeError, match="not every combination"):
        approve(slanted, **PERSON, ranges=top)
