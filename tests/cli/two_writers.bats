#!/usr/bin/env bats
# Every tool, started three times at once with one output: one wins, the others say so, and the product is that
# of one undisturbed run.

bats_require_minimum_version 1.5.0

setup_file() {
    . "$SOURCE_DIR/tests/fault/jobs.sh"
    export SYNIB_MANIFESTS=$SOURCE_DIR/manifests ROOT=$BATS_FILE_TMPDIR
    fault_inputs "$ROOT"
}

setup() {
    . "$SOURCE_DIR/tests/fault/jobs.sh"
}

# race JOB: three at once in $ROOT/JOB; leaves their exit codes in `codes` and their words in JOB/err[123].
race() {
    local pids=() pid code i command

    fault_job "$1"
    mkdir -p "$ROOT/$1"
    cd "$ROOT/$1"
    for command in ${before+"${before[@]}"}; do
        bash -c "$command" >/dev/null 2>&1
    done
    for i in 1 2 3; do
        "${cmd[@]}" >/dev/null 2>"err$i" &
        pids+=($!)
    done
    codes=()
    for pid in "${pids[@]}"; do
        code=0
        wait "$pid" || code=$?
        codes+=("$code")
    done
}

# undisturbed JOB: the products of one run alone, as fault_list prints them.
undisturbed() {
    local command

    fault_job "$1"
    mkdir "$ROOT/$1-alone"
    cd "$ROOT/$1-alone"
    for command in ${before+"${before[@]}"}; do
        bash -c "$command" >/dev/null 2>&1
    done
    "${cmd[@]}" >/dev/null 2>&1 || [ $? -eq "$wanted" ]
    fault_list .
}

# losers JOB: every process that did not win has ended with 1 and has said in its last line why.
losers() {
    local i

    for i in 1 2 3; do
        [ "${codes[i - 1]}" -ne "$wanted" ] || continue
        [ "${codes[i - 1]}" -eq 1 ] || return 1
        tail -n 1 "$ROOT/$1/err$i" | grep -qE "exists|another process" || return 1
    done
}

@test "three at once: one wins, the others say so" {
    for job in $(fault_jobs | grep -v -e -force); do
        race "$job"
        echo "$job: ${codes[*]}: $(cat err1 err2 err3)"
        won=0
        for code in "${codes[@]}"; do
            [ "$code" -ne "$wanted" ] || won=$((won + 1))
        done
        # More than one: the late ones found the very same bytes there and were content.
        [ "$won" -ge 1 ]
        losers "$job"
        [ "$(fault_list "$ROOT/$job")" = "$(undisturbed "$job")" ]
        [ -z "$(fault_stale "$ROOT/$job")" ]
    done
}

@test "three at once with --force: each wins or says why not, and the last product stands whole" {
    for job in $(fault_jobs | grep -e -force); do
        race "$job"
        echo "$job: ${codes[*]}: $(cat err1 err2 err3)"
        [[ " ${codes[*]} " == *" $wanted "* ]]
        losers "$job"
        [ "$(fault_list "$ROOT/$job")" = "$(undisturbed "$job")" ]
        [ -z "$(fault_stale "$ROOT/$job")" ]
    done
}
