# SPDX-License-Identifier: MIT
# scripts/table1.awk: the shape of the paper's Table 1 from a report's cells.tsv (docs/formats/report.md).
function cell(mean, sd) {
    return sd == "" ? sprintf("%5.1f", 100 * mean) : sprintf("%5.1f +- %4.1f", 100 * mean, 100 * sd)
}
NR == 2 { for (i = 1; i <= NF; i++) at[$i] = i; next }
NR > 2 && ($at["metric"] == "irony_f1" || $at["metric"] == "macro_f1") {
    m = $at["method"]; d = $at["data"]
    if (!(m in row)) { row[m] = ++rows; method[rows] = m }
    if (!(d in column)) { column[d] = ++columns; data[columns] = d }
    value[m, d] = value[m, d] ($at["metric"] == "macro_f1" ? " / " : "") cell($at["mean"], $at["sd"])
}
END {
    printf "%-14s", "method"
    for (c = 1; c <= columns; c++) printf "  %-29s", data[c]
    print ""
    for (r = 1; r <= rows; r++) {
        printf "%-14s", method[r]
        for (c = 1; c <= columns; c++) printf "  %-29s", (method[r], data[c]) in value ? value[method[r], data[c]] : "-"
        print ""
    }
}
