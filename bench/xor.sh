#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs of the synthetic tasks against PyTorch, alternating, so that both meet the same load on shared cores.
#
#   bench/xor.sh BIN ROUNDS [PYTHON]
#
# BIN is build/bin. Figure 6 whole (7 strengths x 4 arms x 3 seeds) on two cores, two runs at a time on both
# sides; one run of PID XOR at width 1024, plain and with oracle masks, at one and two threads. Ours are whole
# commands, with start and making of the data. PyTorch's clock leaves out the start of Python and the import of
# PyTorch, and for a PID run making the data; it covers training, validation and the test, for Figure 6 also the
# pool of processes and its data. Printed are median, smallest and largest wall seconds and the rounds' ratios; and
# the accuracies, so that equal work is seen. RESULTS: bench/run.
set -eu
if [ $# -lt 2 ]; then
    echo "usage: $0 BIN ROUNDS [PYTHON]" >&2
    exit 2
fi
bin=$1 rounds=$2 python=${3:-python3}
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

awk 'BEGIN {
    OFS = "\t"
    print "#synib-plan 1"
    print "run", "task", "preset", "method", "mask", "settings", "seed"
    n = split("0 0.2 0.4 0.6 0.8 1 2", k, " ")
    split("learned random oracle vanilla", arm, " ")
    for (a = 1; a <= 4; a++)
        for (i = 1; i <= n; i++)
            for (s = 0; s < 3; s++)
                print arm[a] "_" k[i] "_" s, "spurious:" k[i], "xor-spurious", a == 4 ? "vanilla" : "synib", a == 4 ? "" : arm[a], "", s
}' >"$tmp/figure6.tsv"
for arm in vanilla oracle; do
    awk -v arm=$arm 'BEGIN {
        OFS = "\t"
        print "#synib-plan 1"
        print "run", "task", "preset", "method", "mask", "settings", "seed"
        print arm, "pid:0.45,0,0.45,0.1", "xor-pid", arm == "vanilla" ? arm : "synib", arm == "vanilla" ? "" : arm, "", 0
    }' >"$tmp/pid-$arm.tsv"
done

# ours WHAT PLAN THREADS
ours() {
    from=$(date +%s%N)
    "$bin/synib-sweep" "$2" -o "$tmp/out-$1" -j "$3" --force -q
    to=$(date +%s%N)
    awk -v what="$1" -v ns=$((to - from)) 'BEGIN { printf "%s\tsynib\t%.3f\n", what, ns / 1e9 }' >>"$tmp/log"
}
theirs() {
    what=$1
    shift
    "$python" "$here/peer_xor.py" "$@" >"$tmp/peer-$what"
    tail -1 "$tmp/peer-$what" | awk -v what="$what" 'BEGIN { FS = OFS = "\t" } { print what, $1, $6 }' >>"$tmp/log"
}
round=0
while [ "$round" -lt "$rounds" ]; do
    for arm in vanilla oracle; do
        for threads in 1 2; do
            ours "pid-$arm-$threads" "$tmp/pid-$arm.tsv" "$threads"
            theirs "pid-$arm-$threads" pid $arm 0 "$threads"
        done
    done
    ours figure6 "$tmp/figure6.tsv" 2
    theirs figure6 figure6 2 3
    round=$((round + 1))
done

awk -F '\t' -v OFS='\t' '{
    n = split($1, part, "-")
    work = n == 1 ? "Figure 6 whole, 2 cores" : "PID width 1024, " part[2] ", " part[3] (part[3] == 1 ? " thread" : " threads")
    print work, $2 == "synib" ? $2 : "PyTorch", "s", $3
}' "$tmp/log" >"$tmp/results"
"$here/table" /dev/null "$tmp/results"
[ -z "${RESULTS:-}" ] || cat "$tmp/results" >>"$RESULTS"
echo "test accuracy, seed 0 to 2, strength 1 (ours, theirs):"
for arm in vanilla oracle random learned; do
    printf '  %-8s' $arm
    awk -F '\t' -v arm=$arm 'NR == 2 { for (i = 1; i <= NF; i++) at[$i] = i }
        NR > 2 && $1 ~ "^" arm "_1_" { printf " %.3f", $at["last_accuracy"] }' "$tmp/out-figure6/results.tsv"
    awk -F '\t' -v arm=$arm '$2 == "spurious:1" && $3 == arm { t = t sprintf(" %.3f", $5) } END { print " ," t }' "$tmp/peer-figure6"
done
