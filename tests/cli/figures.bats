#!/usr/bin/env bats
# scripts/make-plan and scripts/figures: committed plans, statistics, and the whole path on small runs.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR"
    figures=$SOURCE_DIR/scripts/figures
}

@test "committed plans are what make-plan prints, and every row is a run" {
    for plan in "$SOURCE_DIR"/manifests/plans/*.tsv; do
        "$SOURCE_DIR/scripts/make-plan" "$(basename "$plan" .tsv)" | cmp - "$plan"
        "$BIN/synib-sweep" -q "$plan" -o none --dry-run
    done
    [ ! -e none ]
    "$SOURCE_DIR/scripts/make-plan" xor-pid-full >full.tsv
    "$BIN/synib-sweep" full.tsv -o none --dry-run 2>&1 | grep -q "18711 runs to do"
    run "$SOURCE_DIR/scripts/make-plan" nonsense
    [ "$status" -eq 2 ]
}

@test "summary: mean, deviation and error over seeds; runs that are not finite are left out" {
    printf '#synib-results 1\nrun\ttask\tpreset\tmethod\tmask\tsettings\tseed\tidentity\tstatus\tbest_score\tlast_loss\n' >r.tsv
    printf 'a_1_0\tt\tp\tm\t\t\t0\tx\tok\t1\t2\na_1_1\tt\tp\tm\t\t\t1\tx\tok\t1\t4\n' >>r.tsv
    printf 'a_1_2\tt\tp\tm\t\t\t2\tx\tok\t1\t9\na_1_3\tt\tp\tm\t\t\t3\tx\tnot-finite\t\t\n' >>r.tsv
    awk -f "$figures/summary.awk" r.tsv >s.tsv
    [ "$(tail -1 s.tsv)" = "$(printf 'a\t1\tt\t3\t5\t3.61\t2.08')" ]
    awk -f "$figures/wide.awk" -v metrics=last_loss -v scale=10 -v bare=1 s.tsv >w.tsv
    [ "$(tail -1 w.tsv)" = "$(printf '1\t50\t20.8')" ]
}

@test "curves: shares, smoothing with cut windows and gaps, mean over runs" {
    printf 'step,strength_a,strength_b,loss\n1,1,3,1\n2,,2,4\n3,1,1,\n' >1.csv
    printf 'step,strength_a,strength_b,loss\n1,1,3,3\n2,,2,4\n3,1,1,\n' >2.csv
    awk -f "$figures/curves.awk" 1.csv 2.csv | cut -f1,2,5,8 >plain
    [ "$(tr '\t\n' ',;' <plain)" = "at,share_a,share_b,loss;1,0.25,0.75,2;2,,1,4;3,0.5,0.5,;" ]
    awk -f "$figures/curves.awk" -v window=3 1.csv 2.csv | cut -f1,2,5,8,9 >smooth
    [ "$(tr '\t\n' ',;' <smooth)" = \
        "at,share_a,share_b,loss,loss_sd;1,0.25,0.875,3,0.707;2,0.375,0.75,3,0.707;3,0.5,0.75,4,0;" ]
}

@test "chosen: for every mask the lambda with the best validation score" {
    printf '#synib-results 1\nrun\tbest_score\tvalue\n' >r.tsv
    printf 'vanilla_p_0\t0.5\t1\noracle-lambda1_p_0\t0.7\t2\noracle-lambda10_p_0\t0.9\t3\noracle-lambda100_p_0\t0.9\t4\n' >>r.tsv
    [ "$(awk -f "$figures/chosen.awk" r.tsv | tail -n +3 | tr '\t\n' ',;')" = "vanilla_p_0,0.5,1;oracle_p_0,0.9,3;" ]
}

# Two seeds, few mixtures, small networks, two epochs.
small_plans() {
    mkdir -p plans
    for plan in "$SOURCE_DIR"/manifests/plans/*.tsv; do
        awk '
            # The settings with key = value instead of what they say.
            function put(settings, key, value,   i, n, part, kept) {
                n = split(settings, part, " ")
                for (i = 1; i <= n; i++)
                    if (index(part[i], key "=") != 1)
                        kept = kept part[i] " "
                return kept key "=" value
            }
            BEGIN { FS = OFS = "\t" }
            NR <= 2 { print; next }
            $7 > 1 || ($1 ~ /_u/ && $1 !~ /_u(00|05|10)-r(00|05|10)-/) { next }
            {
                $6 = put($6, "optim.epochs", 2)
                if ($3 == "xor-pid")
                    $6 = put(put($6, "model.encoder_width", 16), "model.head_width", 16)
                if ($5 == "learned")
                    $6 = put($6, "mask.steps", 2)
                print
            }' "$plan" >"plans/$(basename "$plan")"
    done
}

@test "run: sweeps, tables, pictures and page; again: nothing changes" {
    small_plans
    cp "$SOURCE_DIR/docs/xor-results.md" page.md
    PLANS=plans PAGE=page.md "$figures/run" "$BIN" sweeps out
    for figure in 1 6 7-last 7-best 7-lines-last 7-lines-best 8 9 10 11; do
        head -c 8 "out/figure$figure.png" | od -An -c | grep -q 'P   N   G'
        [ "$(grep -c '<path' "out/figure$figure.svg")" -gt 10 ]
    done
    grep -q '^| vanilla | [0-9.]* ± [0-9.]* |' page.md
    run ! grep -qw 'nan' page.md
    [ "$(wc -l <out/bands.tsv)" -eq "$(($(wc -l <"$figures/bands.tsv") - 1))" ]
    [ "$(awk -F'\t' '$5 == ""' out/bands.tsv | wc -l)" -eq 0 ]
    cp -r out before
    cp page.md before.md
    PLANS=plans PAGE=page.md "$figures/run" "$BIN" sweeps out
    for table in out/*.tsv; do
        cmp "$table" "before/$(basename "$table")"
    done
    cmp page.md before.md
    rm sweeps/xor-pid/results.tsv
    "$figures/figures" sweeps out 2>&1 | grep -q "xor-pid: is not complete"
}
