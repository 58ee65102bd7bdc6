#!/bin/sh
# SPDX-License-Identifier: MIT
# Whole preparation of real FLV + WAV, one core, against OpenCV + librosa in one process.
#
#     bench/prep.sh BIN FLV_FOLDER WAV_FOLDER PYTHON [ROUNDS]
#
# The folders hold clips of the same names. They are copied under several names, so that a round is
# long enough; the programs run in turn, one process each per round, on one core. CPU time.
set -eu
bin=$1 flv=$2 wav=$3 python=$4 rounds=${5:-7}
here=$(dirname "$0")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/corpus/VideoFlash" "$tmp/corpus/AudioWAV"
for f in "$flv"/*.flv; do
    name=$(basename "$f" .flv)
    for sentence in IEO TIE IOM IWW; do
        copy=$(echo "$name" | sed "s/_[A-Z]*_/_${sentence}_/")
        cp "$f" "$tmp/corpus/VideoFlash/$copy.flv"
        cp "$wav/$name.wav" "$tmp/corpus/AudioWAV/$copy.wav"
    done
done
"$bin/synib-scan" "$tmp/corpus" --media none -o "$tmp/clips.tsv" --quiet || [ $? -eq 3 ]

median() {
    sort -n | awk '{ v[NR] = $1 } END { printf "%.2f (%.2f to %.2f)", v[int((NR + 1) / 2)], v[1], v[NR] }'
}
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1 OPENCV_FFMPEG_THREADS=1
round=0
while [ "$round" -lt "$rounds" ]; do
    taskset -c 0 "$bin/bench-prep" "$tmp/clips.tsv" "$tmp/corpus" "$tmp" 1 >> "$tmp/ours"
    taskset -c 0 "$python" "$here/peer_prep.py" recipe "$tmp/corpus" >> "$tmp/recipe"
    taskset -c 0 "$python" "$here/peer_prep.py" lean "$tmp/corpus" >> "$tmp/lean"
    round=$((round + 1))
done
echo "CPU ms per clip, median (least to most) of $rounds rounds"
for who in ours recipe lean; do
    echo "$who: video $(cut -d' ' -f1 "$tmp/$who" | median), audio $(cut -d' ' -f2 "$tmp/$who" |
        median), both $(awk '{ print $1 + $2 }' "$tmp/$who" | median)"
done
ratio() {
    paste -d' ' "$tmp/ours" "$1" | awk '{ print ($4 + $5) / ($1 + $2) }' | median
}
for who in recipe lean; do
    echo "ratio $who / ours, per round: $(ratio "$tmp/$who")"
done
for jobs in 1 2; do
    echo "peak memory, $jobs worker(s): $("$bin/bench-prep" "$tmp/clips.tsv" "$tmp/corpus" "$tmp" $jobs |
        cut -d' ' -f3) MiB"
done
