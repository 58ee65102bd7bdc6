#!/bin/sh
# SPDX-License-Identifier: MIT
# Cold start: --help of every tool, opening a base set of 2 GB and reading one sample, verify. Wall time, warm cache.
#
#     bench/start.sh BIN [SCRATCH]
#
# SCRATCH (default: the system's folder for temporary files) takes 2 GB. Results: bench/run; there is no peer.
set -eu
bin=$1
here=$(dirname "$0")
tmp=$(mktemp -d "${2:-${TMPDIR:-/tmp}}/bench-start.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

# put WORK UNIT: a value per line from stdin
put() {
    awk -v work="$1" -v unit="$2" '{ printf "%s\tsynib\t%s\t%s\n", work, unit, $1 }' >> "$tmp/results"
}
for tool in "$bin"/synib-*; do
    "$tool" --help > /dev/null # its libraries into the cache
    "$bin/bench-start" time 20 "$tool" --help | put "$(basename "$tool") --help" ms
done

"$bin/bench-start" make "$tmp/set" 1.87 # 2.0e9 bytes
"$bin/bench-start" open "$tmp/set" > /dev/null
i=0
while [ "$i" -lt 20 ]; do
    "$bin/bench-start" open "$tmp/set" > "$tmp/line"
    cut -d ' ' -f 1 "$tmp/line" | put 'open a base set of 2 GB' ms
    cut -d ' ' -f 2 "$tmp/line" | put 'read one sample of it' ms
    i=$((i + 1))
done
"$bin/bench-start" time 20 "$bin/bench-start" open "$tmp/set" | put 'a process that opens 2 GB and reads one sample' ms

# verify SET WHAT
verify() {
    bytes=$(du -sb "$1" | cut -f 1)
    "$bin/synib-shard" verify "$1" -j 1 > /dev/null
    for jobs in 1 2; do
        "$bin/bench-start" time 5 "$bin/synib-shard" verify "$1" -j "$jobs" |
            awk -v bytes="$bytes" '{ print bytes / $1 / 1e6 }' | put "verify of cached $2, $jobs thread(s)" GB/s
    done
}
verify "$tmp/set" files
rm -rf "$tmp/set"
"$bin/bench-start" make-video "$tmp/set" 1 # values of different lengths
verify "$tmp/set" pictures

"$here/table" /dev/null "$tmp/results"
[ -z "${RESULTS:-}" ] || cat "$tmp/results" >> "$RESULTS"
