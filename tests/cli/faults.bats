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

# disturb WAY [JOB STEP LEAST]...: each job, its failures shown, at no fewer points than LEAST.
disturb() {
    local way=$1 status said points
    shift
    while [ $# -gt 0 ]; do
        status=0
        said=$("$SOURCE_DIR/tests/fault/disturb" "$way" "$1" "$ROOT" "$2") || status=$?
        echo "$said"
        [ "$status" -ne 77 ] || skip "system calls cannot be traced here"
        [ "$status" -eq 0 ]
        read -r _ _ _ points _ <<<"$said"
        [ "$points" -ge "$3" ]
        shift 3
    done
}

@test "killed at a system call: final files whole, the same command ends in the same bytes" {
    disturb kill scan 9 2 split 5 2 frames-force 9 3 stft 11 2 irony 13 5 irony-whole-force 17 4 xor-force 7 8 \
        export 41 4 sheet 7 4 train 9 6 eval 5 5 sweep 29 3 expand 5 2 report 13 4
}

@test "the system refuses: a message that names the file, old outputs whole, nothing left over" {
    disturb error scan 37 2 split 11 2 frames 61 2 irony-force 67 4 xor 41 5 export 199 3 sheet 29 4 train 19 12 \
        eval 13 7 sweep 97 4 report 59 4
}

@test "no room for a file of that size: exit 1, nothing left over" {
    disturb size frames 1 4 stft 1 4 irony-whole-force 1 4 xor 1 4 sheet 1 4 train 1 4 report 1 4
}

# tool LINE...: a synib-split of these lines in bin/.
tool() {
    mkdir -p bin
    printf '%s\n' '#!/bin/sh' "$@" >bin/synib-split
    chmod +x bin/synib-split
}

@test "a tool that fails undisturbed, an unknown job and no point at all are failures, not reasons to skip" {
    cd "$BATS_TEST_TMPDIR"
    "$SOURCE_DIR/tests/fault/disturb" random split "$ROOT" 1 || [ $? -ne 77 ] || skip "system calls cannot be traced here"
    tool 'echo broken >&2; exit 1'
    for way in kill error random size; do
        run -2 env BIN="$PWD/bin" "$SOURCE_DIR/tests/fault/disturb" $way split "$ROOT" 1
        [[ "$output" == *"broken"* ]]
    done
    run -2 "$SOURCE_DIR/tests/fault/disturb" kill nothing "$ROOT" 1
    tool 'printf whole >out'
    for way in kill error; do
        run -1 env BIN="$PWD/bin" "$SOURCE_DIR/tests/fault/disturb" $way split "$ROOT" 100000
        [[ "$output" == *"no point was tested"* ]]
    done
    printf '%s\n' '#!/bin/sh' 'exit 1' >bin/strace
    chmod +x bin/strace
    run -77 env PATH="$PWD/bin:$PATH" "$SOURCE_DIR/tests/fault/disturb" size split "$ROOT" 1
}

@test "the checks find a file that is written in place" {
    # what a tool must not be
    cd "$BATS_TEST_TMPDIR"
    tool '[ -e out ] && exit 0' "printf 'half' >out" 'mkdir -p made' "printf 'whole' >out"
    run env BIN="$PWD/bin" "$SOURCE_DIR/tests/fault/disturb" kill split "$ROOT" 1
    echo "$output"
    [ "$status" -ne 77 ] || skip "system calls cannot be traced here"
    [ "$status" -eq 1 ]
    [[ "$output" == *"out: neither old nor new"* ]]
    [[ "$output" == *"again: other bytes"* ]]
}
