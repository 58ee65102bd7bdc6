#!/usr/bin/env bats
# synib-split: schemes, audit, exit codes.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR"
    HEAD=$'#synib-clips 1\nclip\tactor\tlabel\tverdict\treason'
}

# Six actors x two clips, one of them rejected.
make_clips() {
    echo "$HEAD" >clips.tsv
    for a in 1001 1002 1003 1004 1005 1006; do
        printf '%s_DFA_NEU_XX\t%s\t0\taccepted\t\n%s_DFA_HAP_XX\t%s\t1\t%s\t%s\n' $a $a $a $a \
            "$([ $a = 1003 ] && echo rejected || echo flagged)" \
            "$([ $a = 1003 ] && echo 'is empty')"
    done >>clips.tsv
}

@test "the five reference folds, from the manifests alone" {
    want=("4043 878 899" "4024 881 915" "4017 869 934" "4046 896 878" "4068 844 908")
    # NEU HAP SAD FEA DIS ANG of train, val, test
    classes=("705 838 571 623 623 683 150 188 112 138 152 138 147 190 118 141 138 165"
        "688 831 542 649 636 678 160 193 131 121 133 143 154 192 128 132 144 165"
        "688 840 556 631 630 672 154 187 112 127 139 150 160 189 133 144 144 164"
        "687 836 556 638 638 691 154 189 121 140 139 153 161 191 124 124 136 142"
        "689 851 551 634 655 688 156 178 123 130 119 138 157 187 127 138 139 160")
    for f in 0 1 2 3 4; do
        run --separate-stderr "$BIN/synib-split" --fold $f -o split$f.tsv --json
        [ "$status" -eq 0 ]
        [ "$(jq -r '[.parts[].clips] | join(" ")' <<<"$output")" = "${want[$f]}" ]
        [ "$(jq -r '[.parts[].speakers] | join(" ")' <<<"$output")" = "63 14 14" ]
        [ "$(jq -r '[.parts[].labels[]] | join(" ")' <<<"$output")" = "${classes[$f]}" ]
    done
    # Every fold is the same list in the same order.
    cmp <(cut -f1 split0.tsv) <(cut -f1 split4.tsv)
    [ "$(tail -n +3 split0.tsv | cut -f1 | sort | sha256sum | cut -d' ' -f1)" = \
        5e4fe3946f165a8186624f2c8508ba3226064e83d991c5d8a781890f8d4e22be ]
    run "$BIN/synib-split" --audit split0.tsv --audit split1.tsv --audit split3.tsv
    [ "$status" -eq 0 ]
    [[ "$output" == *"test overlap of split0.tsv and split3.tsv: 3 speakers"* ]]
    [[ "$output" != *"in more than one part: "[1-9]* ]]
}

@test "reference clips that the corpus lacks are listed, exit 3, the rest is written" {
    { echo "$HEAD"; "$BIN/synib-split" -q --fold 0 -o all.tsv; tail -n +3 all.tsv |
        awk -F '\t' '{ print $1 "\t" $2 "\t" $3 "\t" ($1 == "1076_MTI_SAD_XX" ? "rejected\tno face" : "accepted\t") }' |
        grep -v 1001_IEO_NEU_XX; } >clips.tsv
    run "$BIN/synib-split" clips.tsv --fold 0 -o split.tsv
    [ "$status" -eq 3 ]
    [[ "$output" == *"dropped 1076_MTI_SAD_XX (train): no face"* ]]
    [[ "$output" == *"dropped 1001_IEO_NEU_XX (train): is not in the clips manifest"* ]]
    [[ "$output" == *"2 of the clips or actors of scheme 'reference' were dropped"* ]]
    cmp split.tsv <(grep -v '1076_MTI_SAD_XX\|1001_IEO_NEU_XX' all.tsv)
}

@test "kfold: same seed same bytes, order of the corpus does not matter" {
    make_clips
    "$BIN/synib-split" clips.tsv -q --scheme kfold --folds 3 --fold 1 --seed 4 -o a.tsv
    { head -2 clips.tsv; tail -n +3 clips.tsv | tac; } >reversed.tsv
    LC_ALL=tr_TR.UTF-8 "$BIN/synib-split" reversed.tsv -q --scheme kfold --folds 3 --fold 1 --seed 4 -o b.tsv
    cmp a.tsv b.tsv
    [ "$(tail -n +3 a.tsv | wc -l)" -eq 11 ]
    for p in train val test; do [ "$(grep -c "	$p	kfold	1" a.tsv)" -ge 3 ]; done
    run "$BIN/synib-split" --audit a.tsv
    [ "$status" -eq 0 ]
}

@test "a user's table; a speaker in two parts exits 4 and writes nothing" {
    make_clips
    printf '#synib-folds 1\nclip\tpart\n1001_DFA_NEU_XX\ttrain\n1001_DFA_HAP_XX\ttest\n1002_DFA_NEU_XX\tval\n' >mine.tsv
    run "$BIN/synib-split" clips.tsv --scheme mine.tsv -o split.tsv
    [ "$status" -eq 4 ]
    [[ "$output" == *"mine.tsv: actor 1001 in train and test (1 + 1 clips)"* ]]
    [ ! -e split.tsv ]
    run "$BIN/synib-split" clips.tsv --scheme mine.tsv -o split.tsv --allow-speaker-overlap
    [ "$status" -eq 0 ]
    [ "$(wc -l <split.tsv)" -eq 5 ]
}

@test "audit: a foreign CSV split that shares speakers" {
    printf 'AudioWAV/1013_WSI_DIS_XX.wav,DIS\n1002_DFA_NEU_XX.wav,NEU\n' >train.csv
    printf 'AudioWAV/1013_WSI_SAD_XX.wav,SAD\n1002_DFA_NEU_XX.wav,NEU\n1003_DFA_NEU_XX.wav,NEU\n' >test.csv
    run --separate-stderr "$BIN/synib-split" --audit train=train.csv,test=test.csv
    [ "$status" -eq 4 ]
    [[ "$output" == *"speakers in more than one part: 2"* ]]
    [[ "$output" == *"1013: 1 clips in train, 1 clips in test"* ]]
    [[ "$output" == *"1002_DFA_NEU_XX in train and test"* ]]
    [[ "$output" == *"1013_WSI_DIS_XX (train) = 1013_WSI_SAD_XX (test)"* ]]
    [[ "$stderr" == *"2 speakers are in more than one part: the split is not speaker-disjoint"* ]]
    run --separate-stderr "$BIN/synib-split" --audit train=train.csv,test=test.csv --json
    [ "$status" -eq 4 ]
    [ "$(jq -c '[.leak, .folds[0].speakers_in_several_parts[1].actor, .folds[0].parts.test.clips]' <<<"$output")" = "[true,1013,3]" ]
}

@test "audit: parts may have any name" {
    printf '1001_DFA_NEU_XX\n1001_DFA_HAP_XX\n' >a.csv
    echo 1001_ITH_NEU_XX >b.csv
    run --separate-stderr "$BIN/synib-split" --audit actor=a.csv,clips=b.csv
    [ "$status" -eq 4 ]
    [[ "$output" == *"1001: 2 clips in actor, 1 clips in clips"* ]]
    run --separate-stderr "$BIN/synib-split" --audit actor=a.csv,clips=b.csv --json
    [ "$status" -eq 4 ]
    [ "$(jq -c '.folds[0].speakers_in_several_parts' <<<"$output")" = \
        '[{"actor":1001,"clips":{"actor":2,"clips":1}}]' ]
}

@test "audit: a clip listed often is one clip, and costs no more than its lines" {
    yes 1013_WSI_DIS_XX | head -2 >train.csv
    yes 1013_WSI_SAD_XX | head -3 >test.csv
    run --separate-stderr "$BIN/synib-split" --audit train=train.csv,test=test.csv --json
    [ "$status" -eq 4 ]
    [ "$(jq -c '.folds[0] | [.identical_sound_across_parts, .repeated_clips]' <<<"$output")" = \
        '[[{"a":"1013_WSI_DIS_XX","a_part":"train","b":"1013_WSI_SAD_XX","b_part":"test"}],3]' ]
    yes 1013_WSI_DIS_XX | head -200000 >>train.csv
    yes 1013_WSI_SAD_XX | head -200000 >>test.csv
    run --separate-stderr timeout 60 "$BIN/synib-split" --audit train=train.csv,test=test.csv --json
    [ "$status" -eq 4 ]
    [ "$(jq -c '.folds[0] | [(.identical_sound_across_parts | length), .repeated_clips]' <<<"$output")" = "[1,400003]" ]
}

@test "audit: train.csv and test.csv without a part column, whole and leaking" {
    printf '1001_DFA_NEU_XX.wav,0\n1002_DFA_NEU_XX.wav,0\n' >train.csv
    printf '1003_DFA_NEU_XX\n' >test.csv
    run --separate-stderr "$BIN/synib-split" --audit train.csv test.csv --json
    [ "$status" -eq 0 ]
    [ "$(jq -c '[.leak, .folds[0].parts.train.speakers, .folds[0].parts.test.clips]' <<<"$output")" = "[false,2,1]" ]
    printf '1001_ITH_SAD_XX\n' >>test.csv
    run "$BIN/synib-split" --audit train.csv --audit test.csv
    [ "$status" -eq 4 ]
    [[ "$output" == *"1001: 1 clips in train, 1 clips in test"* ]]
}

@test "audit: a split whose parts nobody could read never passes, whatever its form" {
    clips=$'1001_IEO_ANG_HI,train\n1001_IEO_HAP_HI,test'
    printf 'clip,partition\n%s\n' "$clips" >partition.csv
    printf '\xef\xbb\xbfpart,clip\r\ntrain,1001_IEO_ANG_HI\r\ntest,1001_IEO_HAP_HI\r\n' >bom.csv
    printf 'clip,text,part\n1001_IEO_ANG_HI,"Yes, it is",train\n1001_IEO_HAP_HI,"No, ""it"" is",test\n' >quoted.csv
    for file in partition bom quoted; do
        run --separate-stderr "$BIN/synib-split" --audit $file.csv --json
        echo "$file: $status $output $stderr"
        [ "$status" -eq 4 ]
        [ "$(jq -c '[.leak, .folds[0].speakers_in_several_parts[0]]' <<<"$output")" = \
            '[true,{"actor":1001,"clips":{"train":1,"test":1}}]' ]
    done
    printf 'clip,fold\n1001_IEO_ANG_HI,1\n1001_IEO_HAP_HI,2\n' >fold.csv
    printf 'clip,is_train\n1001_IEO_ANG_HI,1\n1001_IEO_HAP_HI,0\n' >is_train.csv
    printf 'clip,part\n1001_IEO_ANG_HI,train\n1002_IEO_ANG_HI,test\n' >good.csv
    printf '1001_IEO_ANG_HI\n' >train.csv
    printf '1001_IEO_ANG_HI train\n1001_IEO_HAP_HI train\n' >blanks.txt
    printf '#synib-clips 1\nclip\n1001_IEO_ANG_HI\n' >clips.tsv
    printf '["1001_IEO_ANG_HI"]' >list.json
    for args in fold.csv is_train.csv train.csv blanks.txt clips.tsv list.json "good.csv train.csv"; do
        run --separate-stderr "$BIN/synib-split" --audit $args --json
        echo "$args: $status $output $stderr"
        [ "$status" -eq 4 ]
        [ "$(jq .leak <<<"$output")" = null ]
        [[ "$stderr" == "synib-split: ${args##* }: does not say parts (no column is called part, partition, split, subset or set), so nothing was compared: name the file of every part: --audit PART=FILE,PART=FILE or"* ]]
    done
    printf '{"1": {"train": ["1001_IEO_ANG_HI"], "test": ["1002_IEO_ANG_HI"]}, "2": {"test": ["1002_IEO_ANG_HI"]}}' >folds.json
    printf '{"1": {"train": ["1001_IEO_ANG_HI"], "test": []}}' >empty.json
    printf 'clip,text,part\n1001_IEO_ANG_HI,"two\nlines",train\n' >open.csv
    while IFS='|' read -r words args; do
        run --separate-stderr "$BIN/synib-split" --audit $args
        echo "$args: $status $output $stderr"
        [ "$status" -eq 4 ]
        [[ "$stderr" == *"$words"* ]]
    done <<'TABLE'
train=train.csv: has only part 'train', so nothing was compared: name all parts|train=train.csv
folds.json: has only part 'test' in fold 2, so nothing was compared|folds.json
empty.json: has only part 'train', so nothing was compared|empty.json
open.csv:2: a quoted cell does not end in its line: close the quotes|open.csv
TABLE
    for kind in 'clip,phase' 'clip,part,split' 'clip part'; do
        printf '%s\n%s\n' "$kind" "${clips//,/${kind:4:1}}" >word.csv
        run "$BIN/synib-split" --audit train.csv word.csv
        echo "$kind: $output"
        [ "$status" -eq 4 ]
        [[ "$output" == *"word.csv:"[13]": "* ]]
        [ "${#lines[@]}" -eq 1 ]
    done
}

@test "audit: the authors' JSON shape, several folds" {
    cat >splits.pkl <<'JSON'


{"1": {"train": ["1001_DFA_NEU_XX.wav-0"], "val": ["1002_DFA_NEU_XX.wav-1"], "test": ["1003_DFA_NEU_XX.wav-2"]},
 "2": {"train": ["1001_DFA_NEU_XX.wav-0"], "val": ["1002_DFA_NEU_XX.wav-1"], "test": ["1003_DFA_NEU_XX.wav-2"]}}
JSON
    run "$BIN/synib-split" --audit splits.pkl
    [ "$status" -eq 0 ]
    [[ "$output" == *"test overlap of 1 and 2: 1 speakers, 1 clips"* ]]
    [[ "$output" == *"speakers: 3, in a test part: 1"* ]]
}

@test "audit: the shipped fold table leaves 36 of 91 actors untested" {
    run "$BIN/synib-split" --audit "$SOURCE_DIR/manifests/folds-reference.tsv"
    [ "$status" -eq 0 ]
    [[ "$output" == *"speakers: 91, in a test part: 55"* ]]
}

@test "bad input stops before anything is written" {
    make_clips
    printf '%s\n1001_DFA_NEU_XX\t1001\t9\taccepted\t\n' "$HEAD" >label.tsv
    printf '%s\n1001_DFA_NEU_XX\t1001\t0\tfine\t\n' "$HEAD" >verdict.tsv
    printf '%s\r\n' "$HEAD" >crlf.tsv
    { cat clips.tsv; tail -1 clips.tsv; } >twice.tsv
    head -2 clips.tsv >none.tsv
    printf '#synib-folds 1\nactor\tpart\n1001\ttrain\n1002\tval\n' >notest.tsv
    while IFS='|' read -r code words args; do
        run "$BIN/synib-split" $args
        echo "$args: $status $output"
        [ "$status" -eq "$code" ]
        [[ "$output" == *"$words"* ]]
        [ ! -e out.tsv ]
    done <<'TABLE'
2|CLIPS: missing|--scheme kfold -o out.tsv
2|-o: missing|clips.tsv --scheme kfold
2|--audit: takes no -o|--audit label.tsv -o out.tsv
2|--audit: takes no --scheme: it reports what the files say|--audit label.tsv --scheme reference
2|--audit: takes no --fold:|--fold 0 --audit label.tsv
2|--audit: takes no --folds:|--audit label.tsv --folds 3
2|--media: only with --audit|--media nosuch -o out.tsv
2|--base: only with --audit|clips.tsv --base nosuch -o out.tsv
2|--folds|clips.tsv --scheme kfold --folds 2 -o out.tsv
2|--folds: only with --scheme kfold, not with 'reference'|clips.tsv --folds 9 -o out.tsv
2|--fold: 5 is not 0 to 4|clips.tsv --scheme kfold --fold 5 -o out.tsv
2|the reference has no fold 7|--fold 7 -o out.tsv
2|--fold|clips.tsv --fold -1 -o out.tsv
4|fewer than 9 folds|clips.tsv --scheme kfold --folds 9 -o out.tsv
4|label.tsv:3: label: '9'|label.tsv --scheme kfold -o out.tsv
4|verdict.tsv:3: verdict 'fine'|verdict.tsv --scheme kfold -o out.tsv
4|crlf.tsv:|crlf.tsv --scheme kfold -o out.tsv
4|twice.tsv:15: '1006_DFA_HAP_XX' stands already in line 14|twice.tsv --scheme kfold -o out.tsv
4|none.tsv: 0 actors|none.tsv --scheme kfold --folds 3 -o out.tsv
4|scheme 'notest.tsv': part 'test' has no clip|clips.tsv --scheme notest.tsv -o out.tsv
4|no clip of scheme 'reference' is left|none.tsv -o out.tsv
1|nofile: cannot open|clips.tsv --scheme nofile -o out.tsv
1|nofile: cannot open|--audit nofile
1|nofile.csv: cannot open|--audit train=nofile.csv
TABLE
}

@test "a table may name what the corpus lacks: listed, exit 3" {
    make_clips
    printf '#synib-folds 1\nactor\tfold0\n1001\ttrain\n1002\tval\n1006\ttest\n1050\ttest\n' >mine.tsv
    run "$BIN/synib-split" clips.tsv --scheme mine.tsv -o split.tsv
    [ "$status" -eq 3 ]
    [[ "$output" == *"dropped 1050 (test): has no accepted clip"* ]]
    [[ "$output" == *"mine.tsv: leaves out 5 accepted clips: it does not name 3 actors (1003, 1004, 1005): mark"* ]]
    [ "$(wc -l <split.tsv)" -eq 8 ]
}

@test "an actor whom a table does not name is told under -q and --json, one marked - is not" {
    make_clips
    printf '#synib-folds 1\nactor\tpart\n1001\ttrain\n1002\tval\n1006\ttest\n1005\t-\n1004\t-\n' >mine.tsv
    run --separate-stderr "$BIN/synib-split" -q clips.tsv --scheme mine.tsv -o split.tsv --json
    [ "$status" -eq 0 ]
    [ "$(grep 'mine.tsv' <<<"$stderr")" = "synib-split: warning: mine.tsv: leaves out 1 accepted clips: it does not name 1 actors (1003): mark them - if that is meant" ]
    [ "$(jq -c .left_out <<<"$output")" = '{"marked_clips":4,"absent_clips":1,"absent":["1003"]}' ]
    printf '1003\t-\n' >>mine.tsv
    run --separate-stderr "$BIN/synib-split" -q clips.tsv --scheme mine.tsv -o again.tsv --json
    [ "$status" -eq 0 ]
    [[ "$stderr" != *mine.tsv* ]]
    [ "$(jq -c .left_out <<<"$output")" = '{"marked_clips":5,"absent_clips":0,"absent":[]}' ]
    cmp split.tsv again.tsv
    { printf '#synib-folds 1\nclip\tpart\n'; printf '%s_DFA_NEU_XX\t%s\n' 1001 train 1002 val 1006 test; } >mine.tsv
    run "$BIN/synib-split" -q clips.tsv --scheme mine.tsv -o clipwise.tsv
    [ "$status" -eq 0 ]
    [[ "$output" == *"8 accepted clips: it does not name 8 clips (1001_DFA_HAP_XX, 1002_DFA_HAP_XX, 1003_DFA_NEU_XX, 1004_DFA_HAP_XX, 1004_DFA_NEU_XX, ...): mark"* ]]
}

@test "every wrong part of a table is told, also behind rows that nobody uses" {
    make_clips
    printf '#synib-folds 1\nactor\tpart\n1001\ttrian\n1050\ttest\n1002\tvalid\n1006\ttest\n' >mine.tsv
    run "$BIN/synib-split" clips.tsv --scheme mine.tsv -o split.tsv
    [ "$status" -eq 4 ]
    [[ "$output" == *"mine.tsv:3: part 'trian' is not train, val, test or -"* ]]
    [[ "$output" == *"mine.tsv:5: part 'valid' is not train, val, test or -"* ]]
    [ ! -e split.tsv ]
}

@test "--json leaves out no clip whose name is cut inside a character" {
    make_clips
    long=$(printf 'é%.0s' {1..12}) # 24 bytes
    { printf '#synib-folds 1\nclip\tpart\n%s\ttest\n' "$long"
        printf '%s\n' 1001_DFA_NEU_XX$'\t'train 1002_DFA_NEU_XX$'\t'val 1006_DFA_NEU_XX$'\t'test
    } >mine.tsv
    run --separate-stderr "$BIN/synib-split" clips.tsv --scheme mine.tsv -o split.tsv --json
    [ "$status" -eq 3 ]
    [ "$(jq -r '.dropped[] | .clip + " " + .part' <<<"$output")" = "${long:0:11}? test" ]
}
