# Every target installs what it needs. System packages are the only step that wants root; it says which.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

help: ## Say what each target does
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

.PHONY: help
