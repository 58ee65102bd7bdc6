#!/bin/sh
# SPDX-License-Identifier: MIT
# Preparation of real FLV + WAV against OpenCV, librosa and the ffmpeg command. CPU time on one core.
#
#     bench/prep.sh BIN FLV_FOLDER WAV_FOLDER PYTHON [ROUNDS]
#
# The folders hold clips of the same names. They are copied under several names, so that a round is long enough; the
# programs run in turn, one process each per round, on one core. Without an ffmpeg command its rows are missing. At
# the end the wall time of all 7,442 clips of CREMA-D is predicted from runs with one and two workers, with these
# clips' times scaled by the official sizes of all (CPU time follows a clip's bytes where it follows anything); on cores
# that are not idle the CPU time divided by two says more than the wall time.
# Results: bench/run.
set -eu
bin=$1 flv=$2 wav=$3 python=$4 rounds=${5:-7}
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
mkdir -p "$tmp/corpus/VideoFlash" "$tmp/corpus/AudioWAV"
for f in "$flv"/*.flv; do
    name=$(basename "$f" .flv)
    for sentence in IEO TIE IOM IWW TAI MTI IWL ITH DFA ITS TSI WSI; do
        copy=$(echo "$name" | sed "s/_[A-Z]*_/_${sentence}_/")
        cp "$f" "$tmp/corpus/VideoFlash/$copy.flv"
        cp "$wav/$name.wav" "$tmp/corpus/AudioWAV/$copy.wav"
    done
done
"$bin/synib-scan" "$tmp/corpus" --media none -o "$tmp/clips.tsv" --quiet || [ $? -eq 3 ]

# put WORK WHO UNIT VALUE
put() {
    printf '%s\t%s\t%s\t%s\n' "$@" >> "$tmp/results"
}
ours() {
    taskset -c "$1" "$bin/bench-prep" "$tmp/clips.tsv" "$tmp/corpus" "$tmp" "$2"
}
video='FLV to three JPEGs, CPU per clip'
whole='WAV to spectrogram in a shard, CPU per clip'
alone='WAV to spectrogram, computing alone, CPU per clip'
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1 OPENCV_FFMPEG_THREADS=1
ours 0 1 > /dev/null # files into the cache
round=0
while [ "$round" -lt "$rounds" ]; do
    ours 0 1 > "$tmp/line"
    read -r v a c _ < "$tmp/line"
    put "$video" synib ms "$v"
    put "$whole" synib ms "$a"
    put "$alone" synib ms "$c"
    for way in recipe lean; do
        taskset -c 0 "$python" "$here/peer_prep.py" "$way" "$tmp/corpus" > "$tmp/line"
        read -r v a < "$tmp/line"
        if [ "$way" = recipe ]; then
            put "$video" 'OpenCV, every frame read' ms "$v"
            put "$whole" 'librosa, nothing written' ms "$a"
            put "$alone" librosa ms "$a"
        else
            put "$video" 'OpenCV, three frames' ms "$v"
        fi
    done
    if command -v ffmpeg > /dev/null; then
        taskset -c 0 "$python" "$here/peer_prep.py" ffmpeg "$tmp/corpus" > "$tmp/line"
        read -r v a < "$tmp/line"
        put "$video" 'ffmpeg command per clip' ms "$v"
        put "$video" 'ffmpeg commands per clip, pictures and WAV' ms "$(echo "$v $a" | awk '{ print $1 + $2 }')"
    fi
    round=$((round + 1))
done

# Bytes of all clips over bytes of these, for pictures and for sound.
factors=$(awk -F '\t' -v here="$(basename -a "$flv"/*.flv | sed 's/\.flv$//' | tr '\n' ' ')" '
    BEGIN { n = split(here, name, " "); for (i = 1; i <= n; i++) mine[name[i]] = 1 }
    /^#/ || $1 == "clip" { next }
    { flv += $2; wav += $4; all++ }
    $1 in mine { my_flv += $2; my_wav += $4; my++ }
    END { if (my) printf "%.3f %.3f", flv / all / (my_flv / my), wav / all / (my_wav / my); else print "1 1" }
    ' "$here/../manifests/cremad-media.tsv")
for round in 1 2 3; do
    for jobs in 1 2; do
        ours 0,1 "$jobs" > "$tmp/line"
        read -r vc ac _ v a mib < "$tmp/line"
        echo "$v $a $factors" | awk '{ printf "%.1f", ($1 * $3 + $2 * $4) * 7.442 }' > "$tmp/wall"
        echo "$vc $ac $factors" | awk '{ printf "%.1f", ($1 * $3 + $2 * $4) * 7.442 / 2 }' > "$tmp/cpu"
        put "all 7,442 clips, predicted wall, $jobs worker(s)" synib s "$(cat "$tmp/wall")"
        put "all 7,442 clips, predicted CPU over 2 cores, $jobs worker(s)" synib s "$(cat "$tmp/cpu")"
        put "preparation, peak memory, $jobs worker(s)" synib MiB "$mib"
    done
done

"$here/table" /dev/null "$tmp/results"
echo "scaled by size: pictures and sound $factors"
[ -z "${RESULTS:-}" ] || cat "$tmp/results" >> "$RESULTS"
