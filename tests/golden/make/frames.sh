#!/bin/sh
# SPDX-License-Identifier: MIT
# Golden numbers of the video decoder, from FFmpeg's command line (5.1.9 when made):
#
#     tests/golden/make/frames.sh FOLDER_OF_FLVS > tests/golden/frames.tsv
#
# A row: clip, frame index, width, height, SHA-256 of the frame's decoded Y plane.
set -eu
printf '#synib-golden-frames 1\nclip\tframe\tw\th\tluma_sha256\n'
for flv in "$1"/*.flv; do
    for n in 0 29 58; do
        ffmpeg -nostdin -v error -i "$flv" -an -vf "select=eq(n\\,$n),extractplanes=y" \
            -vsync 0 -frames:v 1 -f framehash -hash sha256 - |
            awk -v clip="$(basename "$flv" .flv)" -v n="$n" -F', *' '
                /^#dimensions/ { split($0, d, " "); split(d[3], s, "x") }
                !/^#/ { printf "%s\t%s\t%s\t%s\t%s\n", clip, n, s[1], s[2], $6 }'
    done
done
