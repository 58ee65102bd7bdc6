#!/usr/bin/env bats
# synib-shard over sets that the other tools wrote.

load flip

bats_require_minimum_version 1.5.0

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    "$BIN/synib-synth" -o corpus --actors 1 --sentences 1 --seed 5 -q
    "$BIN/synib-scan" corpus -o clips.tsv -q
    "$BIN/synib-frames" clips.tsv --root corpus -o video -q
    "$BIN/synib-stft" clips.tsv --root corpus -o audio -q
}

setup() {
    cd "$BATS_FILE_TMPDIR"
}

@test "ls shows fields, digest and provenance" {
    run "$BIN/synib-shard" ls video audio
    [ "$status" -eq 0 ]
    [[ "$output" == *"video.jpeg0"*"ragged U8"* ]]
    [[ "$output" == *"audio.logstft"*"F32 [257, 188]"* ]]
    [[ "$output" == *"synib.tool"*"synib-frames"* ]]
}

@test "no path or date in a data file" {
    run grep -rl -a -e "$BATS_FILE_TMPDIR" -e "$(date +%Y-%m-%d)" video audio
    [ "$status" -eq 1 ]
}

@test "verify passes, then names file, sample, clip and field of one flipped bit" {
    run "$BIN/synib-shard" verify video audio
    [ "$status" -eq 0 ]
    cp -r audio damaged
    flip damaged/audio-*.safetensors 300000
    run "$BIN/synib-shard" verify damaged
    [ "$status" -eq 4 ]
    [[ "$output" == *"damaged/audio-00000-"*"sample "*"(1001_"*"field audio.logstft: crc32c differs"* ]]
    run "$BIN/synib-shard" stat damaged
    [ "$status" -eq 0 ]
    flip damaged/index.jsonl 40
    run "$BIN/synib-shard" ls damaged
    [ "$status" -eq 4 ]
    [[ "$output" == *"index.jsonl: crc32c differs"* ]]
}

@test "the sha256 in an index is for sha256sum, by the command of docs/formats/shards.md" {
    command=$(grep -h "sha256sum -c" "$SOURCE_DIR/docs/formats/shards.md")
    run bash -c "$command"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "${#lines[@]}" -eq "$(ls video/*.safetensors | wc -l)" ]
    [[ "${lines[0]}" == "video-00000-"*".safetensors: OK" ]]
    mkdir other
    cp -r video other
    sum=$(sha256sum <video/video-00000-*.safetensors | cut -c 1-64)
    sed -i "s/$sum/$(tr 0-9a-f 1-9a-f0 <<<"$sum")/" other/video/index.jsonl
    run "$BIN/synib-shard" verify other/video # the index's own checksum
    [ "$status" -eq 4 ]
    run bash -c "cd other && $command"
    [ "$status" -eq 1 ]
    [[ "$output" == *"video-00000-"*".safetensors: FAILED"* ]]
}

@test "a cut shard is named as cut" {
    cp -r audio cut
    truncate -s -100 cut/audio-*.safetensors
    run "$BIN/synib-shard" verify cut
    [ "$status" -eq 4 ]
    [[ "$output" == *"cut/audio-00000-"*" bytes"* ]]
    [ "${#lines[@]}" -eq 1 ]
}

@test "--json is one object" {
    for command in "ls audio" "dump audio" "verify audio" "stat audio" "diff audio audio"; do
        run --separate-stderr "$BIN/synib-shard" $command --json
        [ "$status" -eq 0 ]
        [[ "${lines[0]}" == "{" && "${lines[-1]}" == "}" ]]
    done
}

@test "dump finds a clip and reads a single shard" {
    run "$BIN/synib-shard" dump audio --clip 1001_IEO_NEU_XX
    [ "$status" -eq 0 ]
    [[ "$output" == *"neutral"* && "$output" == *"tiled_audio"* ]]
    run "$BIN/synib-shard" dump video/video-*.safetensors
    [ "$status" -eq 0 ]
    [[ "$output" == *"JPEG 480x360"* ]]
}

@test "diff: nothing for the same set, exit 4 for another" {
    run "$BIN/synib-shard" diff audio audio
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    run "$BIN/synib-shard" diff audio video
    [ "$status" -eq 4 ]
    [[ "$output" == *"field audio.logstft: only in A"* ]]
}

@test "contact sheet writes once, again only with --force; export goes on, and replaces other bytes only with --force" {
    run "$BIN/synib-shard" export audio --to npy -o npy
    [ "$status" -eq 0 ]
    [ "$(head -c 6 npy/audio.logstft.npy | tail -c 5)" = NUMPY ]
    cp -r npy whole
    rm npy/actor.npy # as if killed before it
    "$BIN/synib-shard" export audio -o npy
    diff -r npy whole
    echo other >npy/clip.npy
    run "$BIN/synib-shard" export audio -o npy
    [ "$status" -eq 1 ]
    [[ "$output" == *"npy/clip.npy: exists and differs: use --force"* ]]
    [ "$(cat npy/clip.npy)" = other ]
    "$BIN/synib-shard" export audio -o npy --force
    diff -r npy whole
    [ -z "$(find npy -name "*.partial")" ]
    run "$BIN/synib-shard" contact-sheet video --count 4 -o sheet.jpg
    [ "$status" -eq 0 ]
    cp sheet.jpg first.jpg
    run "$BIN/synib-shard" contact-sheet video --count 4 -o sheet.jpg
    [ "$status" -eq 1 ]
    run "$BIN/synib-shard" contact-sheet video --count 4 -o sheet.jpg --force
    [ "$status" -eq 0 ]
    cmp sheet.jpg first.jpg
    run "$BIN/synib-shard" contact-sheet video --count 4 -o sheet.jpg --dry-run
    [ "$status" -eq 1 ]
}

@test "bad command lines exit 2 and say why" {
    run "$BIN/synib-shard"
    [ "$status" -eq 2 ]
    [[ "$output" == *"COMMAND: missing"* ]]
    run "$BIN/synib-shard" lss audio
    [ "$status" -eq 2 ]
    [[ "$output" == *"did you mean 'ls'"* ]]
    run "$BIN/synib-shard" diff audio
    [ "$status" -eq 2 ]
    run "$BIN/synib-shard" export audio
    [ "$status" -eq 2 ]
    run "$BIN/synib-shard" dump audio --sample 999
    [ "$status" -eq 2 ]
    run "$BIN/synib-shard" dump audio --sample 0x1
    [ "$status" -eq 2 ]
    run "$BIN/synib-shard" stat audio --split val
    [ "$status" -eq 2 ]
    [[ "$output" == *"leave out --split val"* ]]
    run "$BIN/synib-shard" contact-sheet video --count 1000 --columns 1 -o tall.jpg
    [ "$status" -eq 2 ]
    [[ "$output" == *"--count 1000"* ]]
    [ ! -e tall.jpg ]
}

@test "an option that a command does not take is refused, all commands against all options" {
    takes() { # command options...
        case "$1" in
        dump) echo "--split --base --sample --clip" ;;
        export) echo "--split --base --to -o" ;;
        contact-sheet) echo "--split --base --count --columns -o" ;;
        *) echo "--split --base" ;;
        esac
    }
    for command in ls dump verify stat diff export contact-sheet; do
        for option in "--split train" "--base video" "--sample 0" "--clip x" "--to npy" "--count 2" "--columns 2" "-o refused"; do
            name=${option%% *}
            targets=audio
            [ "$command" != diff ] || targets="audio audio"
            if [[ " $(takes $command) " == *" $name "* ]]; then
                continue
            fi
            run "$BIN/synib-shard" $command $targets $option
            echo "$command $option: $status $output"
            [ "$status" -eq 2 ]
            [[ "$output" == "synib-shard: $command: takes no $name"* ]]
            [ "${#lines[@]}" -eq 1 ]
        done
    done
    [ ! -e refused ]
    for line in "ls audio --base ." "dump audio --sample 1 --base ." "stat audio --base ." "diff audio audio --base ." \
        "verify audio --base ." "export audio --to npy --base . -o taken" "contact-sheet video --count 1 --columns 1 --base . -o taken.jpg"; do
        "$BIN/synib-shard" $line
    done
}

@test "what is not ours is refused in one line" {
    mkdir -p empty
    for target in empty /etc/hostname /dev/null nowhere corpus; do
        run "$BIN/synib-shard" ls "$target"
        echo "$target: $status $output"
        [ "$status" -ne 0 ]
        [ "${#lines[@]}" -eq 1 ]
    done
    run "$BIN/synib-shard" ls nowhere
    [ "$status" -eq 1 ]
    [[ "$output" == *"nowhere: cannot open as a dataset, a shard set or a container file: No such"* ]]
}
