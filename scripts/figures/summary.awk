# SPDX-License-Identifier: MIT
# awk -f summary.awk RESULTS.TSV: one line per arm and point of a sweep (run names are ARM_POINT_SEED):
# arm, point, task, n of the runs that are finite, all runs, then for every metric NAME its mean over the finite
# ones, NAME_sd (n - 1) and NAME_se. A metric that no run has is empty, as is the error of one run. In the order of
# the plan.
BEGIN { FS = OFS = "\t" }
/^#/ { next }
!columns {
    for (i = 1; i <= NF; i++)
        name[i] = $i
    for (i = 1; name[i] != "best_score"; i++)
        ;
    first = i + 1
    columns = NF
    next
}
{
    split($1, part, "_")
    group = part[1] OFS part[2]
    if (!(group in seen)) {
        seen[group] = 1
        task[group] = $2
        order[++groups] = group
    }
    runs[group]++
    if ($9 != "ok")
        next
    n[group]++
    for (i = first; i <= columns; i++)
        if ($i != "") {
            count[group, i]++
            sum[group, i] += $i
            square[group, i] += $i * $i
        }
}
function sd(g, i,   mean, v) {
    if (count[g, i] < 2)
        return ""
    mean = sum[g, i] / count[g, i]
    v = (square[g, i] - count[g, i] * mean * mean) / (count[g, i] - 1)
    return v > 0 ? sqrt(v) : 0
}
END {
    line = "arm" OFS "point" OFS "task" OFS "n" OFS "runs"
    for (i = first; i <= columns; i++)
        line = line OFS name[i] OFS name[i] "_sd" OFS name[i] "_se"
    print line
    for (k = 1; k <= groups; k++) {
        g = order[k]
        line = g OFS task[g] OFS n[g] + 0 OFS runs[g]
        for (i = first; i <= columns; i++) {
            if (!count[g, i]) {
                line = line OFS OFS OFS
                continue
            }
            s = sd(g, i)
            line = line OFS sprintf("%.6g", sum[g, i] / count[g, i]) OFS \
                (s == "" ? OFS : sprintf("%.3g", s) OFS sprintf("%.3g", s / sqrt(count[g, i])))
        }
        print line
    }
}
