"""The same script under mpiexec gives the same outputs and derivatives."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.fem.mechanics_on_ranks import numbers

SCRIPT = Path(__file__).with_name("mechanics_on_ranks.py")
MPIEXEC = Path(sys.executable).with_name("mpiexec")


@pytest.mark.slow
@pytest.mark.skipif(not MPIEXEC.exists(), reason="mpiexec of the environment is not there")
def test_two_ranks_agree_with_one(tmp_path: Path) -> None:
    """Displacements, stresses, reactions, clouds, frequencies, tangents and adjoints, to the rounding of factors."""
    file = tmp_path / "two.npy"
    command = [str(MPIEXEC), "-n", "2", sys.executable, str(SCRIPT), str(file)]
    subprocess.run(command, check=True, timeout=240, env={**os.environ, "OMP_NUM_THREADS": "1"})
    one, two = numbers(), np.load(file)
    assert two == pytest.approx(one, rel=1e-9)
