# SPDX-License-Identifier: MIT
# Accuracy by source over the epochs, train (dashed) and validation, mean and standard error.
width = 1400; height = 380
load style
set multiplot layout 1,5 title "PID-controlled XOR at (.45, 0, .45, .10), width 1024: accuracy by source; dashed: train, solid: validation"
arms = "vanilla oracle none random learned"
names = "'vanilla' 'oracle' 'no mask (= published)' 'random, p = 0.5' 'learned'"
set yrange [0.3:1.02]
set xlabel "epoch"
set xrange [1:30]
do for [i = 1:5] {
    f = table("figure8-".word(arms, i))
    set title word(names, i)
    v(name) = column("val_accuracy_".name)
    e(name) = column("val_accuracy_".name."_se")
    plot f using 1:(v("unique1") - e("unique1")):(v("unique1") + e("unique1")) with filledcurves linecolor rgb UNIQUE notitle, \
         f using 1:(v("redundant") - e("redundant")):(v("redundant") + e("redundant")) with filledcurves linecolor rgb REDUNDANT notitle, \
         f using 1:(v("synergistic") - e("synergistic")):(v("synergistic") + e("synergistic")) with filledcurves linecolor rgb SYNERGY notitle, \
         f using 1:"val_accuracy_unique1" with lines linewidth 2 linecolor rgb UNIQUE title "U1", \
         f using 1:"val_accuracy_redundant" with lines linewidth 2 linecolor rgb REDUNDANT title "R", \
         f using 1:"val_accuracy_synergistic" with lines linewidth 2 linecolor rgb SYNERGY title "S", \
         f using 1:"train_accuracy_unique1" with lines dashtype 2 linecolor rgb UNIQUE notitle, \
         f using 1:"train_accuracy_redundant" with lines dashtype 2 linecolor rgb REDUNDANT notitle, \
         f using 1:"train_accuracy_synergistic" with lines dashtype 2 linecolor rgb SYNERGY notitle
}
unset multiplot
