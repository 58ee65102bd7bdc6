#!/usr/bin/env bats
# synib-irony: plans without media, sets over real base sets, exit codes.

bats_require_minimum_version 1.5.0

setup_file() {
    cd "$BATS_FILE_TMPDIR"
    "$BIN/synib-synth" -q -o corpus --actors 4 --sentences 1 --seed 2
    "$BIN/synib-scan" corpus -q -o clips.tsv
    "$BIN/synib-frames" clips.tsv -q --root corpus -o video
    "$BIN/synib-stft" clips.tsv -q --root corpus -o audio
    "$BIN/synib-split" clips.tsv -q --scheme kfold --folds 4 -o split.tsv
}

setup() {
    F="$BATS_FILE_TMPDIR"
    cd "$BATS_TEST_TMPDIR"
}

irony() {
    "$BIN/synib-irony" --video "$F/video" --audio "$F/audio" "$@"
}

@test "every published digest of the authors' mutation" {
    n=0
    while IFS=$'\t' read -r fold seed split dropped clips rate mutated digest; do
        drop=()
        [ "$dropped" = - ] || drop=(--drop "$dropped")
        run --separate-stderr "$BIN/synib-irony" --plan --scheme reference --fold "$fold" \
            --split "$split" --rate "$rate" "${drop[@]}" --json
        [ "$status" -eq 0 ]
        [ "$(jq -r '"\(.clips) \(.mutated) \(.digest) \(.seed)"' <<<"$output")" = \
            "$clips $mutated $digest $seed" ]
        n=$((n + 1))
    done < <(tail -n +3 "$SOURCE_DIR/tests/golden/mutation-digests.tsv")
    [ "$n" -eq 16 ]
}

@test "plan lines: in base order, and the digest is theirs" {
    run --separate-stderr "$BIN/synib-irony" --plan --scheme reference --fold 1 --split test --rate 0.5
    [ "$status" -eq 0 ]
    digest=$(printf '%s\n' "$output" | sha256sum | cut -c1-16)
    [ "$digest" = "$("$BIN/synib-irony" --plan --scheme reference --fold 1 --split test --rate 0.5 --json | jq -r .digest)" ]
    # The same plan from a split manifest, and another with another seed.
    "$BIN/synib-split" -q --fold 1 -o ref.tsv
    cmp <(printf '%s\n' "$output") <("$BIN/synib-irony" --plan --split ref.tsv --part test --rate 0.5)
    "$BIN/synib-irony" --plan --split ref.tsv --part test --rate 0.5 --seed 5 >seed5
    if cmp -s <(printf '%s\n' "$output") seed5; then false; fi
    # Bases stand in the order of the split.
    cmp <(printf '%s\n' "$output" | cut -d' ' -f1) \
        <(grep -F "$(printf '%s\n' "$output" | cut -d' ' -f1)" ref.tsv | cut -f1)
}

@test "rate 0 gives an empty plan with the digest of nothing" {
    run --separate-stderr "$BIN/synib-irony" --plan --scheme reference --split val --rate 0
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    run --separate-stderr "$BIN/synib-irony" --plan --scheme reference --split val --rate 0 --json
    [ "$(jq -r .digest <<<"$output")" = e3b0c44298fc1c14 ]
}

@test "same-actor and same-sentence donors" {
    run --separate-stderr "$BIN/synib-irony" --plan --scheme reference --split train --rate 2 --donors same-actor
    [ "$status" -eq 0 ]
    [ "$(awk 'substr($1, 1, 4) != substr($2, 1, 4)' <<<"$output" | wc -l)" -eq 0 ]
    [ "$(wc -l <<<"$output")" -eq 1348 ]
    run --separate-stderr "$BIN/synib-irony" --plan --scheme reference --split train --rate 2 --donors same-sentence
    [ "$status" -eq 0 ]
    [ "$(awk 'substr($1, 6, 3) != substr($2, 6, 3)' <<<"$output" | wc -l)" -eq 0 ]
}

@test "an empty donor pool is an error unless --donor-fallback, which is counted" {
    printf '#synib-split 1\nclip\tactor\tlabel\tpart\n' >s.tsv
    printf '1001_DFA_NEU_XX\t1001\t0\ttrain\n1002_DFA_HAP_XX\t1002\t1\ttrain\n1003_IEO_SAD_LO\t1003\t2\ttrain\n' >>s.tsv
    run "$BIN/synib-irony" --plan --split s.tsv --part train --rate 9 --donors same-actor
    [ "$status" -eq 4 ]
    [[ "$output" == *"3 of 3 base clips have no donor under 'same-actor' (base positions"* ]]
    run --separate-stderr "$BIN/synib-irony" --plan --split s.tsv --part train --rate 9 \
        --donors same-actor --donor-fallback --json
    [ "$status" -eq 0 ]
    [ "$(jq .donor_fallbacks <<<"$output")" -eq 3 ]
}

@test "overlay and self-contained sets hold the same samples" {
    irony --split "$F/split.tsv" --rate 1 -o overlay --json >overlay.json
    irony --split "$F/split.tsv" --rate 1 -o whole --materialise --json >whole.json
    for p in train val test; do
        [ "$(jq -r ".$p.content" overlay.json)" = "$(jq -r ".$p.content" whole.json)" ]
        [ "$(jq -r ".$p.content" overlay.json | wc -c)" -eq 65 ]
        [ "$(jq ".$p.mutated" overlay.json)" -gt 0 ]
        [ "$(du -sb overlay/$p | cut -f1)" -lt 20000 ]
        grep -q '"synib.split":"'$p'"' overlay/$p/index.jsonl
    done
    [ "$(wc -l <overlay/dropped.tsv)" -eq 2 ]
}

@test "the same bytes in another folder and locale, at any -j; no path inside" {
    irony -q --split "$F/split.tsv" --rate 0.5 --seed 3 -o one -j 1
    mkdir -p away
    cp "$F/split.tsv" away/renamed.tsv
    (cd away && LC_ALL=tr_TR.UTF-8 irony -q --split renamed.tsv --rate 0.5 --seed 3 -o two -j 7)
    diff -r one away/two
    ! grep -rqF "$F" one
}

@test "the same command again finds its sets; another is in the way" {
    irony -q --split "$F/split.tsv" --rate 1 -o data
    before=$(cd data && find . -type f -exec sha256sum {} + | sort)
    rm -r data/test
    run irony --split "$F/split.tsv" --rate 1 -o data
    [ "$status" -eq 0 ]
    [[ "$output" == *"val "*"(was already there)"* ]]
    [ "$(cd data && find . -type f -exec sha256sum {} + | sort)" = "$before" ]
    run irony --split "$F/split.tsv" --rate 2 -o data
    [ "$status" -eq 1 ]
    [[ "$output" == *"data/train"*"exists"* ]]
    run irony --split "$F/split.tsv" --rate 2 -o data --dry-run
    [ "$status" -eq 1 ]
    run irony --split "$F/split.tsv" --rate 1 -o data --dry-run
    [ "$status" -eq 0 ]
    run irony --split "$F/split.tsv" --rate 1 -o nothing --dry-run
    [ "$status" -eq 0 ]
    [ ! -e nothing ]
    [ "$(cd data && find . -type f -exec sha256sum {} + | sort)" = "$before" ]
    run irony --split "$F/split.tsv" --rate 2 -o data --force
    [ "$status" -eq 0 ]
}

@test "clips without media are dropped before mutation, listed, exit 3" {
    { cat "$F/split.tsv"; printf '1050_IEO_SAD_HI\t1050\t2\ttrain\tkfold\t0\n'; } >more.tsv
    run irony --split more.tsv --rate 1 -o data
    [ "$status" -eq 3 ]
    [[ "$output" == *"dropped 1050_IEO_SAD_HI (train): in neither base set"* ]]
    [ "$(tail -1 data/dropped.tsv)" = $'1050_IEO_SAD_HI\ttrain\tin neither base set' ]
    irony -q --split "$F/split.tsv" --rate 1 -o same
    cmp <(sed 's/.*"synib.plan.digest":"\([0-9a-f]*\)".*/\1/;1q' data/train/index.jsonl) \
        <(sed 's/.*"synib.plan.digest":"\([0-9a-f]*\)".*/\1/;1q' same/train/index.jsonl)
    # --drop says so itself, so it is no surprise and no exit 3.
    clip=$(awk -F '\t' '$4 == "train" { print $1; exit }' "$F/split.tsv")
    run irony --split "$F/split.tsv" --rate 1 -o dropped --drop "$clip"
    [ "$status" -eq 0 ]
    [ "$(tail -1 dropped/dropped.tsv)" = "$clip"$'\ttrain\tdropped by --drop' ]
}

@test "speakers in two parts stop it; allowed, it is stamped" {
    awk -F '\t' -v OFS='\t' 'NR > 2 && $4 == "test" && !done { $4 = "train"; done = 1 } 1' "$F/split.tsv" >leak.tsv
    run irony --split leak.tsv --rate 1 -o data
    [ "$status" -eq 4 ]
    [[ "$output" == *"leak.tsv: actor "*" in train and test ("* ]]
    [ ! -e data ]
    run irony --split leak.tsv --rate 1 -o data --allow-speaker-overlap
    [ "$status" -eq 0 ]
    grep -q '"synib.speaker_overlap":"1"' data/test/index.jsonl
}

@test "a split that disagrees with the base sets writes nothing" {
    awk -F '\t' -v OFS='\t' 'NR > 2 && $4 == "test" { $3 = ($3 + 1) % 6 } 1' "$F/split.tsv" >label.tsv
    run irony --split label.tsv --rate 1 -o data
    [ "$status" -eq 4 ]
    [ -z "$(find data -name index.jsonl)" ]
}

@test "matched swaps: marked in the plan, the irony as without them" {
    plan="$BIN/synib-irony --plan --scheme reference --fold 0 --split test --rate 1"
    $plan >plain
    for rule in same-actor reference same-sentence; do
        $plan --matched 0.5 --matched-donors $rule >$rule
        grep -v ' matched$' $rule | cmp - plain
        [ "$(grep -c ' matched$' $rule)" -eq 75 ] # round(0.5 * 899 / 6)
        awk 'NF == 3 && substr($1, 10, 3) != substr($2, 10, 3)' $rule >odd
        [ ! -s odd ]
    done
    # The same clips, whatever the rule.
    cmp <(grep ' matched$' reference | cut -d' ' -f1) <(grep ' matched$' same-actor | cut -d' ' -f1)
    [ "$(awk 'NF == 3 && substr($1, 1, 4) != substr($2, 1, 4)' same-actor | wc -l)" -eq 0 ]
    [ "$(awk 'NF == 3 && substr($1, 6, 3) != substr($2, 6, 3)' same-sentence | wc -l)" -eq 0 ]
    # The digest is that of the lines; without matched swaps the published one.
    $plan --matched 0.5 --json >json
    [ "$(sha256sum <same-actor | cut -c1-16)" = "$(jq -r .digest json)" ]
    [ "$(jq -r '"\(.mutated) \(.matched) \(.matched_fallbacks) \(.matched_donors) \(.after.irony)"' json)" = \
        "150 75 0 same-actor 150" ]
    [ "$(jq -r .digest json)" = 2d3c9c0de3bb33c1 ]
    [ "$($plan --matched 0 --json | jq -r .digest)" = 915a378e4403af98 ]
}

@test "matched swaps in a set: label kept, flag, provenance, the same twin; without them no trace" {
    irony -q --split "$F/split.tsv" --rate 1 --matched 1 -o data --json >json
    irony -q --split "$F/split.tsv" --rate 1 --matched 1 -o whole --materialise --json | jq .train.content |
        cmp - <(jq .train.content json)
    stat=$("$BIN/synib-shard" stat data --base "$F" --split train --json | jq -c '.sets[0]')
    n=$(jq .train.mutated json)
    [ "$(jq -c '[.mutated, .matched, .same_actor_matched, .classes.irony, .flags.matched_donor]' <<<"$stat")" = \
        "[$n,$n,$n,$n,$n]" ]
    "$BIN/synib-shard" stat data --base "$F" --split train | grep -q "^  matched $n, $n with a donor by the same actor"
    [ "$(head -1 data/train/index.jsonl | jq -c '.meta | [.["synib.matched", "synib.matched.rate",
        "synib.matched.donors", "synib.matched.fallbacks"]]')" = '["'"$n"'","1","same-actor","0"]' ]
    clip=$("$BIN/synib-irony" --plan --split "$F/split.tsv" --part train --rate 1 --matched 1 | grep -m1 matched)
    "$BIN/synib-shard" dump data --base "$F" --split train --clip "${clip%% *}" --json |
        jq -e --arg d "$(cut -d' ' -f2 <<<"$clip")" \
            '.fields | .donor == $d and .label == .base_label and .donor_label == .label' >/dev/null
    "$BIN/synib-shard" verify -q data --base "$F"
    # Same command: there already. Without matched swaps: another set, and no key of theirs.
    run irony --split "$F/split.tsv" --rate 1 --matched 1 -o data
    [ "$status" -eq 0 ]
    run irony --split "$F/split.tsv" --rate 1 -o data
    [ "$status" -eq 1 ]
    irony -q --split "$F/split.tsv" --rate 1 -o plain
    run ! grep -q matched plain/*/index.jsonl
    irony -q --split "$F/split.tsv" --rate 1 --matched 0 -o zero
    diff -r plain zero
}

@test "bad input and command lines" {
    head -2 "$F/split.tsv" >none.tsv
    sed '3s/	kfold	0$/	kfold/' "$F/split.tsv" >cells.tsv
    ref="--plan --scheme reference --split train"
    both="--video $F/video --audio $F/audio"
    while IFS='|' read -r code words args; do
        run "$BIN/synib-irony" $args
        echo "$args: $status $output"
        [ "$status" -eq "$code" ]
        [[ "$output" == *"$words"* ]]
        [ ! -e out ]
    done <<TABLE
2|--rate: missing|$ref
2|--rate: '-1' is not a number from 0 up|$ref --rate -1
2|--rate|$ref --rate nan
2|--rate|$ref --rate 1,5
2|--seed: 4294967296 is above|$ref --rate 1 --seed 4294967296
2|the reference has no fold 5|$ref --rate 1 --fold 5
2|--drop: '1001_XXX' is not in the split|$ref --rate 1 --drop 1001_XXX
2|--donors|$ref --rate 1 --donors same-gender
2|--donor-fallback: only with|$ref --rate 1 --donor-fallback
2|--donor-fallback: only with|$ref --rate 1 --donor-fallback --matched 1 --matched-donors reference
2|--matched-donors: only with|$ref --rate 1 --matched-donors same-actor
2|--matched-donors|$ref --rate 1 --matched 1 --matched-donors other
2|--matched|$ref --rate 1 --matched -1
2|--matched|$ref --rate 1 --matched inf
2|--plan: takes no|$ref --rate 1 -o out
2|--split|--plan --scheme reference --split dev --rate 1
2|--scheme: 'kfold' is not reference|--plan --scheme kfold --split train --rate 1
2|--plan: wants either|--plan --split $F/split.tsv --rate 1
2|--audio: missing|--video $F/video --split $F/split.tsv --rate 1 -o out
2|-o: missing|$both --split $F/split.tsv --rate 1
4|has no clip that both bases hold|$both --split none.tsv --rate 1 -o out
4|cells.tsv:3: has 5 cells|$both --split cells.tsv --rate 1 -o out
4|is fold 0, --fold says 1|$both --split $F/split.tsv --fold 1 --rate 1 -o out
1|nosplit.tsv: cannot open|$both --split nosplit.tsv --rate 1 -o out
1|nobase|--video nobase --audio $F/audio --split $F/split.tsv --rate 1 -o out
4|field|--video $F/audio --audio $F/audio --split $F/split.tsv --rate 1 -o out
4|is no audio base set|--video $F/video --audio $F/video --split $F/split.tsv --rate 1 -o out
TABLE
}

@test "broken facts stop it: contradiction map, folds, seeds" {
    plan="$BIN/synib-irony --plan --scheme reference --split train --rate 1"
    export SYNIB_MANIFESTS="$PWD/facts"
    run $plan
    [ "$status" -eq 1 ]
    [[ "$output" == *"facts: is not a folder of manifests: check SYNIB_MANIFESTS"* ]]
    cp -r "$SOURCE_DIR/manifests" facts
    run $plan
    [ "$status" -eq 0 ]
    # exit code, words, sed script, file
    while IFS='|' read -r code words script file; do
        cp "$SOURCE_DIR/manifests/$file" "facts/$file"
        sed -i "$script" "facts/$file"
        run $plan
        echo "$file $script: $status ${output:0:300}"
        [ "$status" -eq "$code" ]
        [[ "$output" == *"$words"* ]]
        cp "$SOURCE_DIR/manifests/$file" "facts/$file"
    done <<'TABLE'
4|contradiction.tsv:3: 'JOY' is not an emotion code|3s/HAP/JOY/|contradiction.tsv
4|contradiction.tsv:4: pair NEU HAP stands twice|4s/SAD/HAP/|contradiction.tsv
4|contradiction.tsv:3: pair NEU NEU is no contradiction|3s/HAP/NEU/|contradiction.tsv
4|is not a contradiction manifest|1s/1$/2/|contradiction.tsv
4|folds-reference.tsv:3: part 'dev' is not train, val or test|3s/train/dev/|folds-reference.tsv
4|actor 1001 of |3d|folds-reference.tsv
4|cremad-consensus.tsv:4: '1026_IEO_ANG_HI' stands already in line 3|3p|cremad-consensus.tsv
4|cremad-consensus.tsv:3: '1026_IEO_ANG_H' is not a clip name|3s/HI/H/|cremad-consensus.tsv
4|fold-seeds.tsv:4: '0' stands already in line 3|4s/1/0/|fold-seeds.tsv
4|fold-seeds.tsv:3: seed|3s/109/-109/|fold-seeds.tsv
TABLE
}

@test "another --drop is another set, at rate 0 too" {
    one=$(grep -m1 "	train	" "$F/split.tsv" | cut -f1)
    two=$(grep -m2 "	train	" "$F/split.tsv" | tail -1 | cut -f1)
    irony -q --split "$F/split.tsv" --rate 0 --drop "$one" -o data
    run irony --split "$F/split.tsv" --rate 0 --drop "$two" -o data
    [ "$status" -eq 1 ]
    [[ "$output" == *"data/train/index.jsonl: exists: use --force"* ]]
    grep -q "^$one	train	" data/dropped.tsv
    irony -q --split "$F/split.tsv" --rate 0 --drop "$two" -o data --force
    grep -q "^$two	train	" data/dropped.tsv
}

@test "a clip that is missing exits 3, however often --drop names another" {
    drop=$(grep -m1 "	train	" "$F/split.tsv" | cut -f1)
    sed "s/^$(tail -1 "$F/split.tsv" | cut -f1)/9999_IEO_ANG_HI/" "$F/split.tsv" >split.tsv
    run irony --split split.tsv --rate 1 --drop "$drop" --drop "$drop" -o data
    [ "$status" -eq 3 ]
    [[ "$output" == *"split.tsv: 1 of "*" clips are not in the base sets"* ]]
}

@test "killed at any moment, the same command finishes the job with the same bytes" {
    sums() { (cd "$1" && find . -type f -not -name '.*' -exec sha256sum {} + | sort); }
    irony -q --split "$F/split.tsv" --rate 1 --materialise -o clean
    for ms in 002 004 006 008 010 015 020 030 045 070; do
        timeout --foreground -s KILL "0.$ms" "$BIN/synib-irony" --video "$F/video" --audio "$F/audio" \
            -q --split "$F/split.tsv" --rate 1 --materialise -o data || true
        for index in $(find data -name index.jsonl 2>/dev/null); do
            "$BIN/synib-shard" verify -q "$(dirname "$index")"
        done
    done
    irony -q --split "$F/split.tsv" --rate 1 --materialise -o data
    [ "$(sums data)" = "$(sums clean)" ]
}
