# One door. `make demo` and `make test` set up everything they need in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
PYTEST := $(BIN)/python -m pytest
KAFKA := deploy/local-kafka/local_kafka.py
KAFKA_DEMO := deploy/local-kafka/kafka_demo.py

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-kafka kafka-needs test check fmt lint types contracts unit integration slow bench bench-kafka bench-page kafka kafka-stop kafka-test kafka-slow pins clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "expected Python 3.11 or newer, found $$($(PYTHON) --version 2>&1); set PYTHON=" >&2; exit 3; }
	$(PYTHON) -m venv $(VENV)

$(RUN): $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(DEV): $(RUN)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

setup: $(DEV) ## install everything for development into .venv

demo: $(RUN) ## the main job on real input, in under a minute
	$(BIN)/gate demo

demo-kafka: kafka-needs $(RUN) ## the same on a real Kafka broker that it starts and stops (needs Java 17, Maven)
	@$(BIN)/python $(KAFKA_DEMO)

kafka-needs: $(VENV)/bin/python
	@$(BIN)/python $(KAFKA_DEMO) --check

test: check integration kafka-test ## everything that must pass: check, real processes, real Kafka

check: $(DEV) lint types contracts unit ## before each commit: under 3 minutes

fmt: $(DEV) ## format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(DEV)
	$(BIN)/mypy

contracts: $(DEV)
	$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

unit: $(DEV)
	$(PYTEST) -n 2 -m "not slow and not integration and not kafka"

integration: $(DEV) ## real processes: start, kill, restart, verify
	$(PYTEST) -m "integration and not slow"

slow: $(DEV) ## tier 2: larger simulations, fuzzing, more kills
	$(PYTEST) -n 2 -m "slow and not kafka"

bench: $(DEV) ## decisions per second and the cost of each step
	$(BIN)/python -m loadtest.embedded

bench-kafka: $(DEV) ## all figures on a real broker, about 20 minutes on a quiet machine
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[loadtest]'
	$(BIN)/python -m loadtest.kafka

bench-page: $(DEV) ## docs/performance.md and its plots, of the newest results
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[loadtest]'
	$(BIN)/python -m loadtest.kafka.page

kafka: kafka-needs $(RUN) ## start a real Kafka broker on this machine (needs Java 17), print its address
	@$(BIN)/python $(KAFKA) start --folder build/kafka

kafka-test: $(DEV) ## the Kafka adapter on a real broker (needs Java 17 and Maven)
	$(PYTEST) -m "kafka and not slow"

kafka-slow: $(DEV) ## tier 2 on a real broker: kills, zombies, lost stores, three nodes
	$(PYTEST) -m "kafka and slow"

kafka-stop: ## stop it; its data stay in build/kafka
	@$(PYTHON) $(KAFKA) stop --folder build/kafka

pins: $(DEV) ## write the exact versions that are installed to constraints.txt
	$(BIN)/python -m pip freeze --exclude-editable | grep -v '^-e' > constraints.txt

clean: ## remove what make made
	@[ ! -f build/kafka/cluster.json ] || $(PYTHON) $(KAFKA) stop --folder build/kafka
	rm -rf build $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
