#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Tools without memory, with reads and writes that fall short, and under a limit of address space: the short
# form of tests/fault/oom (docs/reliability/memory.md).

bats_require_minimum_version 1.5.0

setup_file() {
    export ROOT="$BATS_FILE_TMPDIR" SYNIB_MANIFESTS="$SOURCE_DIR/manifests"
    [ -f "$BIN/libfault_preload.so" ] || return 0
    . "$SOURCE_DIR/tests/fault/jobs.sh"
    fault_inputs "$ROOT" 2>/dev/null
}

setup() {
    [ -f "$BIN/libfault_preload.so" ] || skip "a sanitizer or gcov needs memory: see test_every_call_*"
}

oom() {
    TMPDIR="$ROOT" "$SOURCE_DIR/tests/fault/oom" -d "$ROOT" "$@"
}

@test "an allocation fails: exit 1 or a rejected clip, old outputs whole, the same command goes on" {
    ! ldd "$BIN/synib-train" | grep -q libomp || skip "libomp waits for itself where it lacks memory"
    oom -s 2 "$BIN" split-force expand
    oom -s 19 "$BIN" xor-force irony-force sheet-force scan-force
    oom -s 41 "$BIN" train report
    oom -s 97 "$BIN" stft # FFTW aborts in a worker
}

@test "reads and writes fall short or are interrupted: the same bytes" {
    oom -i -s 4 "$BIN" split xor scan irony-force train eval report
}

@test "the check finds a tool that takes no notice" {
    mkdir "$ROOT/bin"
    cp "$BIN"/synib-* "$BIN/libfault_preload.so" "$ROOT/bin"
    cp "$BIN/fault_careless" "$ROOT/bin/synib-split"
    run env TMPDIR="$ROOT" "$SOURCE_DIR/tests/fault/oom" -d "$ROOT" -a "$ROOT/bin" split
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"exit 0"* && "$output" == *"exit 139"* ]]
}

@test "the check fails when nothing can be made to fail" {
    mkdir "$ROOT/no_preload"
    cp "$BIN"/synib-* "$ROOT/no_preload"
    : >"$ROOT/no_preload/libfault_preload.so" # the loader takes no notice of it
    for way in -a -i; do
        run env TMPDIR="$ROOT" "$SOURCE_DIR/tests/fault/oom" -d "$ROOT" $way "$ROOT/no_preload" split
        echo "$output"
        [ "$status" -eq 2 ]
        [[ "$output" == *"libfault_preload.so counted nothing"* ]]
    done
}

# limited KIB COMMAND...: one line about memory or, where not even the libraries fit, the loader's
limited() {
    rm -rf lim
    status=0
    (ulimit -v "$1" && exec "$BIN/${@:2}") >said 2>&1 || status=$?
    echo "$*: $status $(head -c 300 said)"
    case $status in
    1)
        grep -qiE "memory|allocat" said
        [ "$(wc -l <said)" -eq 1 ]
        ;;
    127) grep -q 'shared libraries' said ;;
    *) [ "$status" -eq 0 ] ;;
    esac
    [ -z "$(find . -name '*.partial')" ]
}

@test "a limit of address space: exit 0, or 1 with a line about memory, and never half an output" {
    local train=(synib-train -q -j1 sp -p xor-spurious -m vanilla --set optim.epochs=1)

    cd "$ROOT"
    "$BIN/synib-xor" -q spurious --strength 0.6 --train 40 --val 20 --test 20 -o sp
    # more than fits
    for kib in 20000 50000 100000 150000 200000 250000 300000; do
        limited $kib synib-xor -q -j1 spurious --strength 0.6 --train 1000000 -o lim
        [ "$status" -ne 0 ]
        limited $kib "${train[@]}" --set model.encoder_width=65536 -o lim
        [ "$status" -ne 0 ]
    done
    [ "$status" -eq 1 ]
    # and what does
    limited 500000 synib-xor -q -j1 spurious --strength 0.6 -o lim
    [ "$status" -eq 0 ]
    limited 500000 "${train[@]}" -o lim
    [ "$status" -eq 0 ]
}
