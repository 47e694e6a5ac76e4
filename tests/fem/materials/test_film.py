"""Film coefficients against the worked examples of Incropera, units, ranges.

Fundamentals of Heat and Mass Transfer, 6th edition. The book reads properties at rounded temperatures, so that 2 % is
what its digits carry.
"""

import importlib
import sys
from typing import Any

import pytest

from physics_twin.errors import BoundsError, ModelError, UnitError
from physics_twin.fem.materials import Outside, air, film, water

pytest.importorskip("ht")


def test_example_7_1_laminar_plate() -> None:
    """Air at 300 degC, 6 kPa, 10 m/s over a plate of 0.5 m at 27 degC: Re 9597, Nu 57.4, h 4.18."""
    result = film.plate_forced("10 m/s", "0.5 m", fluid=air("6 kPa"), film_temperature="437 K")
    assert result.reynolds == pytest.approx(9597, rel=0.02)
    assert result.prandtl == pytest.approx(0.687, rel=0.002)
    assert result.nusselt == pytest.approx(57.4, rel=0.01)
    assert result.value == pytest.approx(4.18, rel=0.01)
    assert result.quantity == (result.value, "W/m^2/K")


def test_example_7_4_cylinder_in_cross_flow() -> None:
    """10 m/s over 12.7 mm, film at 350 K: Re 6071, Nu 40.6, h 96."""
    result = film.cylinder_crossflow("10 m/s", "12.7 mm", fluid=air(), film_temperature="350 K")
    assert result.reynolds == pytest.approx(6071, rel=0.02)
    assert result.nusselt == pytest.approx(40.6, rel=0.01)
    assert result.value == pytest.approx(96.0, rel=0.01)


def test_example_9_2_vertical_plate() -> None:
    """A fire screen of 0.71 m at 232 degC in a room of 23 degC: Ra 1.813e9, Nu 147, h 7.0."""
    result = film.plate_vertical_free("232 degC", "23 degC", "0.71 m", fluid=air())
    assert result.rayleigh == pytest.approx(1.813e9, rel=0.025)
    assert result.nusselt == pytest.approx(147, rel=0.01)
    assert result.value == pytest.approx(7.0, rel=0.01)
    assert result.reynolds is None


def test_example_9_3_duct() -> None:
    """A duct of 0.75 m width at 45 degC in air of 15 degC: top 5.47, bottom 2.07."""
    top = film.plate_horizontal_free("45 degC", "15 degC", "0.375 m", facing_up=True, fluid=air())
    bottom = film.plate_horizontal_free("45 degC", "15 degC", "0.375 m", facing_up=False, fluid=air())
    assert top.rayleigh == pytest.approx(1.38e8, rel=0.03)
    assert top.value == pytest.approx(5.47, rel=0.02)
    assert bottom.value == pytest.approx(2.07, rel=0.02)


def test_example_9_4_horizontal_cylinder() -> None:
    """A steam pipe of 0.1 m at 165 degC in air of 23 degC: Ra 5.073e6, Nu 23.3, h 7.29."""
    result = film.cylinder_horizontal_free("165 degC", "23 degC", "0.1 m", fluid=air())
    assert result.rayleigh == pytest.approx(5.073e6, rel=0.04)
    assert result.nusselt == pytest.approx(23.3, rel=0.01)
    assert result.value == pytest.approx(7.29, rel=0.01)


def test_pipe_turbulent_against_dittus_and_boelter() -> None:
    """Water at 20 degC, 1 m/s in 2 cm: Gnielinski within 12 % of 0.023 Re^0.8 Pr^0.4, another correlation."""
    result = film.pipe_internal("1 m/s", "2 cm", fluid=water(), bulk_temperature="20 degC")
    assert result.reynolds == pytest.approx(998.2 * 1.0 * 0.02 / 1.0016e-3, rel=1e-3)
    assert result.reynolds is not None
    assert result.nusselt == pytest.approx(0.023 * result.reynolds**0.8 * result.prandtl**0.4, rel=0.12)
    rough = film.pipe_internal("1 m/s", "2 cm", fluid=water(), bulk_temperature="20 degC", roughness="0.2 mm")
    assert rough.nusselt > 1.2 * result.nusselt


def test_pipe_laminar_entry_tends_to_the_developed_value() -> None:
    """3.66 exactly for a wall of one temperature; a short pipe has more, a long one the same."""
    pipe: dict[str, Any] = {"fluid": water(), "bulk_temperature": "80 degC"}
    developed = film.pipe_internal("1 cm/s", "1 cm", **pipe)
    assert developed.nusselt == 3.66
    assert developed.value == pytest.approx(3.66 * 0.66699 / 0.01, rel=1e-6)
    short = film.pipe_internal("1 cm/s", "1 cm", length="10 cm", **pipe)
    long = film.pipe_internal("1 cm/s", "1 cm", length="1 km", **pipe)
    # Hausen by hand: Gz = D/L Re Pr
    graetz = 0.1 * short.reynolds * short.prandtl if short.reynolds is not None else 0.0
    assert short.nusselt == pytest.approx(3.66 + 0.0668 * graetz / (1 + 0.04 * graetz ** (2 / 3)), rel=1e-9)
    assert long.nusselt == pytest.approx(3.66, rel=1e-3)


def test_sphere_tends_to_conduction() -> None:
    """A tiny sphere loses heat by conduction alone, Nu = 2 exactly; a larger one by Churchill's correlation."""
    assert film.sphere_free("60 degC", "20 degC", "1 um", fluid=air()).nusselt == pytest.approx(2.0, abs=0.01)
    result = film.sphere_free("60 degC", "20 degC", "2 cm", fluid=air())
    assert result.rayleigh is not None
    expected = 2.0 + 0.589 * result.rayleigh**0.25 / (1.0 + (0.469 / result.prandtl) ** (9 / 16)) ** (4 / 9)
    assert result.nusselt == pytest.approx(expected, rel=0.01)


def test_turbulent_plate_against_the_mean_of_a_one_fifth_law() -> None:
    """Re 2e6 in air: Schlichting and 0.037 Re^0.8 Pr^(1/3) (Incropera 7.36) agree within their 15 %."""
    result = film.plate_forced("30 m/s", "1.06 m", fluid=air(), film_temperature="300 K")
    assert result.reynolds == pytest.approx(2e6, rel=0.02)
    assert result.reynolds is not None
    assert result.nusselt == pytest.approx(0.037 * result.reynolds**0.8 * result.prandtl ** (1 / 3), rel=0.15)


@pytest.mark.parametrize("surface", ["15 degC", "45 degC"])
def test_a_cold_plate_is_a_hot_one_upside_down(surface: str) -> None:
    """Cold below is as hot above: the plume leaves."""
    other = "45 degC" if surface == "15 degC" else "15 degC"
    up = film.plate_horizontal_free(surface, other, "0.375 m", facing_up=True, fluid=air())
    down = film.plate_horizontal_free(other, surface, "0.375 m", facing_up=False, fluid=air())
    assert up.value == pytest.approx(down.value, rel=1e-12)


def test_outside_the_range_is_an_error_or_a_declared_hold() -> None:
    """Beyond Re 1e7 a plate raises; held, its Nusselt number is that of the end, and the result says so."""
    plate: dict[str, Any] = {"fluid": air(), "film_temperature": "300 K"}
    with pytest.raises(
        BoundsError, match=r"Re = 3\.\d+e\+07 is outside Re 5e\+05 to 1e\+07.*Schlichting.*Outside\.HOLD"
    ):
        film.plate_forced("100 m/s", "5 m", **plate)
    held = film.plate_forced("100 m/s", "5 m", outside=Outside.HOLD, **plate)
    farther = film.plate_forced("200 m/s", "5 m", outside=Outside.HOLD, **plate)
    assert held.held and held.nusselt == farther.nusselt
    assert "outside, held" in repr(held)
    with pytest.raises(BoundsError, match=r"Re = .* is outside Re 3000"):
        film.pipe_internal("0.12 m/s", "2 cm", fluid=water(), bulk_temperature="20 degC")  # neither one nor the other
    with pytest.raises(BoundsError, match="length/diameter"):
        film.pipe_internal("1 m/s", "2 cm", fluid=water(), bulk_temperature="20 degC", length="10 cm")
    with pytest.raises(BoundsError, match="200 K to 1200 K"):
        film.plate_forced("10 m/s", "1 m", fluid=air(), film_temperature="1300 K")


def test_repr_tells_how_it_came_about() -> None:
    """Number, fluid, temperature, dimensionless numbers, correlation and its range in one line."""
    shown = repr(film.cylinder_crossflow("10 m/s", "12.7 mm", fluid=air(), film_temperature="350 K"))
    for word in ("W/m^2/K in air at 76.85 degC", "Re 6152", "Pr 0.7", "Nu 40.9", "Churchill and Bernstein", "to 4e+05"):
        assert word in shown


def test_bad_input() -> None:
    """Units, signs and physics are checked under the names of the arguments."""
    with pytest.raises(UnitError, match=r"^velocity"):
        film.plate_forced("10 m", "1 m", fluid=air(), film_temperature="300 K")
    with pytest.raises(BoundsError, match="length = -1 m must be above zero"):
        film.plate_forced("10 m/s", "-1 m", fluid=air(), film_temperature="300 K")
    with pytest.raises(BoundsError, match="nothing flows"):
        film.sphere_free("20 degC", "20 degC", "1 cm", fluid=air())
    with pytest.raises(BoundsError, match="contracts when it is heated"):
        film.sphere_free("2 degC", "1 degC", "1 cm", fluid=water())
    with pytest.raises(BoundsError, match="roughness"):
        film.pipe_internal("1 m/s", "2 cm", fluid=water(), bulk_temperature="20 degC", roughness="2 cm")


def test_without_the_libraries_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the materials works without ht and fluids."""
    monkeypatch.setitem(sys.modules, "ht", None)
    with pytest.raises(ImportError):
        importlib.import_module("ht")
    with pytest.raises(ModelError, match="pip install"):
        film.sphere_free("60 degC", "20 degC", "2 cm", fluid=air())
