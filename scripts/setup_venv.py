"""Make a virtual environment from the lock file, with the checkout installed editable in it.

Run by ``make setup`` with a Python >= 3.12. The second run finds the stamp of the first and does nothing. The stamp
covers what an installation depends on: the lock file, the interpreter and those tables of pyproject.toml that
describe the distribution, so that an edit of the linter's settings does not install anything.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def fingerprint(lock: Path) -> str:
    """Hash of everything that the content of the environment depends on."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packaging = [project["build-system"], project["project"], project["tool"]["hatch"]]
    version = "{}.{}".format(*sys.version_info)
    text = json.dumps([version, str(ROOT), packaging, lock.read_text(encoding="utf-8")], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def python_in(environment: Path) -> Path:
    """Path of the interpreter of an environment, on POSIX or on Windows."""
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def is_usable(python: Path) -> bool:
    """Whether this interpreter runs, has pip and is of the version that runs this script."""
    if not python.exists():
        return False
    check = "import pip, sys; print(*sys.version_info[:2])"
    result = subprocess.run([python, "-c", check], capture_output=True, text=True, check=False)
    return result.stdout.split() == [str(part) for part in sys.version_info[:2]]


def main() -> None:
    """Make or update the environment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("environment", nargs="?", type=Path, default=ROOT / ".venv")
    parser.add_argument("--lock", type=Path, default=ROOT / "lock" / "dev.txt")
    arguments = parser.parse_args()

    environment: Path = arguments.environment.absolute()
    stamp = environment / "physics_twin.stamp"
    wanted = fingerprint(arguments.lock)
    python = python_in(environment)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted and is_usable(python):
        return

    if not is_usable(python):
        print(f"making {environment.name} with Python {sys.version.split()[0]}", flush=True)
        venv.create(environment, clear=True, with_pip=True)
    stamp.unlink(missing_ok=True)

    # A person at a terminal sees pip's progress bars; a log gets two lines.
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check"]
    if not sys.stdout.isatty():
        pip.append("-qq")
    n_packages = sum(not line.startswith(" ") for line in arguments.lock.read_text(encoding="utf-8").splitlines())
    print(f"installing {n_packages} packages, pinned and hashed in {arguments.lock.name}", flush=True)
    # Wheels only: a missing wheel is then said at once instead of after a failed compilation.
    lock_options = ["--no-deps", "--require-hashes", "--only-binary", ":all:"]
    subprocess.run([*pip, *lock_options, "-r", arguments.lock], check=True)
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--editable", ROOT], check=True)
    stamp.write_text(wanted, encoding="utf-8")
    print(f"{environment.name} is ready", flush=True)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"set-up failed: {' '.join(map(str, error.cmd))} returned {error.returncode}")
