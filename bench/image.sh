#!/bin/sh
# SPDX-License-Identifier: MIT
# JPEG to augmented tensor against Pillow + torchvision, in turn, on one core. CPU time.
#
#     bench/image.sh BIN PICTURE.jpg PYTHON [ROUNDS]
set -eu
bin=$1 picture=$2 python=$3 rounds=${4:-7}
here=$(dirname "$0")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export OMP_NUM_THREADS=1

median() {
    sort -n | awk '{ v[NR] = $1 } END { printf "%.2f (%.2f to %.2f)", v[int((NR + 1) / 2)], v[1], v[NR] }'
}
round=0
while [ "$round" -lt "$rounds" ]; do
    taskset -c 0 "$bin/bench-image" "$picture" >> "$tmp/ours"
    taskset -c 0 "$python" "$here/peer_image.py" "$picture" >> "$tmp/peer"
    round=$((round + 1))
done
echo "pictures per CPU second, median (least to most) of $rounds rounds"
echo "ours: $(median < "$tmp/ours")"
echo "Pillow + torchvision: $(median < "$tmp/peer")"
echo "ratio per round: $(paste -d' ' "$tmp/ours" "$tmp/peer" | awk '{ print $1 / $2 }' | median)"
