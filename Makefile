# Everything that a fresh clone needs. `make` alone lists the targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV ?= .venv
PYTHON ?=
JOBS ?= $(shell nproc 2>/dev/null || echo 1)
# Tests of one file stay in one worker, which builds what they share.
PARALLEL ?= -n $(JOBS) --dist loadfile
# How much `make faults-full` does.
KILLS ?= 50
MINUTES ?= 30

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
INSTALLED_TEST := $(VENV)/.installed-test
DEMO_SUITES := demo demo_ssliqa demo_matching demo_bns
OPEN_SUITES := open open_biq2021
LAST_STAGES_SUITES := open_last_stages
DEMO_CLAIMS := demo demo_ssliqa demo_bns
PIP_INSTALL := $(BIN)/python .ci/pip_progress.py $(VENV)/pip.log install -c constraints.txt

.PHONY: help install install-test demo test test-slow faults faults-full audit test-browser boards site test-wheel check-board readme check-readme lint types \
  bench pins mapping-cases demo-records open-records demo-claims lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(BIN)/pip:
	@for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	  if "$$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Making $(VENV) with $$("$$candidate" -c 'import sys; print(sys.executable, sys.version.split()[0])')"; \
	    "$$candidate" -m venv $(VENV); exit 0; \
	  fi; \
	done; \
	echo "No Python 3.11 or newer with the modules venv and ensurepip was found (python3 is:" \
	  "$$(python3 --version 2>&1 || true)). Install one (Debian: python3 and python3-venv)," \
	  "or name it: make PYTHON=/path/to/python3 ..." >&2; exit 1

# pyiqa requires facexlib, which brings opencv-python beside the headless build. Both own the folder cv2, and
# where the one for desktops came last and the machine has no libGL, cv2 does not import: put the headless one back.
define ensure_opencv
@$(BIN)/python -c 'import cv2' 2>/dev/null \
  || $(PIP_INSTALL) --no-deps --force-reinstall opencv-python-headless
endef

# One call, so that pip chooses torch, torchvision and pyiqa together.
$(INSTALLED): setup.cfg constraints.txt | $(BIN)/pip
	@echo "Installing into $(VENV); torch takes several gigabytes and a few minutes the first time."
	@$(PIP_INSTALL) -e .
	$(ensure_opencv)
	@touch $@

$(INSTALLED_TEST): setup.cfg constraints.txt | $(BIN)/pip
	@echo "Installing with the test extra into $(VENV); torch takes several gigabytes and a few minutes the first time."
	@$(PIP_INSTALL) -e '.[test]'
	$(ensure_opencv)
	@touch $(INSTALLED) $@

install: $(INSTALLED) ## make .venv and install the package (editable) with the tested versions

install-test: $(INSTALLED_TEST) ## the same with the test extra

demo: $(INSTALLED) ## run the demo suite with seed 0 and print its board
	@$(BIN)/ssliqa-bench sweep demo --seeds 1 --jobs $(JOBS)
	@$(BIN)/ssliqa-bench leaderboard --out runs/boards --print

test: $(INSTALLED_TEST) ## run the default tests (ARGS='-k mapping' adds options)
	@$(BIN)/python -m pytest $(PARALLEL) $(ARGS)

test-slow: $(INSTALLED_TEST) ## run the slow tests and those of them that kill processes
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m '(slow or faults) and not gpu and not browser' --ignore=tests/test_packaging.py --ignore=tests/faults $(ARGS)

faults: $(INSTALLED_TEST) ## run tests/faults: bad inputs, flipped bits, kills, planted pickles
	@$(BIN)/python -m pytest -n $(JOBS) --dist loadscope -m faults tests/faults $(ARGS)

test-browser: $(INSTALLED_TEST) ## open site and rating page in Chromium (Debian: apt-get install chromium); axe-core comes by npm
	@test -f build/axe/node_modules/axe-core/axe.min.js || npm install --silent --prefix build/axe axe-core@4.14.1
	@$(BIN)/python -m pytest -m browser tests/leaderboard tests/photos $(ARGS)

boards: $(INSTALLED) ## write all committed boards and the site anew from the committed records
	@$(BIN)/ssliqa-bench leaderboard --store leaderboards/demo --out leaderboards
	@$(BIN)/ssliqa-bench leaderboard --store leaderboards/open --out leaderboards/open
	@$(BIN)/ssliqa-bench leaderboard --few-labels --store leaderboards/open --out leaderboards/open
	@$(BIN)/ssliqa-bench leaderboard --store leaderboards/last-stages --out leaderboards/last-stages
	@$(BIN)/ssliqa-bench leaderboard --published --store leaderboards/published --out leaderboards
	@$(MAKE) site

site: $(INSTALLED) ## write the committed site anew from the committed records
	@$(BIN)/ssliqa-bench leaderboard --store leaderboards/open --with leaderboards/published --with leaderboards/demo --format html --out leaderboards

faults-full: $(INSTALLED_TEST) ## 50 kills, all places, a soak of 30 minutes; write docs/reliability.md (KILLS=50 MINUTES=30)
	@$(BIN)/python benchmarks/reliability.py --kills $(KILLS) --minutes $(MINUTES)

audit: $(INSTALLED) ## report known vulnerabilities of the pinned dependencies, where an advisory service is reached
	@$(BIN)/python .ci/audit.py

test-wheel: $(INSTALLED_TEST) ## build wheel and sdist, install each and use it from an empty folder
	@$(BIN)/python -m pytest -m slow tests/test_packaging.py $(ARGS)

lint: $(INSTALLED_TEST) ## ruff
	@$(BIN)/ruff check .

types: $(INSTALLED_TEST) ## mypy, strict, on all packages but methods and training
	@$(BIN)/mypy

pins: $(INSTALLED) ## renew the pins of keyed code after an intended change (WHY="what changed, and for which learners")
	@$(BIN)/python benchmarks/key_pins.py renew "$(WHY)"

bench: $(INSTALLED) ## run the timings of benchmarks/speed/ and write RESULTS.md there (ARGS='loop.py mapping.py' for some)
	@$(BIN)/python benchmarks/speed/results.py $(ARGS)

mapping-cases: $(INSTALLED) ## compare the score mapping with scipy on all 10,000 random cases
	@$(BIN)/python benchmarks/speed/mapping.py --cases 10000

demo-records: $(INSTALLED) ## run the demo suites (about 2.8 core-hours); write records and board under leaderboards/demo/
	@mkdir -p runs/demo-records
	@for suite in $(DEMO_SUITES); do \
	  $(BIN)/ssliqa-bench sweep $$suite --jobs $(JOBS) --store runs/demo-records --json \
	    > runs/demo-records/$$suite.json; \
	done
	@$(BIN)/python .ci/demo_records.py runs/demo-records leaderboards/demo \
	  $(DEMO_SUITES:%=runs/demo-records/%.json)
	@$(BIN)/ssliqa-bench leaderboard --store leaderboards/demo --out leaderboards

open-records: $(INSTALLED) ## run the suites on human scores (needs livec and biq2021 below the data root); write records and board
	@mkdir -p runs/open-records
	@for suite in $(OPEN_SUITES) $(LAST_STAGES_SUITES); do \
	  $(BIN)/ssliqa-bench sweep $$suite --store runs/open-records --json > runs/open-records/$$suite.json || exit 1; done
	@$(BIN)/python .ci/demo_records.py runs/open-records leaderboards/open $(OPEN_SUITES:%=runs/open-records/%.json)
	@$(BIN)/python .ci/demo_records.py runs/open-records leaderboards/last-stages \
	  $(LAST_STAGES_SUITES:%=runs/open-records/%.json)
	@$(MAKE) boards

demo-claims: $(INSTALLED) ## check what the demo pairs must show, on the models of `make demo-records`
	@for suite in $(DEMO_CLAIMS); do $(BIN)/python benchmarks/claims/$$suite.py --store runs/demo-records; done

check-board: $(INSTALLED) ## check that the committed boards follow from the committed records
	@$(BIN)/ssliqa-bench leaderboard --store leaderboards/demo --out leaderboards --check
	@$(BIN)/ssliqa-bench leaderboard --store leaderboards/open --out leaderboards/open --check
	@$(BIN)/ssliqa-bench leaderboard --few-labels --store leaderboards/open --out leaderboards/open --check
	@$(BIN)/ssliqa-bench leaderboard --store leaderboards/last-stages --out leaderboards/last-stages --check
	@$(BIN)/ssliqa-bench leaderboard --published --store leaderboards/published --out leaderboards --check

readme: $(INSTALLED) ## renew the tables of README.md, docs/datasets.md and docs/open.md from board, registry and records
	@$(BIN)/python .ci/readme_tables.py

check-readme: $(INSTALLED) ## check that the tables of README.md, docs/datasets.md and docs/open.md are current
	@$(BIN)/python .ci/readme_tables.py --check

lock: | $(BIN)/pip ## renew constraints.txt, for every extra, from what the registry offers today, in an environment of its own
	@rm -rf build/lock && $(BIN)/python -m venv build/lock
	@build/lock/bin/python -m pip install --upgrade pip
	@build/lock/bin/python -m pip install -e '.[test,heic,s3,gcs,ray]'
	@build/lock/bin/python -m pip freeze --all --exclude pip --exclude ssliqa-bench > build/constraints.txt
	@mv build/constraints.txt constraints.txt && rm -rf build/lock
	@echo "constraints.txt is renewed. Run .ci/run before you commit it."

clean: ## remove build outputs and caches (keeps .venv and runs/)
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find ssliqa_bench tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
