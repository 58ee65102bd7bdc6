#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# synib-sweep --expand and --select: from a search to a plan, its runs on validation alone, and the best
# settings.

bats_require_minimum_version 1.5.0

# table KIND FILE: rows on stdin with | for the tab; a row may have an eighth cell where FILE has groups.
table() {
    {
        printf '#synib-%s 1\nrun|task|preset|method|mask|settings|seed%s\n' "$1" "$3"
        cat
    } | tr '|' '\t' >"$2"
}

# column FILE NAME: cells of a column of a table, one a line.
column() {
    awk -F'\t' -v name="$2" 'NR == 2 { for (i = 1; i <= NF; i++) if ($i == name) c = i } NR > 2 { print $c }' "$1"
}

# best FILE: METHOD and SETTINGS of the highest mean val_accuracy of each method, from results alone.
best() {
    paste <(column "$1" method) <(column "$1" settings) <(column "$1" val_accuracy) | awk -F'\t' '
        !(($1, $2) in n) { order[++k] = $1 SUBSEP $2 }
        { sum[$1, $2] += $3; n[$1, $2]++ }
        END {
            for (i = 1; i <= k; i++) {
                split(order[i], part, SUBSEP)
                mean = sprintf("%.9g", sum[order[i]] / n[order[i]])
                if (!(part[1] in top) || mean + 0 > top[part[1]] + 0) {
                    top[part[1]] = mean
                    settings[part[1]] = part[2]
                }
            }
            for (m in top) print m "\t" settings[m] "\t" top[m]
        }' | sort
}

setup_file() {
    export DIR="$BATS_FILE_TMPDIR" SYNIB_MANIFESTS="$SOURCE_DIR/manifests"
    cd "$DIR"
    table search search.tsv <<'END'
v|spurious:0.6|xor-spurious|vanilla||optim.lr=log-uniform(1e-4,1e-1) optim.epochs=40 select.metric=accuracy|0-1
s|spurious:0.6|xor-spurious|synib|random|synib.lambda={0.1,10} mask.p={0.2,0.5} optim.lr=log-uniform(1e-4,1e-1) optim.epochs=40 select.metric=accuracy|0-1
END
    "$BIN/synib-sweep" -q --expand search.tsv --draws 3 --seed 5 -o plan.tsv
    "$BIN/synib-sweep" -q plan.tsv -o ref -j1 --select accuracy
}

setup() {
    cd "$DIR"
}

@test "expansion: same bytes for the same seed, others for another, refused over a file" {
    "$BIN/synib-sweep" -q --expand search.tsv --draws 3 --seed 5 -o again.tsv
    cmp plan.tsv again.tsv
    "$BIN/synib-sweep" -q --expand search.tsv --draws 3 --seed 6 -o other.tsv
    run ! cmp -s plan.tsv other.tsv
    [ "$(tail -n +3 plan.tsv | wc -l)" -eq 30 ]
    run "$BIN/synib-sweep" -q --expand search.tsv --draws 3 --seed 6 -o again.tsv
    [ "$status" -eq 1 ]
    cmp plan.tsv again.tsv
    "$BIN/synib-sweep" -q --expand search.tsv --draws 3 --seed 6 -o again.tsv --force
    cmp other.tsv again.tsv
    run --separate-stderr "$BIN/synib-sweep" --expand search.tsv --draws 3 -o dry.tsv --dry-run
    [ "$stderr" = "synib-sweep: search.tsv: 30 runs" ]
    [ ! -e dry.tsv ]
}

@test "a plan is a search without lists, and its own expansion" {
    sed 's/^#synib-plan/#synib-search/' plan.tsv >same.tsv
    "$BIN/synib-sweep" -q --expand same.tsv -o expanded.tsv
    cmp plan.tsv expanded.tsv
    run "$BIN/synib-sweep" --expand plan.tsv -o none.tsv
    [ "$status" -eq 4 ]
    [[ "$output" == *"plan.tsv:1: is not a search manifest"* ]]
    run "$BIN/synib-sweep" search.tsv -o none.tsv
    [ "$status" -eq 4 ]
    [ ! -e none.tsv ]
}

@test "shipped searches expand" {
    for search in "$SOURCE_DIR"/manifests/searches/*.tsv; do
        draws=""
        grep -q '(' "$search" && draws="--draws 2"
        # shellcheck disable=SC2086
        "$BIN/synib-sweep" -q --expand "$search" $draws -o "shipped-$(basename "$search")"
    done
    # R section 11, row 21: three lambdas, four p, three folds
    [ "$(tail -n +3 shipped-cremad-synib.tsv | wc -l)" -eq 36 ]
    "$BIN/synib-sweep" -q shipped-xor-spurious.tsv -o none --dry-run
}

@test "the winner of every comparison has the best mean on validation, and no test column is there" {
    run ! grep -q 'last_\|best_accuracy\|best_loss' ref/results.tsv
    [ "$(column ref/selected.tsv group | sort -u)" = spurious:0.6 ]
    [ "$(column ref/selected.tsv rank | tr '\n' ' ')" = "1 2 3 1 2 3 4 5 6 7 8 9 10 11 12 " ]
    [ "$(column ref/selected.tsv n | sort -u)" -eq 2 ]
    best ref/results.tsv >want
    paste <(column ref/selected.tsv method) <(column ref/selected.tsv settings) <(column ref/selected.tsv mean) \
        <(column ref/selected.tsv rank) | awk -F'\t' -v OFS='\t' '$4 == 1 { print $1, $2, $3 }' | sort >got
    diff want got
    # or this test would tell nothing
    [ "$(column ref/selected.tsv mean | sort -u | wc -l)" -gt 5 ]
    # the same accuracy stands in epochs.csv
    run_of=$(column ref/results.tsv run | tail -1)
    epoch=$(column ref/results.tsv best_epoch | tail -1)
    accuracy=$(awk -F, -v e="$epoch" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == "val_accuracy") c = i } $1 == e { print $c }' "ref/runs/$run_of.epochs.csv")
    [ "$accuracy" = "$(column ref/results.tsv val_accuracy | tail -1)" ]
}

@test "stopped and gone on with, on two threads: same bytes" {
    stops=0
    for _ in $(seq 20); do
        "$BIN/synib-sweep" -q plan.tsv -o stopped -j2 --select accuracy 2>note &
        pid=$!
        sleep 0.3
        kill -INT $pid 2>/dev/null || true
        status=0
        wait $pid || status=$?
        [ "$status" -eq 75 ] || break
        [ ! -e stopped/selected.tsv ]
        stops=$((stops + 1))
    done
    "$BIN/synib-sweep" -q plan.tsv -o stopped -j2 --select accuracy
    cmp ref/results.tsv stopped/results.tsv
    cmp ref/selected.tsv stopped/selected.tsv
}

@test "in parts, merged, then selected: same bytes" {
    "$BIN/synib-sweep" -q plan.tsv -o parts --part 1/2 --no-test
    run "$BIN/synib-sweep" -q plan.tsv -o parts --merge --select accuracy
    [ "$status" -eq 4 ]
    [[ "$output" == "synib-sweep: parts: run 'v-1_1' (plan.tsv:4) is missing" ]]
    [ ! -e parts/selected.tsv ]
    "$BIN/synib-sweep" -q plan.tsv -o parts --part 2/2 --no-test
    "$BIN/synib-sweep" -q plan.tsv -o parts --merge
    cmp ref/results.tsv parts/results.tsv
    before=$(cat parts/timing.jsonl)
    "$BIN/synib-sweep" -q plan.tsv -o parts --select accuracy
    cmp ref/selected.tsv parts/selected.tsv
    rm parts/selected.tsv
    "$BIN/synib-sweep" -q plan.tsv -o parts --merge --select accuracy
    cmp ref/selected.tsv parts/selected.tsv
    [ "$before" = "$(cat parts/timing.jsonl)" ]
}

@test "a finished sweep that was tested: selected as it is, by the same numbers" {
    head -8 plan.tsv >short.tsv
    "$BIN/synib-sweep" -q short.tsv -o tested
    before=$(cat tested/timing.jsonl)
    cp tested/results.tsv kept.tsv
    "$BIN/synib-sweep" -q short.tsv -o tested --select loss
    [ "$before" = "$(cat tested/timing.jsonl)" ]
    cmp kept.tsv tested/results.tsv
    "$BIN/synib-sweep" -q short.tsv -o untested --select loss
    cmp tested/selected.tsv untested/selected.tsv
    [ "$(column tested/results.tsv val_loss)" = "$(column untested/results.tsv val_loss)" ]
    # means of the loss rise
    column tested/selected.tsv mean | sort -g -c
    run "$BIN/synib-sweep" -q short.tsv -o tested --no-test
    [ "$status" -eq 4 ]
    [[ "$output" == *"tested/results.tsv: has other columns than this plan gives with --no-test"* ]]
}

@test "the winner's settings are words for --set" {
    "$BIN/synib-xor" -q spurious --strength 0.6 --seed 0 -o data
    # shellcheck disable=SC2046
    "$BIN/synib-train" -q data --preset xor-spurious -m synib --mask random --seed 0 -o winner \
        $(awk -F'\t' '$3 == "synib" && $5 == 1 { gsub(/[^ ]+/, "--set &", $7); print $7 }' ref/selected.tsv)
    name=$(awk -F'\t' '$3 == "synib" && $5 == 1 { print $6 }' ref/selected.tsv)
    cmp winner/epochs.csv "ref/runs/$name.epochs.csv"
}

@test "--no-test leaves the test split closed" {
    "$BIN/synib-xor" -q spurious --strength 0.6 --seed 3 -o closed
    rm -r closed/test
    table plan closed.tsv "|group" <<'END'
a|./closed|xor-spurious|vanilla||optim.epochs=2|3|g
b|spurious:0.6|xor-spurious|vanilla||optim.epochs=2|3|g
END
    run "$BIN/synib-sweep" -q closed.tsv -o closed-out
    echo "$output"
    [ "$status" -ne 0 ]
    [[ "$output" == *"closed.tsv:3: ./closed"*test* ]]
    [ ! -e closed-out ]
    "$BIN/synib-sweep" -q closed.tsv -o closed-out --select accuracy
    [ "$(column closed-out/selected.tsv n)" -eq 2 ]
    [ "$(column closed-out/selected.tsv group)" = g ]
    [ "$(column closed-out/results.tsv val_loss | sort -u | wc -l)" -eq 1 ]
}

@test "settings that are not finite come last; where all are, exit 1" {
    table plan infinite.tsv <<'END'
a|regression:1|xor-regression|vanilla||optim.lr=10 optim.epochs=3|1
b|regression:1|xor-regression|vanilla||optim.lr=1e-3 optim.epochs=3|1
END
    "$BIN/synib-sweep" -q infinite.tsv -o infinite --select r2 2>note
    [ "$(column infinite/selected.tsv run | tr -d '\n')" = ba ]
    [ "$(column infinite/selected.tsv not_finite | tr -d '\n')" = 01 ]
    sed -i '/^b/d' infinite.tsv
    run "$BIN/synib-sweep" -q infinite.tsv -o infinite2 --select mse
    [ "$status" -eq 1 ]
    [[ "${lines[-1]}" == "synib-sweep: infinite2/selected.tsv: of 1 comparisons no settings were finite"* ]]
    [ "$(column infinite2/selected.tsv not_finite)" -eq 1 ]
}

@test "bad command lines and searches: one line each, nothing written" {
    table search bad.tsv <<'END'
a|spurious:0.6|xor-spurious|synib|random|mask.p={0.1,1.5}|0
b|spurious:0.6|xor-spurious|vanilla||optim.lr=gauss(0,1)|0
c|spurious:0.6|xor-spurious|vanilla||optim.lr={0.1|0
END
    run "$BIN/synib-sweep" --expand bad.tsv -o out
    [ "$status" -eq 4 ]
    [ "${#lines[@]}" -eq 3 ]
    [[ "${lines[0]}" == "synib-sweep: bad.tsv:3: "*"mask.p: '1.5' is not a number from 0 to 1" ]]
    [[ "${lines[1]}" == "synib-sweep: bad.tsv:4: optim.lr=gauss(0,1): distribution: unknown 'gauss'"* ]]
    [[ "${lines[2]}" == "synib-sweep: bad.tsv:5: optim.lr={0.1: does not end in '}'" ]]
    n=0
    while IFS='|' read -r args want; do
        # shellcheck disable=SC2086
        run --separate-stderr "$BIN/synib-sweep" $args
        echo "$args: $status: $stderr"
        [ "$status" -eq 2 ]
        [[ "$stderr" == *"$want"* ]]
        [ "${#stderr_lines[@]}" -eq 1 ]
        [ ! -e out ]
        n=$((n + 1))
    done <<'TABLE'
--expand -o out|SEARCH is missing
--expand search.tsv|-o PLAN is missing
--expand search.tsv -o out|search.tsv:3: has values to draw: give --draws N
--expand search.tsv -o out --draws 0|--draws: '0' is not a whole number from 1 to 100000
--expand search.tsv -o out --draws 100001|--draws: '100001' is not a whole number
--expand search.tsv -o out --draws 3 --part 1/2|--expand and --part exclude each other
--expand search.tsv -o out --draws 3 --select loss|--expand runs nothing
--expand search.tsv -o out --draws 3 --no-test|--expand runs nothing
plan.tsv -o out --draws 3|--draws: goes with --expand
plan.tsv -o out --select accurcy|did you mean 'accuracy'
plan.tsv -o out --select loss --part 1/2|--select needs all parts: give it with --merge
TABLE
    [ "$n" -eq 11 ]
}

@test "pictures and sound: runs that start from the same unimodal runs share them" {
    "$BIN/synib-synth" -q -o raw --actors 3 --sentences 1 --seed 1
    "$BIN/synib-scan" -q raw -o clips.tsv
    "$BIN/synib-split" -q clips.tsv --scheme kfold --folds 3 --fold 0 -o split.tsv
    "$BIN/synib-frames" -q clips.tsv --root raw -o video
    "$BIN/synib-stft" -q clips.tsv --root raw -o audio
    "$BIN/synib-irony" -q --video video --audio audio --split split.tsv --rate 1 --seed 1 -o ./irony
    small="model.width=16 video.size=32 audio.pool=16 pretrain.batch=4 pretrain.epochs=1"
    table search media-search.tsv <<END
v|./irony|demo|vanilla||$small optim.batch=4 optim.epochs=1|1
s|./irony|demo|synib|random|$small optim.batch=4 optim.epochs=1 synib.lambda={0.5,2}|1
e|./irony|demo|ensemble||$small|1
w|./irony|demo|vanilla||$small pretrain.weight_decay=0.01 optim.batch=4 optim.epochs=1|1
END
    "$BIN/synib-sweep" -q --expand media-search.tsv -o media.tsv
    "$BIN/synib-sweep" -q media.tsv -o media -j2 --select irony-f1
    [ "$(ls media/pretrained | wc -l)" -eq 2 ]
    [ "$(ls -d media/pretrained/*/uni-audio media/pretrained/*/uni-video | wc -l)" -eq 4 ]
    [ ! -e media/runs/v/pretrain ]
    from() { (cd "media/runs/$1" && realpath "$(jq -r '.["uni-audio"]' run.json)"); }
    [ "$(from v)" = "$(from s-1)" ]
    [ "$(from v)" = "$(from s-2)" ]
    [ "$(from v)" = "$(from e)" ]
    [ "$(from v)" != "$(from w)" ]
    # what synib-train makes with unimodal runs of its own
    # shellcheck disable=SC2046
    "$BIN/synib-train" -q irony --preset demo -m synib --mask random --seed 1 -o alone \
        $(awk -F'\t' '$1 == "s-2" { gsub(/[^ ]+/, "--set &", $6); print $6 }' media.tsv)
    cmp alone/last.safetensors media/runs/s-2/last.safetensors
    cmp alone/epochs.csv media/runs/s-2/epochs.csv
    # in parts, stopped in between: same bytes
    timeout -s TERM 0.5 "$BIN/synib-sweep" -q media.tsv -o pieces --part 1/2 --no-test || true
    "$BIN/synib-sweep" -q media.tsv -o pieces --part 1/2 --no-test
    "$BIN/synib-sweep" -q media.tsv -o pieces --part 2/2 --no-test
    "$BIN/synib-sweep" -q media.tsv -o pieces --merge --select irony-f1
    cmp media/results.tsv pieces/results.tsv
    cmp media/selected.tsv pieces/selected.tsv
    [ "$(column media/results.tsv val_irony_f1 | grep -c .)" -eq 5 ]
    for part in uni-audio uni-video; do
        diff <(cat media/pretrained/*/$part/metrics.jsonl) <(cat pieces/pretrained/*/$part/metrics.jsonl)
    done
}
