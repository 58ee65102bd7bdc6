#!/usr/bin/env bats
# Every kind of broken clip, from synib-synth --defects through synib-scan: each is named with its
# reason, healthy ones are untouched, counts add up.

bats_require_minimum_version 1.5.0

setup_file() {
    export WORK="$BATS_FILE_TMPDIR"
    "$BIN/synib-synth" -q -o "$WORK/corpus" --actors 1 --sentences 1 --seed 3 --defects
    (cd "$WORK" && find corpus -name '*.flv' -o -name '*.wav' -o -name '*.tsv' | sort >before)
    status=0
    "$BIN/synib-scan" "$WORK/corpus" -o "$WORK/clips.tsv" --json \
        >"$WORK/json" 2>"$WORK/stderr" || status=$?
    echo "$status" >"$WORK/status"
}

# CLIP TAB MEDIA TAB DEFECT TAB EXPECTED TAB VERDICT TAB FLAGS TAB REASON for each defect
joined() {
    awk -F '\t' -v OFS='\t' '
        FNR == 2 && NR == 2 { for (i = 1; i <= NF; i++) c[$i] = i }
        FNR <= 2 { next }
        NR == FNR { got[$1] = $c["verdict"] OFS $c["flags"] OFS $c["reason"]; next }
        { print $1, $2, $3, $4, got[$1] }' "$WORK/clips.tsv" "$WORK/corpus/defects.tsv"
}

@test "the scan ends with exit 3 and its counts add up" {
    [ "$(cat "$WORK/status")" -eq 3 ]
    clips=$(ls "$WORK/corpus/VideoFlash" "$WORK/corpus/AudioWAV" | sed -n 's/\.\(flv\|wav\)$//p' |
        sort -u | wc -l)
    [ "$(jq .clips "$WORK/json")" -eq "$clips" ]
    [ "$(jq '.accepted + .flagged + .rejected' "$WORK/json")" -eq "$clips" ]
    rejected=$(joined | awk -F '\t' '$4 == "rejected"' | wc -l)
    flagged=$(joined | awk -F '\t' '$4 == "flagged"' | wc -l)
    [ "$(jq .rejected "$WORK/json")" -eq "$rejected" ]
    [ "$(jq .flagged "$WORK/json")" -eq "$flagged" ]
    [ "$rejected" -ge 30 ]
    [ "$flagged" -ge 4 ]
}

@test "every defect gets the verdict that defects.tsv foretells" {
    wrong=$(joined | awk -F '\t' '$4 != $5')
    [ -z "$wrong" ] || { echo "$wrong"; false; }
}

@test "every broken clip is named with its own reason" {
    # media, defect, what the reason must hold
    while IFS='|' read -r media defect want; do
        rows=$(joined | awk -F '\t' -v m="$media" -v d="$defect" '$2 == m && $3 == d')
        [ -n "$rows" ] || { echo "no clip has $media $defect"; false; }
        while IFS= read -r row; do
            [[ "$row" == *"$want"* ]] || { echo "'$want' is not in: $row"; false; }
        done <<<"$rows"
        echo "$media $defect" >>"$BATS_TEST_TMPDIR/covered"
    done <<'END'
video|lfs_pointer|git-lfs pointer, not media: run 'git lfs pull'
video|empty|is empty
video|html|is not FLV (starts with '<!DOCTYP')
video|other_type|is not FLV (starts with 'RIFF
video|truncated|ends inside a tag at byte
video|no_last_size|previous-tag size
video|bad_last_size|previous-tag size
video|trailing|.flv: FLV:
video|flipped_bit|sha256 differs
video|other_codec|video codec 7
video|no_video_stream|no video stream
video|no_pictures|no video stream
video|two_pictures|2 frames, need 3
video|one_minute|lengths_differ
video|folder|is not a regular file
video|fifo|is not a regular file
video|link_out|link that leaves
video|link_loop|symbolic links
video|missing|missing video
audio|missing|missing audio
audio|lfs_pointer|git-lfs pointer, not media: run 'git lfs pull'
audio|empty|is empty
audio|html|is not WAV (starts with '<!DOCTYP')
audio|other_type|is not WAV
audio|truncated|RIFF: header claims
audio|bad_riff_size|RIFF: header claims
audio|trailing|extra bytes at the end
audio|list_hang|RIFF: header claims 3278 bytes, file has 109
audio|float|format 3
audio|alaw|format 6
audio|no_channels|0 channels
audio|odd_rate|1000 Hz
audio|silent|all samples zero
audio|constant|all samples have one value
audio|clipped|clipped_audio
audio|60_ms|60 ms of sound
audio|longer|lengths_differ
audio|twin|byte-identical
both|short_level|level has one letter
both|unknown_emotion|emotion
END
    # nothing that must be rejected or flagged was left out of this table
    joined | awk -F '\t' '$4 != "accepted" { print $2, $3 }' | sort -u >"$BATS_TEST_TMPDIR/all"
    sort -u "$BATS_TEST_TMPDIR/covered" | diff - "$BATS_TEST_TMPDIR/all"
}

@test "healthy clips are accepted without a flag" {
    cut -f1 "$WORK/corpus/defects.tsv" >"$BATS_TEST_TMPDIR/broken"
    n=$(awk -F '\t' '
        FNR == NR { broken[$1]; next }
        FNR == 2 { for (i = 1; i <= NF; i++) c[$i] = i }
        FNR > 2 && !($1 in broken) {
            n++
            if ($c["verdict"] != "accepted" || $c["flags"] != "") exit 1
        }
        END { print n }' "$BATS_TEST_TMPDIR/broken" "$WORK/clips.tsv")
    [ "$n" -eq 16 ]
}

@test "the scan touches nothing in the corpus" {
    (cd "$WORK" && find corpus -name '*.flv' -o -name '*.wav' -o -name '*.tsv' | sort) |
        diff "$WORK/before" -
    "$BIN/synib-synth" -q -o "$BATS_TEST_TMPDIR/again" --actors 1 --sentences 1 --seed 3 --defects
    (cd "$WORK/corpus" && find . -type f -exec sha256sum {} + | sort) >"$BATS_TEST_TMPDIR/a"
    (cd "$BATS_TEST_TMPDIR/again" && find . -type f -exec sha256sum {} + | sort) |
        diff "$BATS_TEST_TMPDIR/a" -
}

@test "frames and spectrograms come from the usable clips alone, and count what they left out" {
    cd "$BATS_TEST_TMPDIR"
    left=$(jq .rejected "$WORK/json")
    for tool in frames stft; do
        run --separate-stderr "$BIN/synib-$tool" "$WORK/clips.tsv" --root "$WORK/corpus" -o "$tool"
        [ "$status" -eq 0 ]
        [[ "$stderr" == *"$left rejected by the scan"* ]]
        [ -s "$tool/index.jsonl" ]
    done
}
