#!/usr/bin/env bats
# What every tool shares: help, version, exit codes of a bad command line, a full disk on stdout.

bats_require_minimum_version 1.5.0

tools() {
    ls "$BIN" | grep '^synib-'
}

@test "there are tools" {
    [ "$(tools | wc -l)" -ge 1 ]
}

@test "--help prints usage to stdout and exits 0" {
    for tool in $(tools); do
        run --separate-stderr "$BIN/$tool" --help
        echo "$tool: $output"
        [ "$status" -eq 0 ]
        [ -z "$stderr" ]
        [[ "$output" == Usage:* ]]
        [[ "$output" == *--seed* && "$output" == *--jobs* && "$output" == *--force* ]]
        [[ "$output" == *"xit code"* || "$output" == *"xit status"* ]]
    done
}

@test "--version names the tool and the version" {
    for tool in $(tools); do
        run "$BIN/$tool" --version
        [ "$status" -eq 0 ]
        [[ "${lines[0]}" == "$tool (synib) "[0-9]* ]]
    done
}

@test "an unknown option exits 2 and prints nothing to stdout" {
    for tool in $(tools); do
        run --separate-stderr "$BIN/$tool" --no-such-option
        echo "$tool: $status"
        [ "$status" -eq 2 ]
        [ -z "$output" ]
        [ -n "$stderr" ]
    done
}

@test "bad common values exit 2 with one line that names the option" {
    for tool in $(tools); do
        for bad in --seed=-1 --seed=x --seed=9223372036854775808 -j=-1 --jobs=1.5 --jobs=9999999; do
            run --separate-stderr "$BIN/$tool" "$bad"
            echo "$tool $bad: $status $stderr"
            [ "$status" -eq 2 ]
            [ -z "$output" ]
        done
    done
}

@test "--help to a full disk is an error" {
    [ -w /dev/full ] || skip "no /dev/full"
    for tool in $(tools); do
        run bash -c "'$BIN/$tool' --help 2>&1 > /dev/full"
        echo "$tool: $status $output"
        [ "$status" -eq 1 ]
        [[ "$output" == "$tool: standard output: cannot write: No space left on device" ]]
    done
}

@test "a reader of standard output that has seen enough is no error to speak of" {
    mkfifo "$BATS_TEST_TMPDIR/pipe"
    for tool in $(tools); do
        run bash -c "exec 4<>'$BATS_TEST_TMPDIR/pipe' 5>'$BATS_TEST_TMPDIR/pipe' 4<&-; '$BIN/$tool' --help 2>&1 >&5"
        echo "$tool: $status $output"
        [ "$status" -eq 1 ]
        [ -z "$output" ]
    done
    "$BIN/synib-synth" -q -o "$BATS_TEST_TMPDIR/raw" --actors 1 --sentences 1
    cd "$BATS_TEST_TMPDIR"
    run bash -c "exec 4<>pipe 5>pipe 4<&-; '$BIN/synib-scan' -q --media none --json raw -o clips.tsv 2>&1 >&5"
    echo "synib-scan: $status $output"
    [ "$status" -eq 1 ]
    [ -z "$output" ]
    # more than a buffer
    seq -f %.0f_IEO_ANG_HI 1001 1090 | tee train.txt >test.txt
    local audit="'$BIN/synib-split' --allow-speaker-overlap --json --audit train=train.txt,test=test.txt"
    [ "$(eval "$audit" | wc -c)" -gt 8192 ]
    run bash -c "exec 4<>pipe 5>pipe 4<&-; $audit 2>&1 >&5"
    echo "synib-split: $status $output"
    [ "$status" -eq 1 ]
    [ -z "$output" ]
    [ -s clips.tsv ] # what it was run for is there
}

@test "a message passes no terminal escape on: ESC, DEL and the CSI of the second set" {
    bad=$'no\033[31m-such\177-\302\233folder'
    run --separate-stderr "$BIN/synib-scan" "$bad" --media none -o "$BATS_TEST_TMPDIR/clips.tsv"
    [ "$status" -eq 1 ]
    echo "$stderr"
    [[ "$stderr" == *"no?[31m-such?-??folder"* ]]
}
