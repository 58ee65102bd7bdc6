# SPDX-License-Identifier: MIT
# awk -f chosen.awk RESULTS.TSV: results in which, for every mask, mixture and seed, the run with the best
# validation score among arms MASK-lambdaX stands for MASK (the first of equals), and the other arms as they
# are: how Figure 7 was made.
BEGIN { FS = OFS = "\t" }
/^#/ { print; next }
!header {
    for (i = 1; i <= NF; i++)
        column[$i] = i
    header = 1
    print
    next
}
{
    split($1, part, "_")
    if (part[1] !~ /-lambda/) {
        line[++count] = $0
        next
    }
    mask = part[1]
    sub(/-lambda.*/, "", mask)
    $1 = mask "_" part[2] "_" part[3]
    if (!($1 in place)) {
        place[$1] = ++count
        line[count] = $0
        score[$1] = $column["best_score"]
    } else if ($column["best_score"] != "" && (score[$1] == "" || $column["best_score"] + 0 > score[$1] + 0)) {
        line[place[$1]] = $0
        score[$1] = $column["best_score"]
    }
}
END {
    for (i = 1; i <= count; i++)
        print line[i]
}
