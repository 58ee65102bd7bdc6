# SPDX-License-Identifier: MIT
# awk -v plan=NAME -v sweep=SWEEPS/NAME -v here=scripts/figures -f bands.awk BANDS.TSV: what each band of a plan
# demands and what its runs gave: what, n ("K of N" where some runs were not finite), low, high, measured, standard error, verdict (met, NOT MET, or NOT
# MEASURED where there are no such runs or curves).
#
#   mean, min      of the runs ARM at POINT
#   gap, wins      mean of the first arm less that of the second; share of (seed, point) where it is larger
#   drop           last_COLUMN less best_COLUMN
#   end            last row of the mean of the runs' epochs.csv
#   quarter        mean of the last quarter of the steps of ntk.csv; quarter-gap of two columns, arm-gap of two arms
BEGIN {
    FS = OFS = "\t"
    read_results(sweep "/results.tsv")
}
function read_results(file,   c, i, cell) {
    while ((getline line < file) > 0) {
        if (line ~ /^#/)
            continue
        c = split(line, cell, "\t")
        if (!header) {
            for (i = 1; i <= c; i++)
                name[i] = cell[i]
            header = 1
            continue
        }
        split(cell[1], part, "_")
        runs++
        arm[runs] = part[1]
        point[runs] = part[2]
        seed[runs] = part[3]
        for (i = 1; i <= c; i++)
            if (cell[i] != "")
                value[runs, name[i]] = cell[i]
    }
    close(file)
}
# Mean over the runs of an arm; sets count, least and error.
function mean_of(a, p, column,   r, s, q, v) {
    s = q = count = 0
    least = error = ""
    for (r = 1; r <= runs; r++)
        if (arm[r] == a && point[r] == p && (r, column) in value) {
            v = value[r, column]
            s += v
            q += v * v
            count++
            if (least == "" || v < least)
                least = v
        }
    if (count == 0)
        return ""
    if (count > 1)
        error = sqrt(positive(q - s * s / count) / (count - 1) / count)
    return s / count
}
function positive(v) { return v > 0 ? v : 0 }
function wins(a, b, points, column,   r, t, won) {
    count = won = 0
    for (r = 1; r <= runs; r++)
        for (t = 1; t <= runs; t++)
            if (arm[r] == a && arm[t] == b && point[r] == point[t] && seed[r] == seed[t] && point[r] ~ points &&
                (r, column) in value && (t, column) in value) {
                count++
                won += value[r, column] > value[t, column]
            }
    error = ""
    return count ? won / count : ""
}
# A column of the mean over an arm's tables: its last row, or the mean of its last quarter. Sets count and error
# (of the last row).
function curve(a, p, table, column, quarter,   file, command, c, i, cell, at, at_error, rows, kept, s, n) {
    count = mean_count(a, p)
    error = ""
    if (!count)
        return ""
    command = "awk -f " here "/curves.awk " sweep "/runs/" a "_" p "_*." table ".csv"
    rows = 0
    while ((command | getline line) > 0) {
        c = split(line, cell, "\t")
        if (rows++ == 0) {
            for (i = 1; i <= c; i++) {
                if (cell[i] == column) at = i
                if (cell[i] == column "_se") at_error = i
            }
            continue
        }
        kept[rows - 1] = cell[at]
        error = cell[at_error]
    }
    close(command)
    rows--
    if (rows < 1 || !at)
        return ""
    if (!quarter)
        return kept[rows]
    s = n = 0
    for (i = int(3 * rows / 4) + 1; i <= rows; i++)
        if (kept[i] != "") {
            s += kept[i]
            n++
        }
    error = ""
    return n ? s / n : ""
}
# "" where one of the two was not measured.
function less(a, b) { return a == "" || b == "" ? "" : a - b }
function mean_count(a, p,   r, n) {
    for (r = 1; r <= runs; r++)
        n += arm[r] == a && point[r] == p && value[r, "status"] == "ok"
    return n + 0
}
# "K of N" where some runs of the arms of a band were not finite, else "".
function finite_of(a, p, how,   arms, i, m, r, n, k) {
    m = split(a, arms, " ")
    n = k = 0
    for (r = 1; r <= runs; r++)
        for (i = 1; i <= m; i++)
            if (arm[r] == arms[i] && (how == "wins" ? point[r] ~ p : point[r] == p)) {
                n++
                k += value[r, "status"] == "ok"
            }
    return k < n ? k " of " n : ""
}
function measure(how, a, p, column,   arms, columns, first, e) {
    split(a, arms, " ")
    split(column, columns, " ")
    if (how == "mean")
        return mean_of(a, p, column)
    if (how == "min") {
        mean_of(a, p, column)
        error = ""
        return least
    }
    if (how == "gap") {
        first = mean_of(arms[1], p, column)
        e = error
        first = less(first, mean_of(arms[2], p, column))
        error = e == "" || error == "" ? "" : sqrt(e * e + error * error)
        return first
    }
    if (how == "wins")
        return wins(arms[1], arms[2], p, column)
    if (how == "drop") {
        first = mean_of(a, p, "last_" column)
        return less(first, mean_of(a, p, "best_" column))
    }
    if (how == "end")
        return curve(a, p, "epochs", column, 0)
    if (how == "quarter")
        return curve(a, p, "ntk", column, 1)
    if (how == "quarter-gap")
        return less(curve(a, p, "ntk", columns[1], 1), curve(a, p, "ntk", columns[2], 1))
    if (how == "arm-gap")
        return less(curve(arms[1], p, "ntk", column, 1), curve(arms[2], p, "ntk", column, 1))
}
FNR > 1 && $2 == plan {
    v = measure($3, $4, $5, $6)
    low = $7
    strict = sub(/^>/, "", low)
    met = (strict ? v > low + 0 : v >= low + 0) && v <= $8 + 0
    finite = finite_of($4, $5, $3)
    print $1, finite == "" ? count : finite, (strict ? "> " : "") low, $8, v == "" ? "" : sprintf("%.4g", v), error == "" ? "" : sprintf("%.2g", error), \
        v == "" ? "NOT MEASURED" : met ? "met" : "NOT MET"
}
