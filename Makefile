# make demo     set up, then the main job: measured data in; report, plots and numbers in out/demo
# make test     set up, then every gate: ruff, mypy, import-linter, tests
# make setup    .venv from the lock file, the checkout installed editable (quick when nothing changed)
# make bench    benchmarks/, beside the peers that are installed
# make docs     docs/_build/html, warnings as errors
# make lock     resolve the lock files anew (needs uv)

BIN := .venv/bin

# One process a core: threaded linear algebra inside parallel tests only gets in its own way.
test: export OMP_NUM_THREADS ?= 1
test: export OPENBLAS_NUM_THREADS ?= 1
test bench docs: export MPLBACKEND = Agg

.PHONY: setup demo test bench docs lock

setup:
	@python=$$(sh scripts/find_python.sh) && "$$python" scripts/setup_venv.py

demo: setup
	$(BIN)/python -m physics_twin_models.demo --out out/demo

test: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist worksteal $(PYTEST_ARGS)

bench: setup
	$(BIN)/python -m pytest benchmarks --benchmark-only -p no:xdist $(PYTEST_ARGS)

docs: setup
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

lock:
	sh scripts/lock.sh
