# Sayso. `make` shows what there is to do. Set-up happens by itself, whenever something is missing or has changed.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PACKAGES := libs/contracts libs/messaging libs/chassis libs/artifacts libs/identity \
	services/gateway services/orchestrator services/provider-worker services/notifier deploy tools/fake_vendors
TEST_PACKAGES := tools/testkit tools/chaos tools/bench
CODE := libs services deploy tools examples tests
PROJECTS := $(PACKAGES:%=%/pyproject.toml)
TEST_PROJECTS := $(TEST_PACKAGES:%=%/pyproject.toml)
BIN := .venv/bin
RUN := $(BIN)/python
PIN = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url \
	$(shell sed -n 's/^name = "\(.*\)"/--no-emit-package \1/p' $(PROJECTS))

# PYTHON=… chooses the interpreter, and is remembered until `make clean`.
PYTHON ?= $(shell cat .venv/chosen-python 2>/dev/null)
# A checkout that was moved or copied is another place, and so is another interpreter: the environment is made again.
PLACE := $(shell printf '%s\n%s' "$$(pwd -P)" '$(PYTHON)' | cksum | cut -d' ' -f1)
ENVIRONMENT := .venv/made-$(PLACE)
READY := .venv/ready-$(PLACE)
READY_TO_TEST := .venv/ready-to-test-$(PLACE)

##@ Using it

run: $(READY) ## Start everything on this machine: PostgreSQL, a Kafka broker, the four services, a sample run
	@exec $(RUN) -m local_stack

demo: $(READY) ## Tell the story of one run, step by step, on a running stack
	@$(RUN) -m local_stack.demo

setup: $(READY_TO_TEST) ## Make the virtual environment, with PYTHON=python3.13 if you like; other targets do it when needed

clean: ## Remove the environment and caches; the local stack's data stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache deploy/apache_kafka/target
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

forget: $(READY) ## Delete the local stack's data, runs and all; refused while it runs
	@$(RUN) -m local_stack.forget

##@ Testing it

test: $(READY_TO_TEST) ## Run everything: lint and all tests
	@$(RUN) tests/steps.py

lint: $(READY_TO_TEST) ## Check style, types and imports
	$(BIN)/ruff check --quiet $(CODE)
	$(BIN)/ruff format --check --quiet $(CODE)
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports --no-logo

unit component integration e2e: $(READY_TO_TEST) ## Run the tests of one kind, or of these the TESTS that you name
	@$(RUN) -m pytest -q $(or $(TESTS),tests/$@)

faults: $(READY_TO_TEST) ## Kill every service and Kafka once under load: the short form of chaos
	@$(RUN) -m pytest -q tests/chaos/test_short.py

chaos: $(READY_TO_TEST) ## Inject every fault under load, 20 minutes long; writes tools/chaos/RESULTS.md
	@$(RUN) -m pytest -q tests/chaos/test_faults.py

soak: $(READY_TO_TEST) ## Steady load for MINUTES (30), with the memory of each service; writes tools/chaos/SOAK.md
	@$(RUN) -m chaos.soak --minutes $(or $(MINUTES),30)

bench: $(READY_TO_TEST) ## Measure speed and cost beside a floor in plain asyncpg and the bare hops; writes tools/bench/RESULTS.md; QUICK=1 for less
	@$(RUN) -m bench $(if $(QUICK),--quick)

bench-limits: $(READY_TO_TEST) ## Measure that four workers keep to shared limits and use them; writes tools/bench/LIMITS.md; 3 minutes
	@$(RUN) -m bench.limits

bench-waiting: $(READY_TO_TEST) ## Measure the waiting list while 100,000 checkpoints wait; writes tools/bench/WAITING.md; QUICK=1 for less
	@$(RUN) -m bench.waiting $(if $(QUICK),--quick)

format: $(READY_TO_TEST) ## Bring the code into its format
	$(BIN)/ruff check --fix-only --quiet $(CODE)
	$(BIN)/ruff format $(CODE)

##@ Kafka and containers

kafka: $(READY) ## Start Apache Kafka on this machine with Maven and Java, on port 9092
	@exec $(RUN) -m apache_kafka

topics: $(READY) ## Create the topics on KAFKA_BOOTSTRAP_SERVERS; REPLICAS=3 says how many copies a record has
	@$(RUN) -m local_stack.topics $(REPLICAS)

images: $(READY) ## Build the Kafka image for testcontainers; makes its base too where none can be pulled
	@$(RUN) -m apache_kafka.image

##@ Keeping it

pins: $(READY) ## Pin the newest fitting versions into requirements.txt and requirements-dev.txt
	$(PIN) requirements.in --output-file requirements.txt
	$(PIN) requirements-dev.in --output-file requirements-dev.txt

help:
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z0-9 -]+:.*## / { printf "  %-28s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run demo setup clean forget test lint unit component integration e2e faults chaos soak bench bench-limits bench-waiting format kafka topics images pins help

# ---- set-up

$(ENVIRONMENT):
	@PYTHON='$(PYTHON)' deploy/setup.sh environment && touch $@

$(READY): $(ENVIRONMENT) requirements.txt $(PROJECTS)
	@deploy/setup.sh install requirements.txt $(PACKAGES) && touch $@

$(READY_TO_TEST): $(ENVIRONMENT) requirements-dev.txt $(PROJECTS) $(TEST_PROJECTS)
	@deploy/setup.sh install requirements-dev.txt $(PACKAGES) $(TEST_PACKAGES) && touch $@
