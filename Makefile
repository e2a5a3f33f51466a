# `make help` lists what there is. Needs Python >= 3.11, Go and make; everything else is fetched, pinned, by `make setup`.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OPA_VERSION := 1.22.0
WORKERS ?= 2

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

.PHONY: setup
setup: $(VENV)/.installed bin/opa ## install the locked dependencies into .venv, get OPA

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python >= 3.11 is needed; name one with PYTHON=…" >&2; exit 1; }
	@test -x $(BIN)/python || { echo "making $(VENV) …"; $(PYTHON) -m venv $(VENV); }
	@echo "installing the locked dependencies (once; a minute or two) …"
	@$(BIN)/python -m pip install --quiet --progress-bar on --disable-pip-version-check --require-hashes -r requirements.lock
	@echo "installing headgate …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@

.PHONY: opa
opa: bin/opa ## get OPA of the pinned version into bin/

bin/opa: tools/opa/go.mod tools/opa/go.sum
	@mkdir -p bin; rm -f bin/opa
	@if [ "$$(opa version 2>/dev/null | awk '/^Version:/ {print $$2}')" = "$(OPA_VERSION)" ]; then \
	  ln -s "$$(command -v opa)" bin/opa; touch -h bin/opa; echo "using opa $(OPA_VERSION) from PATH"; \
	else \
	  $(call go-build,opa); \
	fi

.PHONY: tools
tools: bin/opa bin/helm bin/regal ## get the tools that only tests need, too: helm, regal

bin/helm: tools/helm/go.mod tools/helm/go.sum
	@mkdir -p bin; $(call go-build,helm)

bin/regal: tools/regal/go.mod tools/regal/go.sum
	@mkdir -p bin; $(call go-build,regal)

# Builds the tool that tools/$(1) pins, and says now and then how far it is.
define go-build
command -v go >/dev/null || { echo "no $(1) of the pinned version, and no Go to build it" >&2; exit 1; }; \
echo "building $(1) with Go (once; a minute or two) …"; \
go build -C tools/$(1) -v -trimpath -ldflags "-s -w" -o ../../bin/ tool 2>&1 \
  | awk '/^go: / { next } /^[A-Za-z0-9._\/@-]+$$/ { if (++n % 100 == 0) { print "  " n " packages"; fflush() }; next } 1'; \
touch bin/$(1)
endef

.PHONY: demo
demo: setup ## the whole thing in a minute: real SDKs, real Envoy and OPA, then SQL over what was kept
	@$(BIN)/python tools/demo.py

.PHONY: up
up: setup ## keep the stack running with simulated providers (Ctrl-C stops it)
	@$(BIN)/headgate up

.PHONY: check
check: setup ## format, lint, types, imports, and the quick tests
	@$(MAKE) static
	@$(BIN)/pytest -q -n $(WORKERS) -m "not e2e and not slow" tests

.PHONY: static
static: setup ## format, lint, types, imports
	@echo "ruff, mypy, import-linter …"
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

.PHONY: test
test: setup bin/helm bin/regal ## everything that CI runs
	@$(MAKE) static
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile tests

.PHONY: soak
soak: setup ## kill -9 under load for as long as it takes, then count rows (ROUNDS=200)
	@$(BIN)/python -m tests.fault.soak --rounds $(or $(ROUNDS),200)

.PHONY: bench
bench: setup ## what an exchange costs, beside plain Envoy
	@$(BIN)/python -m bench

.PHONY: fmt
fmt: setup ## format and fix what can be fixed
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .
	@bin/opa fmt --write policies

.PHONY: proto
proto: setup ## regenerate extproc/_pb from proto/
	@$(BIN)/python -m grpc_tools.protoc -I proto --python_out=extproc/_pb --pyi_out=extproc/_pb proto/*.proto

.PHONY: example
example: setup ## render envoy/envoy.yaml from envoy/headgate.yaml
	@$(BIN)/headgate envoy-config --config envoy/headgate.yaml --run-dir /run/headgate \
	  --ca-file /etc/ssl/certs/ca-certificates.crt --out envoy/envoy.yaml
	@chmod 644 envoy/envoy.yaml

.PHONY: docs
docs: setup bin/helm ## make what is generated: references under docs/, the chart's schema, values and examples
	@$(BIN)/python -m tools.references
	@$(BIN)/python tools/chart_schema.py
	@$(BIN)/python tools/chart_values.py
	@$(BIN)/python -m tests.chart

.PHONY: lock
lock: ## renew requirements.lock (needs uv)
	UV_CUSTOM_COMPILE_COMMAND="make lock" uv pip compile --quiet --all-extras --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --python-version 3.11 --output-file requirements.lock pyproject.toml

.PHONY: clean
clean: ## remove what running and testing left behind (not .venv, not bin)
	rm -rf var dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
