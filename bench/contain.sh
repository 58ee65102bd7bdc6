#!/bin/sh
# SPDX-License-Identifier: MIT
# What containment costs: scan, frames and stft of one corpus by two builds in turn, e.g. of the
# commits before and after a change. Processor time (user + system, children included) and time on
# the clock.
#
#     bench/contain.sh BEFORE_BIN AFTER_BIN ROOT [ROUNDS] [JOBS] [scan options]
set -eu
before=$1 after=$2 root=$3 rounds=${4:-9} jobs=${5:-1}
shift 5 || shift $#
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# "cpu wall" in seconds of one command goes to a file.
measure() {
    to=$1
    shift
    command time -q -f '%U %S %e' -o "$tmp/time" "$@" --quiet -j "$jobs" || [ $? -eq 3 ]
    awk '{ print $1 + $2, $3 }' "$tmp/time" >> "$to"
}

one() {
    who=$1 bin=$2
    shift 2
    rm -rf "$tmp/out"
    mkdir "$tmp/out"
    measure "$tmp/$who.scan" "$bin/synib-scan" "$root" -o "$tmp/out/clips.tsv" "$@"
    measure "$tmp/$who.frames" "$bin/synib-frames" "$tmp/out/clips.tsv" --root "$root" -o "$tmp/out/v"
    measure "$tmp/$who.stft" "$bin/synib-stft" "$tmp/out/clips.tsv" --root "$root" -o "$tmp/out/a"
}

round=0
while [ "$round" -lt "$rounds" ]; do
    one before "$before" "$@"
    one after "$after" "$@"
    round=$((round + 1))
done
for who in before after; do
    paste -d' ' "$tmp/$who.scan" "$tmp/$who.frames" "$tmp/$who.stft" |
        awk '{ print $1 + $3 + $5, $2 + $4 + $6 }' > "$tmp/$who.all"
done
median() {
    sort -n | awk '{ v[NR] = $1 } END { printf "%.3f", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}
column() {
    cut -d' ' -f"$2" "$tmp/$1" | median
}
ratio() {
    paste -d' ' "$tmp/before.$1" "$tmp/after.$1" |
        awk -v c="$2" '$c > 0 { print $(c + 2) / $c }' | median
}
echo "medians of $rounds rounds, -j $jobs; ratio = median of the rounds' after / before"
printf '%-8s %12s %12s %7s %12s %12s %7s\n' step 'CPU before' 'CPU after' ratio 'wall before' 'wall after' ratio
for step in scan frames stft all; do
    printf '%-8s %11ss %11ss %7s %11ss %11ss %7s\n' "$step" "$(column before.$step 1)" \
        "$(column after.$step 1)" "$(ratio $step 1)" "$(column before.$step 2)" \
        "$(column after.$step 2)" "$(ratio $step 2)"
done
