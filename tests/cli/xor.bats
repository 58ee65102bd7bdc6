#!/usr/bin/env bats
# synib-xor: its sets, what other tools make of them, bad command lines.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR"
}

@test "three splits of the published sizes, and synib-shard reads them" {
    run --separate-stderr "$BIN/synib-xor" spurious --strength 0.6 --seed 2 -o sp --json
    [ "$status" -eq 0 ]
    [ "$(jq -sc 'map([.split, .samples])' <<<"$output")" = '[["train",300],["val",120],["test",30000]]' ]
    "$BIN/synib-shard" verify sp
    [ "$("$BIN/synib-shard" stat sp --split train --json |
        jq -c '.sets[0] | [.samples, .modalities.x1.spurious.coordinates, .modalities.x2.synergistic.oracle]')" = \
        '[300,6,1]' ]
    "$BIN/synib-shard" dump sp --split val --sample 3 | grep -q 'source .* synergistic'
    [ "$("$BIN/synib-shard" ls sp/train --json | jq -r '.targets[0].digest')" = \
        "$(jq -r 'select(.split == "train").digest' <<<"$output")" ]
    run "$BIN/synib-shard" contact-sheet sp -o sheet.jpg
    [ "$status" -eq 4 ]
    [ ! -e sheet.jpg ]
}

@test "pid, three modalities and regression" {
    "$BIN/synib-xor" -q pid --mix 0,0,0.5,0.5 -o pid
    [ "$("$BIN/synib-shard" stat pid --split test --json |
        jq -c '.sets[0].sources | [.unique1["0"], .unique2["1"], (.redundant | add) + (.synergistic | add)]')" = '[0,0,4000]' ]
    "$BIN/synib-xor" -q spurious --strength 1 --modalities 3 --test 50 -o three
    "$BIN/synib-shard" ls three/test | grep -q 'x3.oracle'
    "$BIN/synib-xor" -q regression --strength 0 --test 50 -o number
    "$BIN/synib-shard" ls number/val | grep -q 'target *F32 \[1\]'
    "$BIN/synib-shard" verify pid three number
}

@test "same bytes: any folder, again, after a kill between two sets; another seed differs" {
    "$BIN/synib-xor" -q pid --mix 0.45,0,0.45,0.1 --seed 7 -o a
    (umask 077 && LC_ALL=C TZ=Asia/Tokyo "$BIN/synib-xor" -q pid -j 2 --seed 7 -o b/c --mix 0.45,0,0.45,0.1)
    diff -r a b/c
    rm a/test/index.jsonl
    run "$BIN/synib-xor" pid --mix 0.45,0,0.45,0.1 --seed 7 -o a
    [ "$status" -eq 0 ]
    [[ "$output" == *"train: 1800 samples, there already"* ]]
    diff -r a b/c
    "$BIN/synib-xor" -q pid --mix 0.45,0,0.45,0.1 --seed 8 -o d
    run ! cmp -s a/train/index.jsonl d/train/index.jsonl
}

@test "another dataset in the way is kept, --force replaces it" {
    "$BIN/synib-xor" -q spurious --strength 1 --test 100 -o out
    cp -r out before
    run "$BIN/synib-xor" spurious --strength 0.5 --test 100 -o out
    [ "$status" -eq 1 ]
    [[ "$output" == *"out/train/index.jsonl"*"--force"* ]]
    diff -r out before
    "$BIN/synib-xor" -q spurious --strength 0.5 --test 100 --force -o out
    "$BIN/synib-shard" verify out
    run ! diff -qr out before
    [ "$(find out -type f | wc -l)" -eq 6 ]
}

@test "a set without one of its shards is told, and --force makes it again" {
    make=("$BIN/synib-xor" -q spurious --strength 1 --test 100 -o torn)
    "${make[@]}"
    cp -r torn whole
    rm torn/val/vectors-*
    run "${make[@]}"
    [ "$status" -eq 1 ]
    [[ "$output" == *"torn/val/vectors-"*"cannot open: No such file"* ]]
    "${make[@]}" --force
    diff -r torn whole
}

@test "dry run writes nothing" {
    "$BIN/synib-xor" -q pid --mix 1,0,0,0 --dry-run -o none
    "$BIN/synib-xor" -q pid --mix 1,0,0,0 --dry-run
    [ -z "$(ls)" ]
}

@test "bad command lines: exit 2, one line, nothing written" {
    n=0
    while IFS='|' read -r args want; do
        run --separate-stderr "$BIN/synib-xor" $args -o out
        [ "$status" -eq 2 ]
        [[ "$stderr" == *"$want"* ]]
        [ "${#stderr_lines[@]}" -eq 1 ]
        [ ! -e out ]
        n=$((n + 1))
    done <<'TABLE'
pid --mix 0.5,0.5,0.5,0|synib-xor: --mix: '0.5,0.5,0.5,0': the probabilities of unique1, unique2, redundant and synergistic sum to 1.5: must be 1
pid --mix 0.45,0,0.45|synib-xor: --mix: '0.45,0,0.45' is not four probabilities pU1,pU2,pR,pS separated by commas
pid --mix 0.5,0.5,0,0,0|synib-xor: --mix: '0.5,0.5,0,0,0' is not four probabilities
pid --mix -0.5,0.5,0.5,0.5|synib-xor: --mix: '-0.5,0.5,0.5,0.5': unique1: '-0.5' is not a number from 0 to 1
pid|--mix: missing
pid --mix 1,0,0,0 --strength 1|--strength: task pid has none
pid --mix 1,0,0,0 --projection 4294967296|below 2^32
spurious --strength=-0.1|--strength: '-0.1'
spurious --strength 1e300|--strength: '1e300' is not a number from 0 to 1e+06
spurious|--strength: missing
spurious --strength 1 --mix 1,0,0,0|--mix: task spurious has none
spurious --strength 1 --modalities 5|--modalities: '5'
spurious --strength 1 --train 0|--train: '0'
regression --strength 1 --modalities 3|--modalities: task regression has none
purious --strength 1|did you mean 'spurious'
spurious pid --strength 1|one task only
--strength 1|no task
TABLE
    [ "$n" -eq 17 ]
    run "$BIN/synib-xor" pid --mix 1,0,0,0
    [ "$status" -eq 2 ]
    [[ "$output" == *"-o: missing"* ]]
}
