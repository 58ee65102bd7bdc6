# SPDX-License-Identifier: MIT
# CREMA-D-Irony from raw clips to trained models: folds x rates x methods x seeds. Copy it, change the
# lists, run `make -f cremad.mk -j 2 ROOT=/data/CREMA-D`. docs/tutorial.md walks through it; `make demo` runs
# this very file on a synthetic corpus.
#
# Every rule makes one file or set under OUT; a tool never leaves a half-written one, so after a kill the
# same command goes on where it stopped.

ROOT    ?= CREMA-D
OUT     ?= out
BIN     ?= $(dir $(realpath $(lastword $(MAKEFILE_LIST))))../build/bin

SCHEME  ?= reference
FOLDS   ?= 0 1 2
RATES   ?= 0.1 0.5 1.0 2.0
METHODS ?= uni-audio uni-video ensemble vanilla synib
PRESET  ?= paper
# The reference seed of each fold; other folds and the kfold scheme use the last column of your choice.
SEED    ?=
seed     = $(or $(SEED),$(word $(shell expr $(1) + 1),109 19 337 42 7))
# Threads of one tool. Use `make -j` for several runs at a time and THREADS=1 instead.
THREADS ?= 0
SET     ?=

runs := $(foreach f,$(FOLDS),$(foreach r,$(RATES),$(foreach m,$(METHODS),fold$(f)/rate$(r)/$(m))))

.PHONY: all audit
.SECONDARY:
all: $(OUT)/table.md

# Exit code 3 means "done, and the rejected clips are listed": the real CREMA-D has a few.
or_rejected = || [ $$? -eq 3 ]

$(OUT)/clips.tsv: | $(OUT)
	$(BIN)/synib-scan $(ROOT) -j $(THREADS) --force -o $@ $(or_rejected)

$(OUT):
	mkdir -p $@

$(OUT)/video/index.jsonl: $(OUT)/clips.tsv
	$(BIN)/synib-frames $< --root $(ROOT) -j $(THREADS) --force -o $(@D) $(or_rejected)

$(OUT)/audio/index.jsonl: $(OUT)/clips.tsv
	$(BIN)/synib-stft $< --root $(ROOT) -j $(THREADS) --force -o $(@D) $(or_rejected)

$(OUT)/fold%/split.tsv: $(OUT)/clips.tsv
	mkdir -p $(@D)
	$(BIN)/synib-split $< --scheme $(SCHEME) --fold $* --force -o $@ $(or_rejected)
	$(BIN)/synib-split --audit $@

# fold F, rate R: $(OUT)/foldF/rateR/data
define irony_rule
$(OUT)/fold$(1)/rate$(2)/data/train/index.jsonl: $(OUT)/fold$(1)/split.tsv \
        $(OUT)/video/index.jsonl $(OUT)/audio/index.jsonl
	$(BIN)/synib-irony --video $(OUT)/video --audio $(OUT)/audio --split $$< --rate $(2) \
	    --seed $(call seed,$(1)) --force -o $(OUT)/fold$(1)/rate$(2)/data $(or_rejected)
endef
$(foreach f,$(FOLDS),$(foreach r,$(RATES),$(eval $(call irony_rule,$(f),$(r)))))
