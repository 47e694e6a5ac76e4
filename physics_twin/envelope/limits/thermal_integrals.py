"""Integrals of a temperature that say what it did: lethality, and the time at a reference that would do the same.

    F = int 10^((T - T_ref) / z) dt                     Bigelow, Journal of Infectious Diseases 29 (1921) 528; F0 of
                                                        the European Pharmacopoeia 5.1.5 with T_ref and z of its own
    t_eq = int exp(-E/R (1/T - 1/T_ref)) dt             first-order kinetics by Arrhenius: cure, tempering, ageing

The integrand is exponential in the temperature, so a rule for polynomials would need far more samples than the
temperature does. Between samples the temperature is the cubic of `hermite`; each interval is cut until the exponent
changes by no more than CHANGE in a part, and each part has Gauss points enough for 1e-9 of its own integral.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from physics_twin.arrays import Array
from physics_twin.envelope.limits.hermite import slopes_of
from physics_twin.errors import EnvelopeError, UnitError
from physics_twin.units import QuantityLike, Unit, format_si, to_si, unit as as_unit

GAS_CONSTANT = 8.31446261815324
"""J/(mol K), exact in the SI of 2019."""
CHANGE, N_GAUSS = 2.0, 6
"""Error of n Gauss points for exp(c s) on an interval: (n!)^4 / ((2n+1) (2n)!^3) c^(2n), 1e-12 for c = 2 and n = 6."""
MOST_PARTS = 256
MOST = 600.0
"""Exponent that stands for all higher ones: their exponentials are no numbers."""
CELSIUS = as_unit("degC")
KELVIN = as_unit("K")
NODES, WEIGHTS = np.polynomial.legendre.leggauss(N_GAUSS)


@dataclass(frozen=True)
class Lethality:
    """Minutes at the reference temperature that kill as many germs as the run does."""

    reference: float
    """K"""
    z: float
    """K for a factor of ten."""
    moments: tuple[float, ...] = ()
    dense: bool = True

    def label(self, output: str, unit: Unit) -> str:
        """In words."""
        at, z = format_si(self.reference, CELSIUS), format_si(self.z, KELVIN, difference=True)
        return f"lethality of {output} (at {at}, z = {z})"

    def unit(self, output: Unit) -> Unit:
        """Minutes; raises UnitError for an output that is no temperature."""
        _check_temperature(output, "lethality")
        return as_unit("min")

    def __call__(self, times: Array, values: Array, side: int, unit: Unit) -> Array:
        """Lethality (n,) in s at the reference."""
        return _integrals(times, values, lambda T: math.log(10.0) * (T - self.reference) / self.z)


@dataclass(frozen=True)
class EquivalentTime:
    """Time at the reference temperature in which a first-order reaction gets as far as in the run."""

    activation_energy: float
    """J/mol"""
    reference: float
    """K"""
    moments: tuple[float, ...] = ()
    dense: bool = True

    def label(self, output: str, unit: Unit) -> str:
        """In words."""
        energy = format_si(self.activation_energy, as_unit("kJ/mol"))
        return f"equivalent time of {output} (at {format_si(self.reference, CELSIUS)}, {energy})"

    def unit(self, output: Unit) -> Unit:
        """Minutes; raises UnitError for an output that is no temperature."""
        _check_temperature(output, "equivalent time")
        return as_unit("min")

    def __call__(self, times: Array, values: Array, side: int, unit: Unit) -> Array:
        """Equivalent times (n,) in s."""
        scale = self.activation_energy / GAS_CONSTANT
        return _integrals(times, values, lambda T: scale * (1.0 / self.reference - 1.0 / T))


def lethality(reference: QuantityLike = "121.1 degC", z: QuantityLike = "10 K") -> Lethality:
    """Lethality of a heat treatment: F0 with the defaults, pasteurization units with others.

    reference: temperature at which the minutes are counted (F0: 121.1 degC, or 121 degC in the European
    Pharmacopoeia). z: rise in temperature that kills ten times as fast, a difference.

    `Limit("coldest_point", lower="12 min", over=pt.lethality())`. Raises UnitError, EnvelopeError for z not above zero;
    the limit raises UnitError for an output that is no temperature.
    """
    step = to_si(z, KELVIN, name="lethality: z", difference=True)
    if step <= 0.0:
        raise EnvelopeError(f"lethality: z = {step:g} K; a rise in temperature, so above zero, for example 10 K")
    return Lethality(to_si(reference, KELVIN, name="lethality: reference"), step)


def equivalent_time(*, activation_energy: QuantityLike, reference: QuantityLike) -> EquivalentTime:
    """Time at a reference temperature that does as much as the run, by Arrhenius: for cure, tempering, ageing.

    activation_energy: of the reaction, "80 kJ/mol". reference: the temperature to which the time refers, "180 degC".

    Raises UnitError, EnvelopeError for an activation energy below zero or a reference at absolute zero; the limit
    raises UnitError for an output that is no temperature.
    """
    energy = to_si(activation_energy, as_unit("J/mol"), name="equivalent_time: activation_energy")
    at = to_si(reference, KELVIN, name="equivalent_time: reference")
    if energy < 0.0 or at <= 0.0:
        raise EnvelopeError(
            f"equivalent_time: activation_energy = {energy:g} J/mol, reference = {at:g} K; the one is not below zero, "
            "the other above absolute zero"
        )
    return EquivalentTime(energy, at)


def _check_temperature(output: Unit, what: str) -> None:
    if output.dimension != KELVIN.dimension or output.is_difference:
        raise UnitError(f"{what} is about a temperature; the output is in {output}, which is none")


def _integrals(times: Array, values: Array, exponent: Callable[[Array], Array]) -> Array:
    """Integral (n,) of exp(exponent(T)) over the run, T the interpolant of values (n, n_times) in K.

    NaN where a course is not finite or reaches absolute zero.
    """
    total = np.full(len(values), np.nan)
    good = np.flatnonzero((values > 0.0).all(axis=1) & np.isfinite(values).all(axis=1))
    if not good.size:
        return total
    if values.shape[1] < 2:
        total[good] = 0.0
        return total
    t, y = times[good], values[good]
    h, slopes = slopes_of(t, y)
    m0, m1, rise = slopes[:, :-1] * h, slopes[:, 1:] * h, np.diff(y, axis=1)
    pieces = np.zeros_like(h)
    cubic = np.stack([y[:, :-1], m0, 3.0 * rise - 2.0 * m0 - m1, m0 + m1 - 2.0 * rise])
    # How much the exponent moves in an interval, from its ends and two places inside: the cubic may leave its ends.
    seen = np.stack([exponent(_positive(_cubic(cubic, s))) for s in (0.0, 1.0 / 3.0, 2.0 / 3.0, 1.0)])
    change = np.abs(np.diff(seen, axis=0)).max(axis=0) * 3.0 / CHANGE
    parts = np.clip(2.0 ** np.ceil(np.log2(np.maximum(change, 1.0))), 1, MOST_PARTS).astype(int)
    for n in np.unique(parts):
        some = (parts == n) & (h > 0.0)
        pieces[some] = h[some] * _gauss(cubic[:, some], int(n), exponent)
    total[good] = pieces.sum(axis=1)
    return total


def _gauss(cubic: Array, n: int, exponent: Callable[[Array], Array]) -> Array:
    """Integral (m,) over s from 0 to 1 of exp(exponent(T(s))), with n parts; cubic: (4, m) coefficients."""
    total = np.zeros(cubic.shape[1])
    for part in range(n):
        for node, weight in zip(NODES, WEIGHTS, strict=True):
            s = (part + 0.5 * (node + 1.0)) / n
            total += 0.5 * weight / n * np.exp(np.minimum(exponent(_positive(_cubic(cubic, s))), MOST))
    return total


def _cubic(c: Array, s: float) -> Array:
    return np.asarray(c[0] + s * (c[1] + s * (c[2] + s * c[3])))


def _positive(temperature: Array) -> Array:
    # Between samples that are above absolute zero a cubic might dip below it; there is nothing there.
    return np.maximum(temperature, 1.0)
