#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Tools without memory, with reads and writes that fall short, and under a limit of address space: the short
# form of tests/fault/oom (docs/reliability/memory.md).

bats_require_minimum_version 1.5.0

setup_file() {
    export ROOT="$BATS_FILE_TMPDIR" SYNIB_MANIFESTS="$SOURCE_DIR/manifests"
}

oom() {
    [ -f "$BIN/libfault_preload.so" ] || skip "a sanitizer owns the allocator: see test_every_call_*"
    TMPDIR="$ROOT" "$SOURCE_DIR/tests/fault/oom" "$@"
}

@test "an allocation fails: exit 1 or a rejected clip, old outputs whole, the same command goes on" {
    oom -s 2 "$BIN" split-force expand
    oom -s 19 "$BIN" xor-force irony-force sheet-force scan-force
    oom -s 41 "$BIN" train report
}

@test "reads and writes fall short or are interrupted: the same bytes" {
    oom -i -s 4 "$BIN" split xor scan irony-force train eval report
}

@test "the check finds a tool that takes no notice" {
    [ -f "$BIN/libfault_preload.so" ] || skip "a sanitizer owns the allocator"
    mkdir "$ROOT/bin"
    cp "$BIN"/synib-* "$BIN/libfault_preload.so" "$ROOT/bin"
    cp "$BIN/fault_careless" "$ROOT/bin/synib-expand"
    # the jobs' inputs need the tools themselves: only the job's command is another one
    sed 's/^    split\*) cmd=(split/    split*) cmd=(expand/' "$SOURCE_DIR/tests/fault/jobs.sh" >"$ROOT/jobs.sh"
    mkdir "$ROOT/fault"
    cp "$SOURCE_DIR/tests/fault/oom" "$ROOT/jobs.sh" "$ROOT/fault"
    run env TMPDIR="$ROOT" "$ROOT/fault/oom" -a "$ROOT/bin" split
    echo "$output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"exit 0"* && "$output" == *"exit 139"* ]]
}

@test "a limit of address space: exit 0, or 1 with a line about memory, and never half an output" {
    [ -f "$BIN/libfault_preload.so" ] || skip "a sanitizer needs all address space"
    cd "$ROOT"
    "$BIN/synib-xor" -q spurious --strength 0.6 --train 40 --val 20 --test 20 -o sp
    n=0
    for kib in 30000 60000 90000 120000 150000 200000 300000 500000; do
        for command in "synib-xor -q spurious --strength 0.6 --seed 3 -o lim" \
            "synib-train -q sp -p xor-spurious -m vanilla --set optim.epochs=1 -o lim -j1"; do
            rm -rf lim
            status=0
            (ulimit -v $kib && exec "$BIN/"$command) >said 2>&1 || status=$?
            echo "$kib KiB, $command: $status $(head -c 300 said)"
            case $status in
            0) n=$((n + 1)) ;;
            1) grep -qiE 'memory|allocat' said ;;
            127) grep -q 'shared libraries' said ;; # not even loaded
            *) false ;;
            esac
            [ -z "$(find lim -name '*.partial' 2>/dev/null)" ]
        done
    done
    [ $n -ge 2 ]
}
