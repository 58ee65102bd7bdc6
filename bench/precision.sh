#!/bin/sh
# SPDX-License-Identifier: MIT
# A real training run in float32 and in bfloat16 beside each other: loss of every step, accuracy of every epoch.
#
#   bench/precision.sh BIN DATA OUT [EPOCHS]
#
# BIN is build/bin, DATA an irony set (bench/epoch.sh leaves one). Preset paper, vanilla, fresh encoders, batches of 16, a
# constant learning rate, seed 1; OUT gets the two runs, one thread each at the same time, and precision.png (gnuplot).
set -eu
if [ $# -lt 3 ]; then
    echo "usage: $0 BIN DATA OUT [EPOCHS]" >&2
    exit 2
fi
bin=$1 data=$2 out=$3 epochs=${4:-6}
mkdir -p "$out"

pids=
for precision in float32 bfloat16; do
    "$bin/synib-train" "$data" --preset paper --method vanilla --set init.encoders=scratch --set optim.batch=16 \
        --set schedule.kind=constant --set optim.epochs="$epochs" --set model.precision=$precision --seed 1 -j 1 \
        --quiet --resume -o "$out/curve-$precision" &
    pids="$pids $!"
done
failed=
for pid in $pids; do
    wait "$pid" || failed=yes
done
if [ -n "$failed" ]; then
    echo "precision: a run failed: nothing is drawn of what $out holds" >&2
    exit 1
fi

for precision in float32 bfloat16; do
    jq -r '[.step, .ce_fused] | @tsv' "$out/curve-$precision/metrics.jsonl" >"$out/$precision-steps.tsv"
    # epoch, loss and accuracy on train, then on validation
    awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
        { print $at["step"], $at["train_loss"], $at["train_accuracy"], $at["val_loss"], $at["val_accuracy"] }' \
        "$out/curve-$precision/epochs.csv" >"$out/$precision-epochs.tsv"
    echo "$precision: step, train loss and accuracy, validation loss and accuracy"
    cat "$out/$precision-epochs.tsv"
done
gnuplot -e "set terminal pngcairo size 1000,380 font 'Helvetica,10'; set output '$out/precision.png'" \
    -e "set multiplot layout 1,2; set xlabel 'step'; set key top right; set grid" \
    -e "set title 'training loss of every step (fused cross-entropy)'" \
    -e "plot '$out/float32-steps.tsv' with lines linewidth 2 title 'float32', '$out/bfloat16-steps.tsv' with lines title 'bfloat16'" \
    -e "set title 'accuracy after every epoch'; set key bottom right" \
    -e "plot '$out/float32-epochs.tsv' using 1:3 with linespoints dashtype 2 linecolor 1 title 'float32, train', \
        '$out/bfloat16-epochs.tsv' using 1:3 with linespoints dashtype 2 linecolor 2 title 'bfloat16, train', \
        '$out/float32-epochs.tsv' using 1:5 with linespoints linecolor 1 title 'float32, validation', \
        '$out/bfloat16-epochs.tsv' using 1:5 with linespoints linecolor 2 title 'bfloat16, validation'"
