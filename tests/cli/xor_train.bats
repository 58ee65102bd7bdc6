#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# synib-train and synib-eval on the synthetic tasks: every method and mask, what eval says by source, and
# data or settings that do not fit.

load flip

bats_require_minimum_version 1.5.0

setup_file() {
    export DIR="$BATS_FILE_TMPDIR" SYNIB_MANIFESTS="$SOURCE_DIR/manifests"
    cd "$DIR"
    "$BIN/synib-xor" -q spurious --strength 0.6 --seed 2 --test 400 -o sp
    "$BIN/synib-xor" -q spurious --strength 0.6 --modalities 3 --seed 2 --test 400 -o sp3
    "$BIN/synib-xor" -q pid --mix 0.25,0.25,0.25,0.25 --seed 2 --train 300 --val 60 --test 400 -o pid
    "$BIN/synib-xor" -q regression --strength 1 --seed 2 --test 400 -o reg
}

setup() {
    cd "$DIR"
}

# train OUT DATA PRESET METHOD [OPTION]...: two epochs of a small model.
train() {
    local out=$1 data=$2 preset=$3 method=$4
    shift 4
    "$BIN/synib-train" -q "$data" --preset "$preset" --method "$method" --set optim.epochs=2 \
        --set model.encoder_width=16 --set model.head_width=16 --seed 5 "$@" -o "$out"
}

# accuracy FILE [SOURCE]: of the rows of a predictions.tsv, of all or of one source.
accuracy() {
    awk -F'\t' -v source="$2" '
        NR > 2 && (source == "" || $2 == source) { n++; right += $3 == $4 }
        END { printf "%.6f\n", right / n }' "$1"
}

@test "every method and mask trains, and says so in its columns" {
    n=0
    while read -r method mask more; do
        # shellcheck disable=SC2086
        train runs/$n pid xor-pid "$method" ${mask:+--mask $mask} $more
        "$BIN/synib-shard" verify runs/$n/last.safetensors
        [ "$(wc -l <runs/$n/epochs.csv)" -eq 3 ]
        # share of masked values, of the second epoch; empty where nothing is masked
        awk -F, -v mask="$mask" '
            NR == 1 { for (i = 1; i <= NF; i++) col[$i] = i; next }
            { share = $col["masked_share_x1"] }
            END {
                if (mask == "") exit share != ""
                if (mask == "none") exit share != 0 || share == ""
                if (mask == "all") exit share != 1
                if (mask == "random") exit share < 0.75 || share > 0.85
                exit share <= 0 || share > 1
            }' runs/$n/epochs.csv
        n=$((n + 1))
    done <<'END'
vanilla
synib random --set mask.p=0.8
synib learned --set mask.steps=3
synib learned-mlp
synib oracle
synib oracle-literal
synib all
synib none
masking-only random --set mask.p=0.8
masking-only oracle
masking-only all --set masking.copies=2
END
    [ "$n" -eq 11 ]
    for method in dnr mmpareto reconboost mcr; do # no masks; each says what is its own
        train runs/$method pid xor-pid $method --set dnr.every=1 --set reconboost.epochs=1
        "$BIN/synib-shard" verify runs/$method/last.safetensors
    done
    filled() { # COLUMN METHOD...: the methods whose column has values in the last epoch
        for method in dnr mmpareto reconboost mcr; do
            awk -F, -v col="$1" -v method=$method 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == col) at = i; next }
                { value = $at } END { if (value != "") print method }' runs/$method/epochs.csv
        done | xargs
    }
    [ "$(filled ce_fused)" = "dnr mmpareto reconboost mcr" ]
    [ "$(filled cosine_x2)" = mmpareto ]
    [ "$(filled js_permuted_x1)" = mcr ]
    [ "$(filled contrastive)" = mcr ]
    [ "$(filled masked_share_x1)" = "" ]
    # oracle masks: 6 of 32 coordinates, of all samples or of the synergistic ones
    share() {
        awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) col[$i] = i; next }
            END { print $col["masked_share_x1"] }' "$1/epochs.csv"
    }
    [ "$(share runs/5)" = 0.1875 ]
    synergistic=$("$BIN/synib-shard" stat pid --split train --json |
        jq '.sets[0].sources.synergistic | add')
    [ "$(share runs/4)" = "$(awk -v n="$synergistic" 'BEGIN { printf "%.9g", n / 300 * 6 / 32 }')" ]
}

@test "--mask is short for --set mask.kind, and they are one run" {
    train one sp xor-spurious synib --mask learned
    train two sp xor-spurious synib --set mask.kind=learned
    for f in last.safetensors best.safetensors metrics.jsonl epochs.csv; do
        cmp one/$f two/$f
    done
    # the preset's section for this mask: lambda grows over 20 epochs
    "$BIN/synib-train" --print-config -p xor-spurious -m synib --mask learned | grep -x 'synib.warmup_epochs = 20'
    "$BIN/synib-train" --print-config -p xor-spurious -m synib | grep -x 'synib.warmup_epochs = 0'
}

@test "same bytes at one and two threads, and after --max-steps and --resume" {
    train straight sp xor-spurious synib --mask random --set mask.p=0.8 -j1
    status=0
    train pieces sp xor-spurious synib --mask random --set mask.p=0.8 -j2 --max-steps 2 || status=$?
    [ "$status" -eq 75 ]
    train pieces sp xor-spurious synib --mask random --set mask.p=0.8 -j2 --resume
    for f in last.safetensors best.safetensors metrics.jsonl epochs.csv; do
        cmp straight/$f pieces/$f
    done
}

@test "eval: in total and by source, of the best epoch and of the last" {
    train pid-run pid xor-pid vanilla --set optim.epochs=12 --set optim.lr=0.01 \
        --set select.metric=synergy-accuracy
    best=$(awk -F, '$NF == 1 { best = $1 } END { print best }' pid-run/epochs.csv)
    [ "$best" -lt 12 ] # or the two checkpoints would be one
    for which in best last; do
        "$BIN/synib-eval" pid-run --checkpoint $which --json -o out-$which >$which.json
        cmp $which.json <(cat out-$which/metrics.json && echo)
        jq -e '.n == 400 and .split == "test" and ([.sources[].n] | add) == .n and
            (.sources | keys_unsorted) == ["unique1", "unique2", "redundant", "synergistic"] and
            ((([.sources[] | .n * .accuracy] | add) / .n - .accuracy) | fabs) < 1e-6 and
            ((([.sources[] | .n * .loss] | add) / .n - .loss) | fabs) < 1e-6 and
            (.unimodal | keys) == ["x1", "x2"] and .synergy.by == "own-heads"' $which.json
        [ "$(jq -r '.checkpoint' $which.json)" = "$(sha256sum pid-run/$which.safetensors | cut -d' ' -f1)" ]
        p=out-$which/predictions.tsv
        [ "$(sed -n 1p $p)" = "#synib-predictions 1" ]
        [ "$(sed -n 2p $p | tr '\t' ' ')" = "sample source label prediction p_0 p_1 x1_prediction x2_prediction" ]
        [ "$(tail -n +3 $p | cut -f1 | tr '\n' ' ')" = "$(seq -s' ' 0 399) " ]
        # the numbers again, from the predictions
        [ "$(accuracy $p)" = "$(jq '.accuracy' $which.json | xargs printf '%.6f')" ]
        for s in unique1 unique2 redundant synergistic; do
            [ "$(accuracy $p $s)" = "$(jq ".sources.$s.accuracy" $which.json | xargs printf '%.6f')" ]
            [ "$(tail -n +3 $p | cut -f2 | grep -c "^$s\$")" -eq "$(jq ".sources.$s.n" $which.json)" ]
        done
        awk -F'\t' 'NR > 2 && (($6 > 0.5) != $4 && $5 != $6 || $5 + $6 < 0.999998 || $5 + $6 > 1.000002) { bad = 1 }
            END { exit bad }' $p
    done
    [ "$(jq '.epoch' best.json)" -eq "$best" ]
    [ "$(jq '.epoch' last.json)" -eq 12 ]
    [ "$(jq -c '.accuracy, .loss' best.json)" != "$(jq -c '.accuracy, .loss' last.json)" ]
    cmp best.json <("$BIN/synib-eval" pid-run --json) # what is measured unless told otherwise
    # what training said of its validation split
    awk -F, -v e="$best" 'NR == 1 { for (i = 1; i <= NF; i++) col[$i] = i }
        $1 == e { print $col["val_accuracy"], $col["val_accuracy_synergistic"] }' pid-run/epochs.csv >want
    "$BIN/synib-eval" pid-run --split val --json | jq -r '"\(.accuracy) \(.sources.synergistic.accuracy)"' | cmp - want
    run "$BIN/synib-eval" pid-run
    [[ "$output" == *"source synergistic "*" samples, accuracy "* ]]
}

@test "eval measures named data that hold a test split and nothing else" {
    train alone-run pid xor-pid vanilla
    mkdir alone
    cp -r pid/test alone/test
    run --separate-stderr "$BIN/synib-eval" alone-run alone --json
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"alone: is not the dataset that alone-run was trained on"* ]]
    "$BIN/synib-eval" alone-run --json | jq '.accuracy, .loss' >want
    jq '.accuracy, .loss' <<<"$output" | cmp - want
}

@test "a step that has no such value does not count in the epoch's mean" {
    "$BIN/synib-xor" -q pid --mix 0.25,0.25,0.25,0.25 --seed 2 --train 129 --val 60 --test 60 -o odd
    train odd-run odd xor-pid mcr --set mcr.shuffle=other-sample --set optim.batch=64
    # batches of 64, 64 and 1, which has nobody else
    jq -s 'map(select(.epoch == 1 and .loss)) | length == 3 and (map(select(.js_permuted_x1)) | length == 2)' \
        odd-run/metrics.jsonl | grep -qx true
    want=$(jq -s 'map(select(.epoch == 1 and .js_permuted_x1).js_permuted_x1) | add / 2' odd-run/metrics.jsonl)
    awk -F, -v want="$want" 'NR == 1 { for (i = 1; i <= NF; i++) col[$i] = i }
        NR == 2 { got = $col["js_permuted_x1"]; exit !(got > want * 0.99999 && got < want * 1.00001) }' odd-run/epochs.csv
}

@test "training numbers: counted in the steps, or measured after the epoch" {
    # with a learning rate of zero the two are the same
    for pass in false true; do
        train still-$pass pid xor-pid vanilla --set optim.lr=0 --set diag.train_pass=$pass --set diag.ntk=2
    done
    paste -d, still-false/epochs.csv still-true/epochs.csv | awk -F, '
        NR == 1 { for (i = 1; i <= NF / 2; i++) name[i] = $i; next }
        {
            for (i = 1; i <= NF / 2; i++) {
                off = $i - $(i + NF / 2)
                if (name[i] ~ /^train_/) n++
                if (off > 1e-6 || off < -1e-6) bad = 1
            }
        }
        END { exit bad || n != 20 }'
    # the kernel of every second step, whatever the epoch (5 steps each)
    [ "$(cut -d, -f1,2 still-true/ntk.csv | tr '\n' ' ')" = "epoch,step 1,1 1,3 1,5 2,7 2,9 " ]
    cmp still-true/ntk.csv still-false/ntk.csv
}

@test "numbers to predict: no accuracy anywhere, error and R^2" {
    train reg-run reg xor-regression synib --mask random
    [ "$(head -1 reg-run/epochs.csv | grep -c accuracy)" -eq 0 ]
    head -1 reg-run/epochs.csv | grep -q ',val_mse,val_r2,'
    "$BIN/synib-eval" reg-run --json -o reg-out >reg.json
    jq -e '.n == 400 and .mse > 0 and .r2 < 1 and (has("accuracy") | not) and (.sources.synergistic | has("accuracy") | not)' reg.json
    [ "$(sed -n 2p reg-out/predictions.tsv | tr '\t' ' ')" = "sample source target_0 mean_0 log_variance_0" ]
    awk -F'\t' 'NR > 2 { s += ($4 - $3) ^ 2; n++ } END { printf "%.5f\n", s / n }' reg-out/predictions.tsv >again
    jq '.mse' reg.json | xargs printf '%.5f\n' | cmp - again
    # what is reported at the end is R^2 too; of classes it is accuracy
    run --separate-stderr "$BIN/synib-train" reg -p xor-regression -m vanilla --set optim.epochs=1 --json -o reg-told
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"best validation R^2 "* && "$stderr" != *accuracy* ]]
    jq -e --argjson r2 "$(awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) col[$i] = i } END { print $col["val_r2"] }' reg-told/epochs.csv)" \
        '.val_r2 == $r2 and (has("val_accuracy") | not)' <<<"$output"
    run --separate-stderr "$BIN/synib-train" pid -p xor-pid -m vanilla --set optim.epochs=1 --json -o pid-told
    [[ "$stderr" == *"best validation accuracy "* ]]
    jq -e 'has("val_accuracy") and (has("val_r2") | not)' <<<"$output"
}

@test "three modalities" {
    for method in vanilla synib masking-only; do
        train sp3-$method sp3 xor-spurious $method
        "$BIN/synib-eval" sp3-$method --json -o sp3-out-$method |
            jq -e '(.unimodal | keys) == ["x1", "x2", "x3"] and .n == 400'
        [ "$(sed -n 2p sp3-out-$method/predictions.tsv | cut -f7- | tr '\t' ' ')" = \
            "x1_prediction x2_prediction x3_prediction" ]
    done
    head -1 sp3-synib/epochs.csv | grep -q ',kl_masked_x1,kl_masked_x2,kl_masked_x3,'
    # a run on two modalities is none on three
    run "$BIN/synib-eval" sp3-vanilla sp --json
    [ "$status" -ne 0 ]
    [ "$(printf '%s\n' "$output" | wc -l)" -eq 1 ]
}

@test "what does not fit: exit 2, one line, nothing written" {
    n=0
    while IFS='|' read -r args want; do
        rm -rf out
        # shellcheck disable=SC2086
        run --separate-stderr "$BIN/synib-train" -q $args -o out
        echo "$args: $status: $stderr"
        [ "$status" -eq 2 ]
        [[ "$stderr" == *"$want"* ]]
        [ "${#stderr_lines[@]}" -eq 1 ]
        [ -z "$output" ]
        [ ! -e out ]
        n=$((n + 1))
    done <<'TABLE'
sp -p demo -m vanilla|the settings are for data.kind = media, the data hold vectors: use preset xor-spurious
sp -p paper -m synib --set init.encoders=scratch|the settings are for data.kind = media
sp -p demo -m uni-audio|the settings are for data.kind = media
sp -p xor-spurious -m uni-video|method uni-video: is for pictures and sound, the data hold vectors
sp -p xor-spurious -m ensemble|is for pictures and sound, the data hold vectors
sp -p xor-spurious -m vanilla --set video.size=64|video.size: is no setting of this preset's data.kind
reg -p xor-regression -m vanilla --set select.metric=accuracy|select.metric: accuracy is for classes
reg -p xor-regression -m mcr|method mcr: is for classes, the data have numbers to predict
sp -p xor-spurious -m mmpareto --set model.detach_heads=true|method mmpareto: trains the encoders through their own heads: set model.detach_heads = false
sp -p xor-spurious -m vanilla --set model.fusion=sum --set model.layernorm=true|model.fusion: a sum of unimodal predictions is without layer norm
sp -p xor-spurious -m dnr --set dnr.clusters=1|dnr.clusters: '1' is not a whole number from 2 to 1024
sp -p xor-spurious -m mcr --set mcr.weigth=1|did you mean 'mcr.weight'?
TABLE
    [ "$n" -eq 12 ]
}

@test "fewer samples than D&R has clusters: exit 4 before the first step" {
    run --separate-stderr "$BIN/synib-train" -q sp -p xor-spurious -m dnr --set dnr.clusters=1000 -o clusters
    [ "$status" -eq 4 ]
    [[ "$stderr" == *"method dnr: needs at least 1000 samples in train and in val, there are "* ]]
    [ -z "$(find clusters -name '*.safetensors')" ]
}

@test "bad masks: exit 2, one line, nothing written" {
    n=0
    while IFS='|' read -r args want; do
        # shellcheck disable=SC2086
        run --separate-stderr "$BIN/synib-train" -q sp -p xor-spurious -m synib $args -o never
        echo "$args: $status: $stderr"
        [ "$status" -eq 2 ]
        [[ "$stderr" == *"$want"* ]]
        [ "${#stderr_lines[@]}" -eq 1 ]
        [ ! -e never ]
        n=$((n + 1))
    done <<'TABLE'
--mask orcale|mask: unknown 'orcale': did you mean 'oracle'? (one of random, learned, learned-mlp, oracle, oracle-literal, all, none)
--mask RANDOM|mask: unknown 'RANDOM': one of random
--mask=|mask: unknown ''
--set mask.kind=rand|unknown 'rand'
--mask oracle --set mask.space=latent|mask.space: an oracle mask marks input values
--mask oracle-literal --set mask.space=latent|mask.space: an oracle mask marks input values
--mask random --set mask.p=1.2|mask.p: '1.2' is not a number from 0 to 1
TABLE
    [ "$n" -eq 7 ]
    # a mask that the method never looks at is no error, but said
    run "$BIN/synib-train" sp -p xor-spurious -m vanilla --mask oracle --set optim.epochs=1 -o noted
    [ "$status" -eq 0 ]
    [[ "$output" == *"--mask oracle: method vanilla has no use for it"* ]]
}

@test "a setting without effect beside the others is warned of, one of the preset is not" {
    run --separate-stderr "$BIN/synib-train" -q pid -p xor-pid -m synib --mask random --set optim.epochs=1 \
        --set mask.net_width=12 --set mask.p=0.3 --set mask.ema_momentum=0.5 -o unused
    [ "$status" -eq 0 ]
    [ "$stderr" = "synib-train: warning: --set mask.net_width=12: has no effect without mask.kind = learned-mlp
synib-train: warning: --set mask.ema_momentum=0.5: has no effect without mask.fill = ema" ]
    run --separate-stderr "$BIN/synib-train" -q pid -p xor-pid -m synib --mask learned-mlp --set optim.epochs=1 \
        --set mask.net_width=12 --set mask.fill=ema --set mask.ema_momentum=0.5 -o used
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
    run --separate-stderr "$BIN/synib-train" -q pid -p xor-pid -m synib --mask random --set optim.epochs=1 \
        --set synib.lambda=0 -o nothing-masked
    [ "$status" -eq 0 ]
    [ "$stderr" = "synib-train: warning: --mask random: has no effect without synib.lambda > 0, or synib.masked_ce > 0 with synib.ce_masks = same" ]
}

@test "a preset of vectors on pictures and sound: exit 2, one line" {
    "$BIN/synib-synth" -q -o raw --actors 3 --sentences 1 --seed 1
    "$BIN/synib-scan" -q raw -o clips.tsv
    "$BIN/synib-split" -q clips.tsv --scheme kfold --folds 3 --fold 0 -o split.tsv
    "$BIN/synib-frames" -q clips.tsv --root raw -o video
    "$BIN/synib-stft" -q clips.tsv --root raw -o audio
    "$BIN/synib-irony" -q --video video --audio audio --split split.tsv --rate 1 --seed 1 -o media
    for mask in random oracle; do
        run --separate-stderr "$BIN/synib-train" -q media -p xor-spurious -m synib --mask $mask -o out-media
        [ "$status" -eq 2 ]
        [ "$stderr" = "synib-train: the settings are for data.kind = vectors, the data hold pictures and sound: use preset paper, released or demo" ]
        [ ! -e out-media ]
    done
    # pictures have no oracle, whatever the preset
    run --separate-stderr "$BIN/synib-train" -q media -p demo -m synib --mask oracle --set init.encoders=scratch \
        --set mask.space=input -o out-media
    [ "$status" -eq 4 ]
    [ "$stderr" = "synib-train: mask.kind: an oracle mask needs data that say what it is: these have none" ]
    [ -z "$(find out-media -type f ! -name .lock)" ]
}

@test "another task in RUN's place, or damaged data: exit 4" {
    train there sp xor-spurious vanilla
    run --separate-stderr train there sp3 xor-spurious vanilla
    [ "$status" -eq 4 ]
    [[ "$stderr" == *"data.train differs"* ]]
    run --separate-stderr "$BIN/synib-eval" there pid --json
    [ "$status" -ne 0 ]
    [ -z "$output" ]
    cp -r sp broken
    flip "$(ls broken/train/*.safetensors)" 30000
    run --separate-stderr train out-broken broken xor-spurious vanilla
    [ "$status" -eq 4 ]
    [[ "$stderr" == *"broken/train"* ]]
    [ "${#stderr_lines[@]}" -eq 1 ]
    [ ! -e out-broken ]
}

# dry OUT [OPTION]...: a dry run of vanilla on pid.
dry() {
    local out=$1
    shift
    run --separate-stderr "$BIN/synib-train" pid -p xor-pid -m vanilla --set optim.epochs=2 --seed 5 --dry-run "$@" -o "$out"
}

# like_real OUT [OPTION]...: the dry run failed as the real one does: the same code and last line.
like_real() {
    local code=$status says="${stderr_lines[-1]}" out=$1
    shift
    run --separate-stderr "$BIN/synib-train" pid -p xor-pid -m vanilla --set optim.epochs=2 --seed 5 "$@" -o "$out"
    [ "$status" -ne 0 ] && [ "$code" -eq "$status" ] && [ "$says" = "${stderr_lines[-1]}" ]
}

@test "--dry-run says what it would do, makes nothing, and fails where the run would" {
    dry dry/run
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    [ "${stderr_lines[-1]}" = "synib-train: would train vanilla for at most 2 epochs into dry/run" ]
    [ ! -e dry ]
    train dry/other pid xor-pid synib --mask random
    ls -la --time-style=full-iso dry dry/other >before
    dry dry/other
    [ "$status" -eq 4 ]
    like_real dry/other
    dry dry/other --force
    [ "$status" -eq 0 ]
    [ "${stderr_lines[-1]}" = "synib-train: would train vanilla for at most 2 epochs into dry/other, in place of the run that is there" ]
    ls -la --time-style=full-iso dry dry/other | cmp - before
    # unfinished
    "$BIN/synib-train" -q pid -p xor-pid -m vanilla --set optim.epochs=2 --seed 5 --max-steps 6 -o dry/half || [ $? -eq 75 ]
    dry dry/half
    [ "$status" -eq 1 ]
    like_real dry/half
    dry dry/half --resume
    [ "$status" -eq 0 ]
    [ "${stderr_lines[-1]}" = "synib-train: would go on with vanilla after epoch 1, for at most 2, in dry/half" ]
    # locked
    exec 9<dry/half/.lock
    flock -x 9
    dry dry/half --resume
    [ "$status" -eq 0 ]
    [ "${stderr_lines[-1]}" = "synib-train: dry/half: another process works on this: would wait for it" ]
    dry dry/half
    [ "$status" -eq 1 ]
    [[ "${stderr_lines[-1]}" == *"dry/half: another process is at work here"* ]]
    like_real dry/half
    exec 9<&-
    # finished
    "$BIN/synib-train" -q pid -p xor-pid -m vanilla --set optim.epochs=2 --seed 5 --resume -o dry/half
    dry dry/half
    [ "$status" -eq 0 ]
    [ "${stderr_lines[-1]}" = "synib-train: dry/half: is finished already: nothing to do" ]
    # no place for a folder
    dry pid/val/index.jsonl/run
    [ "$status" -eq 1 ]
    [[ "${stderr_lines[-1]}" == *"cannot make the folder"* ]]
    like_real pid/val/index.jsonl/run
    dry pid/val/index.jsonl
    [ "$status" -eq 1 ]
    like_real pid/val/index.jsonl
    # a link to nothing
    ln -s nowhere-at-all dangling
    for out in dangling dangling/ dangling/run; do
        dry "$out"
        [ "$status" -eq 1 ]
        like_real "$out"
    done
}
