#!/usr/bin/env bats
# Damaged sets and checkpoints given to every tool that reads them: exit 4, one line that names the file, nothing
# written. What is damaged and how thoroughly: docs/reliability/corruption.md.

load flip

bats_require_minimum_version 1.5.0

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    "$BIN/synib-synth" -o corpus --actors 3 --sentences 1 --seed 5 -q
    "$BIN/synib-scan" corpus -o clips.tsv -q
    "$BIN/synib-split" -q clips.tsv --scheme kfold --folds 3 --fold 1 -o split.tsv
    "$BIN/synib-frames" clips.tsv --root corpus -o video -q
    "$BIN/synib-stft" clips.tsv --root corpus -o audio -q
    irony data
    "$BIN/synib-xor" pid --mix 0.45,0,0.45,0.1 -o xor --train 64 --val 32 --test 32 --seed 3 -q
    train xor run
    mkdir whole
    cp -a video audio data xor run whole
}

setup() {
    cd "$BATS_FILE_TMPDIR"
    rm -rf out video audio data xor run
    cp -a whole/. .
}

irony() {
    "$BIN/synib-irony" -q --video video --audio audio --split split.tsv --rate 1 --seed 5 -o "$@"
}

train() {
    "$BIN/synib-train" -q "$1" -p xor-pid -m vanilla --seed 1 --set optim.epochs=2 --set model.encoder_width=16 \
        --set model.head_width=8 --set model.trunk=8 -o "${@:2}"
}

media() {
    "$BIN/synib-train" -q data -p demo -m uni-video --seed 1 --set pretrain.epochs=1 --set pretrain.batch=8 \
        --set video.size=32 --set model.width=16 -o "$@"
}

# damage KIND FILE: FILE as it might come back from a bad disk or a broken copy.
damage() {
    local size
    size=$(stat -c %s "$2")
    cp "$2" before
    case $1 in
    header) flip "$2" 30 ;;
    middle) flip "$2" $((size / 2)) ;;
    end) flip "$2" $((size - 1)) ;;
    cut) truncate -s $((size / 2)) "$2" ;;
    empty) truncate -s 0 "$2" ;;
    longer) echo >>"$2" ;;
    turned) { tail -c $((size - size / 2)) before; head -c $((size / 2)) before; } >"$2" ;;
    zeros) dd if=/dev/zero of="$2" bs=64 seek=$((size / 128)) count=2 conv=notrunc status=none ;;
    other) head -c "$size" /dev/zero | tr '\0' x >"$2" ;;
    esac
    ! cmp -s before "$2"
}
kinds="header middle end cut empty longer turned zeros other"

# refused NAME COMMAND...: exit 4, one line with NAME on stderr (zeros may hit two values: one line for each), no `out`,
# nothing else changed.
refused() {
    local name=$1 newer
    shift
    newer=$(find . -type f -newer before ! -path "./bats*" | sort)
    run --separate-stderr "$@"
    echo "$kind of $name: $*: $status: $output $stderr"
    [ "$status" -eq 4 ]
    [ "${#stderr_lines[@]}" -eq 1 ] || [ $kind = zeros ]
    [ "${#stderr_lines[@]}" -eq "$(grep -cF "$name" <<<"$stderr")" ]
    [ -z "$(find out -type f ! -name .lock 2>/dev/null)" ]
    [ "$newer" = "$(find . -type f -newer before ! -path "./bats*" | sort)" ]
}

# untrained NAME COMMAND...: a damaged sample is met after training has begun: no checkpoint then.
untrained() {
    local name=$1
    rm -rf out
    shift
    run --separate-stderr "$@"
    echo "$kind of $name: $*: $status: $output $stderr"
    [ "$status" -eq 4 ]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [[ "$stderr" == *"$name"* ]]
    [ -z "$(find out -name "*.safetensors*" 2>/dev/null)" ]
    rm -rf out
}

@test "a base shard: verify, export, irony and train" {
    for set in video audio; do
        for file in $set/*.safetensors; do
            for kind in header middle cut zeros; do
                damage $kind "$file"
                refused "$(basename "$file")" "$BIN/synib-shard" verify $set
                refused "$(basename "$file")" "$BIN/synib-shard" verify "$file"
                refused "$(basename "$file")" "$BIN/synib-shard" export $set -q -o out
                refused "$(basename "$file")" "$BIN/synib-shard" export data -q -o out
                refused "$(basename "$file")" irony out --materialise
                [ $set = audio ] || untrained "$(basename "$file")" media out
                mv before "$file"
            done
        done
    done
    irony out --materialise
    "$BIN/synib-shard" verify -q out video audio data
}

@test "an overlay's shard: every command of synib-shard, and train" {
    file=$(ls data/train/*.safetensors)
    for kind in $kinds; do
        damage $kind "$file"
        for command in verify ls dump stat; do
            refused "$(basename "$file")" "$BIN/synib-shard" $command data
        done
        refused "$(basename "$file")" "$BIN/synib-shard" diff data data
        refused "$(basename "$file")" "$BIN/synib-shard" contact-sheet data -o out
        refused "$(basename "$file")" media out
        mv before "$file"
    done
}

@test "vectors: verify, dump, export, train and eval" {
    for split in train val test; do
        file=$(ls xor/$split/*.safetensors)
        for kind in $kinds; do
            damage $kind "$file"
            refused "$(basename "$file")" "$BIN/synib-shard" verify xor
            refused "$(basename "$file")" "$BIN/synib-shard" export xor -q -o out
            [ $split = test ] || refused "$(basename "$file")" train xor out
            [ $split = train ] || refused "$(basename "$file")" "$BIN/synib-eval" run -q -o out
            mv before "$file"
        done
    done
    "$BIN/synib-eval" -q run
}

@test "an index: verify, ls, dump, train" {
    for file in xor/train/index.jsonl data/train/index.jsonl; do
        for kind in $kinds; do
            damage $kind "$file"
            for command in verify ls dump stat; do
                refused index.jsonl "$BIN/synib-shard" $command "${file%%/*}"
            done
            if [ "${file%%/*}" = xor ]; then refused index.jsonl train xor out; else refused index.jsonl media out; fi
            mv before "$file"
        done
    done
}

@test "checkpoints: verify, ls, dump, eval and resume" {
    for name in best last; do
        file=run/$name.safetensors
        for kind in $kinds; do
            damage $kind "$file"
            for command in verify dump; do
                refused "$file" "$BIN/synib-shard" $command "$file"
            done
            last=
            [ $name = best ] || last="--checkpoint last"
            refused "$file" "$BIN/synib-eval" run $last -q -o out
            refused "$file" train xor run --resume
            refused "$file" train xor run
            mv before "$file"
        done
    done
    train xor run --resume
}

@test "a stopped run: --resume goes on from the checkpoint before, and says so" {
    train xor undisturbed --set optim.batch=8 --set checkpoint.epochs=1
    for kind in header cut zeros; do
        rm -rf out
        run train xor out --set optim.batch=8 --set checkpoint.epochs=1 --max-steps 12
        [ "$status" -eq 75 ]
        damage $kind out/last.safetensors
        run --separate-stderr train xor out --set optim.batch=8 --set checkpoint.epochs=1 --resume
        [ "$status" -eq 0 ]
        [[ "$stderr" == *"out/last.safetensors: "*": going on from out/prev.safetensors, step 8"* ]]
        for file in last.safetensors best.safetensors metrics.jsonl epochs.csv; do
            cmp undisturbed/$file out/$file
        done
        [ ! -e out/prev.safetensors ]
    done
}
