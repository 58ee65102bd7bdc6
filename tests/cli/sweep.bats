#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# synib-sweep: the same results in one go, in parts, on several threads, killed, stopped; and what it
# refuses.

bats_require_minimum_version 1.5.0

# plan FILE: a plan of the rows on stdin, with | for the tab.
plan() {
    {
        printf '#synib-plan 1\nrun|task|preset|method|mask|settings|seed\n'
        cat
    } | tr '|' '\t' >"$1"
}

# same A B: results.tsv and runs/ hold the same bytes; times aside, and the marks of locks.
same() {
    cmp "$1/results.tsv" "$2/results.tsv"
    diff -r -x timing.jsonl -x .lock "$1/runs" "$2/runs"
}

# rows FILE: finished rows of a results file; 0 without one.
rows() {
    [ -f "$1" ] || { echo 0; return; }
    awk 'END { print (NR > 2 ? NR - 2 : 0) }' "$1"
}

# wait_for_rows FILE N PID: until the file has N rows or the process is gone.
wait_for_rows() {
    for _ in $(seq 1000); do
        [ "$(rows "$1")" -lt "$2" ] && kill -0 "$3" 2>/dev/null || return 0
        sleep 0.01
    done
    return 1
}

setup_file() {
    export DIR="$BATS_FILE_TMPDIR" SYNIB_MANIFESTS="$SOURCE_DIR/manifests"
    cd "$DIR"
    "$BIN/synib-xor" -q spurious --strength 0.6 --seed 7 -o data/sp
    "$BIN/synib-xor" -q pid --mix 0.25,0.25,0.25,0.25 --seed 7 -o data/pid
    "$BIN/synib-xor" -q regression --strength 1 --seed 7 -o data/reg
    plan plan.tsv <<'END'
a|spurious:0.6|xor-spurious|vanilla||optim.epochs=3|1
b|spurious:0.6|xor-spurious|synib|random|optim.epochs=200|1
c|data/sp|xor-spurious|vanilla||optim.epochs=60 checkpoint.epochs=1 select.metric=accuracy|7
d|spurious:1|xor-spurious|synib|oracle|optim.epochs=200 select.metric=loss|2
e|spurious3:0.6|xor-spurious|synib|none|optim.epochs=3 diag.ntk=2|2
f|regression:1|xor-regression|vanilla||optim.epochs=3|2
g|spurious:0|xor-spurious|vanilla||optim.epochs=200 diag.train_pass=true|3
h|data/sp|xor-spurious|synib|random|optim.epochs=3 diag.ntk=1|3
END
    "$BIN/synib-sweep" -q plan.tsv -o ref -j1
}

setup() {
    cd "$DIR"
}

@test "a row per run in the plan's order, tables and run folders" {
    [ "$(rows ref/results.tsv)" -eq 8 ]
    [ "$(tail -n +3 ref/results.tsv | cut -f1 | tr -d '\n')" = abcdefgh ]
    diff <(tail -n +2 plan.tsv) <(tail -n +2 ref/results.tsv | cut -f1-7)
    [ "$(tail -n +3 ref/results.tsv | cut -f9 | sort -u)" = ok ]
    [ "$(tail -n +3 ref/results.tsv | awk -F'\t' '$10 != ($1 ~ /[bdg]/ ? 200 : $1 == "c" ? 60 : 3)')" = "" ]
    [ "$(ls ref/runs | tr '\n' ' ')" = "a.epochs.csv b.epochs.csv c d.epochs.csv e.epochs.csv e.ntk.csv f.epochs.csv g.epochs.csv h " ]
    [ "$(wc -l <ref/runs/b.epochs.csv)" -eq 201 ]
    [ -f ref/runs/h/ntk.csv ]
    [ "$(jq -rs 'map(select(.seconds >= 0).run) | sort | join("")' ref/timing.jsonl)" = abcdefgh ]
    # the same numbers from the run folder by hand
    for which in last best; do
        column=$(head -2 ref/results.tsv | tail -1 | tr '\t' '\n' | grep -nx "${which}_accuracy" | cut -d: -f1)
        [ "$("$BIN/synib-eval" ref/runs/c --checkpoint $which --json | jq '.accuracy')" = \
            "$(awk -F'\t' -v c="$column" '$1 == "c" { print $c }' ref/results.tsv)" ]
    done
}

@test "same bytes on two threads, and again over a finished sweep" {
    "$BIN/synib-sweep" -q plan.tsv -o two -j2
    same ref two
    before=$(cat two/timing.jsonl)
    run "$BIN/synib-sweep" plan.tsv -o two
    [ "$status" -eq 0 ]
    [[ "$output" == *"0 runs to do, 8 there already"* ]]
    same ref two
    [ "$before" = "$(cat two/timing.jsonl)" ]
}

@test "same bytes in three parts at once, merged" {
    for i in 1 2 3; do
        "$BIN/synib-sweep" -q plan.tsv -o parts -j1 --part $i/3 &
        pids[i]=$!
    done
    for i in 1 2 3; do
        wait "${pids[i]}"
    done
    [ ! -e parts/results.tsv ]
    [ "$(cut -f1 parts/results.2-of-3.tsv | tail -n +3 | tr -d '\n')" = beh ]
    "$BIN/synib-sweep" -q plan.tsv -o parts --merge
    same ref parts
    # a part without a row is one too
    "$BIN/synib-sweep" -q plan.tsv -o parts --part 9/9
    "$BIN/synib-sweep" -q plan.tsv -o parts --merge
    same ref parts
    # one row gone: named, and the whole stays as it was
    sed -i '/^e\t/d' parts/results.2-of-3.tsv
    run "$BIN/synib-sweep" -q plan.tsv -o parts --merge
    [ "$status" -eq 4 ]
    [ "$output" = "synib-sweep: parts: run 'e' (plan.tsv:7) is missing" ]
    same ref parts
    run "$BIN/synib-sweep" -q plan.tsv -o none --merge
    [ "$status" -ne 0 ]
    [ ! -e none/results.tsv ]
}

@test "killed after every row, with half a row in the file: same bytes" {
    for jobs in 1 2; do
        kills=0
        for _ in $(seq 20); do
            "$BIN/synib-sweep" -q plan.tsv -o killed$jobs -j$jobs &
            pid=$!
            wait_for_rows killed$jobs/results.tsv $(($(rows killed$jobs/results.tsv) + 1)) $pid
            kill -KILL $pid 2>/dev/null || true
            status=0
            wait $pid || status=$?
            [ "$status" -eq 137 ] || break
            kills=$((kills + 1))
            printf 'b\tspurious:0.6\txor' >>killed$jobs/results.tsv
        done
        [ "$status" -eq 0 ]
        [ "$kills" -ge 2 ]
        same ref killed$jobs
    done
}

@test "stopped by SIGINT: exit 75, the same command goes on, same bytes" {
    stops=0
    for _ in $(seq 20); do
        "$BIN/synib-sweep" -q plan.tsv -o stopped -j2 2>note &
        pid=$!
        wait_for_rows stopped/results.tsv $(($(rows stopped/results.tsv) + 1)) $pid
        kill -INT $pid 2>/dev/null || true
        status=0
        wait $pid || status=$?
        [ "$status" -eq 75 ] || break
        stops=$((stops + 1))
        grep -q "stopped: stopped with [1-8] runs there: the same command goes on" note
    done
    [ "$status" -eq 0 ]
    [ "$stops" -ge 1 ]
    same ref stopped
}

@test "a run folder that was stopped goes on from its checkpoint" {
    plan long.tsv <<'END'
c|data/sp|xor-spurious|vanilla||optim.epochs=3000 checkpoint.epochs=1|7
END
    "$BIN/synib-sweep" -q long.tsv -o long &
    pid=$!
    for _ in $(seq 300); do
        [ -s long/runs/c/last.safetensors ] && break
        sleep 0.02
    done
    kill -TERM $pid
    status=0
    wait $pid || status=$?
    [ "$status" -eq 75 ]
    step=$("$BIN/synib-shard" ls long/runs/c/last.safetensors --json | jq -r '.. | .["state.step"]? // empty')
    echo "stopped after step $step"
    [ "$step" -gt 0 ]
    # the log of steps goes on where it was, and is not begun again
    inode=$(stat -c %i long/runs/c/metrics.jsonl)
    "$BIN/synib-sweep" -q long.tsv -o long &
    pid=$!
    for _ in $(seq 300); do
        [ "$(wc -l <long/runs/c/metrics.jsonl)" -gt $((step + 100)) ] && break
        sleep 0.02
    done
    kill -TERM $pid
    wait $pid || true
    [ "$inode" = "$(stat -c %i long/runs/c/metrics.jsonl)" ]
    [ "$(jq -s 'map(select(has("loss")).step) | . == [range(1; length + 1)]' long/runs/c/metrics.jsonl)" = true ]
}

@test "a dataset folder gives what the same task in memory gives" {
    plan both.tsv <<'END'
m1|spurious:0.6|xor-spurious|vanilla||optim.epochs=60 select.metric=accuracy|7
d1|data/sp|xor-spurious|vanilla||optim.epochs=60 select.metric=accuracy|7
m2|spurious:0.6|xor-spurious|synib|learned|optim.epochs=2 mask.steps=3|7
d2|./data/sp|xor-spurious|synib|learned|optim.epochs=2 mask.steps=3|7
m3|pid:0.25,0.25,0.25,0.25|xor-pid|synib|oracle|optim.epochs=2 model.encoder_width=16 diag.ntk=9|7
d3|data/pid/|xor-pid|synib|oracle|optim.epochs=2 model.encoder_width=16 diag.ntk=9|7
m4|regression:1|xor-regression|masking-only|random|optim.epochs=3 select.metric=loss|7
d4|data/reg|xor-regression|masking-only|random|optim.epochs=3 select.metric=loss|7
END
    "$BIN/synib-sweep" -q both.tsv -o both -j2
    for i in 1 2 3 4; do
        grep "^m$i" both/results.tsv | cut -f9- >memory
        grep "^d$i" both/results.tsv | cut -f9- >folder
        cmp memory folder
        grep -q '^ok' memory
        cmp both/runs/m$i.epochs.csv both/runs/d$i/epochs.csv
    done
    # the best epoch is another than the last, or these tests would not tell
    [ "$(grep '^m1' both/results.tsv | cut -f12)" -lt 60 ]
    cmp both/runs/m3.ntk.csv both/runs/d3/ntk.csv
    # a source of its own has columns of its own, empty for the others
    [ "$(awk -F'\t' 'NR == 2 { for (i = 1; i <= NF; i++) if ($i == "last_accuracy_unique1") c = i }
        NR > 2 { printf "%s", $c == "" ? "-" : "x" }' both/results.tsv)" = "----xx--" ]
}

@test "a run that is not finite: exit 1 after all others, an empty row" {
    plan infinite.tsv <<'END'
bad|regression:1|xor-regression|vanilla||optim.lr=10|1
good|regression:1|xor-regression|vanilla||optim.epochs=2|1
worse|data/reg|xor-regression|vanilla||optim.lr=10|1
fine|spurious:1|xor-spurious|vanilla||optim.epochs=2|1
END
    for jobs in 1 2; do
        run "$BIN/synib-sweep" -q infinite.tsv -o infinite$jobs -j$jobs
        [ "$status" -eq 1 ]
        [[ "${lines[-1]}" == "synib-sweep: infinite$jobs: some runs were not finite"* ]]
        [[ "$output" == *"warning: bad: epoch 1, step"* ]]
    done
    same infinite1 infinite2
    [ "$(tail -n +3 infinite1/results.tsv | cut -f9 | tr '\n' ' ')" = "not-finite ok not-finite ok " ]
    [ "$(grep '^bad' infinite1/results.tsv | cut -f10- | tr -d '\t')" = "" ]
    [ "$(awk -F'\t' 'NR > 1 { print NF }' infinite1/results.tsv | sort -u | wc -l)" -eq 1 ]
    [ ! -e infinite1/runs/bad.epochs.csv ]
    # once more: still not finite, and nothing is run again
    before=$(cat infinite1/timing.jsonl)
    run "$BIN/synib-sweep" -q infinite.tsv -o infinite1
    [ "$status" -eq 1 ]
    [ "$before" = "$(cat infinite1/timing.jsonl)" ]
}

@test "a bad plan: exit 4, every line named, nothing written" {
    plan bad.tsv <<'END'
a|spurious:0.6|xor-spurious|vanilla||optim.epochs=3|1
b|spurious:0.6|xor-spurious|vanila|||1
c|spurious:0.6|xor-spurious|synib|random|optim.epoch=3|1
a|pid:1,1,0,0|xor-pid|vanilla|||1
END
    run "$BIN/synib-sweep" bad.tsv -o bad
    [ "$status" -eq 4 ]
    [ "${#lines[@]}" -eq 3 ]
    [[ "${lines[0]}" == "synib-sweep: bad.tsv:4: "*"did you mean 'vanilla'"* ]]
    [[ "${lines[1]}" == "synib-sweep: bad.tsv:5: "*"did you mean 'optim.epochs'"* ]]
    [[ "${lines[2]}" == "synib-sweep: bad.tsv:6: mix: "*"must be 1" ]]
    # for other data than the row's: known before anything is run
    plan kind.tsv <<'END'
a|spurious:0.6|xor-spurious|vanilla||optim.epochs=3|1
b|data/sp|demo|vanilla||init.encoders=scratch|1
END
    run "$BIN/synib-sweep" kind.tsv -o bad
    [ "$status" -eq 4 ]
    [ "$output" = "synib-sweep: kind.tsv:4: the settings are for data.kind = media, the data hold vectors: use preset xor-spurious, xor-pid, xor-regression or one of your own" ]
    plan missing.tsv <<'END'
a|data/none|xor-spurious|vanilla|||1
END
    run "$BIN/synib-sweep" missing.tsv -o bad
    [ "$status" -eq 1 ]
    [[ "$output" == "synib-sweep: missing.tsv:3: data/none/"* ]]
    run "$BIN/synib-sweep" nowhere.tsv -o bad
    [ "$status" -eq 1 ]
    [ ! -e bad ]
}

@test "bad command lines: exit 2, one line, nothing written" {
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
-o out|PLAN is missing
plan.tsv|-o DIR is missing
plan.tsv plan.tsv -o out|one PLAN only
plan.tsv -o out --seed 3|--seed: seeds are in the plan
plan.tsv -o out --merge --part 1/2|--merge and --part exclude each other
plan.tsv -o out --part 1|'1' is not of the form I/N
plan.tsv -o out --part 0/2|--part: '0' is not a whole number from 1 to 2
plan.tsv -o out --part 3/2|--part: '3' is not a whole number from 1 to 2
plan.tsv -o out --part 1/|--part: '' is not a whole number
plan.tsv -o out --part /2|--part: '' is not a whole number
plan.tsv -o out --part 1/2/3|--part: '2/3' is not a whole number
plan.tsv -o out --part 1/100001|--part: '100001' is not a whole number
plan.tsv -o out -j x|--jobs: 'x'
TABLE
    [ "$n" -eq 13 ]
}

@test "--dry-run counts and writes nothing" {
    run --separate-stderr "$BIN/synib-sweep" plan.tsv -o dry --dry-run
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    [ "$stderr" = "synib-sweep: plan.tsv: 8 runs to do, 0 there already" ]
    [ ! -e dry ]
    run "$BIN/synib-sweep" plan.tsv -o dry --dry-run --part 2/3
    [[ "$output" == *"3 runs to do"* ]]
    cp -r ref dry
    sed -i '/^d\t/d' dry/results.tsv
    cp -r dry before
    run "$BIN/synib-sweep" plan.tsv -o dry --dry-run --force
    [ "$status" -eq 0 ]
    run "$BIN/synib-sweep" plan.tsv -o dry --dry-run
    [ "$status" -eq 0 ]
    [[ "$output" == *"1 runs to do, 7 there already"* ]]
    diff -r before dry
}

@test "rows of another version or machine are told when a sweep goes on, and when parts are merged" {
    plan two.tsv <<'END'
a|spurious:0.6|xor-spurious|vanilla||optim.epochs=1|1
b|spurious:0.6|xor-spurious|vanilla||optim.epochs=1|2
END
    "$BIN/synib-sweep" -q -j 1 two.tsv -o made
    [ "$(jq -r .made_with made/timing.jsonl | sort -u | wc -l)" -eq 1 ]
    now=$(jq -r .made_with made/timing.jsonl | head -n 1)
    [[ "$now" == "$("$BIN/synib-sweep" --version | sed 's/.* //'), "*"oneDNN"* ]]
    sed -i '/^b\t/d' made/results.tsv
    run --separate-stderr "$BIN/synib-sweep" -q two.tsv -o made # the same: nothing to say
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    sed -i '/^b\t/d' made/results.tsv
    sed -i '1s/"made_with": ".*"/"made_with": "0, abacus"/; $a {"run": "a", "seco' made/timing.jsonl
    run --separate-stderr "$BIN/synib-sweep" -q -j 1 two.tsv -o made
    [ "$status" -eq 0 ]
    [ "$stderr" = "synib-sweep: warning: made: row 'a' was made with '0, abacus', others with '$now': another machine may change last bits, another version more" ]
    for i in 1 2; do "$BIN/synib-sweep" -q two.tsv -o merged --part $i/2; done
    run --separate-stderr "$BIN/synib-sweep" -q two.tsv -o merged --merge
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    sed -i '1s/"made_with": ".*"/"made_with": "0, abacus"/' merged/timing.jsonl
    run --separate-stderr "$BIN/synib-sweep" -q two.tsv -o merged --merge --force
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"warning: merged: row '"*"another machine may change last bits"* ]]
}

@test "two sweeps in one folder: the second is refused" {
    plan long.tsv <<'END'
a|spurious:0.6|xor-spurious|vanilla||optim.epochs=100000|1
END
    "$BIN/synib-sweep" -q long.tsv -o both-here &
    pid=$!
    for _ in $(seq 300); do
        [ -e both-here/timing.jsonl ] && break
        sleep 0.02
    done
    run "$BIN/synib-sweep" -q long.tsv -o both-here
    kill -TERM $pid
    first=0
    wait $pid || first=$?
    [ "$status" -eq 1 ]
    [ "$output" = "synib-sweep: both-here: another process is at work here: wait for it or give another folder" ]
    [ "$first" -eq 75 ]
}

@test "results of another plan are refused and kept; --force starts over" {
    plan first.tsv <<'END'
a|spurious:0.6|xor-spurious|vanilla||optim.epochs=2|1
b|data/sp|xor-spurious|vanilla||optim.epochs=2|1
c|spurious:0.6|xor-spurious|vanilla||optim.epochs=2 diag.ntk=1|1
END
    sed 's/epochs=2/epochs=3/; s/ diag.ntk=1//' first.tsv >second.tsv
    "$BIN/synib-sweep" -q first.tsv -o forced
    "$BIN/synib-sweep" -q second.tsv -o fresh
    cp -r forced kept
    run "$BIN/synib-sweep" -q second.tsv -o forced
    [ "$status" -eq 4 ]
    [[ "$output" == *"forced/results.tsv:3: run 'a' was made with other settings, data or task"* ]]
    diff -r kept forced
    "$BIN/synib-sweep" -q second.tsv -o forced --force
    same fresh forced
    # and with the same plan: everything is run again
    echo wrong | tee forced/runs/a.epochs.csv forced/runs/b/epochs.csv forced/runs/b/last.safetensors
    "$BIN/synib-sweep" -q second.tsv -o forced --force
    same fresh forced
}
