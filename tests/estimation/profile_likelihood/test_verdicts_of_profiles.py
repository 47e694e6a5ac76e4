"""What profiles say in words: structurally not, practically not, which side, with whom it trades, at its bound."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from physics_twin.estimation import ProfileLikelihood, calibrate
from physics_twin.parameters import Parameter, ParameterSet
from physics_twin.posterior import Identification, Posterior
from physics_twin.priors import LogNormal
from physics_twin.signals import Signal

TIMES = np.linspace(0.5, 8.0, 24)
LOW = np.linspace(0.05, 0.8, 20)
STRUCTURAL, PRACTICAL = Identification.STRUCTURALLY_NOT, Identification.PRACTICALLY_NOT


@pytest.fixture
def fitted(closed_form, experiment) -> Callable[..., Posterior]:
    """Calibrate a formula of time against its own values with noise."""

    def fit(
        formula: Any, parameters: Sequence[Parameter], truth: dict[str, float], times: Any, sd: float, seed: int = 0
    ) -> Posterior:
        outputs = [Signal("y", "m")] + [Signal("hidden", "m")] * (formula(times, truth).shape[1] - 1)
        model = closed_form(formula, ParameterSet(list(parameters)), tuple(outputs))
        y = formula(times, truth)[:, 0] + sd * np.random.default_rng(seed).standard_normal(times.size)
        run = experiment("run", times, y, unit="m", noise=(sd, "m"))
        return calibrate(model, run, unknown=list(model.parameters), method=ProfileLikelihood(), rng=1)

    return fit


def rates(formula: Any) -> Any:
    """y = 2 (1 - exp(-formula t))"""
    return lambda t, v: (v["scale"] * (1.0 - np.exp(-formula(v) * t)))[:, None]


def k(name: str, value: str = "1", **changes: Any) -> Parameter:
    return Parameter(name, value, bounds=changes.pop("bounds", (0.01, 100.0)), **changes)


SCALE = Parameter("scale", "1 m", bounds=("0.01 m", "100 m"))


@pytest.mark.parametrize(
    ("formula", "constant"),
    [
        (lambda v: v["k1"] * v["k2"], "the product k1*k2"),
        (lambda v: v["k1"] / v["k2"], "the ratio k1/k2"),
        (lambda v: v["k1"] + v["k2"], "the sum k1 + k2"),
        (lambda v: v["k1"] * v["k2"] ** 2, "the product k1*k2^2"),
        (lambda v: v["k1"] ** 2 / v["k2"], "the ratio k2/k1^2"),
    ],
)
def test_what_is_seen_instead_is_named(formula, constant, fitted) -> None:
    """Both partners are structurally not identified, their verdicts name the combination; what is seen stays fine."""
    names = ("k1", "k2")
    truth = {"scale": 2.0, "k1": 0.8, "k2": 0.6}
    if "sum" in constant:
        parameters = [SCALE, *(k(n, "0.7", bounds=(0.0, 5.0)) for n in names)]
    else:
        parameters = [SCALE, *(k(n) for n in names)]
    posterior = fitted(rates(formula), parameters, truth, TIMES, 0.02)
    for name, other in (names, names[::-1]):
        verdict = posterior.verdicts[name]
        assert verdict.identification is STRUCTURAL, str(verdict)
        assert constant in verdict.sentence
        assert verdict.moves_with[0][0] == other
    assert posterior.verdicts["scale"].identified
    seen = formula({name: posterior[name] for name in names})
    assert np.std(seen) < 0.1 * np.mean(seen), "the draws keep the combination that the data see"
    assert (
        "1:1" in posterior.verdicts["k1"].sentence or "power" in posterior.verdicts["k1"].sentence or "sum" in constant
    )


def test_three_that_trade_are_all_named(fitted) -> None:
    """No pair is constant, so the sentence names who makes up for it."""
    parameters = [SCALE, k("k1"), k("k2"), k("k3")]
    truth = {"scale": 2.0, "k1": 0.8, "k2": 0.6, "k3": 1.1}
    posterior = fitted(rates(lambda v: v["k1"] * v["k2"] * v["k3"]), parameters, truth, TIMES, 0.02)
    assert posterior.verdicts["k1"].identification is STRUCTURAL
    assert "k2" in posterior.verdicts["k1"].sentence and "k3" in posterior.verdicts["k1"].sentence


def test_a_prior_does_not_hide_what_the_data_do_not_see(fitted) -> None:
    """The profile rises because of the prior; the part of the data stays flat, and the verdict says who decides."""
    parameters = [SCALE, k("k1", prior=LogNormal("1", 0.5)), k("k2", prior=LogNormal("0.6", 0.1))]
    truth = {"scale": 2.0, "k1": 0.8, "k2": 0.6}
    posterior = fitted(rates(lambda v: v["k1"] * v["k2"]), parameters, truth, TIMES, 0.02)
    own = posterior.diagnostics.sel(profile="k1")
    assert float(own["rise"].max()) > 3.8
    assert float(own["rise_of_data"].max()) < 0.05 * float(own["rise"].max())
    for name in ("k1", "k2"):
        assert posterior.verdicts[name].identification is STRUCTURAL
        assert "its prior decides" in posterior.verdicts[name].sentence


def test_only_low_concentrations_leave_saturation_open_upward(fitted) -> None:
    """Michaelis-Menten far below saturation: limited below, open above, only most/half is seen."""
    parameters = [
        Parameter("most", "2 m", bounds=("0.01 m", "10000 m")),
        Parameter("half", "3 s", bounds=("0.01 s", "1000 s")),
    ]

    def formula(t: Any, v: Any) -> Any:
        return np.stack([v["most"] * t / (v["half"] + t), v["most"] + 0.0 * t], axis=1)

    posterior = fitted(formula, parameters, {"most": 2.0, "half": 3.0}, LOW, 0.05)
    verdict = posterior.verdicts["half"]
    assert verdict.identification is PRACTICAL, str(verdict)
    assert "do not limit it upward" in verdict.sentence and "bound 1000 s" in verdict.sentence
    assert "the ratio most/half is seen" in verdict.sentence
    assert verdict.sentence.startswith("above 0.")
    ends = posterior.diagnostics["interval_end"].sel(profile="half", probability=0.95).values.tolist()
    assert ends == ["crossing", "bound"]
    most = posterior.verdicts["most"]
    assert most.identification is PRACTICAL and "only half coming to its bound 1000 s does" in most.sentence
    assert "of the noise" in verdict.sentence, "names the samples that tell most"


def test_an_output_that_would_tell_is_named(fitted) -> None:
    """An output that nobody measured differs between the mode and the end of a flat profile."""
    parameters = [
        Parameter("most", "2 m", bounds=("0.01 m", "10000 m")),
        Parameter("half", "3 s", bounds=("0.01 s", "1000 s")),
    ]

    def formula(t: Any, v: Any) -> Any:
        return np.stack([v["most"] * t / (v["half"] + t), v["most"] * t * t], axis=1)

    verdict = fitted(formula, parameters, {"most": 2.0, "half": 3.0}, LOW, 0.05).verdicts["half"]
    assert "measuring hidden would tell" in verdict.sentence


def test_a_parameter_that_no_output_depends_on(fitted) -> None:
    """Structurally not identified, in the words of every method; the others are not touched."""
    parameters = [SCALE, k("k1"), k("ghost")]
    truth = {"scale": 2.0, "k1": 0.8, "ghost": 1.0}
    posterior = fitted(rates(lambda v: v["k1"] + 0.0 * v["ghost"]), parameters, truth, TIMES, 0.02)
    verdict = posterior.verdicts["ghost"]
    assert verdict.identification is STRUCTURAL
    assert verdict.sentence.startswith("no measured output depends on it")
    assert posterior.verdicts["k1"].identified and posterior.verdicts["scale"].identified


def test_no_bound_and_no_end(fitted) -> None:
    """Without bounds a flat side ends far out, and the interval says that it is open."""
    parameters = [Parameter("most", "2 m"), Parameter("half", "3 s", bounds=("0.01 s", None))]
    posterior = fitted(
        lambda t, v: (v["most"] * t / (v["half"] + t))[:, None], parameters, {"most": 2.0, "half": 3.0}, LOW, 0.05
    )
    own = posterior.diagnostics.sel(profile="half")
    assert own["end"].values.tolist() == ["threshold", "limit"]
    assert own["interval"].sel(probability=0.95).values[1] == np.inf
    assert own["interval_end"].sel(probability=0.95).values[1] == "open"
    assert posterior.verdicts["half"].identification is PRACTICAL
    assert np.isfinite(posterior["half"]).all()


def test_verdicts_are_saved(tmp_path, fitted) -> None:
    """A posterior with profiles comes back from its file with verdicts, intervals and texts."""
    posterior = fitted(
        rates(lambda v: v["k1"] * v["k2"]), [SCALE, k("k1"), k("k2")], {"scale": 2.0, "k1": 0.8, "k2": 0.6}, TIMES, 0.02
    )
    posterior.save(tmp_path / "fit.nc")
    again = Posterior.load(tmp_path / "fit.nc")
    assert dict(again.verdicts) == dict(posterior.verdicts)
    assert again.diagnostics.equals(posterior.diagnostics)
    assert str(again) == str(posterior)
