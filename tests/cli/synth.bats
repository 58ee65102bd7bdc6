#!/usr/bin/env bats
# synib-synth: what it writes, the same bytes everywhere, what it refuses.

bats_require_minimum_version 1.5.0

setup_file() {
    export CORPUS="$BATS_FILE_TMPDIR/corpus"
    "$BIN/synib-synth" -q -o "$CORPUS" --actors 1 --sentences 1 --seed 7 -j 2
}

setup() {
    cd "$BATS_TEST_TMPDIR"
}

sums() {
    (cd "$1" && find . -type f -exec sha256sum {} + | sort -k2)
}

@test "a corpus has the shape of CREMA-D" {
    [ "$(ls "$CORPUS/VideoFlash" | wc -l)" -eq 16 ]
    [ "$(ls "$CORPUS/AudioWAV" | wc -l)" -eq 16 ]
    [ -f "$CORPUS/VideoFlash/1001_IEO_NEU_XX.flv" ]
    [ -f "$CORPUS/AudioWAV/1001_IEO_ANG_HI.wav" ]
    [ "$(head -1 "$CORPUS/VideoDemographics.csv")" = '"ActorID","Age","Sex","Race","Ethnicity"' ]
    [ "$(wc -l <"$CORPUS/VideoDemographics.csv")" -eq 2 ]
    [ ! -e "$CORPUS/defects.tsv" ]
}

@test "media.tsv lists every clip with its size and digest, sorted" {
    sed -n '3,$p' "$CORPUS/media.tsv" >rows
    [ "$(head -1 "$CORPUS/media.tsv")" = "#synib-media 1" ]
    [ "$(wc -l <rows)" -eq 16 ]
    LC_ALL=C sort -c rows
    while IFS=$'\t' read -r clip flv_bytes flv_sha wav_bytes wav_sha; do
        [ "$(stat -c %s "$CORPUS/VideoFlash/$clip.flv")" = "$flv_bytes" ]
        [ "$(stat -c %s "$CORPUS/AudioWAV/$clip.wav")" = "$wav_bytes" ]
        [ "$(sha256sum <"$CORPUS/VideoFlash/$clip.flv" | cut -c1-64)" = "$flv_sha" ]
        [ "$(sha256sum <"$CORPUS/AudioWAV/$clip.wav" | cut -c1-64)" = "$wav_sha" ]
    done <rows
}

@test "the same bytes at -j 1 and -j 7, elsewhere and in another locale; other seed, other bytes" {
    "$BIN/synib-synth" -q -o one --actors 1 --sentences 1 --seed 7 -j 1
    mkdir deep
    (cd deep && LC_ALL=de_DE.UTF-8 TZ=Asia/Tokyo "$BIN/synib-synth" -q -o ../seven --actors 1 \
        --sentences 1 --seed 7 -j 7)
    diff <(sums "$CORPUS") <(sums one)
    diff <(sums "$CORPUS") <(sums seven)
    "$BIN/synib-synth" -q -o other --actors 1 --sentences 1 --seed 8
    ! diff -q <(sums "$CORPUS") <(sums other)
}

@test "a smaller corpus is a part of a larger one" {
    "$BIN/synib-synth" -q -o more --actors 1 --sentences 2 --seed 7
    [ "$(ls more/VideoFlash | wc -l)" -eq 22 ]
    for f in "$CORPUS"/VideoFlash/* "$CORPUS"/AudioWAV/*; do
        cmp "$f" "more/$(basename "$(dirname "$f")")/$(basename "$f")"
    done
}

@test "a finished corpus is not replaced without --force" {
    "$BIN/synib-synth" -q -o c --actors 1 --sentences 1 --seed 7
    run --separate-stderr "$BIN/synib-synth" -o c --actors 1 --sentences 1 --seed 7
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"c/media.tsv: exists: use --force"* ]]
    run --separate-stderr "$BIN/synib-synth" -o c --actors 1 --sentences 1 --seed 7 --force --json
    [ "$status" -eq 0 ]
    [ "$(jq .clips <<<"$output")" -eq 16 ]
    [ "$(jq -r .media_sha256 <<<"$output")" = "$(sha256sum <c/media.tsv | cut -c1-64)" ]
}

@test "--force that fails before the first clip leaves the corpus complete" {
    "$BIN/synib-synth" -q -o kept --actors 1 --sentences 1 --seed 7
    cp kept/media.tsv media.before
    mkdir lib
    echo x >lib/libavutil.so.57
    LD_LIBRARY_PATH=$PWD/lib run "$BIN/synib-synth" -q -o kept --actors 1 --sentences 1 --seed 8 --force
    [ "$status" -eq 1 ]
    [[ "$output" == *"FFmpeg's library cannot be loaded"* ]]
    cmp media.before kept/media.tsv
}

@test "what an interrupted run left is finished by the same command" {
    "$BIN/synib-synth" -q -o cut --actors 6 --sentences 2 --seed 7 &
    pid=$!
    for _ in $(seq 100); do
        [ "$(ls cut/AudioWAV 2>/dev/null | wc -l)" -ge 2 ] && break
        sleep 0.05
    done
    kill -KILL "$pid"
    wait "$pid" || true
    [ ! -e cut/media.tsv ]
    "$BIN/synib-synth" -q -o cut --actors 6 --sentences 2 --seed 7
    diff <(tail -n +3 "$CORPUS/media.tsv") <(grep _IEO_ cut/media.tsv | grep ^1001)
    [ -z "$(find cut -name '*.partial')" ]
}

@test "a second process is told so; SIGTERM stops with exit 75" {
    "$BIN/synib-synth" -q -o cut --actors 40 --sentences 12 2>stderr &
    pid=$!
    for _ in $(seq 100); do
        [ "$(ls cut/AudioWAV 2>/dev/null | wc -l)" -ge 1 ] && break
        sleep 0.05
    done
    run "$BIN/synib-synth" -o cut --actors 40 --sentences 12 --seed 2
    [ "$status" -eq 1 ]
    [[ "$output" == *"another process is writing it"* ]]
    kill -TERM "$pid"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 75 ]
    grep -q "stopped on request" stderr
    [ ! -e cut/media.tsv ]
}

@test "files of others are neither taken for clips nor removed" {
    mkdir -p mixed/VideoFlash
    echo mine >mixed/VideoFlash/holiday.flv
    run --separate-stderr "$BIN/synib-synth" -o mixed --actors 1 --sentences 1 --force
    [ "$status" -eq 1 ]
    [[ "$stderr" == *"holiday.flv: is not part of this corpus"* ]]
    [ "$(cat mixed/VideoFlash/holiday.flv)" = mine ]
    [ ! -e mixed/AudioWAV ]
}

@test "--dry-run writes nothing" {
    run --separate-stderr "$BIN/synib-synth" -o dry --actors 3 --sentences 2 --dry-run --json
    [ "$status" -eq 0 ]
    [ "$(jq .clips <<<"$output")" -eq 66 ]
    [ ! -e dry ]
}

@test "bad command lines: exit 2, one line that names the option" {
    while IFS='|' read -r args want; do
        # shellcheck disable=SC2086
        run --separate-stderr "$BIN/synib-synth" $args
        [ "$status" -eq 2 ] || { echo "$args: $status"; false; }
        [[ "$stderr" == *"$want"* ]] || { echo "$args: $stderr"; false; }
    done <<'END'
--actors 1|no output folder: give one with -o ROOT
-o x --actors 0|--actors
-o x --actors 8001|--actors
-o x --actors 2.5|--actors
-o x --sentences 13|--sentences
-o x --sentences|--sentences
-o x --seed -1|--seed
-o x -j x|--jobs
-o x extra|unexpected argument
-o x --no-such|no-such
END
    [ ! -e x ]
}

@test "--help shows examples, exit codes and the live defaults" {
    run "$BIN/synib-synth" --help
    [ "$status" -eq 0 ]
    [[ "$output" == *"Examples:"* ]]
    [[ "$output" == *"Exit status:"* ]]
    [[ "$output" == *"default 24"* ]]
}
