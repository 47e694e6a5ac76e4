"""Forms are compiled once, privately and whole, keep NaN, and run without a compiler when they were made ahead."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from physics_twin.cli import main
from physics_twin.errors import MissingDependencyError, ModelError
from physics_twin.fem import compilation, compiled_folder
from physics_twin.fem._dolfinx import MPI, dolfinx, ufl
from physics_twin.fem.compilation import compile_expression, compile_form, compiling_into

# A model of one form, the area of a square times 3, and a program that prints the area.
PLATE = """
import logging, time
from physics_twin.fem._dolfinx import MPI, dolfinx, ufl
from physics_twin.fem.compilation import compile_form

class Plate:
    def __init__(self):
        self.mesh = dolfinx.mesh.create_unit_square(MPI.COMM_WORLD, 2, 2)
    def compile_all(self):
        return compile_form(3.0 * ufl.dx(self.mesh))

def plate():
    return Plate()

def bare():
    return object()

if __name__ == "__main__":
    rank = MPI.COMM_WORLD.rank
    logging.basicConfig(level=logging.INFO, format=f"rank {rank}: %(message)s")
    if MPI.COMM_WORLD.size > 1 and rank == 0:
        time.sleep(1)  # whoever came first would be another one
    area = MPI.COMM_WORLD.allreduce(dolfinx.fem.assemble_scalar(plate().compile_all()))
    print(f"area {area:.1f}", flush=True)
"""

BEGUN = "compiling a form"  # what the library logs when it calls the compiler
PROMPTLY = 60.0  # s; FFCx's own cache never gets there, and a compilation takes one


@pytest.fixture
def square() -> Any:
    return dolfinx.mesh.create_unit_square(MPI.COMM_SELF, 2, 2)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test starts cold."""
    monkeypatch.setenv("PHYSICS_TWIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PHYSICS_TWIN_COMPILED", raising=False)
    return tmp_path / "cache" / "forms"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """The model of `PLATE` as a script, in a folder whose options for DOLFINx and FFCx would break every form."""
    folder = tmp_path / "plant"
    folder.mkdir()
    (folder / "dolfinx_jit_options.json").write_text('{"cffi_libraries": ["no_such_library"]}')
    (folder / "ffcx_options.json").write_text('{"language": "no such language"}')
    (folder / "plates.py").write_text(PLATE)
    return folder / "plates.py"


def start(program: Path, *launcher: str, **environment: str) -> subprocess.Popen[str]:
    """Start the program in a process group of its own."""
    return subprocess.Popen(
        [*launcher, sys.executable, program.name],
        cwd=program.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def modules(folder: Path) -> list[str]:
    """Names of the modules in a folder, without locks and what a kill left."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def compiler(folder: Path, *lines: str) -> str:
    """A compiler that does something else first; without `lines` it is the real one."""
    real = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    script = folder / "compiler.sh"
    script.write_text("\n".join(["#!/bin/sh", *lines, f'exec "{real}" "$@"', ""]))
    script.chmod(0o755)
    return str(script)


def without_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.delenv("CC", raising=False)


def test_a_form_is_compiled_once(square: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The second time no compiler is needed; another form says what to install; without integrals none is."""
    area = 3.0 * ufl.dx(square)
    assert dolfinx.fem.assemble_scalar(compile_form(area)) == pytest.approx(3.0, rel=1e-14)
    without_compiler(monkeypatch, tmp_path)
    again = compile_form([[area], [area]])
    assert dolfinx.fem.assemble_scalar(again[1][0]) == pytest.approx(3.0, rel=1e-14)
    with pytest.raises(
        MissingDependencyError, match=r"no C compiler found: install gcc or clang .*`physics-twin compile`"
    ):
        compile_form(ufl.SpatialCoordinate(square)[0] * ufl.dx(square))
    test = ufl.TestFunction(dolfinx.fem.functionspace(square, ("Lagrange", 1)))
    assert compile_form(ufl.ZeroBaseForm((test,))).rank == 1


@pytest.mark.parametrize("native", [True, False])
def test_nan_and_infinity_come_out_as_what_they_are(square: Any, tmp_path: Path, native: bool) -> None:
    """Also where the compiler could decide that a number always equals itself, as -ffast-math does."""
    space = dolfinx.fem.functionspace(square, ("Discontinuous Lagrange", 0))
    u = dolfinx.fem.Function(space)
    dx = ufl.dx(square)
    with compiling_into(tmp_path / "made", native=native):
        not_itself, through, chosen = compile_form(
            [
                ufl.conditional(ufl.ne(u, u), 1.0, 0.0) * dx,
                ufl.exp(-1 / u) * u**1.5 * dx,
                ufl.conditional(ufl.gt(u, 0.5), 2.0, 1.0) * dx,
            ]
        )
    for value, is_nan in [(1.0, 0.0), (np.inf, 0.0), (np.nan, 1.0)]:
        u.x.array[:] = value
        assert dolfinx.fem.assemble_scalar(not_itself) == pytest.approx(is_nan, abs=1e-14), value
    u.x.array[:] = 1.0
    u.x.array[3] = np.nan
    assert np.isnan(dolfinx.fem.assemble_scalar(through))
    assert dolfinx.fem.assemble_scalar(chosen) == pytest.approx(2.0 - 1 / 8)  # nothing is greater than NaN
    u.x.array[3] = np.inf
    assert dolfinx.fem.assemble_scalar(through) == np.inf


def test_points_that_print_alike_are_not_alike(square: Any) -> None:
    """FFCx signs points by what NumPy prints of them: eight digits, and nothing in the middle of a long array."""
    x = ufl.SpatialCoordinate(square)

    def first_coordinate(points: np.ndarray) -> np.ndarray:
        values: np.ndarray = compile_expression(x[0] + 0 * x[1], points).eval(square, np.array([0], dtype=np.int32))
        return values.ravel()

    near = np.array([[0.25, 0.5]]), np.array([[0.25 + 1e-12, 0.5]])
    difference = first_coordinate(near[1]) - first_coordinate(near[0])
    assert np.abs(difference) == pytest.approx(0.5e-12, rel=1e-3)  # cells are half as long as the reference cell
    many = np.full((1500, 2), 0.25)
    changed = many.copy()
    changed[700] = 0.5
    assert repr(many) == repr(changed)
    assert np.flatnonzero(first_coordinate(changed) - first_coordinate(many)).tolist() == [700]


def test_the_cache_is_private(own_cache: Path, square: Any) -> None:
    """Whoever can write there runs code in our name."""
    compile_form(3.0 * ufl.dx(square))
    assert stat.S_IMODE(own_cache.stat().st_mode) == 0o700
    own_cache.chmod(0o770)
    with pytest.raises(ModelError, match=r"others may write there.*chmod 700"):
        compile_form(3.0 * ufl.dx(square))


def test_a_cache_that_cannot_be_made_is_told(tmp_path: Path, square: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With both ways out."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PHYSICS_TWIN_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ModelError, match=r"cannot be kept in .*PHYSICS_TWIN_CACHE.*PHYSICS_TWIN_COMPILED"):
        compile_form(3.0 * ufl.dx(square))


def test_a_form_that_cannot_be_compiled_leaves_nothing(
    own_cache: Path, square: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A broken compiler is told; with a good one the same form works at once."""
    with monkeypatch.context() as broken:
        broken.setenv("CC", "false")
        with pytest.raises(ModelError, match="a form cannot be compiled"):
            compile_form(3.0 * ufl.dx(square))
    assert [path.suffix for path in own_cache.iterdir()] == [".lock"]
    assert dolfinx.fem.assemble_scalar(compile_form(3.0 * ufl.dx(square))) == pytest.approx(3.0)


def test_two_processes_at_once(program: Path, own_cache: Path, tmp_path: Path) -> None:
    """One compiles, the other waits for it, both are right."""
    slow = compiler(tmp_path, "sleep 2")
    outputs = [
        process.communicate(timeout=PROMPTLY)[0] for process in [start(program, CC=slow), start(program, CC=slow)]
    ]
    assert all("area 3.0" in output for output in outputs), outputs
    assert sum(output.count(BEGUN) for output in outputs) == 1, outputs
    assert len(modules(own_cache)) == 1


def test_two_builds_of_one_module_where_there_are_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that finishes second uses the work of the first one."""

    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr(compiled_folder.fcntl, "flock", no_locks)

    def second(folder: Path) -> None:
        compiled_folder.publish(tmp_path, "key", lambda other: (other / "code").write_text("first"))
        (folder / "code").write_text("second")

    place = compiled_folder.publish(tmp_path, "key", second)
    assert (place / "code").read_text() == "first"
    assert modules(tmp_path) == ["key"] and not list(tmp_path.glob(".building-*"))


def test_a_process_killed_while_it_compiles(program: Path, own_cache: Path, tmp_path: Path) -> None:
    """The next one neither waits for it nor takes its half for a whole; what it left is removed after a day."""
    killed = start(program, CC=compiler(tmp_path, f"touch '{tmp_path}/begun'", "sleep 600"))
    deadline = time.monotonic() + PROMPTLY
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < deadline and killed.poll() is None
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    (left,) = own_cache.glob(".building-*")
    assert modules(own_cache) == []

    output = start(program, CC=compiler(tmp_path)).communicate(timeout=PROMPTLY)[0]
    assert "area 3.0" in output and len(modules(own_cache)) == 1
    assert left.exists()  # it could be of a process that is still at work
    os.utime(left, times=(0, 0))
    compiled_folder.publish(own_cache, "another", lambda folder: None)
    assert not left.exists()


@pytest.fixture
def mpiexec() -> str:
    """The launcher of the MPI that is installed; in this environment first."""
    found = shutil.which("mpiexec", path=f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip("no mpiexec: this MPI comes without a launcher")
    return found


def test_under_mpi_only_the_first_rank_compiles(program: Path, own_cache: Path, mpiexec: str) -> None:
    """Both get the form; the compiler is called once."""
    output = start(program, mpiexec, "-n", "2").communicate(timeout=PROMPTLY)[0]
    assert output.count("area 3.0") == 2, output
    assert f"rank 0: {BEGUN}" in output and output.count(BEGUN) == 1, output
    assert len(modules(own_cache)) == 1


def test_under_mpi_a_failed_compilation_fails_every_rank(program: Path, mpiexec: str) -> None:
    """With the reason on each of them; nobody waits for the others."""
    process = start(program, mpiexec, "-n", "2", CC="false")
    output = process.communicate(timeout=PROMPTLY)[0]
    assert process.returncode != 0 and output.count("ModelError: a form cannot be compiled") >= 2, output


def test_compiled_ahead_for_a_machine_without_compiler_and_with_a_read_only_disk(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is looked for, written or compiled outside the folder, and nothing changes in it."""
    made = tmp_path / "made"
    monkeypatch.chdir(program.parent)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert main(["compile", "plates:plate", "--out", str(made)]) == 0
    assert f"1 forms in {made}" in (out := capsys.readouterr().out) and f"PHYSICS_TWIN_COMPILED={made}" in out
    assert main(["compile", "plates:plate", "--out", str(made)]) == 0  # a second model may be added
    assert "march" not in (made / "compiled.json").read_text()
    assert sorted(path.name for path in made.iterdir()) == [*modules(made), "compiled.json"]

    for path in [*made.rglob("*"), made]:
        path.chmod(path.stat().st_mode & 0o555)
    before = {path: path.stat().st_mtime_ns for path in [made, *made.rglob("*")]}
    (tmp_path / "file").write_text("")
    nowhere = str(tmp_path / "file" / "cache")  # not even root can make it
    bare = dict(PATH="", PHYSICS_TWIN_CACHE=nowhere, XDG_CACHE_HOME=nowhere, PYTHONDONTWRITEBYTECODE="1")
    process = start(program, **bare, PHYSICS_TWIN_COMPILED=str(made))
    output = process.communicate(timeout=PROMPTLY)[0]
    assert "area 3.0" in output and BEGUN not in output, output
    assert {path: path.stat().st_mtime_ns for path in [made, *made.rglob("*")]} == before
    for path in [made, *made.rglob("*")]:  # so that the folder can be removed
        path.chmod(path.stat().st_mode | stat.S_IWUSR)


def test_a_form_that_was_not_made_ahead(
    square: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    """It is compiled as usual where that is possible; otherwise the folder is named."""
    with compiling_into(tmp_path / "made") as target:
        compile_form(3.0 * ufl.dx(square))
    assert len(target.keys) == 1 and not own_cache.exists()
    monkeypatch.setenv("PHYSICS_TWIN_COMPILED", str(tmp_path / "made"))
    assert dolfinx.fem.assemble_scalar(compile_form(ufl.SpatialCoordinate(square)[0] * ufl.dx)) == pytest.approx(0.5)
    assert len(modules(own_cache)) == 1
    without_compiler(monkeypatch, tmp_path)
    with pytest.raises(MissingDependencyError, match=r"made does not hold this form, and there is no C compiler"):
        compile_form(ufl.SpatialCoordinate(square)[1] ** 2 * ufl.dx)


def test_a_folder_for_other_versions_or_another_processor_is_refused(
    square: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what differs. Code for another processor would end in an illegal instruction."""
    with compiling_into(tmp_path / "made", native=True):
        compile_form(3.0 * ufl.dx(square))
    monkeypatch.setenv("PHYSICS_TWIN_COMPILED", str(tmp_path / "made"))
    compile_form(3.0 * ufl.dx(square))
    manifest = tmp_path / "made" / "compiled.json"
    described = json.loads(manifest.read_text())
    for name, other in [("ffcx", "0.9.0"), ("processor", "x86_64 older")]:
        manifest.write_text(json.dumps({**described, name: other}))
        compilation._opened.cache_clear()
        with pytest.raises(ModelError, match=rf"{name} {other} there, .* here.*make it anew"):
            compile_form(3.0 * ufl.dx(square))
    manifest.unlink()
    compilation._opened.cache_clear()
    with pytest.raises(ModelError, match="no folder made by `physics-twin compile`"):
        compile_form(3.0 * ufl.dx(square))


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    """Neither somebody's files nor forms compiled in another way are mixed with these."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "text").write_text("mine")
    with pytest.raises(ModelError, match="did not make"), compiling_into(tmp_path / "notes"):
        pass
    with compiling_into(tmp_path / "made"):
        pass
    with (
        pytest.raises(ModelError, match=r"compiled in another way \(flags "),
        compiling_into(tmp_path / "made", native=True),
    ):
        pass


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("plates", "write module:function"),
        ("plate:plates", 'no module "plate"'),
        ("plates:disc", 'has no function "disc"'),
        ("plates:bare", "only field models have forms"),
    ],
)
def test_a_wrong_name_is_told(
    named: str, told: str, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """In one line on stderr, with status 1."""
    monkeypatch.chdir(program.parent)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert main(["compile", named, "--out", str(tmp_path / "made")]) == 1
    assert told in capsys.readouterr().err
