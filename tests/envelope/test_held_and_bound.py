"""What the draws have no say in: values that the recipe binds, that the fit held, and that the caller holds."""

import numpy as np
import pytest

import physics_twin as pt
from physics_twin.envelope import Envelope
from physics_twin.envelope.next_batch.uncertainty import draws_hash
from physics_twin.errors import BoundsError, EnvelopeError, RecipeError, UnitError, UnknownNameError
from physics_twin.parameters import Values

T = np.linspace(0.0, 20.0, 21)
# 29 draws without a violation certify 0.9; edges are asked for to a tenth.
FEW = pt.GaussNewton(n_draws=400)
DURATION = pt.Setting("duration", "s", bounds=(1, 20))


@pytest.fixture(scope="module")
def tank():
    """dx/dt = u - k x - c x; k, c, and what is there at the start."""
    b = pt.ProcessBuilder("tank", version="1.0")
    k = b.parameter("k", "0.1 1/s", bounds=("1e-3 1/s", "10 1/s"))
    c = b.parameter("c", "0 1/s", bounds=("0 1/s", "10 1/s"))
    u = b.input("u", "kg/s")
    x = b.state("x", "kg", initial="1 kg")
    b.rate(x, u - k * x - c * x)
    b.output("x", x)
    return b.build()


def measured(tank, recipe, values):
    y = pt.simulate(tank, T, recipe, values)["x"].values
    y = y + 0.02 * np.random.default_rng(0).standard_normal(T.size)
    channel = pt.Channel("x", unit="kg", noise="0.02 kg")
    return pt.Experiment.from_arrays("run1", T, {"x": y}, channels=[channel], recipe=recipe)


@pytest.fixture(scope="module")
def with_initial(tank):
    """A fit of k and of the initial value."""
    recipe = pt.Recipe([pt.Phase("a", duration="20 s", u="0 kg/s")])
    run = measured(tank, recipe, {"k": "0.3 1/s", "initial.x": "5 kg"})
    return pt.calibrate(tank, run, unknown=["k", "initial.x"], method=FEW, rng=1)


def draining(duration=DURATION, u="0 kg/s", initial="5 kg", **more):
    return pt.Recipe([pt.Phase("a", duration=duration, u=u, **more)], initial={} if initial is None else {"x": initial})


def ask(tank, posterior, recipe, **options):
    limits = [pt.Limit("x", upper="2 kg", over=pt.final)]
    given = {"settings": [DURATION], "limits": limits, "probability": 0.9, "rng": 1, **options}
    return pt.find_envelope(tank, posterior, recipe=recipe, **given)


@pytest.fixture(scope="module")
def bound(tank, with_initial):
    """The recipe binds the initial value that the fit found."""
    return ask(tank, with_initial, draining())


@pytest.fixture(scope="module")
def free(tank, with_initial):
    """The recipe leaves it to the fit."""
    return ask(tank, with_initial, draining(initial=None))


def shortest(envelope: Envelope) -> float:
    return envelope.box["duration"][0]


def test_a_bound_initial_value_is_not_claimed_to_be_included(bound, free):
    warning = "initial.x: the recipe's value is used, not the fitted one"
    assert warning in bound.warnings
    assert not any("initial.x" in line for line in bound.includes)
    assert "initial.x" in free.includes[0]
    assert warning not in free.warnings


def test_batch_variation_of_a_bound_initial_value_is_refused(tank, with_initial, free):
    with pytest.raises(EnvelopeError, match=r'"initial.x" is bound by the recipe.*tolerance='):
        ask(tank, with_initial, draining(), batch_variation={"initial.x": "2 kg"})
    varied = ask(tank, with_initial, draining(initial=None), batch_variation={"initial.x": "1 kg"})
    assert shortest(varied) > shortest(free)


def test_an_initial_value_of_each_experiment_that_the_recipe_binds(tank):
    recipe = pt.Recipe([pt.Phase("a", duration="20 s", u="0 kg/s")])
    run = measured(tank, recipe, {"k": "0.3 1/s", "initial.x": "5 kg"})
    posterior = pt.calibrate(tank, run, unknown=["k", pt.PerExperiment("initial.x")], method=FEW, rng=1)
    bound = ask(tank, posterior, draining())
    assert not any("initial.x" in line for line in bound.includes)
    assert "initial.x: the recipe's value is used, not the fitted one" in bound.warnings


def test_what_the_fit_held_is_what_the_envelope_uses(tank):
    """c and the flow as in calibrate(values=...), not the model's 0 and not the recipe's 0."""
    flow = pt.Setting("flow", "kg/s", bounds=(0, 10), value="0 kg/s")
    recipe = pt.Recipe([pt.Phase("a", duration="20 s", u=flow)], initial={"x": "5 kg"})
    held = {"c": "0.2 1/s", "flow": "0.5 kg/s"}
    run = measured(tank, recipe, {"k": "0.3 1/s", **held})
    posterior = pt.calibrate(tank, run, unknown=["k"], values=held, method=FEW, rng=1)
    envelope = ask(tank, posterior, draining(u=flow))
    level = 0.5 / 0.5
    assert shortest(envelope) == pytest.approx(np.log((5.0 - level) / (2.0 - level)) / 0.5, rel=0.1)
    assert "held: flow = 0.5 kg/s, as the fit held it" in envelope.includes
    assert any(w.startswith("flow: the fit's 0.5 kg/s is used, not the recipe's 0 kg/s") for w in envelope.warnings)
    own = ask(tank, posterior, draining(u=flow), values={"flow": "0 kg/s"})
    assert shortest(own) == pytest.approx(np.log(5.0 / 2.0) / 0.5, rel=0.1)
    assert not any(w.startswith("flow:") for w in own.warnings)


def test_values_hold_a_parameter_and_an_open_setting(tank, with_initial):
    flow = pt.Setting("flow", "kg/s", bounds=(0, 10))
    recipe = draining(u=flow)
    with pytest.raises(RecipeError, match='leaves "flow" open'):
        ask(tank, with_initial, recipe)
    envelope = ask(tank, with_initial, recipe, values={"flow": "0 kg/s", "k": "0.5 1/s"})
    assert {"held: flow = 0 kg/s", "held: k = 0.5 1/s"} <= set(envelope.includes)
    assert envelope.includes[0].startswith("parameters: none")
    assert shortest(envelope) == pytest.approx(np.log(5.0 / 2.0) / 0.5, rel=1e-3)
    as_si = ask(tank, with_initial, recipe, values=Values({"flow": 0.0, "k": 0.5}))
    assert as_si.box == envelope.box


@pytest.mark.parametrize(
    ("values", "error", "match"),
    [
        ({"kk": "1 1/s"}, UnknownNameError, "parameter or setting"),
        ({"k": "1 kg"}, UnitError, "k"),
        ({"k": "50 1/s"}, BoundsError, "k"),
        ({"duration": "5 s"}, EnvelopeError, "searched"),
        ({"initial.x": "3 kg"}, RecipeError, "bound by the recipe"),
    ],
)
def test_held_values_are_checked(tank, with_initial, values, error, match):
    with pytest.raises(error, match=match):
        ask(tank, with_initial, draining(), values=values)


def test_a_parameter_is_held_or_varies(tank, with_initial):
    with pytest.raises(EnvelopeError, match="one of the two"):
        ask(tank, with_initial, draining(), values={"k": "0.3 1/s"}, batch_variation={"k": "0.1 1/s"})


def test_the_hash_of_the_recipe_sees_tables_bounds_and_values():
    from physics_twin.envelope.search import recipe_hash

    def with_table(last, high=20, value=None):
        duration = pt.Setting("duration", "s", bounds=(1, high), value=value)
        return draining(duration, u=pt.table([0, 5, 10], [0, 1, last], "kg/s"))

    recipes = [with_table(3), with_table(4), with_table(3, high=30), with_table(3, value="7 s")]
    assert len({recipe_hash(recipe) for recipe in recipes}) == len(recipes)
    assert recipe_hash(with_table(3)) == recipe_hash(with_table(3))


def test_the_hash_of_the_posterior_sees_what_the_fit_held(bound, with_initial, tmp_path):
    from dataclasses import replace

    other = replace(with_initial, fixed=Values({**with_initial.fixed, "c": 0.3}))
    assert draws_hash(other) != draws_hash(with_initial)
    with_initial.save(tmp_path / "posterior.nc")
    assert draws_hash(pt.Posterior.load(tmp_path / "posterior.nc")) == draws_hash(with_initial)
    assert bound.certificate.posterior == draws_hash(with_initial)
