"""A reaction in a part of a body runs on ranks that hold nothing of that part."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import physics_twin.fem  # noqa: F401  -- skips where there is no DOLFINx

SCRIPT = Path(__file__).with_name("reaction_on_ranks.py")
MPIEXEC = Path(sys.executable).with_name("mpiexec")


@pytest.mark.slow
@pytest.mark.skipif(not MPIEXEC.exists(), reason="mpiexec of the environment is not there")
def test_a_rank_without_reacting_cells_takes_part(tmp_path: Path) -> None:
    """Outputs, tangents and the adjoint are those of one rank, and no rank waits for another for ever."""
    found = []
    for n in (1, 2):
        file = tmp_path / f"{n}.npy"
        command = [str(MPIEXEC), "-n", str(n), sys.executable, str(SCRIPT), str(file)]
        subprocess.run(command, check=True, timeout=120, env={**os.environ, "OMP_NUM_THREADS": "1"})
        found.append(np.load(file))
    assert found[1] == pytest.approx(found[0], rel=1e-8, abs=1e-14 * np.abs(found[0]).max())
