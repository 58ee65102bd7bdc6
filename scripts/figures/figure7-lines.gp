# SPDX-License-Identifier: MIT
# The same by the share of synergy: mean over mixtures and seeds, standard error over seeds.
width = 1100; height = 420
load style
set bmargin 8
set multiplot layout 1,2 title heading.", mean over the mixtures of each share"
f = table(table_name."-lines")
set xlabel "share of synergistic samples"
set xrange [0:1]
do for [what in "accuracy accuracy_synergistic"] {
    set ylabel (what eq "accuracy" ? "test accuracy" : "test accuracy, synergistic samples")
    c(arm) = sprintf("%s_%s_%s", arm, stage, what)
    plot f using 1:(column(c("vanilla"))):(bar(c("vanilla")."_se")) with yerrorlines linecolor rgb VANILLA pointtype 7 title "vanilla", \
         f using 1:(column(c("vanilla-tuned"))):(bar(c("vanilla-tuned")."_se")) with yerrorlines dashtype 2 linecolor rgb VANILLA pointtype 6 title "vanilla, tuned", \
         f using 1:(column(c("oracle"))):(bar(c("oracle")."_se")) with yerrorlines linecolor rgb ORACLE pointtype 7 title "oracle", \
         f using 1:(column(c("oracle-literal"))):(bar(c("oracle-literal")."_se")) with yerrorlines dashtype 2 linecolor rgb ORACLE pointtype 6 title "oracle, as written", \
         f using 1:(column(c("none"))):(bar(c("none")."_se")) with yerrorlines dashtype 2 linecolor rgb NONE pointtype 6 title "no mask", \
         f using 1:(column(c("random"))):(bar(c("random")."_se")) with yerrorlines linecolor rgb RANDOM pointtype 7 title "random", \
         f using 1:(column(c("learned"))):(bar(c("learned")."_se")) with yerrorlines linecolor rgb LEARNED pointtype 7 title "learned"
}
unset multiplot
