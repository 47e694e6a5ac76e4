"""What a person writes by mistake is said, with what to write instead; limits show in tables and pictures."""

from typing import Any

import numpy as np
import pytest

import physics_twin as pt

TIMES = np.linspace(0.5, 10.0, 12)


@pytest.mark.parametrize("method", ["MarkovChain", pt.MarkovChain])
def test_a_method_is_an_object(method: Any, line, experiment) -> None:
    """Its name or its class is not one."""
    run = experiment("run", TIMES, TIMES, noise="1 K")
    with pytest.raises(pt.CalibrationError, match=r"write method=pt.MarkovChain\(\)"):
        pt.calibrate(line(), run, unknown=["a"], method=method)


def test_a_percentage_without_its_sign() -> None:
    """Five is five hundred percent, which nobody means."""
    with pytest.raises(pt.BoundsError, match=r'5 is 500 % of the value; write a share, "5 %" or 0\.05'):
        pt.Noise("0.1 K", proportional=5)
    assert pt.Noise("0.1 K", proportional=0.05).number("proportional") == 0.05


def test_a_spread_without_its_percent_sign(decay, experiment) -> None:
    """Twenty is two thousand percent."""
    runs = [experiment(f"r{i}", TIMES, TIMES, output="c", unit="mol/m^3", noise="1 mol/m^3") for i in range(3)]
    with pytest.raises(pt.UnitError, match=r'20 is 2000 %; write "20 %" or 0\.2'):
        pt.calibrate(decay(), runs, unknown=[pt.Population("rate", spread=20)])


def test_the_level_of_a_noise_may_be_estimated_like_its_other_numbers() -> None:
    """`Estimated` and `EstimatedNoise` are one there."""
    assert pt.Noise(pt.Estimated("1 K")) == pt.Noise(pt.EstimatedNoise("1 K"))


def test_limits_show_in_table_and_picture(line, experiment) -> None:
    """Readings at the end of a range are counted apart and drawn as triangles."""
    noise = np.random.default_rng(0).standard_normal(TIMES.size)
    y = np.minimum(300.0 + TIMES + noise, 306.0)
    run = experiment("run", TIMES, y, noise="1 K", sensor_range=(None, "306 K"))
    posterior = pt.calibrate(line(), run, unknown=["a", "b"])
    n = int((y == 306.0).sum())
    assert n > 3 and posterior.channels[0].n_censored == n
    assert "limits" in str(posterior)
    assert (posterior.residuals["side"].values == 1).sum() == n
    marks = {line_.get_label(): line_ for line_ in posterior.plot_fit().axes[0].lines}
    assert marks["above a limit"].get_xdata().size == n
    assert marks["measured"].get_xdata().size == TIMES.size - n
