# The two commands of the README (demo, test) and what they are made of. Each does all its own set-up.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: demo test browser check weights bench meaning clean

demo: weights
	@echo "Scoring one photo against a heavily compressed copy of it: under a minute the first time."
	$(BIN)/python scripts/demo.py

test: weights browser
	OMP_NUM_THREADS=1 THP_MEM_ALLOC_ENABLE=1 $(BIN)/python -m pytest -n auto --dist loadgroup

# The tests that drive a browser are skipped, and say so, where there is none and it cannot be installed.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	|| { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
	&& apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y chromium; } \
	|| echo "No Chromium here: the tests that drive one will be skipped."

check: $(VENV)/.ready
	scripts/check

weights: $(VENV)/.ready
	@echo "Fetching the weights of the profile lite, 213 MB, where they are not here yet."
	$(BIN)/semetric models fetch lite

bench: weights
	$(BIN)/python -m benchmarks

meaning: weights
	$(BIN)/python -m benchmarks.meaning

$(VENV)/.ready: pyproject.toml constraints.txt
	@echo "Setting up $(VENV): torch, Semetric and what its tests need. The first time this takes a few minutes."
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --progress-bar off --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist demo .mypy_cache .pytest_cache .ruff_cache
