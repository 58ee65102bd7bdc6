#!/bin/sh
# SPDX-License-Identifier: MIT
# Training step against PyTorch, alternating, so that both meet the same load on shared cores.
#
#   bench/step.sh BENCH_STEP BRANCH BATCH THREADS ROUNDS [PYTHON...]
#
# BENCH_STEP is build/bin/bench-step; BRANCH audio, video or both; THREADS a number or several ("2 1"), which
# then have their turn in every round; each PYTHON is an interpreter with PyTorch. PRECISION: float32 (default)
# or bfloat16, PyTorch's by autocast. LAYOUTS: PyTorch's, "channels_last default" unless given. Every round runs
# each program once (STEPS timed steps, 3 unless given, after one that is not; their median); printed are for each
# number of threads the median over rounds, smallest and largest, and the ratio of the medians to ours; and the
# operations of our convolutions in % of the machine's float32 multiply-add peak, counted as direct ones.
# RESULTS: bench/run.
set -eu
if [ $# -lt 5 ]; then
    echo "usage: $0 BENCH_STEP BRANCH BATCH THREADS ROUNDS [PYTHON...]" >&2
    exit 2
fi
bench=$1 branch=$2 batch=$3 threads=$4 rounds=$5
shift 5
here=$(dirname "$0")
precision=${PRECISION:-float32} layouts=${LAYOUTS:-channels_last default} steps=${STEPS:-3} results=${RESULTS:-/dev/null}
set_precision=
[ "$precision" = float32 ] || set_precision="--precision $precision"
log=$(mktemp)
trap 'rm -f "$log" "$log".*' EXIT

# one COMMAND...: a run's line goes to the log, its wall seconds to the results under "step ..." and its name.
one() {
    "$@" >"$log.one"
    cat "$log.one" >>"$log.$n"
    awk -F '\t' -v precision="$precision" '{
        OFS = "\t"
        work = "step " $2 " batch " $3 " " precision ", " $4 ($4 == 1 ? " thread" : " threads")
        name = $1
        sub(/^torch-[0-9.]*/, "PyTorch", name)
        sub(/-/, " ", name)
        print work, name, "s", $5
        if (NF == 8)
            print work ", of the multiply-add peak", name, "%", $8
    }' "$log.one" >>"$results"
}
round=0
while [ "$round" -lt "$rounds" ]; do
    for n in $threads; do
        # shellcheck disable=SC2086 # two words or none
        one "$bench" --branch "$branch" --batch "$batch" -j "$n" --steps "$steps" $set_precision
        for python in "$@"; do
            for layout in $layouts; do
                one "$python" "$here/peer_step.py" "$branch" "$batch" "$n" "$steps" "$layout" "$precision"
            done
        done
        awk -F '\t' '$1 == "synib" { s = $5 } END { print s }' "$log.$n" >"$log.last.$n"
    done
    # both numbers of threads of this round: ours and, as if a peer, ours on one
    if [ -f "$log.last.2" ] && [ -f "$log.last.1" ]; then
        printf '%s\t%s\ts\t%s\n' "step $branch batch $batch $precision, 2 threads or 1" synib "$(cat "$log.last.2")" \
            "step $branch batch $batch $precision, 2 threads or 1" "synib, 1 thread" "$(cat "$log.last.1")" >>"$results"
    fi
    round=$((round + 1))
done
for n in $threads; do
    echo "branch $branch, batch $batch, $precision, $n threads, $rounds rounds; seconds per step"
    sort -t "$(printf '\t')" -k1,1 -s "$log.$n" | awk -F '\t' '
function middle(v, n,   i, j, t) {
    for (i = 2; i <= n; i++)
        for (j = i; j > 1 && v[j - 1] > v[j]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
    return (v[int((n + 1) / 2)] + v[int(n / 2) + 1]) / 2
}
function flush() {
    if (n == 0) return
    wall_median = middle(wall, n); low = wall[1]; high = wall[n]
    cpu_median = middle(cpu, n); cpu_low = cpu[1]; cpu_high = cpu[n]
    if (name == "synib") { ours = wall_median; ours_cpu = cpu_median }
    printf "%-28s wall %7.3f (%.3f-%.3f) x%.2f   cpu %7.3f (%.3f-%.3f) x%.2f\n", name, \
        wall_median, low, high, wall_median / ours, cpu_median, cpu_low, cpu_high, \
        cpu_median / ours_cpu
    n = 0
}
$1 != name { flush(); name = $1 }
NF == 8 && $8 > peak { peak = $8; gflop = $7 }
{ n++; wall[n] = $5; cpu[n] = $6 }
END {
    flush()
    printf "%.0f GFLOP of direct convolutions a step: at best %.0f %% of the multiply-add peak\n", gflop, peak
}'
done
