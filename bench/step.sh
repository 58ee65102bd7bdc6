#!/bin/sh
# SPDX-License-Identifier: MIT
# Training step against PyTorch, alternating, so that both meet the same load on shared cores.
#
#   bench/step.sh BENCH_STEP BRANCH BATCH THREADS ROUNDS [PYTHON...]
#
# BENCH_STEP is build/bin/bench-step; BRANCH audio, video or both; each PYTHON (default python3) is
# an interpreter with PyTorch. Every round runs each program once (3 timed steps, their median);
# printed are the median over rounds, smallest and largest, and the ratio of the medians to ours.
set -eu
if [ $# -lt 5 ]; then
    echo "usage: $0 BENCH_STEP BRANCH BATCH THREADS ROUNDS [PYTHON...]" >&2
    exit 2
fi
bench=$1 branch=$2 batch=$3 threads=$4 rounds=$5
shift 5
[ $# -gt 0 ] || set -- python3
here=$(dirname "$0")
log=$(mktemp)
trap 'rm -f "$log"' EXIT
round=0
while [ "$round" -lt "$rounds" ]; do
    "$bench" --branch "$branch" --batch "$batch" -j "$threads" --steps 3 >> "$log"
    for python in "$@"; do
        for layout in channels_last default; do
            "$python" "$here/peer_step.py" "$branch" "$batch" "$threads" 3 "$layout" >> "$log"
        done
    done
    round=$((round + 1))
done
echo "branch $branch, batch $batch, $threads threads, $rounds rounds; seconds per step"
sort -t "$(printf '\t')" -k1,1 -s "$log" | awk -F '\t' '
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
{ n++; wall[n] = $5; cpu[n] = $6 }
END { flush() }'
