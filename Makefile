# One word for each task; what a word does is in the script that it calls.
PYTHON ?= $(firstword $(shell command -v python3.11 python3))
VENV := .venv/bin
ENVIRONMENT = @test -n "$(PYTHON)" || { echo "Python 3.11 is needed. On Debian 12: apt-get install python3" >&2; exit 1; }; $(PYTHON) hub/environment.py

# Which way users' servers run: `make up PROFILE=host`.
ifdef PROFILE
export WORKBENCH_PROFILE := $(PROFILE)
endif

# Tests of these have the machine to themselves; the others run side by side, before.
REAL := docker or slurm or services or browser

.PHONY: help setup up down status logs test test-long lint images bench docs lock clean
.DEFAULT_GOAL := help

help:  ## say what can be done
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

setup:  ## create .venv and install what is locked
	$(ENVIRONMENT) run

up: setup  ## start everything on this machine; PROFILE=host: each user in a container (WORKBENCH_PORT, WORKBENCH_STATE)
	@$(VENV)/workbench-hub up

down:  ## stop everything, users' servers too
	@$(VENV)/workbench-hub down

status:  ## show what runs, and whether it is well
	@$(VENV)/workbench-hub status

logs:  ## show the newest lines of every log
	@$(VENV)/workbench-hub logs

test:  ## set up and run all tests, except those at full size
	$(ENVIRONMENT) test
	@$(VENV)/pytest -m "not long and not ($(REAL))" -n logical --maxprocesses 4 --dist worksteal; alone=$$?; \
	$(VENV)/pytest -m "not long and ($(REAL))"; real=$$?; exit $$((alone | real))

test-long:  ## run the tests at full size
	$(ENVIRONMENT) test
	@$(VENV)/pytest -m long -o junit_family=xunit1 -o junit_duration_report=call --junitxml=test-results/long.xml
	@$(VENV)/python -m benchmarks.full_size test-results/long.xml
	@$(VENV)/pytest -m "not long" --hypothesis-profile=search tests/archive tests/calls tests/kernels tests/maths tests/wire

lint:  ## style, format, types, and which way imports point
	$(ENVIRONMENT) test
	@$(VENV)/ruff check
	@$(VENV)/ruff format --check
	@$(VENV)/mypy
	@$(VENV)/lint-imports

images: setup  ## build the images of containers (as root; see docs/images.md)
	@$(VENV)/python images/build.py

bench:  ## measure against the peers, which it installs beside the rest (Spark needs Java)
	$(ENVIRONMENT) bench
	@$(VENV)/python -m benchmarks

docs:  ## write the generated pages of docs/
	$(ENVIRONMENT) test
	@$(VENV)/python -m workbench.cli.reference
	@$(VENV)/python -m workbench_hub.policy.reference

lock:  ## write the lock files anew from pyproject.toml
	$(ENVIRONMENT) lock

clean:  ## remove .venv and what tests leave behind; the state directory stays
	rm -rf .venv test-results .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
