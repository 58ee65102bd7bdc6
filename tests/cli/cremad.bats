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

@test "fused runs from random weights are measured beside the unimodal runs of their group" {
    cremad runs -j 2 FOLDS=0 OUT="$W/scratch" METHODS="vanilla uni-audio uni-video" \
        SET="init.encoders=scratch pretrain.epochs=1 pretrain.batch=8 audio.pool=8 video.size=32 model.width=16 optim.epochs=1"
    cd "$W/scratch/fold0/rate1.0"
    jq -e '.synergy.by == "unimodal-runs"' vanilla/test/metrics.json
    jq -e '.synergy == null' uni-audio/test/metrics.json
    # what both unimodal runs get wrong, counted from their predictions
    n=$(paste uni-audio/test/predictions.tsv uni-video/test/predictions.tsv | grep -v '^#' |
        awk -F '\t' 'NR == 1 { for (i = 1; i <= NF; i++) col[$i] = col[$i] " " i
                               split(col["label"], l, " "); split(col["prediction"], p, " "); next }
                      $p[1] != $l[1] && $p[2] != $l[2] { n++ } END { print n + 0 }')
    [ "$n" -gt 0 ]
    [ "$(jq .synergy.n vanilla/test/metrics.json)" -eq "$n" ]
    # runs that are not there cannot be asked for
    cd "$W"
    ! cremad -n runs FOLDS=0 OUT="$W/scratch2" METHODS="vanilla uni-audio" | grep -e --unimodal
}

@test "a copy of the Makefile finds the programs in PATH" {
    mkdir -p "$W/mine"
    cp "$SOURCE_DIR/docs/cremad.mk" "$W/mine/Makefile"
    run env -u BIN PATH="$BIN:$PATH" make -n -C "$W/mine" "ROOT=$W/raw"
    [ "$status" -eq 0 ]
    [[ "$output" == *"\"$BIN/synib-scan\" \"$W/raw\""* ]]
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

@test "other settings in the same OUT are refused in one line, before any work" {
    cremad FOLDS=0
    find "$W/out" -type f -printf '%p %T@ %s\n' | sort >"$W/before"
    while IFS='|' read -r given words; do
        for goal in "" runs report table.tsv; do
            run cremad FOLDS=0 ${goal:+"${goal/#table/$W/out/table}"} "$given"
            echo "$given $goal: $status $output"
            [ "$status" -eq 2 ]
            [ "${#lines[@]}" -eq 1 ]
            [[ "$output" == *"OUT=$W/out: $words"* ]]
            [[ "$output" == *"give another OUT, or remove $W/out"* ]]
        done
        find "$W/out" -type f -printf '%p %T@ %s\n' | sort | cmp - "$W/before"
    done <<END
SEED=7|SEED was "" here, and is "7" now
SCHEME=reference|SCHEME was "kfold" here, and is "reference" now
PRESET=paper|PRESET was "demo" here, and is "paper" now
SET=it's=1|SET was "pretrain.epochs=1 pretrain.batch=8 audio.pool=8 video.size=32 model.width=16" here, and is "it's=1" now
ROOT=$W/others|ROOT was "$W/raw" here, and is "$W/others" now
END
    # What has a folder of its own may be added, and data need no settings of training.
    cremad data FOLDS="0 1" PRESET=paper SET=
    cremad -n runs FOLDS=0 RATES="0.5 1.0" METHODS="uni-audio vanilla" SEEDS="1 2" >"$W/plan"
    # A folder without settings is from before they were kept.
    rm "$W/out/settings.data"
    cremad data FOLDS=0 SEED=3 | grep -q "settings.data: not there: what $W/out holds is taken for made with these"
    run cremad data FOLDS=0
    [[ "$output" == *'SEED was "3" here'* ]]
}

@test "a corpus inside OUT moves with it" {
    mkdir "$W/place"
    cp -r "$W/raw" "$W/place"
    cremad data FOLDS=0 OUT="$W/place" ROOT="$W/place/raw"
    mv "$W/place" "$W/moved"
    cremad data FOLDS=0 OUT="$W/moved" ROOT="$W/moved/raw"
}

@test "spaces: in ROOT, BIN and SHARDS they work, elsewhere one line refuses them before any work" {
    cp -r "$W/raw" "$W/my clips"
    ln -s "$BIN" "$W/my bin"
    cremad data FOLDS=0 OUT="$W/spaced" ROOT="$W/my clips" BIN="$W/my bin"
    mkdir "$W/my disk"
    cp -r "$W/spaced/"* "$W/my disk"
    cremad FOLDS=0 OUT="$W/spaced" ROOT="$W/my clips" BIN="$W/my bin" SHARDS="$W/my disk"
    # The front door, the scripts behind it and the makefiles, in a checkout or with an OUT that has a space.
    mkdir -p "$W/my checkout/build"
    cp -r "$SOURCE_DIR/Makefile" "$SOURCE_DIR/scripts" "$SOURCE_DIR/docs" "$W/my checkout"
    ln -s "$BIN" "$W/my checkout/build/bin"
    cd "$W"
    front="make --no-print-directory -C"
    while IFS='|' read -r words command; do
        eval "run $command"
        echo "$command: $status $output"
        [ "$status" -eq 2 ]
        [ "${#lines[@]}" -eq 1 ]
        [[ "$output" == *"$words"* ]]
        [ ! -e "my out" ]
        [ ! -e o ]
    done <<'END'
whose path holds a space|$front "my checkout" demo
whose path holds a space|$front "my checkout" table1
whose path holds a space|$front "my checkout" shortcut
OUT="my out"|$front "$SOURCE_DIR" table1 OUT="my out"
OUT="my out"|$front "$SOURCE_DIR" shortcut OUT="my out"
the path of this makefile|"my checkout/scripts/demo" o
the path of this makefile|"my checkout/scripts/table1" o
the path of this makefile|"my checkout/scripts/shortcut/run" o
OUT="my out"|"$SOURCE_DIR/scripts/demo" "my out"
OUT="my out"|"$SOURCE_DIR/scripts/table1" "my out"
OUT="my out"|"$SOURCE_DIR/scripts/shortcut/run" "my out"
the path of this makefile|make -f "my checkout/docs/shortcut.mk" OUT=o
OUT="my out"|make -f "$SOURCE_DIR/docs/cremad.mk" OUT="my out"
END
}

@test "a list that would lose what it names is refused before any work" {
    while IFS='|' read -r args says; do
        run cremad -n runs OUT="$W/lists" "$args"
        echo "$args: $status $output"
        [ "$status" -eq 2 ]
        [[ "$output" == *"$says"* ]]
        [ ! -e "$W/lists" ]
    done <<'END'
FOLDS=0 5|FOLDS="0 5": the authors give seeds for folds 0 to 4, which count from 0: give SEED for fold 5
FOLDS=|FOLDS is empty
METHODS=|METHODS is empty
RATES=|RATES is empty
FOLDS=0,1|FOLDS="0,1": separate them by blanks
RATES=0.1,0.5|RATES="0.1,0.5": separate them by blanks
METHODS=synib,vanilla|separate them by blanks
FOLDS=0 x9|'x9' is no number
END
    cremad -n data OUT="$W/lists" FOLDS=0 METHODS=
    run cremad -n runs OUT="$W/lists" FOLDS="5 19" SEED=3
    [ "$status" -eq 0 ]
    [ "$(grep -c 'synib-train' <<<"$output")" -eq 2 ]
    # seeds of training alone do not make data
    run cremad -n runs OUT="$W/lists" FOLDS=5 SEEDS="1 2"
    [ "$status" -eq 2 ]
}
