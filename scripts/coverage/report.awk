# SPDX-License-Identifier: MIT
# parsers.txt and gcovr's CSV -> a line per folder, files below their goal, the two figures. A file counts in its
# folder and, where parsers.txt names it or it lies in common/base or common/data, among the strict.

function share(hit, all) { return all > 0 ? 100 * hit / all : 100 }
function line(name, hit, all) { printf "%-28s %6d of %6d  %5.1f %%\n", name, hit, all, share(hit, all) }

BEGIN { FS = ","; STRICT = 95; WHOLE = 85; STRICT_NAME = "common/base, common/data, parsers" }

FNR == 1 { file++ }
file == 1 && /^[a-z]/ { parser[$1] = 1; next }
file == 1 { next }
FNR == 1 {
    for (i = 1; i <= NF; i++)
        at[$i] = i
    if (!("branch_total" in at) || !("branch_covered" in at)) {
        print "report.awk: gcovr's CSV has other columns than expected" > "/dev/stderr"
        exit failed = 2
    }
    next
}
{
    name = $at["filename"]
    all = $at["branch_total"]; hit = $at["branch_covered"]
    folder = name
    sub("/[^/]*$", "", folder)
    if (!(folder in total)) folders[++n] = folder
    total[folder] += all; taken[folder] += hit
    whole_all += all; whole_hit += hit
    strict = name in parser || folder == "common/base" || folder == "common/data"
    if (strict) { strict_all += all; strict_hit += hit }
    if (name in parser) { parsers_all += all; parsers_hit += hit; delete parser[name] }
    goal = strict ? STRICT : WHOLE
    if (share(hit, all) < goal)
        low = low sprintf("  %-28s %6d of %6d  %5.1f %%\n", name, hit, all, share(hit, all))
}
END {
    if (failed) exit failed
    print "Branches taken by the tests"
    for (i = 1; i <= n; i++)
        line(folders[i], taken[folders[i]], total[folders[i]])
    line("parsers", parsers_hit, parsers_all)
    if (low != "") printf "\nFiles below the goal of their kind:\n%s", low
    print ""
    line(STRICT_NAME, strict_hit, strict_all)
    line("whole product", whole_hit, whole_all)
    for (p in parser) { print "report.awk: parsers.txt: " p ": not measured" > "/dev/stderr"; failed = 1 }
    if (share(strict_hit, strict_all) < STRICT || share(whole_hit, whole_all) < WHOLE) {
        printf "coverage: below %d %% or %d %%\n", STRICT, WHOLE > "/dev/stderr"
        failed = 1
    }
    exit failed
}
