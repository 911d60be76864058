# Everything below builds its own environment in .venv first.
PYTHON ?= python3
PY := .venv/bin/python
# without these, glibc returns every large tensor to the kernel: 1.5 times slower on a CPU
CPU := MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=100000000000
# a process of tests more than there are cores, since tests wait for processes that they start, four at most, each with
# one thread; idle ones take over tests
PYTEST = $(CPU) OMP_NUM_THREADS=1 $(PY) -m pytest -n $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --maxprocesses=4 \
	--dist worksteal

.DEFAULT_GOAL := help
.PHONY: help quickstart test test-fast lint types format notebook docs bench bench-gpu hashed pins audit wheel clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

quickstart: .venv/.core ## train, test and fuse two streams on the embedded data
	$(CPU) PATH="$(CURDIR)/.venv/bin:$$PATH" bash scripts/quickstart.sh

test: .venv/.dev lint types ## lint, types and all tests
	$(PYTEST)

test-fast: .venv/.dev ## the tests that take seconds
	$(PYTEST) -m "not slow"

lint: .venv/.dev ## ruff, without changing anything
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: .venv/.dev ## pyright
	$(PY) -m pyright --pythonpath $(PY)

format: .venv/.dev ## ruff, changing files
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

bench: .venv/.dev ## measure the data pipeline, training steps and ten-clip tests
	$(PY) scripts/bench/data.py
	$(PY) scripts/bench/train_step.py
	$(PY) scripts/bench/test_clips.py

bench-gpu: .venv/.dev ## a GPU: its tests, training steps, ten-clip tests, the device's limit, accuracy by precision
	PATH="$(CURDIR)/.venv/bin:$$PATH" bash scripts/bench/gpu_day.sh runs/gpu

notebook: .venv/.dev ## run the notebook again and store its outputs
	.venv/bin/jupyter-execute --inplace notebooks/*.ipynb

docs: .venv/.dev ## write docs/keys.md and docs/licences.md again
	$(PY) scripts/keys.py > docs/keys.md
	$(PY) scripts/supply/licences.py > docs/licences.md

hashed: .venv/.hashed ## install what the tests run with from hashes.txt alone (Python 3.11, Linux)

pins: .venv/.dev ## write hashes.txt again, after a change of constraints.txt
	$(PY) scripts/supply/pins.py write > .venv/hashes.txt
	mv .venv/hashes.txt hashes.txt

audit: .venv/.dev ## known vulnerabilities of the pinned versions, where their list can be reached
	$(PY) scripts/supply/audit.py

wheel: .venv/.dev ## build the wheel into dist/
	$(PY) -m pip wheel --quiet --no-deps --no-build-isolation -w dist .

clean: ## remove the environment and built files
	rm -rf .venv dist build

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/.core: pyproject.toml constraints.txt | .venv/bin/python
	$(PY) -m pip install --quiet -c constraints.txt -e .
	touch $@

.venv/.dev: pyproject.toml constraints.txt | .venv/bin/python
	$(PY) -m pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@ .venv/.core

# setuptools first: it builds the one package that is published as source alone, and with what is then installed pip
# builds without fetching anything that has no hash
.venv/.hashed: hashes.txt constraints.txt pyproject.toml | .venv/bin/python
	grep '^setuptools==' hashes.txt > .venv/setuptools.txt
	$(PY) -m pip install --quiet --require-hashes --no-deps -r .venv/setuptools.txt
	$(PY) -m pip install --quiet --require-hashes --no-deps --no-build-isolation -r hashes.txt
	$(PY) -m pip install --quiet -c constraints.txt --no-build-isolation -e '.[dev]'
	$(PY) scripts/supply/pins.py check
	touch .venv/.core .venv/.dev $@
