# SPDX-License-Identifier: MIT
# awk -v table=NAME [-v ...] -f tables.awk TABLE.TSV...: one Markdown table of docs/xor-results.md.
#
#   points    arms x points of a summary, METRIC in percent with its standard error; `arms`, `points`: lists
#   arms      arms of a summary at `point`, one column per metric of `metrics` (titles in `titles`)
#   shares    shares of synergy x arms of NAME-lines.tsv: accuracy / synergy accuracy of `stage`
#   kernel    last quarter of figure9-ARM.tsv: shares of strength and alignments
#   ends      last row of figure8-ARM.tsv: synergistic accuracy and loss, train and validation
#   bands     the output of bands.awk
BEGIN {
    FS = "\t"
    arm_count = split(arms, arm_list, " ")
    point_count = split(points, point_list, " ")
    metric_count = split(metrics, metric_list, " ")
    title_count = split(titles, title_list, "|")
}
FNR == 1 {
    split("", column)
    for (i = 1; i <= NF; i++)
        column[$i] = i
    file_arm = FILENAME
    sub(/.*figure[0-9]+-/, "", file_arm)
    sub(/\.tsv$/, "", file_arm)
    if (table != "bands")
        next
}
table == "points" || table == "arms" {
    for (name in column) {
        value[$1, $2, name] = $column[name]
    }
}
table == "shares" {
    line[++lines] = "| " $1
    for (a = 1; a <= arm_count; a++)
        line[lines] = line[lines] " | " pair($column[arm_list[a] "_" stage "_accuracy"], $column[arm_list[a] "_" stage "_accuracy_synergistic"]) \
            (((arm_list[a] "_missing") in column) && $column[arm_list[a] "_missing"] ? " (" $column[arm_list[a] "_missing"] " runs)" : "")
}
table == "kernel" {
    rows[file_arm]++
    for (name in column)
        value[file_arm, name, rows[file_arm]] = $column[name]
}
table == "ends" {
    for (name in column)
        value[file_arm, name] = $column[name]
}
table == "bands" {
    line[++lines] = sprintf("| %s | %s | %s to %s | %s%s | %s |", $1, $2, $3, $4, $5 == "" ? "-" : $5, $6 == "" ? "" : " ± " $6, $7)
}
function head(   i, text, rule) {
    text = "|"
    rule = "|"
    for (i = 1; i <= title_count; i++) {
        text = text " " title_list[i] " |"
        rule = rule "---|"
    }
    print text
    print rule
}
function three(v) { return v == "" ? "-" : substr(sprintf("%.3f", v), v < 0 ? 1 : (v < 1 && v > 0 ? 2 : 1)) }
function pair(a, b) { return three(a) " / " three(b) }
function with_error(v, e, format) { return v == "" ? "-" : sprintf(format, v) " ± " (e == "" ? "-" : sprintf(format, e)) }
function times100(v) { return v == "" ? "" : 100 * v }
# Metrics in percent unless their name says otherwise; how many runs were finite, where not all of them. (Summaries made
# before all runs were counted have no column `runs`.)
function cell(arm, point, metric) {
    v = value[arm, point, metric]
    e = value[arm, point, metric "_se"]
    n = value[arm, point, "runs"]
    k = value[arm, point, "n"]
    if (metric == "n")
        return n != "" && k + 0 < n + 0 ? k " of " n : k
    text_of = metric ~ /loss|mse|r2/ ? with_error(v, e, "%.3f") : with_error(times100(v), times100(e), "%.1f")
    return text_of (table == "points" && n != "" && k + 0 < n + 0 ? " (" k " of " n " runs)" : "")
}
function last_quarter(arm, name,   r, s, n) {
    for (r = int(3 * rows[arm] / 4) + 1; r <= rows[arm]; r++)
        if (value[arm, name, r] != "") {
            s += value[arm, name, r]
            n++
        }
    return n ? sprintf("%.2f", s / n) : "-"
}
END {
    if (table == "points") {
        titles = "arm"
        for (p = 1; p <= point_count; p++)
            titles = titles "|" point_list[p]
        title_count = split(titles, title_list, "|")
        head()
        for (a = 1; a <= arm_count; a++) {
            text = "| " arm_list[a] " |"
            for (p = 1; p <= point_count; p++)
                text = text " " cell(arm_list[a], point_list[p], metrics) " |"
            print text
        }
    }
    if (table == "arms") {
        head()
        for (a = 1; a <= arm_count; a++) {
            text = "| " arm_list[a] " |"
            for (m = 1; m <= metric_count; m++)
                text = text " " cell(arm_list[a], point, metric_list[m]) " |"
            print text
        }
    }
    if (table == "shares") {
        titles = "share"
        for (a = 1; a <= arm_count; a++)
            titles = titles "|" arm_list[a]
        title_count = split(titles, title_list, "|")
        head()
        for (i = 1; i <= lines; i++)
            print line[i] " |"
    }
    if (table == "kernel") {
        titles = "arm|U1|R|S|U1-S|R-S|U1-R"
        title_count = split(titles, title_list, "|")
        head()
        for (a = 1; a <= arm_count; a++) {
            arm = arm_list[a]
            print "| " arm " | " last_quarter(arm, "share_unique1") " | " last_quarter(arm, "share_redundant") " | " \
                last_quarter(arm, "share_synergistic") " | " last_quarter(arm, "alignment_unique1_synergistic") " | " \
                last_quarter(arm, "alignment_redundant_synergistic") " | " last_quarter(arm, "alignment_unique1_redundant") " |"
        }
    }
    if (table == "ends") {
        titles = "arm|train accuracy|validation accuracy|train loss|validation loss|values corrupted"
        title_count = split(titles, title_list, "|")
        head()
        for (a = 1; a <= arm_count; a++) {
            arm = arm_list[a]
            print "| " arm " | " three(value[arm, "train_accuracy_synergistic"]) " | " three(value[arm, "val_accuracy_synergistic"]) " | " \
                three(value[arm, "train_loss_synergistic"]) " | " three(value[arm, "val_loss_synergistic"]) " | " \
                three(value[arm, "masked_share_x1"]) " |"
        }
    }
    if (table == "bands") {
        titles = "what|n|must be|measured|"
        title_count = split(titles, title_list, "|")
        head()
        for (i = 1; i <= lines; i++)
            print line[i]
    }
}
