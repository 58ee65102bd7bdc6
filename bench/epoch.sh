#!/bin/sh
# SPDX-License-Identifier: MIT
# A training epoch at the paper's size: preset paper, batch 64, fresh encoders, on a synthetic corpus whose training
# split has some 400 clips, scaled to the paper's 4,043.
#
#   bench/epoch.sh BIN FOLDER ROUNDS [THREADS]
#
# BIN is build/bin. FOLDER gets the corpus, its sets and the runs; what is there is not made again, but for the runs.
# METHODS: "vanilla synib" unless given; in turn. PRECISION: float32 unless given. A run has two epochs: the first, which
# makes what all later ones use, is warm-up; its seconds are printed, but not counted. Printed for each run are seconds
# per epoch of training, the share of waiting for data, and the process's peak memory. RESULTS: bench/run.
set -eu
if [ $# -lt 3 ]; then
    echo "usage: $0 BIN FOLDER ROUNDS [THREADS]" >&2
    exit 2
fi
bin=$(cd "$1" && pwd) out=$2 rounds=$3 threads=${4:-2}
here=$(cd "$(dirname "$0")" && pwd)
results=${RESULTS:-/dev/null} precision=${PRECISION:-float32}
paper=4043

[ -f "$out/raw/media.tsv" ] || "$bin/synib-synth" -o "$out/raw" --actors 24 --sentences 3 --seed 1 --quiet
make --no-print-directory -s -f "$here/../docs/cremad.mk" BIN="$bin" ROOT="$out/raw" OUT="$out" SCHEME=kfold FOLDS=0 \
    RATES=1.0 data >"$out/log.txt" 2>&1 || {
    cat "$out/log.txt" >&2
    exit 1
}
data=$out/fold0/rate1.0/data
clips=$(head -1 "$data/train/index.jsonl" | jq .samples)

round=0
while [ "$round" -lt "$rounds" ]; do
    for method in ${METHODS:-vanilla synib}; do
        command time -q -f '%M' -o "$out/peak" "$bin/synib-train" "$data" --preset paper --method "$method" \
            --set model.precision="$precision" --set init.encoders=scratch --set optim.epochs=2 --seed 1 -j "$threads" \
            --quiet --force -o "$out/run"
        jq -r '[.train_s, .data_wait_s, .val_s] | @tsv' "$out/run/timing.jsonl" |
            awk -v method="$method" -v precision="$precision" -v clips="$clips" -v paper=$paper -v kib="$(tail -1 "$out/peak")" -v results="$results" '{
                first = first == "" ? $1 : first
                if (NR < 2)
                    next
                OFS = "\t"
                epoch = $1 * paper / clips
                if (precision != "float32")
                    method = method ", " precision
                printf "%s: %d clips %.2f s (warm-up %.2f), so %d clips %.1f s; waiting for data %.2f %%; ", method,
                    clips, $1, first, paper, epoch, 100 * $2 / $1
                printf "peak memory %.0f MiB\n", kib / 1024
                name = "epoch, " method ", "
                print name paper " clips", "synib", "s", epoch >>results
                print name "waiting for data", "synib", "%", 100 * $2 / $1 >>results
                print name "peak memory", "synib", "MiB", kib / 1024 >>results
            }'
    done
    round=$((round + 1))
done
