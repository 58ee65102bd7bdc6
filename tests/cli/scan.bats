#!/usr/bin/env bats
# synib-scan: verdicts, exit codes, what is written. Every kind of broken clip: defects.bats.

load flip

bats_require_minimum_version 1.5.0

setup_file() {
    export CORPUS="$BATS_FILE_TMPDIR/corpus"
    "$BIN/synib-synth" -q -o "$CORPUS" --actors 1 --sentences 1 --seed 5
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    cp -r "$CORPUS" corpus
    clip=1001_DFA_HAP_XX
    [ -e "corpus/AudioWAV/$clip.wav" ] || clip=$(basename "$(ls corpus/AudioWAV/*HAP* | head -1)" .wav)
    other=$(basename "$(ls corpus/AudioWAV/*SAD* | head -1)" .wav)
}

# column NAME of clip's row
cell() {
    awk -F '\t' -v clip="$1" -v name="$2" 'NR == 2 { for (i = 1; i <= NF; i++) c[$i] = i }
        NR > 2 && $1 == clip { print $c[name] }' clips.tsv
}

sums() {
    jq -r '"\(.clips)=\(.accepted)+\(.flagged)+\(.rejected)"' <<<"$output"
}

@test "a whole corpus is accepted, exit 0" {
    run --separate-stderr "$BIN/synib-scan" corpus -o clips.tsv --json
    [ "$status" -eq 0 ]
    n=$(ls corpus/AudioWAV | wc -l)
    [ "$(sums)" = "$n=$n+0+0" ]
    [ "$(jq -r .digests <<<"$output")" = corpus ]
    [ "$(wc -l <clips.tsv)" -eq $((n + 2)) ]
    [ "$(cell "$clip" label)" = 1 ]
    [ "$(cell "$clip" video_sha256)" = "$(sha256sum <"corpus/VideoFlash/$clip.flv" | cut -d' ' -f1)" ]
    [ "$(cell "$clip" audio_bytes)" = "$(stat -c %s "corpus/AudioWAV/$clip.wav")" ]
    [ "$(cell "$clip" audio_samples)" = $((($(stat -c %s "corpus/AudioWAV/$clip.wav") - 44) / 2)) ]
    ! grep -q "$PWD" clips.tsv
}

@test "the same bytes at any -j, from another folder, in another locale" {
    "$BIN/synib-scan" corpus -q -j 1 -o clips.tsv
    "$BIN/synib-scan" corpus -q -j 7 -o seven.tsv
    mkdir away
    (cd away && LC_ALL=tr_TR.UTF-8 "$BIN/synib-scan" ../corpus/ -q -j 2 -o away.tsv)
    cmp clips.tsv seven.tsv
    cmp clips.tsv away/away.tsv
}

@test "a changed byte is rejected by its digest; --no-verify flags it" {
    flip "corpus/AudioWAV/$clip.wav" 1000
    run "$BIN/synib-scan" corpus -o clips.tsv
    [ "$status" -eq 3 ]
    [[ "$output" == *"rejected $clip: AudioWAV/$clip.wav: sha256 differs from media.tsv"* ]]
    [ "$(cell "$clip" verdict)" = rejected ]
    run "$BIN/synib-scan" corpus --no-verify --force -o clips.tsv
    [ "$status" -eq 0 ]
    [ "$(cell "$clip" verdict)" = flagged ]
    [ "$(cell "$clip" flags)" = digest_differs ]
    run "$BIN/synib-scan" corpus --media none --issues none --force -o clips.tsv
    [ "$status" -eq 0 ]
    [ "$(cell "$clip" checked)" = none ]
    [ "$(cell "$clip" flags)" = reencoded ]
}

@test "many git-lfs pointers get one line" {
    cp "corpus/VideoFlash/$clip.flv" .
    for f in corpus/VideoFlash/*.flv; do
        printf 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n' >"$f"
    done
    cp "$clip.flv" corpus/VideoFlash
    run "$BIN/synib-scan" corpus -o clips.tsv
    [ "$status" -eq 3 ]
    all=$(ls corpus/VideoFlash | wc -l) n=$((all - 1))
    [[ "$output" == *"$n of $all clips are git-lfs pointers, not media: run 'git lfs pull'"* ]]
    [ "$(grep -c 'warning: rejected' <<<"$output")" -eq 0 ]
    [ "$(grep -c 'git-lfs pointer' clips.tsv)" -eq "$n" ]
}

@test "a few git-lfs pointers are named" {
    printf 'version https://git-lfs.github.com/spec/v1\noid sha256:00\n' >"corpus/AudioWAV/$clip.wav"
    run "$BIN/synib-scan" corpus -o clips.tsv
    [ "$status" -eq 3 ]
    [[ "$output" == *"$clip.wav: is a git-lfs pointer, not media: run 'git lfs pull'"* ]]
}

@test "identical sound under two labels is flagged on both, by name" {
    cp "corpus/AudioWAV/$clip.wav" "corpus/AudioWAV/$other.wav"
    run "$BIN/synib-scan" corpus --no-verify -o clips.tsv
    [ "$status" -eq 0 ]
    [[ "$(cell "$clip" flags)" == *duplicate_audio* ]]
    [[ "$(cell "$clip" reason)" == *"byte-identical to $other"* ]]
    [[ "$(cell "$other" reason)" == *"byte-identical to $clip"* ]]
}

@test "silent sound is rejected; --allow-silent flags it" {
    size=$(($(stat -c %s "corpus/AudioWAV/$clip.wav") - 44))
    dd if=/dev/zero of="corpus/AudioWAV/$clip.wav" bs=1 seek=44 count="$size" conv=notrunc status=none
    run "$BIN/synib-scan" corpus --no-verify -o clips.tsv
    [ "$status" -eq 3 ]
    [[ "$output" == *"is silent (all samples zero)"* ]]
    run "$BIN/synib-scan" corpus --no-verify --allow-silent --force -o clips.tsv
    [ "$status" -eq 0 ]
    [[ "$(cell "$clip" flags)" == *silent_audio* ]]
}

@test "odd names, odd files and control characters do no harm" {
    cp "corpus/VideoFlash/$clip.flv" $'corpus/VideoFlash/tab\there\\.flv'
    touch corpus/VideoFlash/notes.txt
    run "$BIN/synib-scan" corpus -o clips.tsv --media none
    [ "$status" -eq 3 ]
    [[ "$output" == *"VideoFlash: 1 files are not named *.flv and were ignored: notes.txt"* ]]
    grep -q '^tab\\x09here\\x5c	' clips.tsv
    [[ "$output" == *'rejected tab\x09here\x5c: '* ]]
    run "$BIN/synib-split" clips.tsv --scheme kfold --dry-run
    [[ ! "$output" =~ clips.tsv:[0-9] ]]
}

@test "clips of the digest list that are absent are named, also with -q" {
    for ext in flv wav; do mv corpus/*/"$clip.$ext" .; done
    run --separate-stderr "$BIN/synib-scan" corpus -q -o clips.tsv --json
    [ "$status" -eq 0 ]
    [ "$stderr" = "synib-scan: warning: 1 clips of corpus/media.tsv are not in this corpus: $clip" ]
    [ "$(jq -c '[.absent, .ignored]' <<<"$output")" = "[1,0]" ]
    names=$(ls corpus/AudioWAV/ | sed -n 's/\.wav$//p' | head -7 | LC_ALL=C sort)
    for name in $names; do rm corpus/*/"$name".*; done
    run "$BIN/synib-scan" corpus -q -o clips.tsv --force
    echo "$output"
    [[ "$output" == *"8 clips of corpus/media.tsv are not in this corpus: 1001_"*", 1001_"*", 1001_"*", 1001_"*", 1001_"*", ..." ]]
    [ "${#lines[@]}" -eq 1 ]
}

@test "a clip in capitals is no clip, and is named, also with -q" {
    mv "corpus/VideoFlash/$clip.flv" "corpus/VideoFlash/$clip.FLV"
    mv "corpus/AudioWAV/$clip.wav" "corpus/AudioWAV/$clip.Wav"
    mkdir corpus/AudioWAV/old
    touch "corpus/AudioWAV/$(printf 'x%.0s' {1..200})"
    run --separate-stderr "$BIN/synib-scan" corpus -q -o clips.tsv --json
    echo "$stderr"
    [ "$status" -eq 0 ]
    [[ "$stderr" == *"VideoFlash: 1 files end in other letters than the small ones of .flv and were ignored: $clip.FLV: rename them"* ]]
    [[ "$stderr" == *"AudioWAV: 1 files end in other letters than the small ones of .wav and were ignored: $clip.Wav: rename them"* ]]
    [[ "$stderr" == *"AudioWAV: 2 files are not named *.wav and were ignored: old, xxxx"*"xxx~"* ]]
    [[ "$stderr" == *"1 clips of corpus/media.tsv are not in this corpus: $clip"* ]]
    [ "$(jq -c '[.absent, .ignored]' <<<"$output")" = "[1,4]" ]
}

@test "known issues: the shipped list applies to CREMA-D, another by --issues" {
    printf '#synib-known-issues 1\nclip\tmedia\tissue\tverdict\tnote\n%s\tvideo\tblack\treject\tno face\n%s\taudio\thum\tflag\tmains\n' \
        "$clip" "$other" >issues.tsv
    run "$BIN/synib-scan" corpus --issues issues.tsv -o clips.tsv
    [ "$status" -eq 3 ]
    [ "$(cell "$clip" verdict)" = rejected ]
    [ "$(cell "$clip" reason)" = "known issue (video, black): no face" ]
    [ "$(cell "$other" flags)" = known_issue ]
    sed -i 's/reject/maybe/' issues.tsv
    run "$BIN/synib-scan" corpus --issues issues.tsv --force -o clips.tsv
    [ "$status" -eq 4 ]
    [[ "$output" == *"issues.tsv:3: verdict 'maybe' is not accept, flag or reject"* ]]
}

@test "nothing is written when the input or the command line is wrong" {
    mkdir -p empty/VideoFlash empty/AudioWAV bare
    printf '#synib-media 1\nclip\tflv_bytes\n' >short.tsv
    # exit code, words of the message, arguments
    while IFS='|' read -r code words args; do
        run "$BIN/synib-scan" $args
        echo "$args: $status $output"
        [ "$status" -eq "$code" ]
        [[ "$output" == *"$words"* ]]
        [ ! -e out.tsv ]
    done <<'TABLE'
2|ROOT: missing|-o out.tsv
2|-o: missing|corpus
2|--no-verify: not with --media none|corpus --media none --no-verify -o out.tsv
4|holds no VideoFlash|empty -o out.tsv
1|bare/VideoFlash: cannot open|bare -o out.tsv
1|nowhere: cannot open|nowhere -o out.tsv
1|nothing.tsv|corpus --media nothing.tsv -o out.tsv
4|column 'flv_sha256' is missing|corpus --media short.tsv -o out.tsv
1|is not a folder of manifests|corpus --media none --manifests nowhere -o out.tsv
TABLE
}

@test "an existing output is kept unless --force" {
    echo old >clips.tsv
    run "$BIN/synib-scan" corpus -o clips.tsv
    [ "$status" -eq 1 ]
    [ "$(cat clips.tsv)" = old ]
    run "$BIN/synib-scan" corpus -o clips.tsv --dry-run
    [ "$status" -eq 1 ]
    run "$BIN/synib-scan" corpus -o clips.tsv --force
    [ "$status" -eq 0 ]
    [ "$(head -1 clips.tsv)" = "#synib-clips 1" ]
    run "$BIN/synib-scan" corpus --dry-run
    [ "$status" -eq 0 ]
}

@test "real clips: official bytes pass, a sound made from the FLV differs" {
    clips="$SOURCE_DIR/../shared/clips"
    [ -d "$clips/flv" ] || skip "skipped: no ../shared/clips"
    mkdir -p real/VideoFlash real/AudioWAV
    cp "$clips"/flv/*.flv real/VideoFlash
    cp "$clips"/wav-from-flv/*.wav real/AudioWAV
    run --separate-stderr "$BIN/synib-scan" real -o clips.tsv --json
    [ "$status" -eq 3 ]
    [ "$(jq -r .digests <<<"$output")" = official ]
    [ "$(sums)" = "4=0+0+4" ]
    [[ "$(cell 1001_DFA_ANG_XX reason)" == "AudioWAV/1001_DFA_ANG_XX.wav: sha256 differs from the CREMA-D original"* ]]
    [ "$(cell 1001_DFA_ANG_XX frames)" = 67 ]
    run --separate-stderr "$BIN/synib-scan" real -o clips.tsv --json --no-verify --force
    [ "$status" -eq 0 ]
    [ "$(sums)" = "4=0+4+0" ]
    cp "$clips"/wav/*.wav real/AudioWAV
    run --separate-stderr "$BIN/synib-scan" real -o clips.tsv --json --no-verify --force
    [ "$(jq -r '[.rejected_clips[].reason] | unique | join(",")' <<<"$output")" = "missing video" ]
}

@test "links inside the corpus are followed, links out of it are not" {
    mkdir elsewhere
    mv corpus/VideoFlash elsewhere/flv
    ln -s ../elsewhere/flv corpus/VideoFlash
    run "$BIN/synib-scan" corpus -o clips.tsv
    [ "$status" -eq 0 ]
    mv "corpus/AudioWAV/$clip.wav" corpus/kept.wav
    ln -s ../kept.wav "corpus/AudioWAV/$clip.wav"
    run "$BIN/synib-scan" corpus --force -o clips.tsv
    [ "$status" -eq 0 ]
    mv corpus/kept.wav elsewhere
    ln -sf ../../elsewhere/kept.wav "corpus/AudioWAV/$clip.wav"
    run "$BIN/synib-scan" corpus --force -o clips.tsv
    [ "$status" -eq 3 ]
    [ "$(cell "$clip" reason)" = "AudioWAV/$clip.wav: is a link that leaves the corpus" ]
    ln -s ../../elsewhere/kept.wav corpus/AudioWAV/$'a\033b.wav'
    ln -s nothing corpus/AudioWAV/1099_DFA_ANG_XX.wav
    run "$BIN/synib-scan" corpus --force -o clips.tsv
    [ "$status" -eq 3 ]
    grep -F 'AudioWAV/a\x1bb.wav: is a link that leaves the corpus' clips.tsv
    [[ "$(cell 1099_DFA_ANG_XX reason)" == *"AudioWAV/1099_DFA_ANG_XX.wav: cannot open: No such file or directory"* ]]
}

@test "official bytes that break a rule of FLV are kept and flagged" {
    mkdir facts
    cp "$SOURCE_DIR"/manifests/known-issues.tsv facts
    printf '\0\0\0\0' >>"corpus/VideoFlash/$clip.flv"
    digest() { sha256sum <"$1" | cut -d' ' -f1; }
    { printf '#synib-media 1\nclip\tflv_bytes\tflv_sha256\twav_bytes\twav_sha256\n'
      printf '%s\t%s\t%s\t%s\t%s\n' "$clip" \
        "$(stat -c %s "corpus/VideoFlash/$clip.flv")" "$(digest "corpus/VideoFlash/$clip.flv")" \
        "$(stat -c %s "corpus/AudioWAV/$clip.wav")" "$(digest "corpus/AudioWAV/$clip.wav")"
    } >facts/cremad-media.tsv
    cp facts/cremad-media.tsv corpus/media.tsv
    run "$BIN/synib-scan" corpus -o clips.tsv
    [ "$(cell "$clip" verdict)" = rejected ]
    rm corpus/media.tsv
    run "$BIN/synib-scan" corpus --manifests facts --force -o clips.tsv
    [ "$(cell "$clip" verdict)" = flagged ]
    [ "$(cell "$clip" flags)" = reencoded,odd_structure ]
    [[ "$(cell "$clip" reason)" == *"FLV: ends inside a tag header"* ]]
    [ "$(cell "$other" verdict)" = rejected ]
    [[ "$(cell "$other" reason)" == *"is not in the list of CREMA-D's clips"* ]]
}

@test "an output in the way is reported before the clips are read" {
    echo old >clips.tsv
    chmod 000 "corpus/AudioWAV/$clip.wav"
    run "$BIN/synib-scan" corpus -o clips.tsv
    [ "$status" -eq 1 ]
    [[ "$output" != *"rejected"* ]]
    run "$BIN/synib-scan" corpus -o no/such/folder.tsv
    [ "$status" -eq 1 ]
    [[ "$output" != *"rejected"* ]]
}
