#!/usr/bin/env bats
# make shortcut: its awk scripts on numbers worked out by hand, and docs/shortcut.mk on a tiny corpus.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR"
    unset MAKEFLAGS MFLAGS MAKELEVEL # of the `make test` that runs this
    scripts=$SOURCE_DIR/scripts/shortcut
}

# predictions FILE: clip donor label prediction p_irony per line of stdin, "-" for no donor.
predictions() {
    printf '#synib-predictions 1\nclip\tdonor\tbase_label\tlabel\tprediction\tp_irony\n' >"$1"
    awk -v OFS='\t' '{ print $1, $2 == "-" ? "" : $2, "x", $3, $4, $5 }' >>"$1"
}

by_hand() {
    predictions own.tsv <<'EOF'
1001_DFA_ANG_XX - anger irony 0.6
1001_IEO_ANG_HI - anger anger 0.2
1002_DFA_ANG_XX - anger anger 0.3
1002_IEO_ANG_HI - anger irony 0.5
1003_DFA_SAD_XX - sad sad 0.1
1003_IEO_SAD_HI - sad sad 0.4
EOF
    predictions reference.tsv <<'EOF'
1001_DFA_ANG_XX 1002_DFA_HAP_XX irony irony 0.9
1001_IEO_ANG_HI 1002_DFA_HAP_XX irony anger 0.1
1002_DFA_ANG_XX 1001_DFA_HAP_XX irony happy 0.2
1002_IEO_ANG_HI 1001_IEO_ANG_HI anger irony 0.5
1003_DFA_SAD_XX 1003_IEO_SAD_HI sad irony 0.8
1003_IEO_SAD_HI 1001_DFA_SAD_XX sad irony 0.45
EOF
    predictions actor.tsv <<'EOF'
1002_IEO_ANG_HI 1002_DFA_ANG_XX anger anger 0.2
1003_DFA_SAD_XX 1001_IEO_SAD_HI sad irony 0.8
EOF
    predictions sentence.tsv <<'EOF'
1002_IEO_ANG_HI 1001_IEO_HAP_HI irony irony 0.7
1003_DFA_SAD_XX 1001_DFA_SAD_XX sad irony 0.8
1003_IEO_SAD_HI 1002_DFA_SAD_XX sad irony 0.9
EOF
}

cells() {
    awk -f "$scripts/cells.awk" -v fold=2 -v train=same-actor -v seed=7 -v method=synib "$@"
}

@test "cells: recall, F1, false alarms and AUC as worked out by hand" {
    by_hand
    cells test=untouched own.tsv test=reference reference.tsv test=same-actor actor.tsv \
        test=same-sentence sentence.tsv | tail -n +2 | tr '\t' ' ' >out
    # 1 of 3 hit; of the others one is called irony untouched: 2/(2+1+2). Matched with another actor's sound: two,
    # with their own sound one is called irony, with that one both are. AUC: .5 and .45 against .5 and .4: 2.5 of 4.
    [ "$(sed -n 1p out)" = "2 same-actor 7 synib reference 3 0.3333 0.4000 2 0.5000 1.0000 0.6250 0.3333" ]
    # No irony; the second swap is a fallback to another actor.
    [ "$(sed -n 2p out)" = "2 same-actor 7 synib same-actor 0  0.0000 1 1.0000 0.0000 0.0000 " ]
    [ "$(sed -n 3p out)" = "2 same-actor 7 synib same-sentence 1 1.0000 1.0000 1 0.0000 1.0000 1.0000 0.6667" ]
}

@test "cells: what is not such a set of files exits 4 with one line and no table" {
    by_hand
    sed 's/p_irony/p_sarcasm/' own.tsv >column.tsv
    sed 1d own.tsv >head.tsv
    sed 4d own.tsv >short.tsv
    while IFS='|' read -r words args; do
        run --separate-stderr cells $args
        echo "$args: $status $stderr"
        [ "$status" -eq 4 ]
        [ -z "$output" ]
        [ "${#stderr_lines[@]}" -eq 1 ]
        [[ "$stderr" == "cells.awk: "*"$words"* ]]
    done <<'TABLE'
column.tsv: has no column p_irony|test=untouched column.tsv
head.tsv: is no predictions.tsv of version 1|test=untouched head.tsv
reference.tsv: comes before the untouched clips|test=reference reference.tsv test=untouched own.tsv
reference.tsv: clip 1001_IEO_ANG_HI is not among the untouched clips|test=untouched short.tsv test=reference reference.tsv
reference.tsv: clip 1001_DFA_ANG_XX has another clip's sound|test=untouched reference.tsv
actor.tsv: is the second of test=reference|test=untouched own.tsv test=reference reference.tsv test=reference actor.tsv
TABLE
}

@test "table: mean and sample deviation over runs, cells without a number, one run" {
    printf 'fold\ttrain\tseed\tmethod\ttest\trecall\tf1\talarm_own\talarm_matched\tswap_auc\n' >s.tsv
    printf '0\ta\t0\tm\tx\t0.2\t0.5\t0\t0.1\t0.5\n1\ta\t0\tm\tx\t0.4\t0.5\t\t0.3\t\n0\tb\t0\tm\tx\t1\t1\t1\t1\t\n' >>s.tsv
    awk -f "$scripts/table.awk" s.tsv >out
    grep -qxF '| m trained on | x recall | x F1 |' out
    grep -qxF '| a | 0.30 ± 0.14 | 0.50 ± 0.00 |' out
    grep -qxF '| a | 0.00 | 0.20 ± 0.14 | 0.50 |' out
    grep -qxF '| b | 1.00 | 1.00 | - |' out
}

@test "make shortcut: a checkout or the synthetic corpus, every rule against every rule" {
    make -n -C "$SOURCE_DIR" shortcut DATA=/data/CREMA-D OUT=/there | grep -q 'scripts/shortcut/run "/there" "/data/CREMA-D"$'
    make -n -C "$SOURCE_DIR" shortcut | grep -q 'scripts/shortcut/run "shortcut" *$'
    make -n -f "$SOURCE_DIR/docs/shortcut.mk" BIN="$BIN" ROOT=/data/CREMA-D OUT=out | tr -d '"' >plan
    [ "$(grep -c 'synib-train ' plan)" -eq 48 ] # 3 folds x 4 training sets x 4 methods
    [ "$(grep -c 'synib-irony ' plan)" -eq 24 ] # 3 folds x (4 training + 4 test sets)
    grep -q -- '--preset paper' plan
    grep -q -- '--scheme reference' plan
    tr -d '\\\n' <plan >joined
    for options in "--rate 1.0 --donors reference *--seed 109" \
        "--rate 1.0 --donors same-actor --matched 1.0 --matched-donors same-actor *--donor-fallback *--seed 19" \
        "--rate 3.0 --donors same-sentence --matched 6 --matched-donors same-sentence *--donor-fallback *--seed 337" \
        "--rate 0 *--seed 337"; do
        grep -q -- "$options" joined
    done
}

@test "a tiny run: F1 is that of the benchmark; again nothing is done; a lost file is made again" {
    "$BIN/synib-synth" -q --actors 5 --sentences 2 --seed 3 -o raw
    shortcut() {
        make --no-print-directory -s -f "$SOURCE_DIR/docs/shortcut.mk" BIN="$BIN" ROOT=raw OUT=out \
            SCHEME=kfold FOLDS=0 PRESET=demo METHODS=uni-audio TRAINS="reference same-actor+reference" TESTS=same-actor \
            SET="pretrain.epochs=2 pretrain.batch=8 audio.pool=8 video.size=32 model.width=16" "$@" 2>&1
    }
    shortcut >first 
    [ "$(cut -f1-5 out/shortcut.tsv | tail -n +2 | tr '\t\n' ' ;')" = \
        "0 reference 0 uni-audio same-actor;0 same-actor+reference 0 uni-audio same-actor;" ]
    grep -q '"synib.matched.donors":"reference"' out/fold0/same-actor+reference/data/train/index.jsonl
    "$BIN/synib-irony" -q --video out/video --audio out/audio --split out/fold0/split.tsv --rate 3 --seed 109 \
        --donors same-actor -o out/fold0/benchmark
    for train in reference same-actor+reference; do
        f1=$("$BIN/synib-eval" -q "out/fold0/$train/seed0/uni-audio" out/fold0/benchmark --json | jq .f1.irony)
        awk -F'\t' -v t=$train -v f1="$f1" '$2 == t { d = $8 - f1; exit !(d * d < 1e-8) }' out/shortcut.tsv
    done
    # The audit takes predictions of swapped samples as it takes any list of clips; one part alone is no audit.
    run "$BIN/synib-split" --audit train=out/fold0/same-actor+reference/seed0/uni-audio/on-same-actor/predictions.tsv
    [ "$status" -eq 4 ]
    [[ "$output" == *"  train "*" clips "*"has only part 'train', so nothing was compared"* ]]
    cp out/shortcut.tsv before.tsv
    stamp=$(stat -c %Y.%s out/fold0/reference/seed0/uni-audio/last.safetensors)
    [ "$(shortcut | grep -c synib-)" -eq 0 ]
    rm out/fold0/reference/seed0/uni-audio/cells.tsv out/fold0/reference/seed0/uni-audio/on-untouched/predictions.tsv
    run shortcut TEST_RATE=2
    echo "$output"
    [ "$status" -eq 2 ]
    [[ "$output" == *'OUT=out: TEST_RATE was "3.0" here, and is "2" now'* ]]
    shortcut >/dev/null
    cmp out/shortcut.tsv before.tsv
    [ "$(stat -c %Y.%s out/fold0/reference/seed0/uni-audio/last.safetensors)" = "$stamp" ]
}
