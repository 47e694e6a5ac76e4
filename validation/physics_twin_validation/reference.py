"""Reference numbers that stand beside a case, and the runs that are held to them."""

import csv
from importlib import resources

import numpy as np

from physics_twin import ProcessModel, Recipe, Sundials, simulate
from physics_twin.verification import Measured

TEST_SET = "Mazzia and Magherini, Test Set for Initial Value Problem Solvers, release 2.4 (2008)"


def reference(case: str, quantity: str = "") -> tuple[float, ...]:
    """The column `value` of <case>/reference.csv, of the rows of one `quantity` if it is named."""
    file = resources.files("physics_twin_validation") / case / "reference.csv"
    lines = file.read_text(encoding="utf-8").splitlines()
    rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    chosen = [row for row in rows if not quantity or row["quantity"] == quantity]
    if not chosen:
        raise KeyError(f"{case}/reference.csv has no row of {quantity!r}")
    return tuple(float(row["value"]) for row in chosen)


def end_values(model: ProcessModel, t_end: float, integrator: Sundials) -> Measured:
    """Outputs at `t_end` (s), with the integrator's settings and counts."""
    run = simulate(model.with_integrator(integrator), np.array([t_end]), Recipe.constant())
    values = [float(run[signal.name][-1]) for signal in model.outputs]
    details = {"fingerprint": model.fingerprint, "integrator": repr(integrator)}
    return Measured(values, details)
