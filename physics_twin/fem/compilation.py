"""How UFL becomes machine code: the one place with compiler options, the cache and its lookups.

`compile_form` and `compile_expression` stand for `dolfinx.fem.form` and `dolfinx.fem.Expression`. A compiled module is
looked for in the folders that PHYSICS_TWIN_COMPILED names (made ahead of time by `physics-twin compile`, only read),
then in the user's private cache; only then is it compiled. On several ranks the first one compiles.

The options were measured on an assembly over 32^3 hexahedra (residual, Jacobian in ms; GCC 12, x86-64):

| options | k(T) | with exp and a power |
|---|---|---|
| -O2, as DOLFINx has it | 105, 418 | 148, 1534 |
| -O3 -march=native -ffast-math | 23, 119 | 29, 439 |
| the same and -fno-finite-math-only | 23, 118 | 86, 440 |
| the same and -D__FAST_MATH__ (here) | 24, 119 | 27, 437 |
| the same without -march=native (portable) | 58, 200 | 68, 730 |

`-ffast-math` alone may assume that there is no NaN, and a failed step could then pass for a good one;
`-fno-finite-math-only` takes that license away and keeps the reordering of sums, which is what pays. glibc declares its
vector versions of exp and pow only where __FAST_MATH__ is defined, which that option undoes; they treat NaN and
infinity as the scalar ones do. The result differs from that of -O2 by 2e-15 relative.

FFCx's compilation changes the working directory and redirects the output of the process, so one thread compiles at a
time.
"""

import hashlib
import json
import logging
import os
import platform
import shutil
import sysconfig
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import MissingDependencyError, ModelError, PhysicsTwinError
from physics_twin.fem import compiled_folder
from physics_twin.fem._dolfinx import MPI, dolfinx, ffcx, ufl
from physics_twin.files import atomic_write

__all__ = ["Target", "compile_expression", "compile_form", "compiling_into"]

logger = logging.getLogger(__name__)

PORTABLE = ("-O3", "-ffast-math", "-fno-finite-math-only", "-D__FAST_MATH__", "-g0")
MANIFEST = "compiled.json"
FORMAT = "physics_twin compiled forms 1"

CPUINFO = ("vendor_id", "cpu family", "model", "flags", "CPU implementer", "CPU part", "Features")
COMPILERS = ("cc", "gcc", "clang")  # tried when the one that Python was built with is not here

_COMPILING = threading.Lock()


@dataclass(frozen=True)
class Target:
    """A folder of modules, and whether they are for this very processor; `keys` are those asked of it."""

    folder: Path
    native: bool
    keys: set[str]


_TARGET: ContextVar[Target | None] = ContextVar("target", default=None)


def compile_form(form: Any, *, entity_maps: Sequence[Any] | None = None) -> Any:
    """Return the compiled form of a UFL form, or a list of them, nested or not, for a list.

    `entity_maps` as in `dolfinx.fem.form`. To be called on all ranks of the mesh. Raises MissingDependencyError when
    there is nothing compiled and no C compiler, ModelError when the compilation fails or a folder cannot be used.
    """
    if isinstance(form, (list, tuple)):
        return [compile_form(part, entity_maps=entity_maps) for part in form]
    if not isinstance(form, ufl.Form):  # no integral: nothing to compile
        return dolfinx.fem.form(form, entity_maps=entity_maps)
    # Jacobians of several meshes have several domains; their ranks are the same.
    comm = next(iter(form.subdomain_data())).ufl_cargo().comm
    return dolfinx.fem.form(
        form,
        dtype=dolfinx.default_scalar_type,
        form_compiler_options=_form_options(),
        jit_options=_module(form, form.signature(), comm),
        jit_comm=MPI.COMM_SELF,  # the module is there: every rank loads it by itself
        entity_maps=entity_maps,
    )


def compile_expression(
    expression: Any, points: Array, *, comm: Any = None, entity_maps: Sequence[Any] | None = None
) -> Any:
    """Return the compiled form of a UFL expression at reference points.

    Args:
        expression: UFL expression; it may hold at most one argument.
        points: (n_points, dimension) on the reference cell, or facet.
        comm: communicator, where the expression names no mesh.
        entity_maps: as in `dolfinx.fem.Expression`.

    To be called on all ranks of the mesh. Raises as `compile_form` does.
    """
    points = np.ascontiguousarray(points, dtype=np.float64)
    points = points.reshape(points.shape[0] if points.ndim == 2 else 1, -1)
    if comm is None:
        comm = ufl.domain.extract_domains(expression)[0].ufl_cargo().comm
    # FFCx signs the points as they print: eight digits, and none in the middle of long arrays.
    exact_points = hashlib.sha256(points.tobytes()).hexdigest()
    signature = ffcx.naming.compute_signature([(expression, points)], exact_points)
    return dolfinx.fem.Expression(
        expression,
        points,
        comm=MPI.COMM_SELF,
        dtype=dolfinx.default_scalar_type,
        form_compiler_options=_form_options(),
        jit_options=_module((expression, points), signature, comm),
        entity_maps=None if entity_maps is None else list(entity_maps),
    )


@contextmanager
def compiling_into(folder: Path, *, native: bool = False) -> Iterator[Target]:
    """Put whatever is compiled inside the block into `folder`, and look nowhere else for it.

    With `native` the code is for the processor of this machine and refused by others; without, it runs on any of the
    same architecture and takes about twice the time. Raises ModelError when the folder holds something else, or forms
    compiled in another way.
    """
    folder = folder.absolute()
    manifest = folder / MANIFEST
    described = _description(native=native)
    if manifest.exists():
        _same(folder, _read(folder), described, "delete it, or choose another folder")
    elif folder.exists() and any(folder.iterdir()):
        raise ModelError(f"{folder} holds files that `physics-twin compile` did not make; choose another folder")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(manifest) as temporary:
            temporary.write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    token = _TARGET.set(target := Target(folder, native, set()))
    try:
        yield target
    finally:
        _TARGET.reset(token)
        compiled_folder.remove_locks(folder)


def _module(ufl_object: Any, signature: str, comm: Any) -> dict[str, Any]:
    """Return the options with which DOLFINx finds the compiled module complete; `comm` decides who compiles."""
    folder, flags = _first_rank_first(comm, lambda: _find_or_compile(ufl_object, signature))
    return _jit_options(folder, flags)


def _find_or_compile(ufl_object: Any, signature: str) -> tuple[Path, list[str]]:
    """Return the folder that holds the module of a UFL object, and the flags it was compiled with."""
    target = _TARGET.get()
    if target is None:
        for made in _made_ahead():
            place = compiled_folder.find(made.folder, _key(signature, made.native))
            if place is not None:
                return place, _flags(made.native)
        target = Target(compiled_folder.private_folder(), True, set())
    key, flags = _key(signature, target.native), _flags(target.native)
    target.keys.add(key)
    place = compiled_folder.find(target.folder, key)
    if place is None:
        place = compiled_folder.publish(target.folder, key, lambda folder: _compile(ufl_object, flags, folder))
    return place, flags


def _compile(ufl_object: Any, flags: list[str], folder: Path) -> None:
    """Compile a UFL object into a folder of its own."""
    compiler = _compiler()
    logger.info("compiling a form in %s", folder.parent)
    log_handlers = logging.getLogger().handlers.copy()
    with _COMPILING, _environment("CC", compiler):
        try:
            dolfinx.jit.ffcx_jit(MPI.COMM_SELF, ufl_object, _form_options(), _jit_options(folder, flags))
        except Exception as error:  # UFL, FFCx, cffi and setuptools each have their own
            raise ModelError(f"a form cannot be compiled: {type(error).__name__}: {error}") from error
        finally:
            logging.getLogger().handlers = log_handlers  # FFCx replaces them, and leaves it so when it fails
    for file in folder.rglob("*.o"):
        file.unlink()


def _first_rank_first[T](comm: Any, work: Callable[[], T]) -> T:
    """Return what `work` returns; other ranks start when the first one is done. One that fails fails all."""
    if comm.size == 1:
        return work()
    result, error = _attempt(work) if comm.rank == 0 else (None, None)
    error = comm.bcast(error, root=0)
    if error is None and comm.rank != 0:  # finds it there, unless this rank has a disk of its own
        result, error = _attempt(work)
    error = next((e for e in comm.allgather(error) if e is not None), None)
    if error is not None:
        raise error
    return result  # type: ignore[return-value]


def _attempt[T](work: Callable[[], T]) -> tuple[T | None, Exception | None]:
    try:
        return work(), None
    except Exception as error:  # noqa: BLE001 -- a rank that raised alone would leave the others waiting
        return None, error if isinstance(error, PhysicsTwinError) else ModelError(f"{type(error).__name__}: {error}")


def _form_options() -> dict[str, Any]:
    """Return every option of FFCx: one that is left out could come from a file in the working directory."""
    defaults = {name: option[1] for name, option in ffcx.options.FFCX_DEFAULT_OPTIONS.items()}
    return {**defaults, "scalar_type": dolfinx.default_scalar_type}


def _jit_options(folder: Path, flags: list[str]) -> dict[str, Any]:
    """Return every option of DOLFINx's compilation, for the same reason."""
    defaults = {name: option[0] for name, option in dolfinx.jit.DOLFINX_DEFAULT_JIT_OPTIONS.items()}
    return {**defaults, "cache_dir": folder, "cffi_extra_compile_args": list(flags)}


def _flags(native: bool) -> list[str]:
    if not native:
        return list(PORTABLE)
    arm = platform.machine().lower() in ("arm64", "aarch64")
    return [*PORTABLE, "-mcpu=native" if arm else "-march=native"]


def _key(signature: str, native: bool) -> str:
    """Return the name of a module: what is compiled, how, by which versions and, if native, for which processor."""
    text = json.dumps([signature, _description(native=native)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:40]


@cache
def _description(*, native: bool) -> dict[str, str]:
    """What two machines must have in common to share compiled modules."""
    return {
        "format": FORMAT,
        "flags": " ".join(_flags(native)),
        "processor": _processor() if native else platform.machine(),
        "python": str(sysconfig.get_config_var("SOABI")),
        # FFCx derives the names of modules from the options that Python itself was compiled with.
        "python build": hashlib.sha256(str(sysconfig.get_config_var("CFLAGS")).encode()).hexdigest()[:16],
        "ffcx": f"{ffcx.__version__} {ffcx.codegeneration.get_signature()[:16]}",
        "cffi": version("cffi"),
        "scalars": np.dtype(dolfinx.default_scalar_type).name,
    }


def _processor() -> str:
    """Return a name that two processors share when code for one runs on the other."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:  # not Linux
        return f"{platform.machine()} {platform.processor()}"
    lines = [line for line in first.splitlines() if line.partition(":")[0].strip() in CPUINFO]
    return f"{platform.machine()} {hashlib.sha256(chr(10).join(lines).encode()).hexdigest()[:16]}"


def _made_ahead() -> list[Target]:
    """Return the folders that PHYSICS_TWIN_COMPILED names, separated as in PATH."""
    named = os.environ.get("PHYSICS_TWIN_COMPILED", "")
    return [_opened(Path(folder)) for folder in named.split(os.pathsep) if folder]


@cache
def _opened(folder: Path) -> Target:
    """Return a folder made ahead of time, once it is known to be for this machine and these versions."""
    found = _read(folder)
    native = found.get("flags") != " ".join(PORTABLE)
    _same(folder, found, _description(native=native), "make it anew here, or unset PHYSICS_TWIN_COMPILED")
    return Target(folder.absolute(), native, set())


def _read(folder: Path) -> dict[str, str]:
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder} is no folder made by `physics-twin compile`: {error}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ModelError(f'{folder / MANIFEST} is not marked "{FORMAT}"; make the folder anew with this version')
    return found


def _same(folder: Path, found: dict[str, str], wanted: dict[str, str], advice: str) -> None:
    different = [
        f"{name} {found.get(name)} there, {value} here" for name, value in wanted.items() if found.get(name) != value
    ]
    if different:
        raise ModelError(f"the forms in {folder} were compiled in another way ({'; '.join(different)}): {advice}")


def _compiler() -> str:
    """Return the C compiler; raises MissingDependencyError where there is none, or no header of Python."""
    wanted = os.environ.get("CC") or str(sysconfig.get_config_var("CC") or "cc")
    found = next((c for c in (wanted, *COMPILERS) if shutil.which(c.split()[0])), None)
    if found is None:
        ahead = os.environ.get("PHYSICS_TWIN_COMPILED")
        raise MissingDependencyError(
            (f"{ahead} does not hold this form, and there is no C compiler: " if ahead else "no C compiler found: ")
            + "install gcc or clang (Debian, Ubuntu: apt install gcc; macOS: xcode-select --install), or name a folder "
            "made by `physics-twin compile` on another machine in PHYSICS_TWIN_COMPILED"
        )
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        raise MissingDependencyError(
            f"the headers of Python are missing ({sysconfig.get_path('include')}/Python.h), and compiled forms need "
            "them: Debian, Ubuntu: apt install python3-dev; Fedora: dnf install python3-devel"
        )
    return found


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
