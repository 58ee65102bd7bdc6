# SPDX-License-Identifier: MIT
# The front door. `make` builds into build/bin/; see README.md.
#
#   make           build (installs missing Debian packages first)
#   make demo      raw synthetic clips -> trained models, one table, pictures, under demo/
#   make test      build and run all tests
#   make figures   the paper's figures on the synthetic tasks: docs/xor-results.md (hours; goes on where it stopped)
#   make table1    the paper's Table 1: on DATA=/path/to/CREMA-D, or small on a synthetic corpus; goes on where it stopped
#   make shortcut  DATA=ROOT: is irony told from emotions or from a foreign voice? (docs/shortcut.md)
#   make faults    kill every tool at every system call, and fail every one (docs/reliability/kill.md)
#   make bench     measure beside the peers, which it installs outside; one table (QUICK=1: a look, nine minutes)
#   make repeat    every product again under 49 circumstances that must not matter: equal bytes (docs/reliability/)
#   make asan      the tests under AddressSanitizer and UBSan
#   make tsan      what threads share, under ThreadSanitizer (docs/reliability/races.md)
#   make corruption  shards, sets and runs damaged in every way (docs/reliability/corruption.md; half an hour)
#   make fuzz      fuzzing campaigns of every parser, or of TARGET (docs/reliability/fuzzing.md)
#   make coverage  branch coverage of the tests (docs/reliability/coverage.md)
#   make format    clang-format over everything
#   make install   PREFIX=/usr/local
#   make clean

# A preset of CMakePresets.json; PRESET is a preset of manifests/presets, for the makefiles of docs/ that start here.
# Another preset has a build folder of its own.
CMAKE_PRESET := release
BUILD := $(if $(filter release,$(CMAKE_PRESET)),build,build-$(CMAKE_PRESET))
JOBS := $(shell nproc)
PREFIX := /usr/local
# More for cmake, such as -DSYNIB_WERROR=ON. A build folder keeps them until others are given (CMAKE_ARGS=: none).
CMAKE_ARGS :=
SOURCES = $(shell git ls-files '*.c' '*.h')

# What starts docs/cremad.mk says so before it builds.
ifneq ($(filter demo table1 shortcut,$(MAKECMDGOALS)),)
$(if $(word 2,$(CURDIR)),$(error $(CURDIR): make cannot handle a checkout whose path holds a space: move it))
$(if $(word 2,$(OUT)),$(error OUT="$(OUT)": make needs one path without spaces))
endif

.PHONY: all packages configure demo test faults figures table1 shortcut bench repeat asan tsan corruption fuzz coverage format \
        check-format check-layers install clean

all: configure
	@cmake --build $(BUILD) -j $(JOBS)

packages:
	@scripts/install-packages

# Whether the caller says what a variable is.
given = $(filter-out file,$(origin $(1)))

configure: packages
	@scripts/configure "$(BUILD)" $(if $(call given,CMAKE_PRESET),--preset $(CMAKE_PRESET)) \
	    $(if $(call given,CMAKE_ARGS),--args $(CMAKE_ARGS))

demo: all
	@BIN="$(BUILD)/bin" scripts/demo demo

test: all
	@cd $(BUILD) && ctest --output-on-failure -j $(JOBS)

faults: all
	@scripts/install-packages strace
	@tests/fault/run-full $(BUILD)/bin

# GRID=full adds the published grid of 231 mixtures. SWEEPS: where the runs' results are kept.
GRID := quick
SWEEPS := sweeps
figures: all
	@scripts/figures/run $(BUILD)/bin $(SWEEPS) docs/figures $(GRID)

# DATA: a CREMA-D checkout; default: the synthetic corpus. OUT: where sets, runs and results go. PART=i/n: one of n
# machines (docs/cluster.md).
DATA :=
PART :=
table1: OUT ?= $(if $(DATA),table1,table1-synthetic)
table1: all
	@cmake --build $(BUILD) -j $(JOBS) --target bench-methods
	@BIN="$(BUILD)/bin" JOBS=$(JOBS) PART=$(PART) scripts/table1 "$(OUT)" $(if $(DATA),"$(DATA)")

shortcut: OUT ?= shortcut
shortcut: all
	@BIN="$(BUILD)/bin" scripts/shortcut/run "$(OUT)" $(if $(DATA),"$(DATA)")

# PYTHON: an interpreter that has the peers, instead of PEERS, a folder where they are installed. QUICK=1, ROUNDS,
# CLIPS: bench/run.
bench: all
	@scripts/install-packages python3-venv time
	@cmake --build $(BUILD) -j $(JOBS) --target benches
	@bench/run $(BUILD)

# OUT: scratch folder, about 1 GB.
repeat: OUT ?= build-repeat
repeat: all
	@scripts/install-packages locales clang
	@tests/repeat/run $(BUILD)/bin $(OUT)

asan:
	@scripts/install-packages
	@$(MAKE) --no-print-directory test CMAKE_PRESET=asan BUILD=build-asan

tsan:
	@$(MAKE) --no-print-directory configure CMAKE_PRESET=tsan BUILD=build-tsan
	@cmake --build build-tsan -j $(JOBS) --target thread_tests
	@cd build-tsan && ctest --output-on-failure -L threads -j $(JOBS)

# SEED: of the random part.
SEED := 1
corruption: all
	@for test in corruption corruption_sets corruption_runs; do \
	    nice $(BUILD)/bin/test_$$test --full --seed $(SEED) || exit 1; done

# TARGET, RUNS, SECONDS_EACH, SEED, OUT: tests/fuzz/run. Called again, a campaign goes on where it ended.
fuzz:
	@scripts/install-packages clang libclang-rt-14-dev libomp-14-dev
	@$(MAKE) --no-print-directory configure CMAKE_PRESET=fuzz BUILD=build-fuzz
	@cmake --build build-fuzz -j $(JOBS) --target fuzz_targets
	@JOBS=$(JOBS) tests/fuzz/run build-fuzz

coverage:
	@scripts/install-packages gcovr
	@find build-coverage -name '*.gcda' -delete 2>/dev/null || true
	@$(MAKE) --no-print-directory test CMAKE_PRESET=coverage BUILD=build-coverage
	@scripts/coverage/report build-coverage

format:
	@scripts/install-packages clang-format
	@clang-format -i $(SOURCES)

check-format:
	@scripts/install-packages clang-format
	@clang-format --dry-run -Werror $(SOURCES)

# prep/ and train/ share files, not code; common/ looks downwards only (docs/design.md).
check-layers:
	@! grep -nE '#include "(prep|train|tests)/' -r common
	@! grep -nE '#include "(train|tests)/' -r prep
	@! grep -nE '#include "(prep|tests)/' -r train
	@! grep -nE '#include "common/(data|nn)/' -r common/base
	@! grep -nE '#include "common/nn/' -r common/data
	@! grep -nE '#include "common/data/' -r common/nn

install: all
	@scripts/install-packages help2man
	@cmake $(BUILD) >/dev/null
	@cmake --install $(BUILD) --prefix $(PREFIX)

clean:
	@rm -rf build build-* demo
