# SPDX-License-Identifier: MIT
# awk -f shares.awk RESULTS.TSV: means over all mixtures (tasks pid:U,0,R,S) of one share of synergy S, then mean and
# standard error over seeds: `share`, then ARM_METRIC and ARM_METRIC_se, the error empty for one seed; where runs were
# not finite also ARM_missing, "K of N", for the arms and shares that lack some.
BEGIN {
    FS = OFS = "\t"
    metric_count = split("last_accuracy last_accuracy_synergistic best_accuracy best_accuracy_synergistic", metric, " ")
}
/^#/ { next }
!header {
    for (i = 1; i <= NF; i++)
        column[$i] = i
    header = 1
    next
}
{
    split($1, part, "_")
    share = $2
    sub(/.*,/, "", share)
    share += 0
    if (!(share in share_seen)) {
        for (i = ++shares; i > 1 && by_share[i - 1] > share; i--)
            by_share[i] = by_share[i - 1]
        by_share[i] = share
        share_seen[share] = 1
    }
    arm = part[1]
    if (!(arm in arm_seen)) {
        arm_seen[arm] = 1
        order[++arms] = arm
    }
    runs[arm, share]++
    if ($9 != "ok") {
        lacks[arm, share]++
        lacking[arm] = 1
        next
    }
    seed_seen[part[3]] = 1
    for (k = 1; k <= metric_count; k++)
        if ($column[metric[k]] != "") {
            sum[arm, share, part[3], k] += $column[metric[k]]
            n[arm, share, part[3], k]++
        }
}
END {
    line = "share"
    for (a = 1; a <= arms; a++)
        for (k = 1; k <= metric_count; k++)
            line = line OFS order[a] "_" metric[k] OFS order[a] "_" metric[k] "_se"
    for (a = 1; a <= arms; a++)
        if (order[a] in lacking)
            line = line OFS order[a] "_missing"
    print line
    for (step = 1; step <= shares; step++) {
        share = by_share[step]
        line = share
        for (a = 1; a <= arms; a++)
            for (k = 1; k <= metric_count; k++) {
                seeds = total = square = 0
                for (seed in seed_seen)
                    if ((order[a], share, seed, k) in n) {
                        v = sum[order[a], share, seed, k] / n[order[a], share, seed, k]
                        seeds++
                        total += v
                        square += v * v
                    }
                if (seeds == 0) {
                    line = line OFS OFS
                    continue
                }
                mean = total / seeds
                v = seeds > 1 ? (square - seeds * mean * mean) / (seeds - 1) : 0
                line = line OFS sprintf("%.5g", mean) OFS (seeds > 1 ? sprintf("%.3g", sqrt((v > 0 ? v : 0) / seeds)) : "")
            }
        for (a = 1; a <= arms; a++)
            if (order[a] in lacking)
                line = line OFS ((order[a], share) in lacks ? \
                    runs[order[a], share] - lacks[order[a], share] " of " runs[order[a], share] : "")
        print line
    }
}
