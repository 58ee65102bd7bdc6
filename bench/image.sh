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

work='JPEG to augmented 224 x 224 tensor, one core'
round=0
while [ "$round" -lt "$rounds" ]; do
    taskset -c 0 "$bin/bench-image" "$picture" > "$tmp/ours"
    taskset -c 0 "$python" "$here/peer_image.py" "$picture" > "$tmp/peer"
    printf "$work\t%s\tpictures/s\t%s\n" synib "$(cat "$tmp/ours")" 'Pillow + torchvision' "$(cat "$tmp/peer")" >> "$tmp/results"
    round=$((round + 1))
done
echo "a picture of $(wc -c < "$picture") bytes; per CPU second"
"$here/table" /dev/null "$tmp/results"
[ -z "${RESULTS:-}" ] || cat "$tmp/results" >> "$RESULTS"
