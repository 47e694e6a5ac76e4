"""An independent solution of the elastic-plastic tube in plane strain: radial displacement on a staggered grid.

It shares nothing with the library: principal stresses, the closed form of the radial return of perfect plasticity (Simo
and Hughes, Computational Inelasticity, 1998, box 3.2), strains at the middles of n intervals, a banded Newton solver.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_banded

Numbers = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

_ONES = np.ones((3, 3))
_DEVIATOR = np.eye(3) - _ONES / 3.0


@dataclass(frozen=True)
class Tube:
    """A thick-walled tube: radii in m, Young's modulus and yield stress in Pa."""

    inner: float = 0.1
    outer: float = 0.2
    youngs_modulus: float = 200e9
    poissons_ratio: float = 0.3
    yield_stress: float = 300e6

    def history(self, pressures: Sequence[float], n: int) -> list[tuple[Numbers, Numbers, float]]:
        """After every pressure: radii (n,), stresses (n, 3) radial, hoop, axial, and the radius of the plastic zone."""
        r = np.linspace(self.inner, self.outer, n + 1)
        middle, h = 0.5 * (r[1:] + r[:-1]), np.diff(r)
        # Strains (radial, hoop, axial) of an interval from the displacements of its two ends.
        b = np.zeros((n, 3, 2))
        b[:, 0] = np.stack([-1.0 / h, 1.0 / h], axis=1)
        b[:, 1] = 0.5 / middle[:, None]
        u, found = np.zeros(n + 1), []
        plastic: Numbers = np.zeros((n, 3))
        for pressure in pressures:
            for _ in range(60):
                strain = np.einsum("nij,nj->ni", b, np.stack([u[:-1], u[1:]], axis=1))
                stress, tangent, new = self._returned(strain, plastic)
                force, stiffness = np.zeros(n + 1), np.zeros((3, n + 1))
                ends = np.einsum("nij,ni->nj", b, stress) * (middle * h)[:, None]
                force[:-1] += ends[:, 0]
                force[1:] += ends[:, 1]
                force[0] -= pressure * self.inner
                k = np.einsum("nia,nij,njb->nab", b, tangent, b) * (middle * h)[:, None, None]
                stiffness[1, :-1] += k[:, 0, 0]
                stiffness[1, 1:] += k[:, 1, 1]
                stiffness[0, 1:] = k[:, 0, 1]
                stiffness[2, :-1] = k[:, 1, 0]
                if np.abs(force).max() < 1e-10 * self.yield_stress * self.inner:
                    break
                u = u - solve_banded((1, 1), stiffness, force)
            else:
                raise ArithmeticError(f"no balance at a pressure of {pressure:g} Pa")
            plastic = new
            flowed = np.flatnonzero(np.abs(plastic).max(axis=1) > 0.0)
            found.append((middle, stress, float(r[flowed[-1] + 1]) if flowed.size else self.inner))
        return found

    def _returned(self, strain: Numbers, plastic: Numbers) -> tuple[Numbers, Numbers, Numbers]:
        """Stress (n, 3), its slope (n, 3, 3) and the plastic strain (n, 3) for strains (n, 3)."""
        e, nu = self.youngs_modulus, self.poissons_ratio
        shear, bulk = e / (2.0 * (1.0 + nu)), e / (3.0 * (1.0 - 2.0 * nu))
        elastic = strain - plastic
        trial = 2.0 * shear * elastic @ _DEVIATOR
        size = np.linalg.norm(trial, axis=1)
        radius = np.sqrt(2.0 / 3.0) * self.yield_stress
        part = np.where(size > radius, radius / np.maximum(size, 1.0), 1.0)
        direction = trial / np.maximum(size, 1.0)[:, None]
        stress = bulk * elastic.sum(axis=1)[:, None] + part[:, None] * trial
        flows = (size > radius)[:, None, None]
        along = np.einsum("ni,nj->nij", direction, direction)
        slope = bulk * _ONES + 2.0 * shear * part[:, None, None] * (_DEVIATOR - np.where(flows, along, 0.0))
        return stress, slope, plastic + (1.0 - part)[:, None] * trial / (2.0 * shear)
