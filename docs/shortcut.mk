# SPDX-License-Identifier: MIT
# Is irony told from contradicting emotions, or from a voice that is not the face's? Every way to make
# training sets x every way to make test sets: docs/shortcut.md. `make shortcut` runs this very file;
# by hand: `make -f docs/shortcut.mk -j 2 THREADS=1 ROOT=/data/CREMA-D OUT=shortcut`.
#
# Scan, base sets and splits are the rules of cremad.mk, with its variables. Every model makes one file,
# cells.tsv, when it is trained and tested; after a kill the same command goes on.

.DEFAULT_GOAL := shortcut

OUT     ?= shortcut
METHODS ?= uni-audio uni-video vanilla synib
# Seeds of training; the sets take the seed of their fold.
SEEDS   ?= 0
# IRONY or IRONY+MATCHED: the rule of the irony donors and, with `+`, that of matched swaps (the sound of
# another clip of the same emotion, label unchanged), each reference, same-actor or same-sentence.
TRAINS  ?= reference same-actor same-sentence same-actor+same-actor
TESTS   ?= reference same-actor same-sentence
# Irony and matched swaps of training sets, and irony of test sets, per mean class size. All other clips of
# a test set are matched swaps: at rate 3, half and half.
RATE      ?= 1.0
MATCHED   ?= 1.0
TEST_RATE ?= 3.0

ifeq ($(realpath $(lastword $(MAKEFILE_LIST))),)
$(error the path of this makefile holds a space, which make cannot handle: move or copy it)
endif
shortcut_mk := $(realpath $(lastword $(MAKEFILE_LIST)))
# The awk scripts: of the checkout or installation that this file lies in.
SCRIPTS     ?= $(firstword $(wildcard $(dir $(shortcut_mk))../scripts/shortcut $(dir $(shortcut_mk))shortcut))
include $(dir $(shortcut_mk))cremad.mk
settings_shortcut = RATE $(call quoted,$(RATE)) MATCHED $(call quoted,$(MATCHED)) TEST_RATE $(call quoted,$(TEST_RATE))
$(eval $(call keep_settings,shortcut,$(OUT)/fold*/test-*/test/index.jsonl))

.PHONY: shortcut shortcut-sets shortcut-runs $(OUT)/shortcut.tsv

trained := $(foreach f,$(FOLDS),$(foreach t,$(TRAINS),$(foreach s,$(SEEDS),$(foreach m,$(METHODS),\
    fold$(f)/$(t)/seed$(s)/$(m)))))
cell_files := $(patsubst %,$(OUT)/%/cells.tsv,$(trained))
test_names := untouched $(TESTS)

shortcut: $(OUT)/shortcut.tsv
	awk -f $(SCRIPTS)/table.awk $<
shortcut-runs: $(cell_files)
shortcut-sets: $(foreach f,$(FOLDS),$(foreach t,$(TRAINS),$(OUT)/fold$(f)/$(t)/data/test/index.jsonl) \
    $(foreach t,$(test_names),$(OUT)/fold$(f)/test-$(t)/test/index.jsonl))

# $(call sets,fold,folder,options): all three sets, of which `test` is published last. Where a rule leaves
# no donor the reference rule gives one; cells.awk does not count such matched swaps.
define sets
$(OUT)/fold$(1)/$(2)/test/index.jsonl: $(OUT)/fold$(1)/split.tsv $(OUT)/video/index.jsonl \
        $(OUT)/audio/index.jsonl | keep-data keep-shortcut
	"$(BIN)/synib-irony" --video $(OUT)/video --audio $(OUT)/audio --split $$< $(3) \
	    $(if $(findstring same-,$(3)),--donor-fallback) --seed $(call seed,$(1)) --force \
	    -o $(OUT)/fold$(1)/$(2) $$(or_rejected)
endef
rules       = $(subst +, ,$(1))
matched_by  = $(if $(word 2,$(call rules,$(1))),--matched $(MATCHED) --matched-donors $(word 2,$(call rules,$(1))))
train_sets  = --rate $(RATE) --donors $(word 1,$(call rules,$(1))) $(call matched_by,$(1))
# Rate 6 is more than all clips: the rest.
test_sets   = --rate $(TEST_RATE) --donors $(1) --matched 6 --matched-donors $(1)
$(foreach f,$(FOLDS),\
    $(foreach t,$(TRAINS),$(eval $(call sets,$(f),$(t)/data,$(call train_sets,$(t))))) \
    $(foreach t,$(TESTS),$(eval $(call sets,$(f),test-$(t),$(call test_sets,$(t))))) \
    $(eval $(call sets,$(f),test-untouched,--rate 0)))

# $(call run,fold,training set,seed,method): one model, tested on every test set of its fold.
define run
$(OUT)/fold$(1)/$(2)/seed$(3)/$(4)/cells.tsv: $(OUT)/fold$(1)/$(2)/data/test/index.jsonl \
        $(foreach t,$(test_names),$(OUT)/fold$(1)/test-$(t)/test/index.jsonl) | keep-train
	"$(BIN)/synib-train" $(OUT)/fold$(1)/$(2)/data --preset $(PRESET) --method $(4) \
	    $(foreach s,$(SET),--set $(s)) --seed $(3) -j $(THREADS) --resume \
	    --pretrained $(OUT)/fold$(1)/$(2)/seed$(3) -o $$(@D)
	for t in $(test_names); do \
	    "$(BIN)/synib-eval" -q $$(@D) $(OUT)/fold$(1)/test-$$$$t --split test -j $(THREADS) --force \
	        -o $$(@D)/on-$$$$t >$$(@D)/eval.log 2>&1 || { cat $$(@D)/eval.log; exit 1; }; \
	done
	awk -f $(SCRIPTS)/cells.awk -v fold=$(1) -v train=$(2) -v seed=$(3) -v method=$(4) \
	    $(foreach t,$(test_names),test=$(t) $$(@D)/on-$(t)/predictions.tsv) >$$@.new
	mv $$@.new $$@
endef
$(foreach f,$(FOLDS),$(foreach t,$(TRAINS),$(foreach s,$(SEEDS),$(foreach m,$(METHODS),\
    $(eval $(call run,$(f),$(t),$(s),$(m)))))))

# Made anew each time: it holds the models of this call, in its order.
$(OUT)/shortcut.tsv: $(cell_files)
	awk 'FNR > 1 || NR == 1' $^ >$@.new
	mv $@.new $@
