# The two commands of the README (demo, test) and what they are made of. Each does all its own set-up.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo test check weights bench ordering clean

demo: weights
	$(BIN)/python scripts/demo.py

test: weights
	OMP_NUM_THREADS=1 THP_MEM_ALLOC_ENABLE=1 $(BIN)/python -m pytest -n auto --dist loadgroup

check: $(VENV)/.ready
	scripts/check

weights: $(VENV)/.ready
	$(BIN)/semetric models fetch lite

bench: weights
	$(BIN)/python -m benchmarks

ordering: weights
	$(BIN)/python -m benchmarks.ordering

$(VENV)/.ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist demo .mypy_cache .pytest_cache .ruff_cache
