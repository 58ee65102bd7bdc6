# SPDX-License-Identifier: MIT
# awk -f table.awk shortcut.tsv: per method two Markdown tables, training sets x test sets: recall and F1 of
# irony; share of the matched clips that are called irony with their own and with the matched sound, and AUC.
# Each is the mean over folds and seeds and, of two runs or more, the sample standard deviation.
BEGIN { FS = "\t" }

function add(key, value) {
    if (value == "")
        return
    n[key]++
    sum[key] += value
    square[key] += value * value
}

function shown(key,   mean, rest) {
    if (!n[key])
        return "-"
    mean = sum[key] / n[key]
    if (n[key] == 1)
        return sprintf("%.2f", mean)
    rest = (square[key] - n[key] * mean * mean) / (n[key] - 1)
    return sprintf("%.2f ± %.2f", mean, rest > 0 ? sqrt(rest) : 0)
}

# Appends to list[1..list[0]] what is not yet in it.
function note(list, what,   i) {
    for (i = 1; i <= list[0]; i++)
        if (list[i] == what)
            return
    list[++list[0]] = what
}

# One table of a method: for every test set the columns of `list`, under the words of `heads`.
function table(m, list, heads,   column, head, columns, t, r, c) {
    columns = split(list, column, " ")
    split(heads, head, ",")
    printf "\n| %s trained on |", m
    for (t = 1; t <= tests[0]; t++)
        for (c = 1; c <= columns; c++)
            printf " %s %s |", tests[t], head[c]
    printf "\n|---|"
    for (c = 0; c < columns * tests[0]; c++)
        printf "---|"
    print ""
    for (r = 1; r <= trains[0]; r++) {
        printf "| %s |", trains[r]
        for (t = 1; t <= tests[0]; t++)
            for (c = 1; c <= columns; c++)
                printf " %s |", shown(m SUBSEP trains[r] SUBSEP tests[t] SUBSEP column[c])
        print ""
    }
}

NR == 1 {
    for (i = 1; i <= NF; i++)
        name[i] = $i
    next
}
{
    for (i = 1; i <= NF; i++)
        cell[name[i]] = $i
    note(methods, cell["method"])
    note(trains, cell["train"])
    note(tests, cell["test"])
    for (i = 1; i <= NF; i++)
        add(cell["method"] SUBSEP cell["train"] SUBSEP cell["test"] SUBSEP name[i], $i)
}

END {
    for (m = 1; m <= methods[0]; m++) {
        table(methods[m], "recall f1", "recall,F1")
        table(methods[m], "alarm_own alarm_matched swap_auc", "untouched,matched,AUC")
    }
}
