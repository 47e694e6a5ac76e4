#!/bin/sh
# Resolves the lock files anew: every version pinned, every file of that version hashed, for Python >= 3.12 on Linux,
# macOS and Windows. Needs uv. Versions that still satisfy pyproject.toml are kept; to take newer ones, say
# "sh scripts/lock.sh --upgrade".
#
#   lock/dev.txt      what the gates, the docs and the benchmarks need (make setup installs it)
#   lock/runtime.txt  what an installed wheel needs
#   lock/fem.txt      the same with the extra "fem"
set -eu
cd "$(dirname "$0")/.."
# The files name no registry: pip takes it from its own configuration.
compile="uv pip compile pyproject.toml --universal --python-version 3.12 --generate-hashes --quiet
    --no-header --no-annotate --no-emit-index-url --no-emit-find-links"
$compile --extra dev --extra docs --extra bayes --extra fem "$@" --output-file lock/dev.txt
# The others are constrained to the versions of the first.
$compile --constraints lock/dev.txt "$@" --output-file lock/runtime.txt
$compile --constraints lock/dev.txt --extra fem "$@" --output-file lock/fem.txt
