"""What `test_executors` runs under `mpiexec -n 2 python -m mpi4py.futures`: one fit by the pool of MPI workers."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from cooling_run import fit
from mpi4py.futures import MPIPoolExecutor

if __name__ == "__main__":
    with MPIPoolExecutor() as pool:
        fit(executor=pool).save(sys.argv[1])
