# SPDX-License-Identifier: MIT
# awk -f cells.awk -v fold=F -v train=RULE -v seed=S -v method=M test=untouched FILE test=RULE FILE ...:
# how one model fares on the test sets of docs/shortcut.mk. FILEs are predictions.tsv of synib-eval, the one
# of the untouched clips first. One line per other test set; a rate of nothing is an empty cell.
# docs/shortcut.md says what the columns mean.
function fail(why) {
    print "cells.awk: " FILENAME ": " why > "/dev/stderr"
    failed = 1
    exit 4
}

# True when a donor is what the test set is about: the reference rule also gives some of the same actor.
function shows(test, clip, donor) {
    if (test == "same-actor")
        return substr(clip, 1, 4) == substr(donor, 1, 4)
    if (test == "same-sentence")
        return substr(clip, 6, 3) == substr(donor, 6, 3)
    return substr(clip, 1, 4) != substr(donor, 1, 4)
}

function rate(hits, of) {
    return of > 0 ? sprintf("%.4f", hits / of) : ""
}

# F1 of the irony class: 2 tp / (2 tp + fp + fn).
function f1(tp, fp, fn) {
    return rate(2 * tp, 2 * tp + fp + fn)
}

# Chance that a matched swap of `test` looks more like irony than one of these clips with its own sound; ties
# count half.
function swap_auc(test,   i, k, won, n) {
    n = matched[test]
    for (i = 1; i <= n; i++)
        for (k = 1; k <= n; k++)
            won += (p_swapped[test, i] > p_own[test, k]) + (p_swapped[test, i] == p_own[test, k]) / 2
    return rate(won, n * n)
}

BEGIN { FS = OFS = "\t" }

FNR == 1 {
    if ($0 != "#synib-predictions 1")
        fail("is no predictions.tsv of version 1")
    next
}
FNR == 2 {
    delete column
    for (i = 1; i <= NF; i++)
        column[$i] = i
    for (i = split("clip donor label prediction p_irony", need, " "); i > 0; i--)
        if (!(need[i] in column))
            fail("has no column " need[i])
    if (test != "untouched" && !("untouched" in seen))
        fail("comes before the untouched clips")
    if (test in seen)
        fail("is the second of test=" test)
    seen[test] = 1
    if (test != "untouched")
        order[++tests] = test
    next
}
{
    clip = $column["clip"]
    donor = $column["donor"]
    irony = $column["label"] == "irony"
    called = $column["prediction"] == "irony"
    p = $column["p_irony"]
}
test == "untouched" {
    if (donor != "")
        fail("clip " clip " has another clip's sound: make this set with rate 0")
    p_untouched[clip] = p
    alarm[clip] = called
    next
}
!(clip in alarm) { fail("clip " clip " is not among the untouched clips") }
irony {
    ironies[test]++
    hits[test] += called
    next
}
{ plain_alarms[test] += alarm[clip] } # what is no irony, untouched as in the benchmark
donor != "" && shows(test, clip, donor) {
    p_swapped[test, ++matched[test]] = p
    p_own[test, matched[test]] = p_untouched[clip]
    swapped_alarms[test] += called
    own_alarms[test] += alarm[clip]
}

END {
    if (failed)
        exit 4
    print "fold", "train", "seed", "method", "test", "irony", "recall", "f1", "matched",
        "alarm_own", "alarm_matched", "swap_auc", "f1_matched"
    for (t = 1; t <= tests; t++) {
        test = order[t]
        missed = ironies[test] - hits[test]
        print fold, train, seed, method, test, ironies[test] + 0, rate(hits[test], ironies[test]),
            f1(hits[test], plain_alarms[test], missed), matched[test] + 0,
            rate(own_alarms[test], matched[test]), rate(swapped_alarms[test], matched[test]),
            swap_auc(test), f1(hits[test], swapped_alarms[test], missed)
    }
}
