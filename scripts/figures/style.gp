# SPDX-License-Identifier: MIT
# What the figures share. Called with: data (folder of the tables), out (picture without its ending),
# format ("svg" or "png"), width, height.
if (format eq "svg") set terminal svg size width,height font "sans,12" background "white"; set output out.".svg"
if (format eq "png") set terminal pngcairo size width,height font "sans,9"; set output out.".png"
set datafile separator "\t"
set datafile columnheaders
set datafile missing ""
set border 3
set tics nomirror out
set grid ytics linecolor "#dddddd"
set key below maxrows 4
set bmargin 5
set style fill transparent solid 0.18 noborder
VANILLA = "#d62728"
ORACLE = "#2ca02c"
RANDOM = "#ff7f0e"
LEARNED = "#1f77b4"
NONE = "#7f7f7f"
UNIQUE = "#1f77b4"
REDUNDANT = "#2ca02c"
SYNERGY = "#d62728"
table(name) = data."/".name.".tsv"
# Length of an error bar: none for a point of one run, which has no error but is there.
bar(name) = strlen(strcol(name)) > 0 ? column(name) : 0
