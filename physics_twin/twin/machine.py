"""What a result to the last bit depends on besides the code: processor, libraries, threads."""

import functools
import importlib.metadata
import os
import platform
from collections.abc import Mapping
from pathlib import Path

import numpy as np

_LIBRARIES = {
    "physics_twin": ("physics-twin",),
    "numpy": ("numpy",),
    "scipy": ("scipy",),
    "casadi": ("casadi",),
    "dolfinx": ("dolfinx-solver-real", "fenics-dolfinx"),
}
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@functools.cache
def this_machine() -> Mapping[str, str]:
    """Machine and build, name -> what it is here; "" for what is not installed."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "system": " ".join((platform.system(), *platform.libc_ver())),
        "processor": f"{platform.machine()} {_processor()}",
        "python": platform.python_version(),
        "blas": f"{blas.get('name', '')} {blas.get('version', '')}",
        "threads": next((os.environ[name] for name in _THREADS if name in os.environ), str(os.cpu_count())),
        **{name: _version(names) for name, names in _LIBRARIES.items()},
    }


def differences(there: Mapping[str, str]) -> list[str]:
    """What is not the same here, in words: "numpy (2.3.1 there, 2.4.0 here)"."""
    here = this_machine()
    return [
        f"{name} ({there.get(name) or 'none'} there, {here.get(name) or 'none'} here)"
        for name in sorted({*there, *here})
        if there.get(name) != here.get(name)
    ]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf8").splitlines()
    except OSError:
        return platform.processor()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def _version(names: tuple[str, ...]) -> str:
    for name in names:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""
