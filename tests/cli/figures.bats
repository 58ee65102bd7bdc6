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
    [ "$(tail -1 s.tsv)" = "$(printf 'a\t1\tt\t3\t4\t5\t3.61\t2.08')" ]
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

@test "page: without sweeps every block stays as it is, and stderr says what is missing" {
    cp "$SOURCE_DIR/docs/xor-results.md" page.md
    cp -r "$SOURCE_DIR/docs/figures" data
    run --separate-stderr "$figures/page" page.md no-sweeps data
    echo "$stderr"
    [ "$status" -eq 0 ]
    cmp page.md "$SOURCE_DIR/docs/xor-results.md"
    cmp data/bands.tsv "$SOURCE_DIR/docs/figures/bands.tsv"
    [[ "$stderr" == *"table bands: left as it is: no-sweeps/xor-spurious/results.tsv: not there"* ]]
    [[ "$stderr" == *"table cost: left as it is: no-sweeps/xor-spurious/timing.jsonl: not there"* ]]
    # One plan of two is not enough, nor is a timing of one for the rows of five.
    mkdir -p sweeps/xor-spurious
    printf '#synib-results 1\nrun\tstatus\tlast_accuracy\n' >sweeps/xor-spurious/results.tsv
    echo '{"run":"a","seconds":36}' >sweeps/xor-spurious/timing.jsonl
    "$figures/page" page.md sweeps data
    cmp page.md "$SOURCE_DIR/docs/xor-results.md"
    rm data/xor-other.tsv
    "$figures/page" page.md sweeps data 2>&1 | grep 'table three: left as it is: .*xor-other.tsv'
    cmp page.md "$SOURCE_DIR/docs/xor-results.md"
    # A page without rows takes those that are there.
    printf '<!-- table cost -->\n<!-- end -->\n' >new.md
    "$figures/page" new.md sweeps data
    [ "$(sed -n 4p new.md)" = "| xor-spurious | 1 | 0.01 |" ]
    [ "$(ls sweeps data | grep -c '[.]new')" -eq 0 ]
}

@test "bands: what no run measured is NOT MEASURED" {
    mkdir -p sweep/runs
    printf 'run\tstatus\tlast_a\tbest_a\nx_1_0\tok\t0.5\t0.75\n' >sweep/results.tsv
    {
        echo head
        for how in mean:x:last_a mean:y:last_a min:y:last_a gap:x.y:last_a gap:y.x:last_a wins:x.y:last_a drop:x:a drop:y:a \
            end:x:a end:y:a quarter:x:a quarter-gap:x:a.b arm-gap:x.y:a; do
            echo "$how" | tr .: ' \t' | awk -F '\t' -v OFS='\t' '{ print $1 "-" $2, "p", $1, $2, "1", $3, "-1", "1" }'
        done
    } >bands.tsv
    awk -v plan=p -v sweep=sweep -v here="$figures" -f "$figures/bands.awk" bands.tsv 2>/dev/null >out
    cat out
    [ "$(cut -f1,5,7 out | grep -v 'NOT MEASURED$' | tr '\t\n' ',;')" = "mean-x,0.5,met;drop-x,-0.25,met;" ]
    [ "$(grep -c 'NOT MEASURED$' out)" -eq 11 ]
    [ -z "$(awk -F '\t' '/NOT MEASURED$/ { print $5 $6 }' out)" ]
    awk -v table=bands -f "$figures/tables.awk" out | grep -qxF '| mean-y | 0 | -1 to 1 | - | NOT MEASURED |'
}

@test "tables: how many runs were finite where not all, and no error where there is none" {
    printf '#synib-results 1\nrun\ttask\tpreset\tmethod\tmask\tsettings\tseed\tidentity\tstatus\tbest_score' >r.tsv
    printf '\tlast_accuracy\tlast_accuracy_synergistic\tbest_accuracy\tbest_accuracy_synergistic\n' >>r.tsv
    while read -r run status; do
        printf '%s\tpid:0,0,0,1\tp\tm\t\t\t0\tx\t%s\t1' "$run" "$status"
        [ $status = ok ] && printf '\t0.5\t0.25\t0.5\t0.25\n' || printf '\t\t\t\t\n'
    done >>r.tsv <<'END'
all_1_0 ok
all_1_1 ok
one_1_0 ok
one_1_1 not-finite
no_1_0 not-finite
no_1_1 not-finite
END
    tables() { awk -f "$figures/tables.awk" -v arms="all one no" "$@" | tail -n +3; }
    awk -f "$figures/summary.awk" r.tsv >s.tsv
    tables -v table=points -v points=1 -v metrics=last_accuracy s.tsv >out
    tables -v table=arms -v point=1 -v metrics="n last_accuracy" -v titles="arm|n|last" s.tsv >>out
    awk -f "$figures/shares.awk" r.tsv >lines.tsv
    tables -v table=shares -v stage=last lines.tsv >>out
    diff out - <<'END'
| all | 50.0 ± 0.0 |
| one | 50.0 ± - (1 of 2 runs) |
| no | - (0 of 2 runs) |
| all | 2 | 50.0 ± 0.0 |
| one | 1 of 2 | 50.0 ± - |
| no | 0 of 2 | - |
| 1 | .500 / .250 | .500 / .250 (1 of 2 runs) | - / - (0 of 2 runs) |
END
    mkdir sweep
    cp r.tsv sweep/results.tsv
    printf 'head\nw\tp\tmean\tone\t1\tlast_accuracy\t0\t1\ng\tp\tgap\tall one\t1\tlast_accuracy\t0\t1\n' >bands.tsv
    awk -v plan=p -v sweep=sweep -v here="$figures" -f "$figures/bands.awk" bands.tsv >b.tsv
    [ "$(tr '\t\n' ',;' <b.tsv)" = "w,1 of 2,0,1,0.5,,met;g,3 of 4,0,1,0,,met;" ]
}

@test "pictures: a point without an error, of one run, stays" {
    cp -r "$SOURCE_DIR/docs/figures" data
    draw() { # NAME: how many points figure 6 has, drawn from data/
        (cd "$figures" && gnuplot -e "load_path = '$figures'; data = '$BATS_TEST_TMPDIR/data'; out = '$BATS_TEST_TMPDIR/$1'" \
            -e "format = 'svg'; style = '$figures/style.gp'" figure6.gp)
        grep -c '<use' "$1.svg"
    }
    whole=$(draw whole)
    awk 'BEGIN { FS = OFS = "\t" }
        NR == 1 { for (i = 1; i <= NF; i++) if ($i == "random_se") at = i }
        NR == 3 { $at = "" }
        { print }' "$SOURCE_DIR/docs/figures/figure6.tsv" >data/figure6.tsv
    [ "$(draw less)" -eq "$whole" ]
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

@test "run: a sweep with runs that are not finite goes on, any other failure ends it" {
    mkdir stub plans
    cat >stub/synib-sweep <<'END'
#!/bin/sh
mkdir -p "$3"
cp "$1" "$3/results.tsv"
echo "$3" >>swept
exit "$CODE"
END
    chmod +x stub/synib-sweep
    for plan in xor-spurious xor-other xor-pid xor-pid-lines xor-pid-grid; do
        printf '#synib-results 1\nrun\tstatus\na_1_0\tnot-finite\n' >plans/$plan.tsv
    done
    cp -r "$figures" mine
    printf '#!/bin/sh\n' | tee mine/figures >mine/page
    export PLANS=plans PAGE=page.md
    CODE=1 mine/run stub sweeps out 2>err
    cat err
    [ "$(wc -l <swept)" -eq 5 ]
    grep -qx 'figures: sweeps/xor-pid: runs that were not finite, which the tables leave out and count: 1' err
    CODE=4 run -4 mine/run stub sweeps out
    [ "$(wc -l <swept)" -eq 6 ]
    # Rows that are missing are no matter of numbers.
    sed -i 's/^cp .*/head -2 "$1" >"$3\/results.tsv"/' stub/synib-sweep
    CODE=1 run -1 mine/run stub sweeps out
    [ "$(wc -l <swept)" -eq 7 ]
}
