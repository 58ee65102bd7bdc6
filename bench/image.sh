#!/bin/sh
# SPDX-License-Identifier: MIT
# JPEG to augmented tensor against Pillow + torchvision, in turn, on one core. CPU time.
#
#     bench/image.sh BIN PICTURE PYTHON [ROUNDS]
#
# PICTURE: a JPEG; "-": a frame that synib-frames takes from the first clip of CLIPS/flv (with its sound in
# CLIPS/wav-from-flv), or from a drawn clip where there is no such folder. Results: bench/run.
set -eu
bin=$1 picture=$2 python=$3 rounds=${4:-7}
here=$(dirname "$0")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
export OMP_NUM_THREADS=1

make_picture() {
    if [ -d "${CLIPS:-}/flv" ] && [ -d "$CLIPS/wav-from-flv" ]; then
        mkdir -p "$tmp/corpus/VideoFlash" "$tmp/corpus/AudioWAV"
        for f in "$CLIPS"/flv/*.flv; do
            cp "$f" "$tmp/corpus/VideoFlash/"
            cp "$CLIPS/wav-from-flv/$(basename "$f" .flv).wav" "$tmp/corpus/AudioWAV/"
            break
        done
    else
        "$bin/synib-synth" -o "$tmp/corpus" --actors 1 --sentences 1 --quiet
    fi
    "$bin/synib-scan" "$tmp/corpus" --media none -o "$tmp/clips.tsv" --quiet || [ $? -eq 3 ]
    "$bin/synib-frames" "$tmp/clips.tsv" --root "$tmp/corpus" -o "$tmp/video" --quiet || [ $? -eq 3 ]
    "$bin/synib-shard" export "$tmp/video" -o "$tmp/export" --quiet
    picture=$(find "$tmp/export" -name '*.jpg' | sort | head -n 1)
}
[ "$picture" != - ] || make_picture

median() {
    sort -n | awk '{ v[NR] = $1 } END { printf "%.2f (%.2f to %.2f)", v[int((NR + 1) / 2)], v[1], v[NR] }'
}
peer='Pillow + torchvision'
round=0
while [ "$round" -lt "$rounds" ]; do
    taskset -c 0 "$bin/bench-image" "$picture" >> "$tmp/ours"
    taskset -c 0 "$python" "$here/peer_image.py" "$picture" >> "$tmp/peer"
    round=$((round + 1))
done
echo "pictures per CPU second, median (least to most) of $rounds rounds, $(wc -c < "$picture") bytes each"
echo "synib: $(median < "$tmp/ours")"
echo "$peer: $(median < "$tmp/peer")"
echo "ratio per round: $(paste -d' ' "$tmp/ours" "$tmp/peer" | awk '{ print $1 / $2 }' | median)"
[ -z "${RESULTS:-}" ] || paste "$tmp/ours" "$tmp/peer" | awk -v peer="$peer" -v OFS='\t' '{
    print "JPEG to augmented 224 x 224 tensor, one core", "synib", "pictures/s", $1
    print "JPEG to augmented 224 x 224 tensor, one core", peer, "pictures/s", $2 }' >> "$RESULTS"
