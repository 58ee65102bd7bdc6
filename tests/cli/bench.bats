#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The table of `make bench`. What is measured is no test.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR"
}

# tsv FILE: words between | of the lines of stdin, as columns.
tsv() {
    tr '|' '\t' >"$1"
}

@test "the table: medians, ratios of rounds, bars from above and below, what is missing" {
    tsv results.tsv <<'END'
step|synib|s|2
step|PyTorch|s|3
step|synib|s|1
step|PyTorch|s|3
step|synib|s|4
step|PyTorch|s|10
pictures|synib|pictures/s|300
pictures|PIL|pictures/s|100
masks|synib|s|1.02
masks|vanilla|s|1
waiting|synib|%|0
alone|synib|ms|15
alone|synib|ms|5
END
    tsv bars.tsv <<'END'
#work|peer|bar|aim
step|PyTorch|>= 2.2|2.8
masks|vanilla|<= 1.03|
waiting||<= 3|
alone|C|>= 2|
never|D||<= 1
END
    "$SOURCE_DIR/bench/table" bars.tsv results.tsv | sed 's/ *| */|/g; s/^|[-|]*|$/RULE/' >table
    cat table
    diff table - <<'END'
|work|synib|peer|its|ratio|bar|aim|
RULE
|step, s|2.000 (1.000 to 4.000)|PyTorch|3.000 (3.000 to 10.000)|2.500 (1.500 to 3.000)|>= 2.2|2.8|
|pictures, pictures/s|300.0 (300.0 to 300.0)|PIL|100.0 (100.0 to 100.0)|3.000 (3.000 to 3.000)|||
|masks, s|1.020 (1.020 to 1.020)|vanilla|1.000 (1.000 to 1.000)|1.020 (1.020 to 1.020)|<= 1.03||
|waiting, %|0.000 (0.000 to 0.000)||||<= 3||
|alone, ms|10.00 (5.00 to 15.00)|C|peer missing||>= 2||
|never|not measured|D||||<= 1|
END
}

@test "a line that is no measurement is refused" {
    : >bars.tsv
    for bad in 'step|synib|s' 'step|synib|s|' 'step|synib|s|nan' 'step|synib|s|1|2'; do
        tsv results.tsv <<<"$bad"
        run --separate-stderr "$SOURCE_DIR/bench/table" bars.tsv results.tsv
        echo "$bad: $status $stderr"
        [ "$status" -eq 1 ]
        [ -z "$output" ]
        [[ "$stderr" == "bench/table: results.tsv: line 1 "* ]]
    done
}

@test "a peer of the user's is taken as it is; one that is not there fails" {
    run -0 env PYTHON=sh "$SOURCE_DIR/bench/peers"
    [[ "$output" == */sh ]]
    run -1 env PYTHON=/no/python "$SOURCE_DIR/bench/peers"
}

@test "methods: rounds as they are measured; a bench that fails ends it" {
    cat >bench-methods <<'END'
#!/bin/sh
echo >>rounds
[ "$(wc -l <rounds)" -lt 3 ] || exit 3
printf 'vanilla\t16\t1\t2\t2\t2\t1\nsynib\t16\t1\t3\t3\t3\t1.5\nsynib learned\t16\t1\t4\t4\t4\t2\n'
END
    chmod +x bench-methods
    RESULTS=results.tsv run -0 "$SOURCE_DIR/bench/methods.sh" ./bench-methods data 16 2
    [ "${#lines[@]}" -eq 6 ]
    [ "$(grep -c "masks$(printf '\tvanilla\ts\t2$')" results.tsv)" -eq 4 ]
    RESULTS=again.tsv run -3 "$SOURCE_DIR/bench/methods.sh" ./bench-methods data 16 1
    [ -z "$output" ]
    [ ! -e again.tsv ]
}

@test "precision: where a run fails, what an earlier call left is not drawn" {
    printf '#!/bin/sh\ncase "$*" in *bfloat16*) exit 2 ;; esac\n' >synib-train
    chmod +x synib-train
    for precision in float32 bfloat16; do
        mkdir -p "out/curve-$precision"
        printf '{"step":1,"ce_fused":2}\n' >"out/curve-$precision/metrics.jsonl"
        printf 'step,train_loss,train_accuracy,val_loss,val_accuracy\n1,1,1,1,1\n' >"out/curve-$precision/epochs.csv"
    done
    run -1 "$SOURCE_DIR/bench/precision.sh" . data out 1
    [ "$output" = "precision: a run failed: nothing is drawn of what out holds" ]
    [ ! -e out/precision.png ]
}
