#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Same inputs, same bytes: the short form of `make repeat` (tests/repeat/run).

setup_file() {
    export RAW="$BATS_FILE_TMPDIR/raw"
    "$BIN/synib-synth" -q -o "$RAW" --actors 5 --sentences 1 --seed 3
}

@test "every product again at other -j, in parts and in another environment: the same bytes; by other kernels: bounded" {
    run env SHORT=1 "$SOURCE_DIR/tests/repeat/run" "$BIN" "$BATS_TEST_TMPDIR/out"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" == *"3 variants, 0 different or failed, 0 skipped"* ]]
    [[ "$output" == *"oneDNN as on a machine with SSE4.1"* ]]
}

@test "a product that differs is found" {
    mkdir "$BATS_TEST_TMPDIR/bin"
    for tool in "$BIN"/synib-*; do
        ln -s "$tool" "$BATS_TEST_TMPDIR/bin/"
    done
    # a synib-xor whose seed follows the number of threads
    rm "$BATS_TEST_TMPDIR/bin/synib-xor"
    printf '#!/bin/sh\nexec "%s" "$@" --seed "$3"\n' "$BIN/synib-xor" >"$BATS_TEST_TMPDIR/bin/synib-xor"
    chmod +x "$BATS_TEST_TMPDIR/bin/synib-xor"
    run env SHORT=sets "$SOURCE_DIR/tests/repeat/run" "$BATS_TEST_TMPDIR/bin" "$BATS_TEST_TMPDIR/out"
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"DIFFERENT  -j 1"* ]]
    grep -q './xor/pid/' "$BATS_TEST_TMPDIR/out/differences.txt"
}
