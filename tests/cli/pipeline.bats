#!/usr/bin/env bats
# Raw clips to a trained model, and the promises that hold on the way: same bytes, overlay equals
# materialised, damage is found before use.

load flip

bats_require_minimum_version 1.5.0

setup_file() {
    export W="$BATS_FILE_TMPDIR"
    "$BIN/synib-synth" -q -o "$W/raw" --actors 5 --sentences 1 --seed 3
    prepare "$W/a" "$W/raw" 2
}

# prepare OUT RAW JOBS: everything up to overlay and materialised irony sets
prepare() {
    mkdir -p "$1"
    "$BIN/synib-scan" -q "$2" -j "$3" -o "$1/clips.tsv"
    "$BIN/synib-split" -q "$1/clips.tsv" --scheme kfold --fold 1 -o "$1/split.tsv"
    "$BIN/synib-frames" -q "$1/clips.tsv" --root "$2" -j "$3" -o "$1/video"
    "$BIN/synib-stft" -q "$1/clips.tsv" --root "$2" -j "$3" -o "$1/audio"
    "$BIN/synib-irony" -q --video "$1/video" --audio "$1/audio" --split "$1/split.tsv" --rate 1 \
        --seed 5 -j "$3" -o "$1/data"
    "$BIN/synib-irony" -q --video "$1/video" --audio "$1/audio" --split "$1/split.tsv" --rate 1 \
        --seed 5 -j "$3" --materialise -o "$1/whole"
}

# digests DIR: one line per file, without DIR
digests() {
    (cd "$1" && find . -type f | LC_ALL=C sort | xargs sha256sum)
}

train() {
    (train_exec "$@")
}

train_exec() {
    exec "$BIN/synib-train" -q --preset demo --seed 1 \
        --set optim.epochs=2 --set pretrain.epochs=1 --set optim.batch=8 --set pretrain.batch=8 \
        --set audio.pool=8 --set video.size=32 --set model.width=16 "$@"
}

@test "the same bytes at any -j, in another folder, user time zone and locale" {
    digests "$W/a" > "$W/a.sha"
    [ "$(wc -l < "$W/a.sha")" -ge 10 ]
    for variant in "1 C UTC" "7 de_DE.UTF-8 Asia/Kathmandu" "2 tr_TR.UTF-8 UTC"; do
        set -- $variant
        rm -rf "$W/elsewhere"
        mkdir -p "$W/elsewhere/deep"
        (cd "$W/elsewhere" && umask 077 && export LC_ALL="$2" TZ="$3" &&
            prepare deep/b "$W/raw" "$1")
        diff "$W/a.sha" <(digests "$W/elsewhere/deep/b")
    done
}

@test "the corpus itself is the same bytes at any -j" {
    "$BIN/synib-synth" -q -o "$W/raw1" --actors 5 --sentences 1 --seed 3 -j 1
    diff <(digests "$W/raw") <(digests "$W/raw1")
}

@test "overlay and materialised sets hold the same samples under the same content digest" {
    content() {
        "$BIN/synib-shard" ls --json "$1" | jq -r '.targets[].metadata["synib.content"]'
    }
    [ "$(content "$W/a/data" | wc -l)" -eq 3 ]
    diff <(content "$W/a/data") <(content "$W/a/whole")
    run "$BIN/synib-shard" diff "$W/a/data" "$W/a/whole"
    echo "$output"
    ! grep -v -E 'metadata synib.(config|layout):|differ$' <<< "$output"
}

@test "a trained run: table of metrics for unseen actors" {
    train "$W/a/data" -m synib -o "$W/run"
    run --separate-stderr "$BIN/synib-eval" "$W/run" "$W/a/data" --split test --json
    echo "$output$stderr"
    [ "$status" -eq 0 ]
    echo "$output" | jq -e '
        .n == 16 and (.accuracy >= 0 and .accuracy <= 1) and (.macro_f1 >= 0) and
        (.f1 | has("irony") and has("neutral")) and (.confusion | length == 7) and
        ([.confusion[][]] | add) == .n and (.unimodal | has("audio") and has("video")) and
        (.synergy | has("n") and has("accuracy"))'
}

@test "one and two threads, overlay and materialised, resumed or not: the same checkpoint" {
    train "$W/a/data" -m synib -o "$W/one" -j 1
    train "$W/a/whole" -m synib -o "$W/whole" -j 2
    cmp "$W/one/last.safetensors" "$W/whole/last.safetensors"
    run train "$W/a/data" -m synib -o "$W/cut" --max-steps 9
    [ "$status" -eq 75 ]
    run train "$W/a/data" -m synib -o "$W/cut" --resume --max-steps 11
    [ "$status" -eq 75 ]
    train "$W/a/data" -m synib -o "$W/cut" --resume
    cmp "$W/one/last.safetensors" "$W/cut/last.safetensors"
    cmp "$W/one/best.safetensors" "$W/cut/best.safetensors"
    cmp "$W/one/metrics.jsonl" "$W/cut/metrics.jsonl"
    cmp "$W/one/epochs.csv" "$W/cut/epochs.csv"
}

@test "every row of Table 1: one thread on overlays, two on materialised sets, interrupted: the same checkpoint" {
    for method in uni-video uni-audio ensemble vanilla dnr mmpareto reconboost mcr; do # synib: above
        set -- -m $method --set dnr.every=1 --set dnr.clusters=3 --set reconboost.epochs=1
        train "$W/a/data" "$@" -o "$W/overlay/$method" -j 1
        mkdir -p "$W/cut-whole"
        for i in 1 2 3 4 5; do # the third call ends with an epoch
            run train "$W/a/whole" "$@" -o "$W/cut-whole/$method" -j 2 --resume --max-steps 3
            [ "$status" -eq 75 ] || break
        done
        train "$W/a/whole" "$@" -o "$W/cut-whole/$method" -j 2 --resume
        for file in last.safetensors best.safetensors metrics.jsonl epochs.csv; do
            cmp "$W/overlay/$method/$file" "$W/cut-whole/$method/$file"
        done
        "$BIN/synib-eval" -q "$W/overlay/$method" "$W/a/data" --split test --json |
            jq -e --arg method $method '.method == $method and .n > 0'
    done
}

@test "SIGTERM finishes the step, saves and exits 75; --resume ends in the same bytes" {
    train "$W/a/data" -m uni-audio -o "$W/term-whole" --set pretrain.epochs=8
    (train_exec "$W/a/data" -m uni-audio -o "$W/term" --set pretrain.epochs=8) &
    pid=$!
    while [ ! -e "$W/term/last.safetensors" ] && kill -0 $pid 2>/dev/null; do sleep 0.05; done
    kill -TERM $pid
    wait $pid && status=0 || status=$?
    echo "status $status"
    [ "$status" -eq 75 ] || [ "$status" -eq 0 ]
    train "$W/a/data" -m uni-audio -o "$W/term" --set pretrain.epochs=8 --resume
    cmp "$W/term-whole/last.safetensors" "$W/term/last.safetensors"
}

@test "one flipped byte anywhere is reported by verify and never trained on" {
    cp -r "$W/a" "$W/hurt"
    for file in $(cd "$W/hurt" && ls data/train/*.safetensors audio/*.safetensors \
            video/*.safetensors); do
        size=$(stat -c %s "$W/hurt/$file")
        for offset in 3 100 $((size / 2)) $((size - 70)) $((size - 1)); do
            flip "$W/hurt/$file" "$offset"
            run "$BIN/synib-shard" verify "$W/hurt/$(dirname "$file")"
            echo "$file @ $offset: $status $output"
            [ "$status" -eq 4 ]
            [[ "$output" == *"$(basename "$file")"* ]]
            rm -rf "$W/never"
            run train "$W/hurt/data" -m vanilla -o "$W/never"
            echo "train: $status $output"
            [ "$status" -eq 4 ]
            flip "$W/hurt/$file" "$offset"
        done
    done
    run "$BIN/synib-shard" verify "$W/hurt/data"
    [ "$status" -eq 0 ]
}

@test "a flipped byte in a checkpoint is reported by verify, resume and eval" {
    train "$W/a/data" -m uni-audio -o "$W/ckpt"
    size=$(stat -c %s "$W/ckpt/best.safetensors")
    for offset in 5 $((size / 3)) $((size - 9)); do
        flip "$W/ckpt/best.safetensors" "$offset"
        run "$BIN/synib-shard" verify "$W/ckpt/best.safetensors"
        [ "$status" -eq 4 ]
        run "$BIN/synib-eval" "$W/ckpt" "$W/a/data"
        echo "$output"
        [ "$status" -eq 4 ]
        flip "$W/ckpt/best.safetensors" "$offset"
    done
    "$BIN/synib-eval" -q "$W/ckpt" "$W/a/data"
}

@test "bfloat16: refused on a processor without it" {
    DNNL_MAX_CPU_ISA=AVX2 run -2 --separate-stderr train "$W/a/data" --method uni-video \
        --set model.precision=bfloat16 -o "$W/none"
    [ "$stderr" = "synib-train: precision bfloat16: this processor (AVX2) has no instructions for it: use float32" ]
    [ -z "$(find "$W/none" -name "*.safetensors" -o -name "*.json*")" ]
}

@test "bfloat16: the same bytes at any -j, other ones than float32's, and neither resumes the other" {
    half() {
        train "$W/a/data" --method uni-video --set model.precision=bfloat16 "$@"
    }
    half -j 1 -o "$W/half1" 2> "$W/half.err" || {
        grep "has no instructions for it" "$W/half.err"
        skip "this processor has no bfloat16"
    }
    half -j 2 -o "$W/half2"
    cmp "$W/half1/best.safetensors" "$W/half2/best.safetensors"
    train "$W/a/data" --method uni-video -j 2 -o "$W/float"
    run -1 cmp -s "$W/half1/best.safetensors" "$W/float/best.safetensors"
    run -4 train "$W/a/data" --method uni-video --resume -o "$W/half1"
    [[ "$output" == *"model.precision"* ]]
}
