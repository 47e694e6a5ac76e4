"""The validation cases: each passes, or says that its data are not here; and the suite is well formed."""

import platform
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import physics_twin as pt
import physics_twin_validation
from physics_twin.verification import Case, Status
from physics_twin_validation import CASES
from physics_twin_validation.akzo_nobel.case import akzo_nobel
from physics_twin_validation.heated_block_online.case import CASES as HEATED_BLOCK_ONLINE
from physics_twin_validation.transistor_amplifier.case import transistor_amplifier

FOLDER = Path(physics_twin_validation.__file__).parent
NEEDS_DATA = {
    "heated_block_record",
    "heated_block_halves",
    "heated_block_drift_forecast",
    "heated_block_drift_halves",
    "laboratory_scatter_new",
    "laboratory_scatter_not_known",
    "plate_with_hole_other_fits",
    "plate_with_hole_steel",
    "plate_with_hole_residuals",
    *(case.name for case in HEATED_BLOCK_ONLINE),
}
HAS_WHEEL = sys.platform == "linux" and platform.machine() == "x86_64"  # of DOLFINx: field models must run here


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case):
    """The claim holds; a case without its data is skipped with its reason, and only those that need data may be."""
    outcome = case.run()
    if outcome.status is Status.NOT_RUN:
        assert case.name in NEEDS_DATA or ("DOLFINx" in outcome.message and not HAS_WHEEL)
        pytest.skip(outcome.message)
    assert outcome.passed, str(outcome)


def test_names_differ_and_every_folder_is_used():
    """One name for one claim; each folder has its case, its page, and its numbers if it reads some."""
    assert len({case.name for case in CASES}) == len(CASES)
    folders = {path.name for path in FOLDER.iterdir() if path.is_dir() and not path.name.startswith("__")}
    imported = re.findall(
        r"^from physics_twin_validation\.(\w+)\.case import", (FOLDER / "__init__.py").read_text(), re.M
    )
    assert folders == set(imported)
    for folder in folders:
        text = (FOLDER / folder / "case.py").read_text()
        assert (FOLDER / folder / "README.md").read_text().startswith("# ")
        assert ("reference(" in text) == (FOLDER / folder / "reference.csv").exists()


def test_a_wrong_reference_number_fails():
    """A case can go red: the last digits of one expected value changed."""
    from dataclasses import replace

    for case in CASES[:6]:
        expected = list(case.expected)
        expected[0] *= 1.0 + 3e-7
        assert replace(case, expected=tuple(expected)).run().status is Status.FAILED, case.name


@pytest.mark.parametrize("make", [akzo_nobel, transistor_amplifier])
def test_stated_starts_are_consistent(make):
    """The starts of the test set satisfy the algebraic equations: consistent initialization moves nothing."""
    model, recipe = make(), pt.Recipe.constant()
    values = model.parameters.values()
    begin = model.initial_state(0.0, recipe, values)
    outputs = model.observe(begin, 0.0, recipe, values)
    stated = {
        "akzo_nobel": [0.444, 0.00123, 0.0, 0.007, 0.0, 115.83 * 0.444 * 0.007],
        "transistor_amplifier": [0.0, 3.0, 3.0, 6.0, 3.0, 3.0, 6.0, 0.0],
    }[model.name]
    np.testing.assert_allclose(outputs, stated, rtol=1e-12, atol=1e-11)
