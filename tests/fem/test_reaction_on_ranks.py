"""A reaction in a part of a body runs on ranks that hold nothing of that part."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.fem.reaction_on_ranks import numbers

SCRIPT = Path(__file__).with_name("reaction_on_ranks.py")
MPIEXEC = Path(sys.executable).with_name("mpiexec")


@pytest.mark.slow
@pytest.mark.skipif(not MPIEXEC.exists(), reason="mpiexec of the environment is not there")
def test_a_rank_without_reacting_cells_takes_part(tmp_path: Path) -> None:
    """Outputs, tangents and the adjoint are those of one rank, and no rank waits for another for ever."""
    file = tmp_path / "two.npy"
    command = [str(MPIEXEC), "-n", "2", sys.executable, str(SCRIPT), str(file)]
    subprocess.run(command, check=True, timeout=120, env={**os.environ, "OMP_NUM_THREADS": "1"})
    one, two = numbers(), np.load(file)
    assert two == pytest.approx(one, rel=1e-8, abs=1e-14 * np.abs(one).max())
