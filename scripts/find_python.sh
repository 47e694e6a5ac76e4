#!/bin/sh
# Prints the path of a Python that can run physics_twin, or says what to install and fails.
#
#   find_python.sh          any Python >= 3.12 (PHYSICS_TWIN_PYTHON decides when it is set)
#   find_python.sh 3.13     exactly this minor version; prints nothing and fails when there is none
#
# Each candidate is run, not only looked for: a pyenv shim exists for versions that are not active, and
# Debian's python3 comes without venv.

serves() {  # serves PYTHON [MINOR]
    "$1" -c '
import sys
import ensurepip, venv
wanted = sys.argv[1:]
found = "%d.%d" % sys.version_info[:2]
sys.exit(found != wanted[0] if wanted else sys.version_info < (3, 12))
' ${2:+"$2"} >/dev/null 2>&1
}

accept() {  # prints the interpreter itself: what is behind a shim may change with the directory
    "$1" -c 'import sys; print(sys.executable)'
    exit 0
}

wanted=${1:-}
if [ -z "$wanted" ] && [ -n "${PHYSICS_TWIN_PYTHON:-}" ]; then
    serves "$PHYSICS_TWIN_PYTHON" && accept "$PHYSICS_TWIN_PYTHON"
    echo "PHYSICS_TWIN_PYTHON=$PHYSICS_TWIN_PYTHON is not a Python >= 3.12 with venv and pip." >&2
    exit 1
fi

# The oldest supported version first: what passes there passes later.
for minor in ${wanted:-3.12 3.13 3.14}; do
    for candidate in \
        "python$minor" \
        "$HOME/.pyenv/versions/$minor".*/bin/python \
        "${PYENV_ROOT:-$HOME/.pyenv}/versions/$minor".*/bin/python \
        "${UV_PYTHON_INSTALL_DIR:-${XDG_DATA_HOME:-$HOME/.local/share}/uv/python}"/cpython-"$minor".*/bin/python3 \
        "$HOME/.local/bin/python$minor" \
        "/usr/local/bin/python$minor" \
        "/opt/homebrew/bin/python$minor" \
        "/Library/Frameworks/Python.framework/Versions/$minor/bin/python3" \
        "/opt/python/$minor"*/bin/python3 \
        "/opt/python$minor/bin/python3" \
        "/opt/Python-$minor"*/bin/python3 \
        "/opt/python/cp3${minor#3.}-cp3${minor#3.}/bin/python3"
    do
        serves "$candidate" "$minor" && accept "$candidate"
    done
done
[ -n "$wanted" ] && exit 1

for candidate in python3 python; do
    serves "$candidate" && accept "$candidate"
done

cat >&2 <<MESSAGE
physics_twin needs Python 3.12 or newer (with venv and pip), and none was found.
  python3 here is: $(if command -v python3 >/dev/null; then python3 --version 2>&1; else echo "not there"; fi)
Install one, then run the same command again:
  Debian, Ubuntu   apt install python3.12 python3.12-venv
  Fedora           dnf install python3.12
  macOS            brew install python@3.12
  any system       pyenv install 3.12        or        uv python install 3.12
If there is one in an unusual place, name it: PHYSICS_TWIN_PYTHON=/path/to/python make setup
MESSAGE
exit 1
