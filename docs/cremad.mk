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
ifeq ($(realpath $(lastword $(MAKEFILE_LIST))),)
$(error the path of this makefile holds a space, which make cannot handle: move or copy it)
endif
ifneq ($(words $(OUT)),1)
$(error OUT="$(OUT)": make needs one path without spaces)
endif
here    := $(dir $(realpath $(lastword $(MAKEFILE_LIST))))
BIN     ?= $(patsubst %/,%,$(dir $(firstword $(wildcard $(here)../build/bin/synib-scan \
               $(here)../../bin/synib-scan) $(shell command -v synib-scan) BIN-is-not-set/)))

SCHEME  ?= reference
FOLDS   ?= 0 1 2
RATES   ?= 0.1 0.5 1.0 2.0
# The rows of the paper's Table 1, in its order (docs/methods.md).
METHODS ?= uni-video uni-audio ensemble vanilla dnr mmpareto reconboost mcr synib
PRESET  ?= paper
# The authors' seed of each fold, unless SEED is given. Of data and training; SEEDS are several seeds of
# training on the same data, each with encoders of its own.
SEED    ?=
SEEDS   ?=
seed     = $(or $(SEED),$(word $(shell expr $(1) + 1),109 19 337 42 7))
# Threads of one tool. Use `make -j` for several runs at a time and THREADS=1 instead.
THREADS ?= 0
SET     ?=
# PART=i/n: only every n-th group of runs (a fold, rate and seed, which share their encoders), from the
# i-th. Several machines that see the same OUT can each do a part.
PART    ?=

# Where training reads the sets: OUT, or a copy of its video/, audio/ and fold*/rate*/data/ on a local disk.
SHARDS  ?= $(OUT)

comma   := ,
digits  := 0 1 2 3 4 5 6 7 8 9
not_digits = $(if $(2),$(call not_digits,$(subst $(firstword $(2)),,$(1)),$(wordlist 2,10,$(2))),$(1))
# A list that would lose what it names is refused before any work.
$(foreach v,FOLDS RATES,$(if $($(v)),,$(error $(v) is empty: nothing to do)))
$(foreach v,FOLDS RATES METHODS SEEDS,$(if $(findstring $(comma),$($(v))),$(error $(v)="$($(v))": separate them by blanks)))
$(foreach f,$(FOLDS),$(if $(call not_digits,$(f),$(digits)),$(error FOLDS="$(FOLDS)": '$(f)' is no number, folds count from 0)))
$(foreach f,$(FOLDS),$(if $(call seed,$(f)),,$(error FOLDS="$(FOLDS)": the authors give seeds for folds \
    0 to 4, which count from 0: give SEED for fold $(f))))

# A group is a word FOLD,RATE,SEED; its runs lie in OUT/group_dir/METHOD.
field    = $(word $(2),$(subst $(comma), ,$(1)))
group_dir = fold$(call field,$(1),1)/rate$(call field,$(1),2)$(if $(SEEDS),/seed$(call field,$(1),3))
groups  := $(foreach f,$(FOLDS),$(foreach r,$(RATES),$(foreach s,$(or $(SEEDS),$(call seed,$(f))),$(f),$(r),$(s))))
ifneq ($(PART),)
groups  := $(shell printf '%s\n' $(groups) | awk -v part='$(PART)' \
               'BEGIN { split(part, p, "/") } p[2] > 0 && (NR - 1) % p[2] + 1 == p[1]')
ifeq ($(groups),)
$(error PART=$(PART): write i/n, and there is no i-th group of runs)
endif
endif
cells   := $(foreach g,$(groups),$(foreach m,$(METHODS),$(call group_dir,$(g))/$(m)))

# The table is made anew each time: it holds the cells of this call.
.PHONY: all settings data runs report $(OUT)/table.tsv
.SECONDARY:
.DELETE_ON_ERROR:
all: $(OUT)/table.tsv
runs: $(foreach c,$(cells),$(OUT)/$(c)/test/metrics.json)
data: $(foreach f,$(FOLDS),$(foreach r,$(RATES),$(OUT)/fold$(f)/rate$(r)/data/test/index.jsonl))

# What no path under OUT tells is kept in OUT/settings.STAGE when the stage first begins. A later call that differs
# is refused before any work: it would find the old results finished and return them as its own.
quoted   = '$(subst ','\'',$(strip $(1)))'
# ROOT by its place, which for a corpus inside OUT is told from there: OUT may be moved.
root    := $(if $(word 2,$(ROOT)),$(ROOT),$(patsubst $(abspath $(OUT))/%,OUT/%,$(abspath $(ROOT))))
settings_data  = ROOT $(call quoted,$(root)) SCHEME $(call quoted,$(SCHEME)) SEED $(call quoted,$(SEED))
settings_train = PRESET $(call quoted,$(PRESET)) SET $(call quoted,$(SET))
differing = $(shell [ ! -e $(OUT)/settings.$(1) ] || printf '%s\t%s\n' $(settings_$(1)) | awk -F '\t' ' \
    NR == FNR { was[$$1] = $$2; next } \
    $$1 in was && was[$$1] != $$2 { \
        printf "%s was \"%s\" here, and is \"%s\" now: give another OUT, or remove $(OUT)%s", $$1, was[$$1], $$2, \
            $$1 == "ROOT" ? " (if the clips only moved: write the new place into $(OUT)/settings.$(1))" : ""; \
        exit }' $(OUT)/settings.$(1) -)
# $(call keep_settings,stage,files that show that it was begun)
define keep_settings
differs := $$(call differing,$(1))
ifneq ($$(differs),)
$$(error OUT=$(OUT): $$(differs))
endif
.PHONY: keep-$(1)
settings: keep-$(1)
keep-$(1): | $(OUT)
	@[ -e $(OUT)/settings.$(1) ] || { \
	    $$(if $$(wildcard $(2)),echo "$(OUT)/settings.$(1): not there: what $(OUT) holds is taken for made with these" >&2;) \
	    printf '%s\t%s\n' $$(settings_$(1)) >$(OUT)/settings.$(1).$$$$$$$$ && \
	    mv $(OUT)/settings.$(1).$$$$$$$$ $(OUT)/settings.$(1); }
endef
# Calls for data alone say nothing about training.
$(eval $(call keep_settings,data,$(OUT)/clips.tsv))
ifneq ($(filter-out data shortcut-sets %/clips.tsv %/split.tsv %/index.jsonl,$(or $(MAKECMDGOALS),all)),)
$(eval $(call keep_settings,train,$(OUT)/fold*/*/*/run.json $(OUT)/fold*/*/*/*/run.json))
$(if $(METHODS),,$(error METHODS is empty: nothing to train))
endif

# Exit code 3 means "done, and the rejected clips are listed": the real CREMA-D has a few.
or_rejected = || [ $$? -eq 3 ]

$(OUT)/clips.tsv: | keep-data
	"$(BIN)/synib-scan" "$(ROOT)" -j $(THREADS) --force -o $@ $(or_rejected)

$(OUT):
	mkdir -p $@

$(OUT)/video/index.jsonl: $(OUT)/clips.tsv | keep-data
	"$(BIN)/synib-frames" $< --root "$(ROOT)" -j $(THREADS) --force -o $(@D) $(or_rejected)

$(OUT)/audio/index.jsonl: $(OUT)/clips.tsv | keep-data
	"$(BIN)/synib-stft" $< --root "$(ROOT)" -j $(THREADS) --force -o $(@D) $(or_rejected)

# A split gets its name after its audit: nothing is made of one that shares speakers between parts.
$(OUT)/fold%/split.tsv: $(OUT)/clips.tsv | keep-data
	mkdir -p $(@D)
	"$(BIN)/synib-split" $< --scheme $(SCHEME) --fold $* --force -o $@.unaudited $(or_rejected)
	"$(BIN)/synib-split" --audit $@.unaudited
	mv $@.unaudited $@

# fold F, rate R: $(OUT)/foldF/rateR/data. Of its three sets, test is published last.
define irony_rule
$(OUT)/fold$(1)/rate$(2)/data/test/index.jsonl: $(OUT)/fold$(1)/split.tsv \
        $(OUT)/video/index.jsonl $(OUT)/audio/index.jsonl | keep-data
	"$(BIN)/synib-irony" --video $(OUT)/video --audio $(OUT)/audio --split $$< --rate $(2) \
	    --seed $(call seed,$(1)) --force -o $(OUT)/fold$(1)/rate$(2)/data $$(or_rejected)
endef
$(foreach f,$(FOLDS),$(foreach r,$(RATES),$(eval $(call irony_rule,$(f),$(r)))))

# Fused runs are measured beside the unimodal runs of their group, also where they do not start from them: what both get
# wrong are the samples of synergy accuracy. Method $(1); nothing where METHODS leaves one of them out.
unimodal := uni-audio uni-video
beside    = $(if $(filter $(unimodal),$(1))$(filter-out $(METHODS),$(unimodal)),,$(unimodal))

# One run: group $(1), method $(2), data $(3), seed $(4). A finished run is left alone and an interrupted
# one resumed; the unimodal runs of the same group give the fused ones their encoders.
define run_rule
$(OUT)/$(1)/$(2)/test/metrics.json: $(OUT)/$(3)/test/index.jsonl | keep-train \
        $(patsubst %,$(OUT)/$(1)/%/test/metrics.json,$(call beside,$(2)))
	"$(BIN)/synib-train" "$(SHARDS)/$(3)" --preset $(PRESET) --method $(2) \
	    $(foreach s,$(SET),--set $(s)) --seed $(4) -j $(THREADS) --resume \
	    --pretrained $(OUT)/$(1) -o $(OUT)/$(1)/$(2)
	"$(BIN)/synib-eval" $(OUT)/$(1)/$(2) "$(SHARDS)/$(3)" --split test -j $(THREADS) \
	    $(if $(call beside,$(2)),--unimodal $(OUT)/$(1)) --force -o $$(@D)
endef
$(foreach g,$(groups),$(foreach m,$(METHODS),$(eval $(call run_rule,$(call group_dir,$(g)),$(m),$(\
    )fold$(call field,$(g),1)/rate$(call field,$(g),2)/data,$(call field,$(g),3)))))

# The paper's Table 1 and what goes with it, from all runs under OUT (docs/formats/report.md).
report: runs
	"$(BIN)/synib-report" $(OUT) --force -o $(OUT)/report $(or_rejected)

# fold, rate, method, seed, then accuracy, macro F1 and irony F1 on the test split.
columns := [($$cell | split("/") | .[0][4:], .[1][4:], .[-1]), .seed, .n, .accuracy, .macro_f1, .f1.irony] | @tsv
$(OUT)/table.tsv: runs
	printf 'fold\trate\tmethod\tseed\tn\taccuracy\tmacro_f1\tirony_f1\n' > $@.new
	for c in $(cells); do \
	    jq -r --arg cell "$$c" '$(columns)' $(OUT)/$$c/test/metrics.json >> $@.new || exit 1; \
	done
	mv $@.new $@
