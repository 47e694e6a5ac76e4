"""The same script on one rank and on two."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tests" / "fem" / "on_ranks.py"
MPIEXEC = Path(sys.executable).with_name("mpiexec")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not MPIEXEC.exists() and shutil.which("mpiexec") is None, reason="there is no mpiexec"),
]


def run_on(n_ranks: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    mpiexec = str(MPIEXEC) if MPIEXEC.exists() else "mpiexec"
    launch = [mpiexec, "-n", str(n_ranks)] if n_ranks > 1 else []
    return subprocess.run(
        [*launch, sys.executable, str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        check=False,
    )


def test_two_ranks_give_what_one_gives() -> None:
    """Outputs, tangents, adjoint, stresses and a fit agree to solver tolerance."""
    one, two = run_on(1), run_on(2)
    assert one.returncode == 0, one.stderr[-2000:]
    assert two.returncode == 0, two.stderr[-2000:]
    a, b = (json.loads(run.stdout.splitlines()[-1]) for run in (one, two))
    assert a.keys() == b.keys()
    for name in a:
        scale = np.abs(a[name]).max()
        tolerance = 1e-4 if name in ("mode", "misfit") else 1e-6
        np.testing.assert_allclose(b[name], a[name], rtol=tolerance, atol=1e-9 * scale, err_msg=name)


def test_a_failure_on_one_rank_ends_all() -> None:
    """The other rank does not wait for ever, and the message is there."""
    failed = run_on(2, "fail")
    assert failed.returncode != 0
    assert "rank 1 fails on purpose" in failed.stderr
