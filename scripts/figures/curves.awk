# SPDX-License-Identifier: MIT
# awk -f curves.awk [-v window=W] RUN.CSV...: mean over the runs of tables with the same header and first
# column (epochs.csv, ntk.csv): the first column, then NAME, NAME_sd (n - 1) and NAME_se for every other.
# Columns strength_SOURCE become share_SOURCE, each divided by the sum of those that are there. With a
# window every column is first smoothed by a centred mean over W rows of the same run; at the ends the
# window is cut, and empty cells do not count (X section 5).
BEGIN { FS = ","; OFS = "\t" }
FNR == 1 {
    finish_run()
    runs++
    rows = 0
    if (runs == 1) {
        columns = NF
        for (i = 1; i <= NF; i++) {
            strength[i] = $i ~ /^strength_/
            name[i] = $i
            sub(/^strength_/, "share_", name[i])
        }
    }
    next
}
{
    rows++
    key[rows] = $1
    total = 0
    for (i = 2; i <= columns; i++)
        if (strength[i] && $i != "")
            total += $i
    for (i = 2; i <= columns; i++) {
        v = strength[i] && $i != "" ? (total > 0 ? $i / total : "") : $i
        if (v != "") {
            value[i, rows] = v
        }
    }
}
# Running sums over the window; adds the smoothed values of this run to the sums over runs.
function finish_run(   i, r, low, high, s, c, half) {
    half = window > 1 ? int(window / 2) : 0
    for (i = 2; runs > 0 && i <= columns; i++) {
        s = c = 0
        low = 1
        high = 0
        for (r = 1; r <= rows; r++) {
            while (high < rows && high < r + half) {
                high++
                if ((i, high) in value) { s += value[i, high]; c++ }
            }
            while (low < r - half) {
                if ((i, low) in value) { s -= value[i, low]; c-- }
                low++
            }
            if (c > 0) {
                n[i, r]++
                sum[i, r] += s / c
                square[i, r] += (s / c) * (s / c)
            }
        }
    }
    if (rows > most)
        most = rows
    split("", value)
}
END {
    finish_run()
    line = "at"
    for (i = 2; i <= columns; i++)
        line = line OFS name[i] OFS name[i] "_sd" OFS name[i] "_se"
    print line
    for (r = 1; r <= most; r++) {
        line = key[r]
        for (i = 2; i <= columns; i++) {
            if (!n[i, r]) {
                line = line OFS OFS OFS
                continue
            }
            mean = sum[i, r] / n[i, r]
            v = n[i, r] > 1 ? (square[i, r] - n[i, r] * mean * mean) / (n[i, r] - 1) : 0
            v = v > 0 ? sqrt(v) : 0
            line = line OFS sprintf("%.6g", mean) OFS sprintf("%.3g", v) OFS sprintf("%.3g", v / sqrt(n[i, r]))
        }
        print line
    }
}
