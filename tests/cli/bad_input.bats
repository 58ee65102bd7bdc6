#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Rows of docs/reliability/bad-input.md that no other file shows: files of the wrong kind, broken
# manifests in every tool, what is kept.

bats_require_minimum_version 1.5.0

setup_file() {
    export F="$BATS_FILE_TMPDIR" SYNIB_MANIFESTS="$SOURCE_DIR/manifests"
    cd "$F"
    "$BIN/synib-synth" -q -o raw --actors 6 --sentences 1 --seed 5
    "$BIN/synib-scan" -q raw -o clips.tsv
    "$BIN/synib-split" -q clips.tsv --scheme kfold --folds 3 --fold 0 -o split.tsv
    "$BIN/synib-frames" -q clips.tsv --root raw -o video
    "$BIN/synib-stft" -q clips.tsv --root raw -o audio
    "$BIN/synib-irony" -q --video video --audio audio --split split.tsv --rate 1 --seed 1 -o data
    cut -f1,2 raw/media.tsv | tail -n +3 | head -1 | cut -f1 >name
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    clip=$(cat "$F/name")
}

# An ordinary user, for whom permissions count; $user holds the words before a command.
be_ordinary() {
    user=()
    if [ "$(id -u)" -eq 0 ]; then
        user=(setpriv --reuid 65534 --regid 65534 --clear-groups)
        # Folders of bats are closed to others.
        open=$(mktemp -d)
        chmod 755 "$open"
        cd "$open"
        "$BIN/synib-scan" --version
        "${user[@]}" "$BIN/synib-scan" --version >/dev/null 2>&1 && "${user[@]}" test -r . ||
            skip "skipped: root, and no way to run as an ordinary user here"
    fi
}

teardown() {
    [ -z "${open:-}" ] || rm -rf "$open"
}

cell() {
    awk -F '\t' -v clip="$1" -v name="$2" 'NR == 2 { for (i = 1; i <= NF; i++) c[$i] = i }
        NR > 2 && $1 == clip { print $c[name] }' clips.tsv
}

# What a file may be instead of a regular one.
make_odd_files() {
    mkdir folder
    mkfifo fifo
    ln -s loop loop
    ln -s /dev/zero device
}

@test "media: a clip that may not be read is rejected and named, the others stay" {
    be_ordinary
    cp -r "$F/raw" raw
    chmod 000 "raw/AudioWAV/$clip.wav"
    # the output where that user may write
    mkdir out && chmod 777 out
    run "${user[@]}" "$BIN/synib-scan" raw -o out/clips.tsv
    chmod 644 "raw/AudioWAV/$clip.wav"
    echo "$status: $output"
    [ "$status" -eq 3 ]
    [[ "$output" == *"rejected $clip: AudioWAV/$clip.wav: cannot open: Permission denied"* ]]
    cp out/clips.tsv clips.tsv
    [ "$(cell "$clip" verdict)" = rejected ]
    [ "$(grep -c '	accepted	' clips.tsv)" -eq $(($(ls raw/AudioWAV | wc -l) - 1)) ]
    # the same of a clip that changed its mode after the scan
    chmod 000 "raw/AudioWAV/$clip.wav"
    cp "$F/clips.tsv" scanned.tsv
    run "${user[@]}" "$BIN/synib-stft" scanned.tsv --root raw -o out/audio
    chmod 644 "raw/AudioWAV/$clip.wav"
    echo "$status: $output"
    [ "$status" -eq 3 ]
    grep -q "^$clip	stft	AudioWAV/$clip.wav: cannot open: Permission denied" out/audio/rejected.tsv
}

@test "media: a device under a clip's name is rejected and never blocks" {
    cp -r "$F/raw" raw
    ln -sf /dev/zero "raw/VideoFlash/$clip.flv"
    run timeout 20 "$BIN/synib-scan" raw -o clips.tsv
    [ "$status" -eq 3 ]
    [ "$(cell "$clip" reason)" = "VideoFlash/$clip.flv: is a link that leaves the corpus" ]
    # after the scan: frames and stft open what the list names
    rm "raw/VideoFlash/$clip.flv" "raw/AudioWAV/$clip.wav"
    mkfifo "raw/VideoFlash/$clip.flv"
    ln -s /dev/zero "raw/AudioWAV/$clip.wav"
    for tool in frames stft; do
        run timeout 20 "$BIN/synib-$tool" "$F/clips.tsv" --root raw -o "$tool"
        echo "$tool: $status $output"
        [ "$status" -eq 3 ]
        grep -qE "^$clip	$tool	.*is (not a regular file|a link that leaves the corpus)" "$tool/rejected.tsv"
        [ "$(wc -l <"$tool/rejected.tsv")" -eq 3 ]
        "$BIN/synib-shard" verify "$tool"
    done
}

@test "media: a playlist named .flv is rejected, and no other file is opened" {
    cp -r "$F/raw" raw
    while IFS='|' read -r starts text; do
        printf "$text" >"raw/VideoFlash/$clip.flv"
        run "$BIN/synib-scan" raw --media none --force -o clips.tsv
        [ "$status" -eq 3 ]
        [[ "$(cell "$clip" reason)" == *"VideoFlash/$clip.flv: is not FLV (starts with '$starts"* ]]
    done <<'END'
#EXTM3U|#EXTM3U\n#EXTINF:1,\n/etc/passwd\n
ffconcat|ffconcat version 1.0\nfile /etc/passwd\n
<?xml ve|<?xml version="1.0"?><MPD/>\n
END
}

@test "media: all clips are git-lfs pointers: exit 4, one line, no manifest" {
    cp -r "$F/raw" raw
    for f in raw/VideoFlash/*.flv raw/AudioWAV/*.wav; do
        printf 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n' >"$f"
    done
    run "$BIN/synib-scan" raw -o clips.tsv
    echo "$status: $output"
    [ "$status" -eq 4 ]
    [[ "$output" == *"raw: all $(ls raw/VideoFlash | wc -l) clips are git-lfs pointers, not media: run 'git lfs pull'"* ]]
    [ "$(grep -c "git-lfs" <<<"$output")" -eq 1 ]
    [ ! -e clips.tsv ]
    [ -z "$(find . -name '*.partial')" ]
}

@test "manifests: every fault in every reader: file and line, exit 4, nothing written" {
    for kind in clips split; do
        src="$F/$kind.tsv"
        { echo "#synib-$kind 9"; tail -n +2 "$src"; } >"$kind-header.tsv"
        sed '7s/$/	more/' "$src" >"$kind-columns.tsv"
        sed '7s/$/\r/' "$src" >"$kind-crlf.tsv"
        sed '7s/^/\x07/' "$src" >"$kind-control.tsv"
        sed '7s/^/\xff/' "$src" >"$kind-utf8.tsv"
        { printf '\xef\xbb\xbf'; cat "$src"; } >"$kind-bom.tsv"
        { head -6 "$src"; printf 'a\0b\n'; tail -n +8 "$src"; } >"$kind-nul.tsv"
        { head -6 "$src"; head -c 70000 /dev/zero | tr '\0' a; echo; tail -n +8 "$src"; } >"$kind-long.tsv"
        { head -6 "$src"; sed -n 7p "$src"; tail -n +7 "$src"; } >"$kind-twice.tsv"
        head -c -1 "$src" >"$kind-cut.tsv"
    done
    lines=$(wc -l <"$F/clips.tsv")
    while IFS='|' read -r fault words; do
        for kind in clips split; do
            case $kind in
                clips) tries=("split clips-$fault.tsv --scheme kfold --folds 3"
                              "frames clips-$fault.tsv --root $F/raw"
                              "stft clips-$fault.tsv --root $F/raw") ;;
                split) tries=("irony --video $F/video --audio $F/audio --split split-$fault.tsv --rate 1") ;;
            esac
            for try in "${tries[@]}"; do
                # shellcheck disable=SC2086
                run "$BIN/synib-"$try -o out
                echo "$try: $status ${output:0:300}"
                [ "$status" -eq 4 ]
                [[ "$output" == *"$kind-$fault.tsv:$words"* ]]
                [ ! -e out ]
                [ ! -e .out.partial ]
            done
        done
    done <<END
header|1: is not a
columns|7: has
crlf|7: line has a carriage return
control|7: line has a control character
utf8|7: line is not UTF-8
bom|1: starts with a byte order mark
nul|7: line has a NUL byte
long|7: line has 70000 bytes
twice|8: 
cut|$lines: last line does not end in LF
END
}

@test "manifests: up to 20 faults in one go, the rest counted" {
    sed '3,27s/$/	more/' "$F/clips.tsv" >many.tsv
    run "$BIN/synib-frames" many.tsv --root "$F/raw" -o out
    echo "$output"
    [ "$status" -eq 4 ]
    [ "$(grep -c 'many.tsv:[0-9]*: has' <<<"$output")" -eq 20 ]
    [[ "$output" == *"many.tsv:3: has "* && "$output" == *"many.tsv:22: has "* ]]
    [[ "$output" == *"25 faults, the first 20"* ]]
    [ ! -e out ]
    # what only the tool knows is collected as well
    sed '3,27s/	accepted	/	perhaps	/' "$F/clips.tsv" >many.tsv
    run "$BIN/synib-frames" many.tsv --root "$F/raw" -o out
    echo "$output"
    [ "$status" -eq 4 ]
    [ "$(grep -c "many.tsv:[0-9]*: column verdict: 'perhaps'" <<<"$output")" -eq 20 ]
    [ ! -e out ]
}

@test "inputs that are folders, FIFOs, devices or loops: named, exit 1 or 4, never a wait" {
    make_odd_files
    while IFS='|' read -r words args; do
        for odd in folder fifo device loop; do
            # shellcheck disable=SC2086
            run timeout 20 "$BIN/"${args//ODD/$odd} -q
            echo "${args//ODD/$odd}: $status $output"
            [ "$status" -eq 1 ] || [ "$status" -eq 4 ]
            [[ "$output" == *"$odd"* ]]
            [ "$(wc -l <<<"$output")" -eq 1 ]
            case $odd in
                loop) [[ "$output" == *"Too many levels of symbolic links"* ]] ;;
                *) [[ "$output" == *"$words"* || "$output" == *"folder: is a folder without a split "* ]] ;;
            esac
            [ ! -e out ]
        done
    done <<END
is not a regular file|synib-split ODD --scheme kfold -o out
is not a regular file|synib-split --audit ODD
is not a regular file|synib-scan $F/raw --media ODD -o out
is not a regular file|synib-scan $F/raw --issues ODD -o out
is not a regular file|synib-frames ODD --root $F/raw -o out
is not a regular file|synib-irony --video $F/video --audio $F/audio --split ODD --rate 1 -o out
is not a regular file|synib-train $F/data -m vanilla -p ./ODD -o out
is not a regular file|synib-sweep ODD -o out
END
}

@test "an output that exists is kept by every tool, exit 1, and --force is named" {
    mkdir -p set split
    while IFS='|' read -r file args; do
        rm -rf out
        case $file in
            */*) mkdir -p "$(dirname "$file")" ;;
        esac
        echo mine >"$file"
        # shellcheck disable=SC2086
        run "$BIN/"$args
        echo "$args: $status $output"
        [ "$status" -eq 1 ]
        [[ "$output" == *"$file"* && "$output" == *"--force"* ]]
        [ "$(cat "$file")" = mine ]
    done <<END
out|synib-scan $F/raw -o out
out|synib-split $F/clips.tsv --scheme kfold --folds 3 -o out
out/index.jsonl|synib-frames $F/clips.tsv --root $F/raw -o out
out/index.jsonl|synib-stft $F/clips.tsv --root $F/raw -o out
out/train/index.jsonl|synib-irony --video $F/video --audio $F/audio --split $F/split.tsv --rate 1 -o out
END
}

@test "a set with a missing, foreign or unnamed shard is refused by name" {
    cp -r "$F/audio" one
    shard=$(basename one/audio-00000-*.safetensors)
    mv "one/$shard" kept
    run "$BIN/synib-shard" verify one
    echo "$status: $output"
    [ "$status" -ne 0 ]
    [[ "$output" == *"one/$shard"* ]]
    # another set's shard in its place
    cp "$F"/video/video-00000-*.safetensors "one/$shard"
    run "$BIN/synib-shard" verify one
    echo "$status: $output"
    [ "$status" -eq 4 ]
    [[ "$output" == *"one/$shard"* ]]
    # an index of another set
    cp kept "one/$shard"
    cp "$F/video/index.jsonl" one/index.jsonl
    run "$BIN/synib-shard" verify one
    echo "$status: $output"
    [ "$status" -ne 0 ]
    [[ "$output" == *"one/video-00000-"* ]]
    # a shard that the index does not name is no part of the set
    cp "$F/audio/index.jsonl" one/index.jsonl
    cp kept one/audio-00001-000000000000.safetensors
    run "$BIN/synib-shard" verify one
    echo "$status: $output"
    [ "$status" -eq 0 ]
    [[ "$output" == *"one/audio-00001-000000000000.safetensors: is not in the index"* ]]
}

@test "a limit on open files is an error with a name, not a crash" {
    few() { (exec 3>&- 4>&- 5>&- 6>&-; ulimit -n 4; exec "$@"); }
    "$BIN/synib-scan" --version
    few "$BIN/synib-scan" --version >/dev/null 2>&1 || skip "skipped: this build needs more files to start"
    # the output is open while the inputs are read
    run few "$BIN/synib-scan" "$F/raw" -j 1 -o clips.tsv
    echo "$status: $output"
    [ "$status" -eq 1 ] # of no clip is it said that it is damaged
    [[ "$output" == *"Too many open files"* ]]
    [ ! -e clips.tsv ]
    run few "$BIN/synib-frames" "$F/clips.tsv" --root "$F/raw" -j 1 -o out
    echo "$status: $output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"out"*"Too many open files"* ]]
    [ ! -e out/index.jsonl ]
}

@test "too little room is said before the work, with both figures; nothing is written" {
    mkdir disk
    unshare -rm sh -c 'mount -t tmpfs -o size=1m small disk' 2>/dev/null ||
        skip "skipped: no small file system can be mounted here"
    while IFS='|' read -r args; do
        # shellcheck disable=SC2086
        run unshare -rm sh -c 'mount -t tmpfs -o size=1m small disk; "$@" -o disk/out/set; status=$?
            ls -A disk; exit $status' sh "$BIN/"$args
        echo "$args: $status $output"
        [ "$status" -eq 1 ]
        [ "$(wc -l <<<"$output")" -eq 1 ]
        [[ "$output" =~ disk/out/set:\ needs\ about\ [0-9.]+\ GB,\ 0.001\ GB\ are\ free ]]
    done <<END
synib-frames $F/clips.tsv --root $F/raw
synib-stft $F/clips.tsv --root $F/raw
synib-irony -q --video $F/video --audio $F/audio --split $F/split.tsv --rate 1 --materialise
END
}

@test "a stopped run says at which step, and how to go on: SIGTERM and SIGUSR1" {
    for signal in TERM USR1; do
        "$BIN/synib-train" "$F/data" -m uni-audio --preset demo --set audio.pool=8 \
            --set pretrain.epochs=4000 --set pretrain.patience=4000 --seed 1 -o "$signal" 2>"$signal.log" &
        pid=$!
        for _ in $(seq 200); do
            [ -s "$signal/metrics.jsonl" ] && break
            sleep 0.05
        done
        kill "-$signal" "$pid"
        status=0
        wait "$pid" || status=$?
        cat "$signal.log"
        [ "$status" -eq 75 ]
        grep -Eq "$signal: stopped after step [0-9]+: go on with --resume" "$signal.log"
        "$BIN/synib-shard" verify "$signal/last.safetensors"
    done
}
