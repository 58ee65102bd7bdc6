#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# synib-report: over runs on a synthetic task, over a small corpus of pictures and sound, and over what is no
# finished, tested, undamaged run.

bats_require_minimum_version 1.5.0

setup_file() {
    export DIR="$BATS_FILE_TMPDIR" SYNIB_MANIFESTS="$SOURCE_DIR/manifests"
    cd "$DIR"
    for s in 0.6 0.9; do
        "$BIN/synib-xor" -q spurious --strength $s --seed 2 --train 128 --val 60 --test 200 -o data/$s
    done
    for seed in 1 2; do
        for s in 0.6 0.9; do
            xor_run tree/$s/$seed/vanilla data/$s vanilla $seed
            xor_run tree/$s/$seed/synib data/$s synib $seed --mask random
        done
        xor_run tree/0.6/$seed/synib-learned data/0.6 synib $seed --mask learned --set mask.steps=2
    done
    rm -r tree/0.6/2/vanilla # so that its cell has one run, and one pair

    "$BIN/synib-synth" -q -o raw --actors 5 --sentences 1 --seed 1
    "$BIN/synib-scan" -q raw -o clips.tsv
    "$BIN/synib-frames" -q clips.tsv --root raw -o video
    "$BIN/synib-stft" -q clips.tsv --root raw -o audio
    "$BIN/synib-split" -q clips.tsv --scheme kfold --fold 0 -o split.tsv
    "$BIN/synib-irony" -q --video video --audio audio --split split.tsv --rate 1 --seed 1 -o media/data
    media_run media uni-video
    media_run media uni-audio
    media_run media synib
}

# xor_run OUT DATA METHOD SEED [OPTION]...
xor_run() {
    local out=$1 data=$2 method=$3 seed=$4
    shift 4
    "$BIN/synib-train" -q "$data" -p xor-spurious -m "$method" --set optim.epochs=2 \
        --set model.encoder_width=16 --set model.head_width=16 --seed "$seed" "$@" -o "$out"
    "$BIN/synib-eval" "$out" --split test -o "$out/test" >/dev/null
}

# media_run FOLDER METHOD: a run in it on FOLDER/data
media_run() {
    "$BIN/synib-train" -q "$1/data" -p demo -m "$2" --set video.size=32 --set audio.pool=8 \
        --set pretrain.batch=8 --set optim.batch=8 --set pretrain.epochs=1 --set optim.epochs=2 \
        --seed 1 -o "$1/$2"
    "$BIN/synib-eval" "$1/$2" --split test -o "$1/$2/test" >/dev/null
}

setup() {
    cd "$DIR"
    OUT="$BATS_TEST_TMPDIR/out"
}

report() {
    "$BIN/synib-report" -q -o "$OUT" "$@"
}

# cell METHOD DATA METRIC: runs mean sd low high
cell() {
    awk -F'\t' -v m="$1" -v d="$2" -v k="$3" '$1 == m && $2 == d && $3 == k { print $4, $5, $6, $7, $8 }' \
        "$OUT/cells.tsv"
}

# fails STATUS TEXT ARGUMENT...: with one line that says so, and no report
fails() {
    local status_wanted=$1 text=$2
    shift 2
    run report "$@"
    echo "$status: $output"
    [ "$status" -eq "$status_wanted" ]
    [[ "$output" == *"$text"* ]]
    [ ! -e "$OUT/report.md" ]
}

@test "bad command lines exit with 2" {
    run "$BIN/synib-report" -o x
    [ "$status" -eq 2 ]
    [[ "$output" == *"RUN is missing"* ]]
    run "$BIN/synib-report" tree
    [ "$status" -eq 2 ]
    [[ "$output" == *"-o DIR is missing"* ]]
    fails 2 "--gallery-count" tree --gallery-count -1
    fails 2 "no row 'sinib' in this report" media --gallery sinib
}

@test "cells: mean and deviation of what synib-eval said" {
    report tree
    [ "$(head -1 "$OUT/cells.tsv")" = "#synib-report-cells 1" ]
    [ "$(cut -f1 "$OUT/cells.tsv" | tail -n +3 | uniq | tr '\n' ,)" = "vanilla,synib,synib (learned)," ]
    for metric in accuracy macro_f1 kappa ece; do
        jq -s -r "[.[].$metric] | add / 2, (((.[0] - .[1]) | fabs) / (2 | sqrt))" \
            tree/0.9/{1,2}/synib/test/metrics.json | tr '\n' ' ' >want
        cell synib "spurious, strength=0.9" $metric >got
        paste -d' ' want got | awk '
            function off(a, b) { return a - b > 1e-7 || b - a > 1e-7 }
            { exit !($3 == 2) || off($1, $4) || off($2, $5) }'
    done
    # an interval around it, where there is one
    cell synib "spurious, strength=0.9" accuracy | awk '{ exit !($4 < $2 && $2 < $5) }'
    # one run: no deviation; none: a cell all the same
    [[ "$(cell vanilla "spurious, strength=0.6" accuracy)" =~ ^"1 0."[0-9]+"  0." ]]
    [ "$(cell "synib (learned)" "spurious, strength=0.9" accuracy)" = "0    " ]
    grep -q '— *<br>(0 runs)' "$OUT/report.md"
}

@test "pairs: the same test set and seed" {
    report tree
    row() {
        awk -F'\t' -v d="$3" -v a="$1" -v b="$2" '$1 == a && $2 == b && $3 == d && $4 == "accuracy" {
            print $5, $6 }' "$OUT/pairs.tsv"
    }
    want=$(jq -n '[inputs.accuracy] | .[1] - .[0]' tree/0.6/1/{vanilla,synib}/test/metrics.json)
    row synib vanilla "spurious, strength=0.6" | awk -v w="$want" '{ exit !($1 == 1 && $2 - w < 1e-7 && w - $2 < 1e-7) }'
    [[ "$(row synib vanilla "spurious, strength=0.9")" == "2 "* ]]
    [[ "$(row synib "synib (learned)" "spurious, strength=0.6")" == "2 "* ]]
    [ "$(row synib "synib (learned)" "spurious, strength=0.9")" = "0 " ]
}

@test "rows: settings that differ are named" {
    xor_run more/a data/0.6 synib 1 --mask random --set synib.lambda=0.5
    report tree more
    [ "$(cut -f1 "$OUT/cells.tsv" | tail -n +3 | uniq | tr '\n' ';')" = \
        "vanilla;synib, synib.lambda=0.5;synib, synib.lambda=10;synib (learned);" ]
}

@test "the same bytes at any -j, over the same runs elsewhere, and again with --force" {
    report tree media/../tree -j1 # reached twice, counted once
    cp -r tree "$BATS_TEST_TMPDIR/moved"
    cp -r data "$BATS_TEST_TMPDIR/data"
    "$BIN/synib-report" -q "$BATS_TEST_TMPDIR/moved" --data "$BATS_TEST_TMPDIR/data" -o "$BATS_TEST_TMPDIR/two" -j2
    diff -r "$OUT" "$BATS_TEST_TMPDIR/two"
    run report tree
    [ "$status" -eq 1 ]
    [[ "$output" == *"report.html"*"--force"* ]]
    # killed between two files: the same command goes on, another one does not
    rm "$OUT/pairs.tsv" "$OUT/report.html"
    run report tree --title Other
    [ "$status" -eq 1 ]
    [[ "$output" == *"report.md: exists and differs: use --force"* ]]
    [ ! -e "$OUT/report.html" ]
    report tree
    diff -r "$OUT" "$BATS_TEST_TMPDIR/two"
    cp "$OUT/cells.tsv" kept.tsv
    report tree --force --seed 3
    run ! cmp -s "$OUT/cells.tsv" kept.tsv # other replicates,
    cut -f1-6 "$OUT/cells.tsv" | cmp - <(cut -f1-6 kept.tsv) # of the same runs
    run ! grep -r "$DIR" "$OUT"
}

@test "runs that do not count are listed: exit 3, or 4 with --strict" {
    cp -r tree some
    rm -r some/0.9/1/synib/test
    status=0
    "$BIN/synib-train" -q data/0.6 -p xor-spurious -m vanilla --seed 9 --set model.encoder_width=16 \
        --max-steps 1 -o some/stopped || status=$?
    [ "$status" -eq 75 ]
    fails 4 "some/0.9/1/synib: has no test evaluation" some --strict
    [[ "$output" == *"some/stopped: is not finished"* ]]
    run report some
    [ "$status" -eq 3 ]
    [[ "$output" == *"some/stopped: is not finished: not counted"* ]]
    [[ "$output" == *"2 of 10 runs do not count"* ]]
    grep -q '^| stopped | vanilla.* | is not finished |$' "$OUT/report.md"
    [[ "$(cell synib "spurious, strength=0.9" accuracy)" == "1 "* ]]
}

@test "damaged or contradicting files: exit 4, file and line, nothing written" {
    fails 4 "data: neither a run nor a folder of runs" data
    fails 4 "clips.tsv: is not a folder" clips.tsv
    fails 1 "nowhere: No such file" nowhere
    broken() {
        rm -rf bad
        cp -r tree/0.9/1 bad
        m=bad/vanilla/test/metrics.json p=bad/vanilla/test/predictions.tsv
    }
    broken
    sed -i '5s/,$//' $m
    fails 4 "$m:6:" bad --data data
    broken
    sed -i 's/"checkpoint": "..../"checkpoint": "0000/' $m
    fails 4 "$m: measures the checkpoint 0000" bad --data data
    broken
    sed -i 's/"seed": 1/"seed": 2/' $m
    fails 4 "$m: is of method vanilla, seed 2, the run of vanilla, 1" bad --data data
    broken
    sed -i 's/"data": "..../"data": "0000/' $m
    fails 4 "$m: was measured on other data" bad --data data
    broken
    sed -i '7s/\t[01]\t/\t7\t/' $p
    fails 4 "$p:7: '7' is no class" bad --data data
    broken
    sed -i '9s/\t0\.[0-9]*/\tnan/g' $p
    fails 4 "$p:9: probability" bad --data data
    broken
    sed -i '8d' $p
    fails 4 "$p: its rows do not give the confusion matrix" bad --data data
    broken
    awk -F, -v OFS=, 'NR == 1 { for (i = 1; i <= NF; i++) col[$i] = i }
        NR == 2 { $col["val_accuracy"] = "x" } { print }' tree/0.9/1/vanilla/epochs.csv >bad/vanilla/epochs.csv
    fails 4 "bad/vanilla/epochs.csv: differs from what last.safetensors says" bad --data data
    broken
    truncate -s -9 bad/vanilla/best.safetensors
    fails 4 "bad/vanilla/best.safetensors" bad --data data
    broken
    cp -r bad/vanilla bad/twin
    fails 4 "bad/twin and bad/vanilla: are the same run twice" bad --data data
    broken
    fails 4 "have 7 and 2 classes" bad media --data data
}

@test "pictures and sound: one page with everything in it" {
    "$BIN/synib-report" -q --json media -o "$OUT" --gallery-count 0 |
        jq -e '. == {runs: 3, left_out: 0, rows: 3, columns: 1}'
    run ! grep -q '<img' "$OUT/report.html"
    report media --force --title 'A <b> & c' --note 'x < y' --gallery-count 3
    h="$OUT/report.html"
    grep -q '<h1>A &lt;b&gt; &amp; c</h1>' "$h"
    grep -q '<p>x &lt; y</p>' "$h"
    run ! grep -qE '<script|<link|https?://[^w]|src="[^d]' "$h"
    [ "$(grep -o 'src="data:image/jpeg;base64,' "$h" | wc -l)" -eq 12 ] # three frames and a spectrogram of three
    [ "$(grep -c '<svg ' "$h")" -eq 3 ]
    # a frame is the very JPEG of the shard
    hex() {
        od -An -v -tx1 | tr -d ' \n'
    }
    grep -o 'base64,[^"]*' "$h" | head -1 | cut -c8- | base64 -d | hex >frame.hex
    [ "$(wc -c <frame.hex)" -gt 2000 ]
    cat video/*.safetensors | hex | grep -qF -f frame.hex
    # a corpus that is not the official one says so before anything else
    sed -n 3,6p "$OUT/report.md" | grep -q 'These media are not known to be CREMA-D'
    grep -q '^| rate 1 | fold 0, seed 1 | [0-9]* actors.* | 0 | [0-9a-f]\{12\} |$' "$OUT/report.md"
    [ "$(cell synib "rate 1" irony_f1 | cut -d' ' -f2)" = "$(jq .f1.irony media/synib/test/metrics.json)" ]
    jq -r '.irony_recall_by_emotion | to_entries[] | "\(.key) \(.value.recall // "")"' \
        media/synib/test/metrics.json | while read -r emotion recall; do
        [ "$(cell synib "rate 1" "irony_recall_$emotion" | cut -d' ' -f2)" = "$recall" ]
    done
    # well-formed tables in LaTeX
    [ "$(grep -c 'begin{table\*}' "$OUT/report.tex")" -eq "$(grep -c 'end{table\*}' "$OUT/report.tex")" ]
    run ! grep -q 'A <b>.*[^%]%[^ ]' "$OUT/report.tex"
}

@test "a speaker in two splits is a warning on top of the audit" {
    awk -F'\t' -v OFS='\t' 'NR == 1 || NR == 2 { print; next }
        !done && $4 == "test" { $4 = "train"; done = 1 } { print }' split.tsv >leak.tsv
    "$BIN/synib-irony" -q --video video --audio audio --split leak.tsv --rate 1 --seed 1 \
        --allow-speaker-overlap -o leak/data
    media_run leak uni-video
    report leak
    grep -q 'Warning:.* test and train share 1 actors and 0 clips' "$OUT/report.md"
}

@test "data that have gone: a column without a name, unless --data finds them" {
    cp -r media "$BATS_TEST_TMPDIR/gone"
    rm -r "$BATS_TEST_TMPDIR/gone/data"
    run report "$BATS_TEST_TMPDIR/gone"
    [ "$status" -eq 0 ]
    [[ "$output" == *"its dataset is not where run.json says: give --data ROOT"* ]]
    [ "$(cut -f2 "$OUT/cells.tsv" | tail -n +3 | sort -u)" = "rate ?" ]
    grep -q 'The datasets are not at hand' "$OUT/report.md"
    report "$BATS_TEST_TMPDIR/gone" --data . --force
    [ "$(cut -f2 "$OUT/cells.tsv" | tail -n +3 | sort -u)" = "rate 1" ]
}

@test "base sets that have gone: no gallery, unless --base finds them" {
    mkdir -p "$BATS_TEST_TMPDIR/a/b/c/d"
    cp -r media "$BATS_TEST_TMPDIR/a/b/c/d"
    report "$BATS_TEST_TMPDIR/a/b/c/d/media" 2>note
    grep -q 'base set .*name its folder with --base where the tool has it: no gallery' note
    run ! grep -q 'data:image/jpeg' "$OUT/report.html"
    mkdir bases
    ln -s "$DIR/video" "$DIR/audio" bases
    report "$BATS_TEST_TMPDIR/a/b/c/d/media" --base nowhere --base bases --force 2>note
    [ ! -s note ]
    grep -q 'data:image/jpeg' "$OUT/report.html"
}

@test "--dry-run says what would be done and writes nothing" {
    run "$BIN/synib-report" tree -o "$OUT" --dry-run
    [ "$status" -eq 0 ]
    [[ "$output" == *"would report 9 runs of 9"* ]]
    [ ! -e "$OUT" ]
}
