# SPDX-License-Identifier: MIT
# CREMA-D-Irony from raw clips to trained models: folds x rates x methods x seeds. Copy it, change the
# lists, run `make -f cremad.mk -j 2 ROOT=/data/CREMA-D`. docs/tutorial.md walks through it; `make demo` runs
# this very file on a synthetic corpus.
#
# Every rule makes one file or set under OUT; a tool never leaves a half-written one, so after a kill the
# same command goes on where it stopped.

ROOT    ?= CREMA-D
OUT     ?= out
# The programs: of the checkout or installation that this file lies in, else those in PATH.
here    := $(dir $(realpath $(lastword $(MAKEFILE_LIST))))
BIN     ?= $(patsubst %/,%,$(dir $(firstword $(wildcard $(here)../build/bin/synib-scan \
               $(here)../../bin/synib-scan) $(shell command -v synib-scan) BIN-is-not-set/)))

SCHEME  ?= reference
FOLDS   ?= 0 1 2
RATES   ?= 0.1 0.5 1.0 2.0
METHODS ?= uni-audio uni-video ensemble vanilla synib
PRESET  ?= paper
# The authors' seed of each fold, unless SEED is given.
SEED    ?=
seed     = $(or $(SEED),$(word $(shell expr $(1) + 1),109 19 337 42 7))
# Threads of one tool. Use `make -j` for several runs at a time and THREADS=1 instead.
THREADS ?= 0
SET     ?=

cells := $(foreach f,$(FOLDS),$(foreach r,$(RATES),$(foreach m,$(METHODS),fold$(f)/rate$(r)/$(m))))

# The table is made anew each time: it holds the cells of this call.
.PHONY: all data runs $(OUT)/table.tsv
.SECONDARY:
all: $(OUT)/table.tsv
runs: $(foreach c,$(cells),$(OUT)/$(c)/test/metrics.json)
data: $(foreach f,$(FOLDS),$(foreach r,$(RATES),$(OUT)/fold$(f)/rate$(r)/data/test/index.jsonl))

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

# fold F, rate R: $(OUT)/foldF/rateR/data. Of its three sets, test is published last.
define irony_rule
$(OUT)/fold$(1)/rate$(2)/data/test/index.jsonl: $(OUT)/fold$(1)/split.tsv \
        $(OUT)/video/index.jsonl $(OUT)/audio/index.jsonl
	$(BIN)/synib-irony --video $(OUT)/video --audio $(OUT)/audio --split $$< --rate $(2) \
	    --seed $(call seed,$(1)) --force -o $(OUT)/fold$(1)/rate$(2)/data $$(or_rejected)
endef
$(foreach f,$(FOLDS),$(foreach r,$(RATES),$(eval $(call irony_rule,$(f),$(r)))))

# One run: fold F, rate R, method M. A finished run is left alone and an interrupted one resumed; the
# unimodal runs of the same fold and rate give the fused ones their encoders.
define run_rule
$(OUT)/$(1)/test/metrics.json: $(OUT)/$(patsubst %/,%,$(dir $(1)))/data/test/index.jsonl
	$(BIN)/synib-train $(OUT)/$(dir $(1))data --preset $(PRESET) --method $(notdir $(1)) \
	    $(foreach s,$(SET),--set $(s)) --seed $(2) -j $(THREADS) --resume \
	    --pretrained $(OUT)/$(patsubst %/,%,$(dir $(1))) -o $(OUT)/$(1)
	$(BIN)/synib-eval $(OUT)/$(1) $(OUT)/$(dir $(1))data --split test -j $(THREADS) --force -o $$(@D)
endef
$(foreach f,$(FOLDS),$(foreach r,$(RATES),$(foreach m,$(METHODS),\
    $(eval $(call run_rule,fold$(f)/rate$(r)/$(m),$(call seed,$(f)))))))

# fold, rate, method, then accuracy, macro F1 and irony F1 on the test split.
columns := [($$cell | split("/") | .[0][4:], .[1][4:], .[2]), .n, .accuracy, .macro_f1, .f1.irony] | @tsv
$(OUT)/table.tsv: runs
	printf 'fold\trate\tmethod\tn\taccuracy\tmacro_f1\tirony_f1\n' > $@.new
	for c in $(cells); do \
	    jq -r --arg cell "$$c" '$(columns)' $(OUT)/$$c/test/metrics.json >> $@.new || exit 1; \
	done
	mv $@.new $@
