# Each target installs what it needs first. Only system packages want root: .ci/packages says which.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help demo demo-login test quick check pictures bench cover clean

help: ## say what each target does
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | awk -F'|' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: $(VENV)/demo ## run portal, gateway, agent and a virtual card here; open the printed address
	@$(BIN)/cps demo

demo-login: $(VENV)/dev ## the same login in headless Chromium, step by step, with screenshots
	@$(BIN)/cps demo --login --screenshots screenshots

test: $(VENV)/dev ## run every test, on a real reader service and a real browser
	@$(BIN)/pytest

quick: $(VENV)/dev ## run the unit tests that never took longer than 10 ms here: for every save
	@$(BIN)/pytest -q tests/unit --quick

check: $(VENV)/dev ## format, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

pictures: $(VENV)/dev ## take the pictures of every page anew, into docs/pictures
	@CPS_PICTURES=docs/pictures $(BIN)/pytest -q tests/e2e -k 'axe or nothing_is_cut_off or in_one_tab or window_logs_in or window_again or last_try'

bench: $(VENV)/dev ## measure: APDUs and time of a login, decisions per second, relay against no relay
	@$(BIN)/python -m tests.bench

cover: $(VENV)/dev ## which lines of the workstation's package its own tests do not reach
	@$(BIN)/coverage run --source=cps -m pytest --quiet tests/unit/cps tests/contract
	@$(BIN)/coverage report --skip-covered --sort=cover

clean: ## remove what the other targets made
	rm -rf $(VENV) screenshots

# Without root the reader software may be missing: pyscard then cannot be built and the demo runs
# its card in process.
$(VENV)/demo: pyproject.toml constraints.txt .ci/packages | $(VENV)/bin/python
	@sh .ci/packages demo
	@$(PIP) --editable '.[agent,server]'
	@if [ -e /usr/include/PCSC/winscard.h ]; then $(PIP) --editable '.[workstation]'; fi
	@touch $@

$(VENV)/dev: pyproject.toml constraints.txt .ci/packages | $(VENV)/bin/python
	@sh .ci/packages dev
	@$(PIP) --editable '.[dev]'
	@if [ -e /usr/include/PCSC/winscard.h ]; then $(PIP) --editable '.[workstation]'; fi
	@touch $@ $(VENV)/demo

$(VENV)/bin/python:
	@sh .ci/packages python
	@$(PYTHON) -m venv $(VENV)
