"""The same script under mpiexec gives the same outputs and derivatives."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import physics_twin.fem  # noqa: F401  -- skips where there is no DOLFINx

SCRIPT = Path(__file__).with_name("mechanics_on_ranks.py")
MPIEXEC = Path(sys.executable).with_name("mpiexec")


@pytest.mark.slow
@pytest.mark.skipif(not MPIEXEC.exists(), reason="mpiexec of the environment is not there")
def test_two_ranks_agree_with_one(tmp_path: Path) -> None:
    """Displacements, stresses, reactions, clouds, frequencies, tangents and adjoints, to the rounding of factors."""
    found = []
    for n in (1, 2):
        file = tmp_path / f"{n}.npy"
        command = [str(MPIEXEC), "-n", str(n), sys.executable, str(SCRIPT), str(file)]
        subprocess.run(command, check=True, timeout=240, env={**os.environ, "OMP_NUM_THREADS": "1"})
        found.append(np.load(file))
    assert found[1] == pytest.approx(found[0], rel=1e-9)
