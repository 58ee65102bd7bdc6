#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Every tool killed, and told that the system refuses, at some of its system calls: the short form of
# tests/fault/run-full (docs/reliability/kill.md).

bats_require_minimum_version 1.5.0

setup_file() {
    export ROOT="$BATS_FILE_TMPDIR" SYNIB_MANIFESTS="$SOURCE_DIR/manifests"
    # leaks and ptrace do not go together
    export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
    . "$SOURCE_DIR/tests/fault/jobs.sh"
    fault_inputs "$ROOT" 2>/dev/null
}

setup() {
    # clang's OpenMP makes, maps and removes files of its own all the time, and ends the process when it cannot
    ! ldd "$BIN/synib-train" | grep -q libomp || skip "built with libomp, whose own system calls are not ours to mend"
}

# disturb WAY [JOB STEP]...: each job, its failures shown.
disturb() {
    local way=$1 status
    shift
    while [ $# -gt 0 ]; do
        status=0
        "$SOURCE_DIR/tests/fault/disturb" "$way" "$1" "$ROOT" "$2" || status=$?
        [ "$status" -ne 2 ] || skip "system calls cannot be traced here"
        [ "$status" -eq 0 ]
        shift 2
    done
}

@test "killed at a system call: final files whole, the same command ends in the same bytes" {
    disturb kill scan 9 split 5 frames-force 9 stft 11 irony 13 irony-whole-force 17 xor-force 7 \
        export 41 sheet 7 train 9 eval 5 sweep 29 expand 5 report 13
}

@test "the system refuses: a message that names the file, old outputs whole, nothing left over" {
    disturb error scan 37 split 11 frames 61 irony-force 67 xor 41 export 199 sheet 29 train 19 eval 13 \
        sweep 97 report 59
}

@test "no room for a file of that size: exit 1, nothing left over" {
    disturb size frames 1 stft 1 irony-whole-force 1 xor 1 sheet 1 train 1 report 1
}

@test "the checks find a file that is written in place" {
    # what a tool must not be
    cd "$BATS_TEST_TMPDIR"
    mkdir bin

    cat >bin/synib-split <<'END'
#!/bin/sh
[ -e out ] && exit 0
printf 'half' >out
mkdir -p made
printf 'whole' >out
END
    chmod +x bin/synib-split
    run env BIN="$PWD/bin" "$SOURCE_DIR/tests/fault/disturb" kill split "$ROOT" 1
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"out: neither old nor new"* ]]
    [[ "$output" == *"again: other bytes"* ]]
}
