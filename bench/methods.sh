#!/bin/sh
# SPDX-License-Identifier: MIT
# What a SynIB step costs beside a vanilla one, in turn: one process per round, a fresh network each.
#
#   bench/methods.sh BENCH_METHODS DATA BATCH ROUNDS [THREADS]
#
# BENCH_METHODS is build/bin/bench-methods, DATA a dataset folder. STEPS timed steps (3 unless given) after one that
# is not. Printed are the seconds per step of every round; RESULTS: bench/run.
set -eu
if [ $# -lt 4 ]; then
    echo "usage: $0 BENCH_METHODS DATA BATCH ROUNDS [THREADS]" >&2
    exit 2
fi
bench=$1 data=$2 batch=$3 rounds=$4 threads=${5:-2}
round=0
while [ "$round" -lt "$rounds" ]; do
    steps=$("$bench" "$data" --batch "$batch" --rounds 1 --steps "${STEPS:-3}" -j "$threads" --only synib --only "synib learned")
    printf '%s\n' "$steps" | awk -F '\t' -v results="${RESULTS:-/dev/null}" '
        { OFS = "\t"; print $1, $4 }
        $1 == "vanilla" { vanilla = $4 }
        $1 ~ /^synib/ {
            work = "SynIB step, " ($1 == "synib" ? "random" : "learned") " masks"
            print work, "synib", "s", $4 >>results
            print work, "vanilla", "s", vanilla >>results
        }'
    round=$((round + 1))
done
