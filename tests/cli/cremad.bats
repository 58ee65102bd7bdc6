#!/usr/bin/env bats
# docs/cremad.mk, the Makefile of the real run, on a tiny corpus.

setup_file() {
    export W="$BATS_FILE_TMPDIR" TOOLS="$BIN"
    unset MAKEFLAGS MFLAGS MAKELEVEL # of the `make test` that runs this
    "$BIN/synib-synth" -q --actors 5 --sentences 1 --seed 3 -o "$W/raw"
}

# cremad TARGET... VAR=VALUE...
cremad() {
    make --no-print-directory -s -f "$SOURCE_DIR/docs/cremad.mk" BIN="$BIN" ROOT="$W/raw" OUT="$W/out" \
        SCHEME=kfold RATES=1.0 PRESET=demo METHODS=uni-audio \
        SET="pretrain.epochs=1 pretrain.batch=8 audio.pool=8 video.size=32 model.width=16" "$@" 2>&1
}

# The folds that the table has rows of.
table_folds() {
    tail -n +2 "$W/out/table.tsv" | cut -f1 | xargs
}

@test "jobs for single cells write no table, and the table holds the cells of its call" {
    cremad data FOLDS="0 1"
    cremad runs FOLDS=0
    cremad runs FOLDS=1
    [ ! -e "$W/out/table.tsv" ]
    cremad FOLDS="0 1"
    [ "$(table_folds)" = "0 1" ]
    cremad FOLDS=1
    [ "$(table_folds)" = 1 ]
    cremad FOLDS="0 1"
    [ "$(table_folds)" = "0 1" ]
}

@test "a kill between two sets of a dataset: the same command makes the missing ones" {
    cremad data FOLDS=0
    before=$(sha256sum < "$W/out/fold0/rate1.0/data/test/index.jsonl")
    rm -r "$W/out/fold0/rate1.0/data/val" "$W/out/fold0/rate1.0/data/test"
    cremad data FOLDS=0
    [ -e "$W/out/fold0/rate1.0/data/val/index.jsonl" ]
    [ "$(sha256sum < "$W/out/fold0/rate1.0/data/test/index.jsonl")" = "$before" ]
}

@test "a copy of the Makefile finds the programs in PATH" {
    mkdir -p "$W/mine"
    cp "$SOURCE_DIR/docs/cremad.mk" "$W/mine/Makefile"
    run env -u BIN PATH="$BIN:$PATH" make -n -C "$W/mine" "ROOT=$W/raw"
    [ "$status" -eq 0 ]
    [[ "$output" == *"$BIN/synib-scan $W/raw"* ]]
}

# stub TOOL: a folder of the programs in which TOOL is the script of stdin; the true ones are in $TOOLS.
stub() {
    mkdir -p "$W/stub-$1"
    ln -sf "$BIN"/synib-* "$W/stub-$1"
    rm "$W/stub-$1/$1"
    cat >"$W/stub-$1/$1"
    chmod +x "$W/stub-$1/$1"
}

@test "a split that fails its audit stops every call, and no set is made of it" {
    stub synib-split <<'END'
#!/bin/sh
[ "$1" != --audit ] || { echo "speakers in more than one part: 1"; exit 4; }
exec "$TOOLS/synib-split" "$@"
END
    for call in 1 2; do
        run cremad data FOLDS=0 BIN="$W/stub-synib-split" OUT="$W/leaky"
        echo "call $call: $status $output"
        [ "$status" -eq 2 ]
        [[ "$output" == *"more than one part: 1"* ]]
        [ ! -e "$W/leaky/fold0/split.tsv" ]
        [ ! -e "$W/leaky/fold0/rate1.0" ]
    done
}
