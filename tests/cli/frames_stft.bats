#!/usr/bin/env bats
# synib-frames and synib-stft on a small synthetic corpus.

load flip

bats_require_minimum_version 1.5.0

setup_file() {
    export CORPUS="$BATS_FILE_TMPDIR/corpus" CLIPS="$BATS_FILE_TMPDIR/clips.tsv"
    "$BIN/synib-synth" -o "$CORPUS" --actors 1 --sentences 1 --seed 3 --quiet
    "$BIN/synib-scan" "$CORPUS" -o "$CLIPS" --quiet
}

setup() {
    cd "$BATS_TEST_TMPDIR"
}

same() {
    diff -r "$1" "$2"
}

@test "both write a set that names every clip, exit 0" {
    for tool in frames stft; do
        run --separate-stderr "$BIN/synib-$tool" "$CLIPS" --root "$CORPUS" -o "$tool" --json
        echo "$stderr"
        [ "$status" -eq 0 ]
        [[ "$output" == '{"clips":16,"written":16,"rejected":0,"rejected_by_scan":0,'* ]]
        [ -f "$tool/index.jsonl" ]
        [ "$(cat "$tool/rejected.tsv")" = "$(printf '#synib-rejected 1\nclip\tstep\treason')" ]
    done
}

@test "same bytes at any -j, from another folder, in another locale and time zone" {
    for tool in frames stft; do
        "$BIN/synib-$tool" "$CLIPS" --root "$CORPUS" -o "$tool-1" -j 1 --quiet
        "$BIN/synib-$tool" "$CLIPS" --root "$CORPUS" -o "$tool-2" -j 2 --quiet
        LC_ALL=de_DE.UTF-8 TZ=Asia/Tokyo "$BIN/synib-$tool" "$CLIPS" --root "$CORPUS/." \
            -o "$tool-7" -j 7 --quiet
        cp -r "$CORPUS" moved
        (cd moved && "$BIN/synib-$tool" "$CLIPS" --root . -o "../$tool-moved" -j 3 --quiet)
        rm -r moved
        same "$tool-1" "$tool-2"
        same "$tool-1" "$tool-7"
        same "$tool-1" "$tool-moved"
    done
}

@test "the grids differ and are recorded" {
    for grid in reference ffmpeg-fps uniform; do
        "$BIN/synib-frames" "$CLIPS" --root "$CORPUS" -o "$grid" --grid "$grid" --quiet
        grep -q "grid.*$grid" "$grid/index.jsonl"
    done
    run -1 same reference uniform
    run -1 same reference ffmpeg-fps
}

@test "a damaged clip is rejected, named and listed; the others stay as they are; exit 3" {
    cp -r "$CORPUS" broken
    name=$(sed -n 4p "$CLIPS" | cut -f1)
    flip "broken/VideoFlash/$name.flv" 2000
    flip "broken/AudioWAV/$name.wav" 2000
    for tool in frames stft; do
        run --separate-stderr "$BIN/synib-$tool" "$CLIPS" --root broken -o "$tool" --json
        [ "$status" -eq 3 ]
        [[ "$output" == '{"clips":16,"written":15,"rejected":1,'* ]]
        [[ "$stderr" == *"rejected $name:"*"changed since the scan"* ]]
        grep -q "^$name	$tool	.*changed since the scan" "$tool/rejected.tsv"
    done
}

@test "what would reject every clip stops before anything is written" {
    { head -2 "$CLIPS"; tail -n +3 "$CLIPS" | sed 's/	accepted	/	rejected	/'; } >rejected.tsv
    sed '4s/^[^	]*/bad name/' "$CLIPS" >name.tsv
    awk -F '\t' -v OFS='\t' 'NR == 4 { $2 = 1000000 } 1' "$CLIPS" >actor.tsv
    : >file
    for tool in frames stft; do
        while IFS='|' read -r code words args; do
            run "$BIN/synib-$tool" $args -o out
            echo "$tool $args: $status $output"
            [ "$status" -eq "$code" ]
            [[ "$output" == *"$words"* ]]
            [ ! -e out ]
        done <<TABLE
4|rejected.tsv: no clip is left: it lists 16, all rejected by the scan|rejected.tsv --root $CORPUS
4|name.tsv:4: column clip: 'bad name' is not valid|name.tsv --root $CORPUS
4|actor.tsv:4: column actor: '1000000' is not valid|actor.tsv --root $CORPUS
1|nowhere: cannot open: --root names the folder|$CLIPS --root nowhere
1|file: is not a folder: --root names|$CLIPS --root file
TABLE
    done
}

@test "a finished set is not replaced without --force" {
    "$BIN/synib-stft" "$CLIPS" --root "$CORPUS" -o a --quiet
    cp -r a before
    run "$BIN/synib-stft" "$CLIPS" --root "$CORPUS" -o a
    [ "$status" -eq 1 ]
    same a before
    "$BIN/synib-stft" "$CLIPS" --root "$CORPUS" -o a --force --quiet
    same a before
}

@test "--dry-run writes nothing" {
    mkdir -p there
    touch there/index.jsonl
    run "$BIN/synib-frames" "$CLIPS" --root "$CORPUS" -o there --dry-run
    [ "$status" -eq 1 ]
    [[ "$output" == *"--force"* ]]
    run "$BIN/synib-frames" "$CLIPS" --root "$CORPUS" -o v --dry-run
    [ "$status" -eq 0 ]
    [[ "$output" == *"16 clips"* ]]
    [ ! -e v ]
}

@test "bad command lines exit 2 and name the option" {
    while IFS='|' read -r words want; do
        for tool in frames stft; do
            # shellcheck disable=SC2086
            run "$BIN/synib-$tool" $words
            echo "$tool $words: $status $output"
            [ "$status" -eq 2 ]
            [[ "$output" == *"$want"* ]]
        done
    done <<'TABLE'
--root r -o v|CLIPS
clips.tsv -o v|--root
clips.tsv --root r|-o
clips.tsv more.tsv --root r -o v|oo many
clips.tsv --root r -o v -j many|--jobs
TABLE
    run "$BIN/synib-frames" clips.tsv --root r -o v --grid referense
    [ "$status" -eq 2 ]
    [[ "$output" == *"did you mean 'reference'"* ]]
}

@test "a broken clip list stops everything before anything is written, exit 4" {
    sed '4s/accepted/perhaps/' "$CLIPS" > bad.tsv
    run "$BIN/synib-frames" bad.tsv --root "$CORPUS" -o v
    [ "$status" -eq 4 ]
    [[ "$output" == *"bad.tsv:4: column verdict: 'perhaps'"* ]]
    [ ! -e v ]
    head -c 300 "$CLIPS" > cut.tsv
    run "$BIN/synib-stft" cut.tsv --root "$CORPUS" -o v
    [ "$status" -eq 4 ]
    [ ! -e v ]
    run "$BIN/synib-stft" none.tsv --root "$CORPUS" -o v
    [ "$status" -eq 1 ]
    [ ! -e v ]
}

@test "killed at any time: no set, or the whole one; the same command finishes the job" {
    "$BIN/synib-frames" "$CLIPS" --root "$CORPUS" -o whole --quiet
    for delay in 0.01 0.05 0.1 0.2 0.3; do
        "$BIN/synib-frames" "$CLIPS" --root "$CORPUS" -o v -j 1 --quiet --force &
        pid=$!
        sleep "$delay"
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" || true
        if [ -e v/index.jsonl ]; then
            same v whole
            rm -r v
        fi
    done
    "$BIN/synib-frames" "$CLIPS" --root "$CORPUS" -o v --quiet --force
    same v whole
}

@test "asked to stop: exit 75, nothing is published" {
    # Enough rows that the signal finds the tool at work.
    { head -2 "$CLIPS"; for i in $(seq 400); do sed -n 3p "$CLIPS" | sed "s/^[^	]*/c$i/"; done; } > long.tsv
    "$BIN/synib-frames" long.tsv --root "$CORPUS" -o v -j 1 --quiet &
    pid=$!
    sleep 0.3
    kill -TERM "$pid"
    status=0
    wait "$pid" || status=$?
    [ "$status" -eq 75 ]
    [ ! -e v/index.jsonl ]
}
