"""A model with discrepancies keeps the contract of a model, offers what the inner one offers, and tells mistakes."""

import pickle
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import pytest

import physics_twin as pt
from physics_twin import model as protocols
from physics_twin.estimation.discrepancy import WithDiscrepancy, with_discrepancy
from physics_twin.posterior.prediction import simulate_outputs
from physics_twin.verification import check_model
from physics_twin_models.heated_block import heated_block

CAPABILITIES = [
    getattr(protocols, name)
    for name in (
        "Trajectories",
        "Sensitivities",
        "Ensembles",
        "Adjoints",
        "Phased",
        "Counted",
        "Fields",
        "Replays",
    )
]
MODEL = heated_block()
POWER = pt.Setting("power", "percent", bounds=(0, 100), value=40)
HEATING = pt.Setting("heating", "s", bounds=(100, 400), value=250)
RECIPE = pt.Recipe(
    [
        pt.Phase("heat", heater_1="80 percent", heater_2="10 percent", duration=HEATING),
        pt.Phase("hold", heater_1=pt.ramp("80 percent", POWER), heater_2=POWER, duration="200 s"),
    ]
)


def wrapped() -> WithDiscrepancy:
    """Over the output itself, time, an input and another output."""
    kelvins = ("20 degC", "80 degC")
    return with_discrepancy(
        MODEL,
        {
            "temperature_1": pt.Discrepancy("1 K", "20 K", "temperature_1", between=kelvins),
            "temperature_2": pt.Discrepancy("1 K", "3 min", "time", between=("0 s", "10 min")),
            "heater_1_temperature": pt.Discrepancy("1 K", "50 percent", "heater_1", between=(0, 100)),
            "heater_2_temperature": pt.Discrepancy("2 degC", "20 K", "temperature_1", between=kelvins),
        },
    )


def drawn(model: WithDiscrepancy, seed: int = 0) -> dict[str, tuple[float, str]]:
    rng = np.random.default_rng(seed)
    own = [n for n in model.parameters if n.startswith("discrepancy.")]
    return {n: (float(rng.normal()) * model.parameters[n].prior.sd, "K") for n in own}  # type: ignore[union-attr]


def test_it_keeps_the_contract_with_exact_derivatives(spawned: ProcessPoolExecutor) -> None:
    """All clauses; Taylor tests for parameters, coefficients, settings and time, through each kind of argument."""
    model = wrapped()
    few = [n for n in model.parameters if n.endswith((".x1", ".x2", ".x9"))]
    wrt = ["film_coefficient", "heater_1_gain", "initial.sensor_1", *few, "power", "heating", "time"]
    report = check_model(model, recipe=RECIPE, values=drawn(model), wrt=wrt, executor=spawned)
    assert report.passed


def test_it_offers_exactly_what_the_inner_model_offers() -> None:
    """Of a process model and of a plain function, which has no sensitivities."""
    plain = pt.FunctionModel("plain", version="1", rate=_rate, states={"x": ("K", "300 K")}, outputs={"x": "K"})
    simple = with_discrepancy(plain, {"x": pt.Discrepancy("1 K", "10 s", "time", between=("0 s", "60 s"))})
    for inner, outer in ((MODEL, wrapped()), (plain, simple)):
        for capability in CAPABILITIES:
            assert isinstance(outer, capability) == isinstance(inner, capability), capability
    assert not isinstance(simple, protocols.Sensitivities)
    posterior = pt.calibrate(simple, _run("x"), unknown=simple.discrepancy_unknowns(), rng=1)
    assert "derivatives by differences" in posterior.message


def _rate(t: float, state: Any, inputs: Any, values: Any) -> dict[str, float]:
    return {"x": -0.01 * (state["x"] - 290.0)}


def _run(output: str) -> pt.Experiment:
    times = np.linspace(0.0, 60.0, 13)
    channel = pt.Channel(output, unit="K", noise="0.1 K")
    return pt.Experiment.from_arrays("run", times, {output: 300.0 - 0.08 * times}, channels=[channel])


def test_without_coefficients_it_is_the_inner_model() -> None:
    """The same bits; limits and predictions then see the correction where there is one."""
    model, times = wrapped(), np.array([10.0, 200.0, 449.0])
    declared = {name: parameter.value for name, parameter in MODEL.parameters.items()}
    values = {**declared, "power": 0.4, "heating": 250.0}
    assert (simulate_outputs(model, RECIPE, times, values) == simulate_outputs(MODEL, RECIPE, times, values)).all()


def test_a_copy_from_another_process_is_the_same_model() -> None:
    """Pickled and back: class, fingerprint and bits; the fingerprint knows sd, length and argument."""
    model = wrapped()
    copy = pickle.loads(pickle.dumps(model))  # noqa: S301
    assert type(copy) is type(model) and copy.fingerprint == model.fingerprint
    seen = {model.fingerprint, MODEL.fingerprint}
    for sd, length, over in (("1 K", "9 s", "time"), ("2 K", "9 s", "time"), ("1 K", "8 s", "time")):
        other = with_discrepancy(MODEL, {"temperature_1": pt.Discrepancy(sd, length, over, between=("0 s", "60 s"))})
        seen.add(other.fingerprint)
    assert len(seen) == 5


def test_an_envelope_limits_the_corrected_output() -> None:
    """A discrepancy that is known to be 3 K takes 3 K from what the limit leaves."""
    m = pt.ProcessBuilder("direct", version="1")
    power = m.input("level", "K", description="level")
    lag = m.state("lag", "K", initial="0 K")
    m.rate(lag, (power - lag) / m.constant("1 s"))
    m.output("y", lag)
    inner = m.build()
    model = with_discrepancy(inner, {"y": pt.Discrepancy("1 K", "100 s", "time", between=("0 s", "50 s"))})
    basis = model.term("y").basis
    a, *_ = np.linalg.lstsq(basis.functions(np.linspace(0.0, 50.0, 99)), np.full(99, 3.0), rcond=None)
    own = [model.parameters[n] for n in model.term("y").names]
    posterior = pt.Posterior.from_draws(own, np.broadcast_to(a, (200, a.size)))
    level = pt.Setting("setpoint", "K", bounds=(0, 20))
    recipe = pt.Recipe([pt.Phase("on", level=level, duration="50 s")])
    envelope = pt.find_envelope(
        model,
        posterior,
        recipe=recipe,
        settings=[level],
        probability=0.9,
        rng=1,
        limits=[pt.Limit("y", upper="10 K", over=pt.final)],
    )
    _, high = envelope.box["setpoint"]
    assert high == pytest.approx(7.0, abs=0.15)


def test_mistakes_are_told() -> None:
    """Names, units, ranges, phases that end on a level, and a coefficient that is not a number."""
    with pytest.raises(pt.UnknownNameError, match='did you mean "temperature_1"'):
        with_discrepancy(MODEL, {"temperature1": pt.Discrepancy("1 K", "9 s", "time")})
    with pytest.raises(pt.UnknownNameError, match="over="):
        with_discrepancy(MODEL, {"temperature_1": pt.Discrepancy("1 K", "9 s", "tme")})
    with pytest.raises(pt.UnitError):
        with_discrepancy(MODEL, {"temperature_1": pt.Discrepancy("1 K", "9 K", "time", between=("0 s", "9 s"))})
    with pytest.raises(pt.BoundsError, match=r"give between=\(.*or experiments="):
        with_discrepancy(MODEL, {"temperature_1": pt.Discrepancy("1 K", "9 s", "time")})
    with pytest.raises(pt.BoundsError, match="not above zero"):
        with_discrepancy(MODEL, {"temperature_1": pt.Discrepancy("0 K", "9 s", "time", between=("0 s", "9 s"))})
    with pytest.raises(pt.ModelError, match="matern"):
        pt.Discrepancy("1 K", "9 s", "time", kernel="cubic")
    with pytest.raises(pt.ModelError, match="already"):
        with_discrepancy(wrapped(), {"temperature_1": pt.Discrepancy("1 K", "9 s", "time", between=("0 s", "9 s"))})
    model = with_discrepancy(MODEL, {"temperature_1": pt.Discrepancy("1 K", "50 percent", "heater_1")})
    until = pt.Recipe(
        [
            pt.Phase(
                "up",
                heater_1="80 percent",
                heater_2="0 percent",
                until=pt.reaches("temperature_1", "30 degC"),
                at_most="1 h",
            )
        ]
    )
    with pytest.raises(pt.RecipeError, match="Make the input an output"):
        pt.simulate(model, [0.0, 1.0], until)
    members = {name: np.full(2, float(value)) for name, value in model.parameters.values().items()}
    members["discrepancy.temperature_1.x2"][1] = np.nan
    fixed = pt.Recipe.constant(heater_1="50 percent", heater_2="0 percent", duration="60 s")
    outputs, _, failures = model.trajectories(np.array([10.0]), fixed, members)  # type: ignore[attr-defined]
    assert np.isfinite(outputs[0]).all() and np.isnan(outputs[1]).all()
    assert [f.member for f in failures] == [1]


def test_ranges_come_from_the_experiments() -> None:
    """Time to the last sample, an output as it was measured, an input from the recipes."""
    run = _run("x")
    plain = pt.FunctionModel("plain", version="1", rate=_rate, states={"x": ("K", "300 K")}, outputs={"x": "K"})
    for over, expected in (("time", (0.0, 60.0)), ("x", (295.2, 300.0))):
        length = "10 s" if over == "time" else "2 K"
        model = with_discrepancy(plain, {"x": pt.Discrepancy("1 K", length, over)}, experiments=run)
        assert (model.term("x").low, model.term("x").high) == pytest.approx(expected)


def test_an_open_setting_may_be_anything_within_its_bounds() -> None:
    """A run whose oven temperature is to be fitted covers its bounds; without bounds a range is asked for."""
    plain = pt.FunctionModel(
        "heated",
        version="1",
        rate=_rate,
        states={"x": ("K", "300 K")},
        inputs={"oven": "K"},
        outputs={"x": "K"},
    )

    def run(setting: pt.Setting) -> pt.Experiment:
        channel = pt.Channel("x", unit="K", noise="1 K")
        recipe = pt.Recipe.constant(oven=setting)
        values = {"x": np.full(3, 300.0)}
        return pt.Experiment.from_arrays("run", [1.0, 2.0, 3.0], values, channels=[channel], recipe=recipe)

    wanted = {"x": pt.Discrepancy("1 K", "50 K", "oven")}
    model = with_discrepancy(plain, wanted, experiments=[run(pt.Setting("hot", "K", bounds=("400 K", "500 K")))])
    assert model.terms[0].over[2:] == (400.0, 500.0)
    with pytest.raises(pt.BoundsError, match="give between="):
        with_discrepancy(plain, wanted, experiments=[run(pt.Setting("hot", "K"))])
