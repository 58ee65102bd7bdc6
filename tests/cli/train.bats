#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# synib-train and synib-eval from the command line, on a drawn corpus through the whole tool chain.

load flip

setup_file() {
    export DIR="$BATS_FILE_TMPDIR" SYNIB_MANIFESTS="$SOURCE_DIR/manifests"
    cd "$DIR"
    "$BIN/synib-synth" -q -o raw --actors 6 --sentences 1 --seed 1
    "$BIN/synib-scan" -q raw -o clips.tsv
    "$BIN/synib-split" -q clips.tsv --scheme kfold --folds 3 --fold 0 -o split.tsv
    "$BIN/synib-frames" -q clips.tsv --root raw -o video
    "$BIN/synib-stft" -q clips.tsv --root raw -o audio
    "$BIN/synib-irony" -q --video video --audio audio --split split.tsv --rate 1 --seed 1 -o data
    SMALL="--preset demo --set video.size=32 --set audio.pool=8 --set pretrain.batch=8"
    SMALL="$SMALL --set optim.batch=8 --set pretrain.epochs=1 --set optim.epochs=2 --seed 1"
    export SMALL
    for m in uni-audio uni-video ensemble vanilla synib; do
        # shellcheck disable=SC2086
        "$BIN/synib-train" -q data -m $m $SMALL -o runs/$m
    done
}

setup() {
    cd "$DIR"
}

@test "help names the exit codes, version the tool" {
    for tool in train eval; do
        run "$BIN/synib-$tool" --help
        [ "$status" -eq 0 ]
        [[ "$output" == *"Exit codes: 0 done"* ]]
        run "$BIN/synib-$tool" --version
        [[ "$output" == "synib-$tool (synib) "* ]]
    done
}

@test "bad command lines exit with 2 and say what is wrong" {
    while IFS='|' read -r args says; do
        # shellcheck disable=SC2086
        run "$BIN/synib-train" $args
        echo "$args: $status: $output"
        [ "$status" -eq 2 ]
        [[ "$output" == *"$says"* ]]
        [ "$(printf '%s\n' "$output" | wc -l)" -eq 1 ]
    done <<END
-m synib -o x|DATA is missing
data -o x|--method is missing
data -m synib|-o RUN is missing
data -m sinib -o x|did you mean 'synib'
data -m synib -o x --set synib.lamda=1|did you mean 'synib.lambda'
data -m synib -o x --set mask.p=2|from 0 to 1
data -m synib -o x --preset papr|--preset: unknown 'papr': did you mean 'paper'
data -m synib -o x --resume --force|exclude each other
data -m synib -o x --max-steps -1|--max-steps
data other -m synib -o x|one DATA only
END
    [ ! -e x ]
    run "$BIN/synib-eval"
    [ "$status" -eq 2 ]
    run "$BIN/synib-eval" runs/synib --split tset
    [ "$status" -eq 2 ]
    [[ "$output" == *"did you mean 'test'"* ]]
}

@test "--print-config is a preset that gives the same settings" {
    "$BIN/synib-train" --print-config -p paper -m synib --set synib.lambda=0.25 >one.conf
    "$BIN/synib-train" --print-config -p ./one.conf -m synib | tail -n +2 >two.conf
    grep -qx 'synib.lambda = 0.25' one.conf
    diff <(tail -n +2 one.conf) two.conf
}

@test "a run folder holds what the documents say" {
    for m in uni-audio uni-video ensemble vanilla synib; do
        for f in best.safetensors last.safetensors metrics.jsonl epochs.csv run.json timing.jsonl; do
            [ -f "runs/$m/$f" ]
        done
        "$BIN/synib-shard" verify "runs/$m/best.safetensors"
        "$BIN/synib-shard" verify "runs/$m/last.safetensors"
        jq -es 'all(has("step"))' "runs/$m/metrics.jsonl"
        jq -es 'all(.activations_mb > 0)' "runs/$m/timing.jsonl"
    done
    [ "$(head -1 runs/synib/epochs.csv)" = "epoch,step,lr,loss,ce_fused,ce_audio,ce_video,kl_masked_audio,kl_masked_video,ce_masked,masked_share_audio,masked_share_video,mask_loss,cosine_audio,cosine_video,js_permuted_audio,js_permuted_video,contrastive,train_loss,train_accuracy,val_loss,val_accuracy,val_macro_f1,val_irony_f1,val_audio_accuracy,val_video_accuracy,best" ]
    [ "$(wc -l <runs/synib/epochs.csv)" -eq 3 ]
    jq -e '.data == "../../data" and .["uni-audio"] == "../uni-audio"' runs/synib/run.json
    # nothing about this machine in the data files
    ! grep -c "$DIR" runs/*/best.safetensors runs/*/last.safetensors runs/*/metrics.jsonl
}

@test "a setting that a method has no use for changes nothing" {
    # shellcheck disable=SC2086
    "$BIN/synib-train" -q data -m uni-audio $SMALL --set diag.train_pass=true -o unused
    cmp unused/epochs.csv runs/uni-audio/epochs.csv
    cmp unused/last.safetensors runs/uni-audio/last.safetensors
}

@test "fused runs reuse the unimodal runs beside them" {
    [ ! -e runs/synib/pretrain ]
    [ ! -e runs/ensemble/pretrain ]
}

@test "a finished run is left alone, another run in its place refused" {
    before=$(stat -c %i runs/synib/last.safetensors)
    # shellcheck disable=SC2086
    run "$BIN/synib-train" data -m synib $SMALL -o runs/synib
    [ "$status" -eq 0 ]
    [[ "$output" == *"was finished already"* ]]
    [ "$before" = "$(stat -c %i runs/synib/last.safetensors)" ]
    # shellcheck disable=SC2086
    run "$BIN/synib-train" -q data -m synib $SMALL --set synib.lambda=3 -o runs/synib
    [ "$status" -eq 4 ]
    [[ "$output" == *"synib.lambda differs: recorded '1', now '3'"* ]]
    # and before any pretraining of its own
    # shellcheck disable=SC2086
    run "$BIN/synib-train" -q data -m synib $SMALL --seed 99 -o runs/synib
    [ "$status" -eq 4 ]
    [[ "$output" == *"holds another run"*"seed differs"*"now '99'"* ]]
    [ ! -e runs/synib/pretrain ]
}

@test "a checkpoint that does not fit: exit 4, nothing trained, nothing overwritten" {
    mkdir -p other
    cp -r runs/uni-audio runs/uni-video other
    cp runs/uni-video/best.safetensors other/uni-audio/best.safetensors
    before=$(cat other/*/*.safetensors | sha256sum)
    for method in synib dnr ensemble; do
        # shellcheck disable=SC2086
        run --separate-stderr "$BIN/synib-train" -q data -m $method $SMALL --pretrained other -o fits-$method
        echo "$status: $stderr"
        [ "$status" -eq 4 ]
        [ "${#stderr_lines[@]}" -le 20 ]
        [[ "$stderr" == *"other/uni-audio/best.safetensors"* ]]
        [[ "$stderr" == *"of another model, "*" tensors differ"* || "$stderr" != *"is missing"* ]]
        [ -z "$(find fits-$method -name '*.safetensors')" ]
    done
    [ "$(cat other/*/*.safetensors | sha256sum)" = "$before" ]
    # another experiment's checkpoint in the place of a run's own
    cp -r runs/synib swapped
    cp runs/vanilla/best.safetensors swapped/best.safetensors
    run --separate-stderr "$BIN/synib-report" swapped -o swapped-report
    [ "$status" -ne 0 ]
    [ ! -e swapped-report/report.md ]
}

@test "stopped by a signal: exit 75, resumable, same bytes" {
    # shellcheck disable=SC2086
    "$BIN/synib-train" -q data -m uni-audio $SMALL --set pretrain.epochs=4000 \
        --set pretrain.patience=4000 -o long &
    pid=$!
    for _ in $(seq 100); do
        [ -s long/epochs.csv ] && break
        sleep 0.1
    done
    kill -TERM $pid
    status=0
    wait $pid || status=$?
    [ "$status" -eq 75 ]
    "$BIN/synib-shard" verify long/last.safetensors
    # shellcheck disable=SC2086
    run "$BIN/synib-train" -q data -m synib $SMALL --pretrained pre --max-steps 3 -o stopped
    [ "$status" -eq 75 ]
    # shellcheck disable=SC2086
    "$BIN/synib-train" -q data -m synib $SMALL --pretrained pre --resume -o stopped
    cmp stopped/last.safetensors runs/synib/last.safetensors
    cmp stopped/best.safetensors runs/synib/best.safetensors
    cmp stopped/metrics.jsonl runs/synib/metrics.jsonl
    # shellcheck disable=SC2086
    run "$BIN/synib-train" -q data -m ensemble $SMALL --set pretrain.epochs=2 --pretrained pre -o none
    [ "$status" -eq 4 ]
    [[ "$output" == *"pre/uni-audio: holds another or a damaged run, give another folder or --force"* ]]
}

@test "early stopping counts as the documents say, and eval takes the best epoch" {
    for rule in accuracy any; do
        # shellcheck disable=SC2086
        "$BIN/synib-train" -q data -m uni-audio $SMALL --set pretrain.epochs=200 \
            --set pretrain.patience=5 --set stop.rule=$rule -o stop-$rule
        best=$(awk -F, -v rule=$rule '
            NR == 1 { for (i = 1; i <= NF; i++) col[$i] = i; next }
            {
                accuracy = $col["val_accuracy"]; loss = $col["val_loss"]
                bad = bad || over
                higher = NR == 2 || accuracy > top
                lower = NR == 2 || loss < least
                if (higher) { top = accuracy; best = $col["epoch"] }
                if (lower) least = loss
                stale = higher || (rule == "any" && lower) ? 0 : stale + 1
                over = stale >= (rule == "any" ? 4 : 5)
                bad = bad || higher != $col["best"]
            }
            END { print best; exit bad || !over }' stop-$rule/epochs.csv)
        "$BIN/synib-eval" stop-$rule --split val --json >json
        jq -e --argjson best "$best" --arg top "$(awk -F, -v e="$best" '
            NR == 1 { for (i = 1; i <= NF; i++) col[$i] = i }
            $1 == e { print $col["val_accuracy"] }' stop-$rule/epochs.csv)" '.epoch == $best and (.accuracy - ($top | tonumber) | fabs) < 1e-8' json
    done
}

@test "eval prints one object, and the same numbers to files" {
    clips=$(awk -F'\t' '$4 == "test"' split.tsv | wc -l)
    [ "$clips" -gt 5 ]
    for m in uni-audio uni-video ensemble vanilla synib; do
        "$BIN/synib-eval" runs/$m --split test --json -o "out/$m" >json
        jq -e --argjson n "$clips" '.n == $n and .accuracy >= 0 and .accuracy <= 1 and (.f1 | length) == 7 and
            (.f1.irony | type) == "number" and (.confusion | flatten | add) == .n and
            ((([.f1[]] | add) / 7 - .macro_f1) | fabs) < 1e-6' json
        cmp json <(cat "out/$m/metrics.json" && echo)
        [ "$(head -1 "out/$m/predictions.tsv")" = "#synib-predictions 1" ]
        [ "$(wc -l <"out/$m/predictions.tsv")" -eq $((clips + 2)) ]
        # accuracy again, from the predictions
        awk -F'\t' 'NR > 2 {n++; r += $3 == $4} END {printf "%.9f\n", r / n}' "out/$m/predictions.tsv" >a
        jq -r '.accuracy' json | awk '{printf "%.9f\n", $1}' | cmp - a
        # calibration error, and recall of irony by what the face shows, from the same rows
        awk -F'\t' '
            NR == 2 { for (i = 1; i <= NF; i++) col[$i] = i; next }
            NR > 2 {
                p = $col["p_" $4]; b = int(p * 15); if (b > 14) b = 14
                off[b] += ($3 == $4) - p
                if ($3 == "irony") { n[$col["base_label"]]++; r[$col["base_label"]] += $4 == "irony" }
                else if ($col["base_label"] != $3) exit 1
            }
            END {
                for (b in off) ece += (off[b] < 0 ? -off[b] : off[b]) / (NR - 2)
                split("neutral happy sad fear disgust anger", face, " ")
                for (k = 1; k <= 6; k++) rows = rows sprintf(" %d:%d", n[face[k]], r[face[k]])
                printf "%.4f%s\n", ece, rows
            }' "out/$m/predictions.tsv" >a
        jq -r '[.ece] + [.irony_recall_by_emotion[] | .n, (.recall // 0) * .n] | @tsv' json |
            awk '{ printf "%.4f", $1; for (i = 2; i < NF; i += 2) printf " %d:%d", $i, $(i + 1) + 0.5; print "" }' | cmp - a
        jq -e '(.kappa | type) == "number" and .recall.irony == ([.irony_recall_by_emotion[] | (.recall // 0) * .n] | add) / ([.irony_recall_by_emotion[].n] | add)' json
    done
    jq -e '.unimodal.video == null and .synergy == null' out/uni-audio/metrics.json
    jq -e '.synergy.by == "unimodal-runs" and .synergy.n <= .n' out/synib/metrics.json
    # the subset is what both unimodal runs get wrong
    n=$(paste out/uni-audio/predictions.tsv out/uni-video/predictions.tsv |
        awk -F'\t' 'NR > 2 && $4 != $3 && $18 != $17 {n++} END {print n + 0}')
    [ "$n" -eq "$(jq '.synergy.n' out/synib/metrics.json)" ]
    run "$BIN/synib-eval" runs/synib -o out/synib
    [ "$status" -eq 1 ]
    [[ "$output" == *"out/synib"* ]]
    run --separate-stderr "$BIN/synib-eval" runs/synib -o out/dry --dry-run --json
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    [ ! -e out/dry ]
}

@test "eval finds a moved tree, and refuses damage and empty folders" {
    mkdir -p moved
    cp -r runs data video audio moved
    "$BIN/synib-eval" moved/runs/synib --json | cmp - <("$BIN/synib-eval" runs/synib --json)
    flip moved/runs/synib/best.safetensors 100000
    run "$BIN/synib-eval" moved/runs/synib
    [ "$status" -eq 4 ]
    [[ "$output" == *"moved/runs/synib/best.safetensors"* ]]
    run "$BIN/synib-eval" moved
    [ "$status" -eq 1 ]
    [[ "$output" == *"moved: no run.json in it: give the folder that synib-train made"* ]]
}

@test "data that are not where they were, or no dataset: what to give" {
    mkdir -p far/away
    cp -r runs/uni-audio far/away
    run "$BIN/synib-eval" far/away/uni-audio
    [ "$status" -eq 1 ]
    [ "$output" = "synib-eval: far/away/uni-audio: its run.json points at far/away/uni-audio/../../data, where no finished split test is: give DATA to measure it on" ]
    "$BIN/synib-eval" -q far/away/uni-audio data
    : >far/away/uni-audio/run.json
    run "$BIN/synib-eval" far/away/uni-audio
    [ "$status" -eq 4 ]
    [ "$output" = "synib-eval: far/away/uni-audio/run.json: is damaged: is empty: put a copy of it back, or write it anew as docs/formats/run.md says" ]
    # shellcheck disable=SC2086
    run "$BIN/synib-train" -q data/train -m uni-audio $SMALL -o x
    [ "$status" -eq 1 ]
    [ "$output" = "synib-train: data/train/train: is not a finished shard set: data/train/train/index.jsonl: cannot open: No such file or directory: give the folder that holds train/, val/ and test/" ]
    run "$BIN/synib-eval" runs/uni-audio data/test
    [ "$status" -eq 1 ]
    [[ "$output" == *": give the folder that holds train/, val/ and test/" ]]
    # a dataset, but not this split of it
    mkdir noval
    cp -r data/train data/test noval
    # shellcheck disable=SC2086
    run "$BIN/synib-train" -q noval -m uni-audio $SMALL -o x
    [ "$status" -eq 1 ]
    [ "$output" = "synib-train: noval/val: is not a finished shard set: noval/val/index.jsonl: cannot open: No such file or directory: split val is not there or not finished: run the command that made noval again" ]
    run "$BIN/synib-eval" runs/uni-audio noval --split val
    [ "$status" -eq 1 ]
    [[ "$output" == *": split val is not there or not finished: run the command that made noval again" ]]
    [ ! -e x ]
}

@test "training never opens the test split" {
    cp -r data notest
    rm -r notest/test
    # shellcheck disable=SC2086
    "$BIN/synib-train" -q notest -m uni-audio $SMALL -o other
    cmp other/best.safetensors runs/uni-audio/best.safetensors
}

@test "two processes at one run: refused, or with --resume one waits for the other" {
    # shellcheck disable=SC2086
    "$BIN/synib-train" -q data -m uni-audio $SMALL --set pretrain.epochs=30 \
        --set pretrain.patience=30 -o both &
    pid=$!
    for _ in $(seq 100); do
        [ -s both/metrics.jsonl ] && break
        sleep 0.05
    done
    # shellcheck disable=SC2086
    run "$BIN/synib-train" -q data -m uni-audio $SMALL -o both
    # shellcheck disable=SC2086
    "$BIN/synib-train" data -m uni-audio $SMALL --set pretrain.epochs=30 \
        --set pretrain.patience=30 --resume -o both 2>note
    wait $pid
    echo "$status: $output"
    [ "$status" -eq 1 ]
    [[ "$output" == *"another process is at work here"* ]]
    grep -q "waiting for it" note
    grep -q "was finished already" note
}

# dry OUT METHOD [OPTION]...: what a dry run says, without its first line.
dry() {
    local out=$1 method=$2
    shift 2
    # shellcheck disable=SC2086
    "$BIN/synib-train" data -m "$method" $SMALL --dry-run "$@" -o "$out" 2>dry.log
    tail -n +2 dry.log | grep -v "would hold"
}

@test "--dry-run says which unimodal runs it would take, go on with or train first" {
    [ "$(dry runs/again vanilla)" = "synib-train: would take the run of uni-audio in runs/uni-audio
synib-train: would take the run of uni-video in runs/uni-video
synib-train: would train vanilla for at most 2 epochs into runs/again" ]
    [ "$(dry elsewhere/again vanilla)" = "synib-train: would first train uni-audio for at most 1 epoch into elsewhere/again/pretrain/uni-audio
synib-train: would first train uni-video for at most 1 epoch into elsewhere/again/pretrain/uni-video
synib-train: would train vanilla for at most 2 epochs into elsewhere/again" ]
    [ "$(dry elsewhere/alone vanilla --set init.encoders=scratch | grep -c "would")" -eq 1 ]
    held=$(sed -n 's/.*would hold \([0-9.]*\) MiB of activations.*/\1/p' dry.log)
    grep -qx "synib-train: would train vanilla for at most 2 epochs into elsewhere/alone" dry.log
    [ "$(dry elsewhere/both ensemble --pretrained runs | tail -1)" = \
        "synib-train: would put the unimodal runs together as ensemble, into elsewhere/both" ]
    [ ! -e elsewhere ]
    # as much as the run then holds
    # shellcheck disable=SC2086
    "$BIN/synib-train" -q data -m vanilla $SMALL --set init.encoders=scratch -o held
    jq -s -e "length == 2 and all(.activations_mb / 1.048576 - $held | fabs < 0.2)" held/timing.jsonl
    [ "$(dry runs/synib synib)" = "synib-train: would take the run of uni-audio in runs/uni-audio
synib-train: would take the run of uni-video in runs/uni-video
synib-train: runs/synib: is finished already: nothing to do" ]
    # a run that is there, but its encoders are not
    [ "$(dry runs/synib synib --pretrained nowhere)" = "synib-train: would first train uni-audio for at most 1 epoch into nowhere/uni-audio
synib-train: would first train uni-video for at most 1 epoch into nowhere/uni-video
synib-train: runs/synib: is finished already: nothing more to do, if the unimodal runs then are those that it started from" ]
    # shellcheck disable=SC2086
    "$BIN/synib-train" -q data -m vanilla $SMALL --max-steps 1 --pretrained runs -o midway || [ $? -eq 75 ]
    [ "$(dry midway vanilla --resume --pretrained nowhere | tail -1)" = "synib-train: would go on with vanilla after epoch 0, for at most 2, in midway, if the unimodal runs then are those that it started from" ]
    [ "$(dry midway vanilla --resume --pretrained runs | tail -1)" = "synib-train: would go on with vanilla after epoch 0, for at most 2, in midway" ]
    [ ! -e nowhere ]
    # one that is unfinished, and one of another identity
    # shellcheck disable=SC2086
    "$BIN/synib-train" -q data -m uni-audio $SMALL --max-steps 1 -o begun/uni-audio || [ $? -eq 75 ]
    [ "$(dry x vanilla --pretrained begun | head -2)" = "synib-train: would first go on with uni-audio after epoch 0, for at most 1, in begun/uni-audio
synib-train: would first train uni-video for at most 1 epoch into begun/uni-video" ]
    [ ! -e begun/uni-video ]
    cp -r begun foreign
    # shellcheck disable=SC2086
    run "$BIN/synib-train" data -m vanilla $SMALL --set optim.beta1=0.8 --dry-run --pretrained foreign -o x
    [ "$status" -eq 4 ]
    [[ "$output" == *"foreign/uni-audio"*"optim.beta1 differs"* ]]
    [ ! -e x ]
}
