# SPDX-License-Identifier: MIT
# awk -f wide.awk -v metrics="last_accuracy ..." [-v scale=100] [-v points=REGEX] [-v bare=1] SUMMARY: one line
# per point of a summary (summary.awk) whose name matches, without what `strip` matches: `at`, then for
# every arm and metric ARM_METRIC (with bare only ARM) and ..._se.
BEGIN {
    FS = OFS = "\t"
    metric_count = split(metrics, metric, " ")
    if (!scale)
        scale = 1
}
NR == 1 {
    for (i = 1; i <= NF; i++)
        column[$i] = i
    next
}
points != "" && $2 !~ points { next }
{
    if (!($1 in arm_seen)) {
        arm_seen[$1] = 1
        arm[++arms] = $1
    }
    point = $2
    if (strip != "")
        sub(strip, "", point)
    if (!(point in point_seen)) {
        point_seen[point] = 1
        order[++count] = point
    }
    for (k = 1; k <= metric_count; k++) {
        value[$1, point, k] = $column[metric[k]]
        error[$1, point, k] = $column[metric[k] "_se"]
    }
}
function number(v) { return v == "" ? "" : sprintf("%.5g", scale * v) }
END {
    line = "at"
    for (a = 1; a <= arms; a++)
        for (k = 1; k <= metric_count; k++) {
            name = bare ? arm[a] : arm[a] "_" metric[k]
            line = line OFS name OFS name "_se"
        }
    print line
    for (p = 1; p <= count; p++) {
        line = order[p]
        for (a = 1; a <= arms; a++)
            for (k = 1; k <= metric_count; k++)
                line = line OFS number(value[arm[a], order[p], k]) OFS number(error[arm[a], order[p], k])
        print line
    }
}
