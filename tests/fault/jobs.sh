# SPDX-License-Identifier: MIT
# Small jobs that cover every tool, for tests that disturb them. A bash file to source; it runs nothing.
#
#   BIN=... SYNIB_MANIFESTS=...         set by the caller: folder of the programs, folder manifests/
#   fault_jobs                          prints the names of all jobs, one a line
#   fault_inputs ROOT                   makes ROOT/in, what all jobs read (about 5 s, 8 MB); once
#   fault_job NAME                      sets, for the job NAME:
#       cmd=(...)     its command line, to be run in a folder ROOT/ANY, which sees the inputs as ../in
#       again=(...)   the command line by which a user goes on after a kill or an error: cmd itself, or what
#                     the documents and the messages say (--resume of synib-train)
#       wanted=N      its exit code when nothing disturbs it
#       before=(...)  commands (each a string, run with bash -c in ROOT/ANY) that make the outputs which cmd
#                     then replaces; empty for a job that begins with nothing. Each ends with 0 (warnings aside)
#   fault_list DIR                      prints "sha256  name" of every product in the folder DIR (ROOT/ANY), without
#                                       locks and timings: equal lists = equal outputs
#   fault_verify DIR                    synib-shard verify of every set and every checkpoint in DIR/out
#   fault_stale DIR                     prints what should not be there after success or an error:
#                                       temporary files, and shards that no index names
#
# All products lie in ROOT/ANY/out: one file or one folder. Jobs run on one thread (-j1), so the n-th system call or
# allocation is the same one in every run. Undisturbed, none takes more than a second or so.

# The option values that make training small.
fault_tiny="--set optim.epochs=2 --set checkpoint.epochs=1"
fault_vectors="-p xor-spurious --set model.encoder_width=8 --set model.head_width=8 --set optim.batch=16 $fault_tiny"
fault_media="-p demo --set video.size=32 --set audio.pool=16 --set optim.batch=4 --set pretrain.batch=4 --seed 1"
fault_media="$fault_media --set pretrain.epochs=1 --set optim.epochs=1 --set checkpoint.steps=1"

fault_jobs() {
    echo "synth synth-force scan scan-force split split-force frames frames-force stft stft-force" \
        "irony irony-force irony-whole irony-whole-force xor xor-force export sheet sheet-force" \
        "train train-force train-media eval eval-force sweep sweep-select expand report report-force" |
        tr ' ' '\n'
}

fault_inputs() (
    set -e
    mkdir -p "$1/in/raw/VideoFlash" "$1/in/raw/AudioWAV"
    cd "$1/in"
    "$BIN/synib-synth" -q -o all --actors 3 --sentences 1 --seed 3
    for actor in 1001 1002 1003; do
        for clip in IEO_NEU_XX IEO_ANG_LO IEO_SAD_HI; do
            cp "all/VideoFlash/${actor}_$clip.flv" raw/VideoFlash
            cp "all/AudioWAV/${actor}_$clip.wav" raw/AudioWAV
        done
    done
    rm -r all
    printf 'no picture' >raw/VideoFlash/1003_IEO_FEA_LO.flv # one that is rejected
    "$BIN/synib-scan" -q --media none raw -o clips.tsv || [ $? -eq 3 ]
    "$BIN/synib-split" -q clips.tsv --scheme kfold --folds 3 --fold 0 -o split.tsv 2>/dev/null
    head -n 6 clips.tsv >fewer.tsv
    "$BIN/synib-frames" -q clips.tsv --root raw -o video
    "$BIN/synib-stft" -q clips.tsv --root raw -o audio
    "$BIN/synib-irony" -q --video video --audio audio --split split.tsv --rate 1 --seed 1 -o data
    "$BIN/synib-xor" -q spurious --strength 0.6 --seed 2 --train 40 --val 20 --test 40 -o sp
    for seed in 1 2; do
        "$BIN/synib-train" -q sp $fault_vectors -m vanilla --seed $seed -o "runs/vanilla$seed"
        "$BIN/synib-eval" -q "runs/vanilla$seed" -o "runs/vanilla$seed/test" >/dev/null
    done
    {
        printf '#synib-plan 1\nrun\ttask\tpreset\tmethod\tmask\tsettings\tseed\n'
        printf 'memory\tspurious:0.6\txor-spurious\tvanilla\t\toptim.epochs=2\t1\n'
        printf 'folder\t../in/sp\txor-spurious\tvanilla\t\toptim.epochs=2 checkpoint.epochs=1\t1\n'
    } >plan.tsv
    {
        printf '#synib-search 1\nrun\ttask\tpreset\tmethod\tmask\tsettings\tseed\n'
        printf 'a\t../in/sp\txor-spurious\tsynib\trandom\tmask.p={0.2,0.8}\t1\n'
    } >search.tsv
)

fault_job() {
    local irony="--video ../in/video --audio ../in/audio --split ../in/split.tsv --rate 1"
    local xor="--strength 0.6 --train 40 --val 20 --test 40" old=""

    case $1 in
    synth*) cmd=(synth -o out --actors 1 --sentences 1 --seed 3) old="--seed 4" ;;
    scan*) cmd=(scan --media none ../in/raw -o out) ;;
    split*) cmd=(split ../in/clips.tsv --scheme kfold --folds 3 --fold 0 -o out) old="--fold 1" ;;
    frames*) cmd=(frames ../in/clips.tsv --root ../in/raw -o out) ;;
    stft*) cmd=(stft ../in/clips.tsv --root ../in/raw -o out) ;;
    irony-whole*) cmd=(irony $irony --materialise --seed 1 -o out) old="--rate 0" ;;
    irony*) cmd=(irony $irony --seed 1 -o out) old="--rate 0" ;;
    xor*) cmd=(xor spurious $xor --seed 2 -o out) old="--seed 3" ;;
    export) cmd=(shard export ../in/video --to npy -o out) ;;
    sheet*) cmd=(shard contact-sheet ../in/data --split test --count 2 -o out) old="--count 1" ;;
    train-media) cmd=(train ../in/data -m vanilla $fault_media -o out) ;;
    train*) cmd=(train ../in/sp $fault_vectors -m synib --mask random --seed 1 -o out) old="--seed 2" ;;
    eval*) cmd=(eval ../in/runs/vanilla1 -o out) old="--split val" ;;
    sweep-select) cmd=(sweep ../in/plan.tsv -o out --select accuracy) ;;
    sweep) cmd=(sweep ../in/plan.tsv -o out) ;;
    expand) cmd=(sweep --expand ../in/search.tsv -o out) ;;
    report*) cmd=(report ../in/runs -o out) old="--title Old" ;;
    *) return 1 ;;
    esac
    cmd=("$BIN/synib-${cmd[0]}" -q -j1 "${cmd[@]:1}")
    before=()
    wanted=0
    [[ $1 == scan* ]] && wanted=3
    if [[ $1 == *-force ]]; then
        before=("${cmd[*]} $old")
        case $1 in
        scan*) before=("cp ../in/split.tsv out") ;; # any older file
        frames* | stft*) before=("${before[0]/clips.tsv/fewer.tsv}") ;;
        esac
        cmd+=(--force)
    fi
    again=("${cmd[@]}")
    case $1 in train | train-media) again+=(--resume) ;; esac
}

fault_list() (
    cd "$1" && [ -e out ] || exit 0
    find out -type f ! -name .lock ! -name timing.jsonl ! -name '.*.partial' | LC_ALL=C sort |
        xargs -r sha256sum
)

fault_verify() (
    status=0
    while read -r path; do
        case $path in
        */index.jsonl) path=${path%/*} ;;
        esac
        "$BIN/synib-shard" verify --base "$1/../in/video" --base "$1/../in/audio" "$path" >&2 || status=1
    done < <(find "$1/out" \( -name index.jsonl -o -name best.safetensors -o -name last.safetensors \) 2>/dev/null)
    exit $status
)

fault_stale() (
    cd "$1" || exit 1
    find . -name '*.partial'
    find out -name index.jsonl -printf '%h\n' 2>/dev/null | while read -r dir; do
        for shard in "$dir"/*.safetensors; do
            [ ! -e "$shard" ] || grep -q "\"${shard##*/}\"" "$dir/index.jsonl" || echo "$shard"
        done
    done
)
