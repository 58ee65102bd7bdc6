#!/usr/bin/env bats
# make table1: its parts, its table and its estimate. The runs themselves are cremad.mk's (cremad.bats).

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR"
    unset MAKEFLAGS MFLAGS MAKELEVEL # of the `make test` that runs this
}

# runs VAR=VALUE...: the run folders that cremad.mk would train, one per line.
runs() {
    make -n -f "$SOURCE_DIR/docs/cremad.mk" runs BIN=/bin ROOT=raw OUT=out "$@" |
        tr -d '"' | sed -n 's/.*synib-train.* -o //p; s/^ .* -o \(out[^ ]*\)$/\1/p' | LC_ALL=C sort -u
}

@test "the front door: a checkout or the synthetic corpus, whole or in parts" {
    make -n -C "$SOURCE_DIR" table1 DATA=/data/CREMA-D OUT=/there PART=2/3 |
        grep -q 'PART=2/3 scripts/table1 "/there" "/data/CREMA-D"$'
    make -n -C "$SOURCE_DIR" table1 | grep -q 'PART= scripts/table1 "table1-synthetic" *$'
}

@test "parts are disjoint and add up to the whole; a group's runs stay together" {
    runs >whole
    [ "$(wc -l <whole)" -eq 108 ] # 3 folds x 4 rates x 9 rows of the table
    for i in 1 2 3 4 5; do
        runs PART=$i/5 >part$i
        [ "$(grep -c /uni-audio part$i)" -eq "$(grep -c /synib part$i)" ]
    done
    cat part? | LC_ALL=C sort | cmp - whole
    runs SEEDS="1 2" FOLDS=0 RATES=1.0 METHODS="uni-audio synib" >seeds
    printf 'out/fold0/rate1.0/seed%s\n' 1/synib 1/uni-audio 2/synib 2/uni-audio | cmp - seeds
    for part in 0/3 4/3 x 1/0; do
        run make -n -f "$SOURCE_DIR/docs/cremad.mk" runs BIN=/bin ROOT=raw OUT=out FOLDS=0 RATES="0.5 1.0 2.0" PART=$part
        echo "$part: $status: $output"
        [ "$status" -ne 0 ]
        [[ "$output" == *"PART=$part: write i/n"* ]]
    done
}

@test "the sets may lie elsewhere, the results stay" {
    make -n -f "$SOURCE_DIR/docs/cremad.mk" runs BIN=/bin ROOT=raw OUT=out SHARDS=/local FOLDS=0 RATES=1.0 METHODS=mcr | tr -d '"' >plan
    grep -q 'synib-train /local/fold0/rate1.0/data ' plan
    grep -q -- '-o out/fold0/rate1.0/mcr$' plan
    grep -q 'synib-eval out/fold0/rate1.0/mcr /local/fold0/rate1.0/data ' plan
}

@test "the table: methods by rates, deviations where there are runs for one, gaps" {
    tr ' ' '\t' >cells.tsv <<'END'
#synib-report-cells 1
method data metric runs mean sd low high
a r1 irony_f1 2 0.5 0.1 0 1
a r1 macro_f1 2 0.25 0.05 0 1
a r1 accuracy 2 0.9 0.05 0 1
b r2 irony_f1 1 0.125  0 1
b r2 macro_f1 1 1  0 1
END
    awk -F'\t' -f "$SOURCE_DIR/scripts/table1.awk" cells.tsv | sed 's/  *$//' >table
    cat table
    diff table - <<'END'
method          r1                             r2
a                50.0 +- 10.0 /  25.0 +-  5.0  -
b               -                               12.5 / 100.0
END
}

@test "the estimate: clips, epochs and machines multiplied" {
    cat >bench <<'END'
#!/bin/sh
printf 'method\tbatch\tthreads\tmedian_s\tleast_s\tmost_s\trelative\n'
printf 'vanilla\t16\t1\t1.6\t1\t2\t1\nuni-audio\t16\t1\t0.8\t1\t2\t0.5\nmcr\t16\t1\t3.2\t1\t2\t2\nmasking-only\t16\t1\t99\t1\t2\t9\n'
END
    chmod +x bench
    FUSED_EPOCHS=10 PRETRAIN_EPOCHS=20 "$SOURCE_DIR/scripts/table1-cost" ./bench data 4 >cost
    cat cost
    # 0.1 s per clip: (4043 + 878 / 3) clips x 10 epochs x 12 runs; mcr trains at twice that
    grep -qE '^vanilla +0\.1000 +434 +10 +14\.5$' cost
    grep -qE '^uni-audio +0\.0500 +217 +20 +14\.5$' cost
    grep -qE '^mcr +0\.2000 +838 +10 +27\.9$' cost
    [ "$(tail -1 cost)" = "in all 57 core-hours, 14 hours with 4 at a time" ]
    run grep masking cost
    [ "$status" -ne 0 ]
    printf 'exit 4\n' >>bench
    run -4 "$SOURCE_DIR/scripts/table1-cost" ./bench data 4
    [ -z "$output" ]
    printf '#!/bin/sh\nprintf "method\\n"\n' >bench
    run -1 --separate-stderr "$SOURCE_DIR/scripts/table1-cost" ./bench data 4
    [ "$stderr" = "table1-cost: no step was measured" ]
}

@test "the three scripts refuse other settings before they make a corpus" {
    for script in demo table1 shortcut/run; do
        mkdir -p "out/$script"
        printf 'SCHEME\treference\n' >"out/$script/settings.data"
        run env BIN="$BIN" "$SOURCE_DIR/scripts/$script" "out/$script"
        echo "$script: $status $output"
        [ "$status" -eq 2 ]
        [ "${#lines[@]}" -eq 1 ]
        [[ "$output" == *'SCHEME was "reference" here, and is "kfold" now'* ]]
        [ "$(ls "out/$script")" = settings.data ]
    done
}
