# SPDX-License-Identifier: MIT
# Masked copies as augmentation beside SynIB, by the share of synergy, equal shares of unique and redundant.
width = 1100; height = 420
load style
set bmargin 8
set multiplot layout 1,2 title "PID-controlled XOR, width 256, unique and redundant in equal shares, last epoch, mean and standard error of 5 seeds"
f = table("figure11")
set xlabel "share of synergistic samples"
do for [what in "accuracy accuracy_synergistic"] {
    set ylabel (what eq "accuracy" ? "test accuracy" : "test accuracy, synergistic samples")
    c(arm) = arm."_last_".what
    plot f using 1:(column(c("vanilla"))):(bar(c("vanilla")."_se")) with yerrorlines linecolor rgb VANILLA pointtype 7 title "vanilla", \
         f using 1:(column(c("masking-none"))):(bar(c("masking-none")."_se")) with yerrorlines dashtype 2 linecolor rgb NONE pointtype 6 title "copies, no mask", \
         f using 1:(column(c("masking-random"))):(bar(c("masking-random")."_se")) with yerrorlines dashtype 2 linecolor rgb RANDOM pointtype 6 title "copies, random masks", \
         f using 1:(column(c("masking-oracle"))):(bar(c("masking-oracle")."_se")) with yerrorlines dashtype 2 linecolor rgb ORACLE pointtype 6 title "copies, oracle masks", \
         f using 1:(column(c("random"))):(bar(c("random")."_se")) with yerrorlines linecolor rgb RANDOM pointtype 7 title "SynIB, random", \
         f using 1:(column(c("oracle"))):(bar(c("oracle")."_se")) with yerrorlines linecolor rgb ORACLE pointtype 7 title "SynIB, oracle"
}
unset multiplot
