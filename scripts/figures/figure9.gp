# SPDX-License-Identifier: MIT
# Empirical tangent kernel by source: shares of strength, alignments, losses; mean and one standard deviation,
# smoothed over 51 steps. One row per arm: `arms` and their `names`; Figure 1 is the row of vanilla fusion.
width = 1200; height = 60 + 330 * words(arms)
load style
set multiplot layout words(arms),3 title "PID-controlled XOR at (.45, 0, .45, .10), width 1024: tangent kernel by source"
set xrange [0:870]
set xlabel "step"
do for [i = 1:words(arms)] {
    f = table("figure9-".word(arms, i))
    g = table("figure8-".word(arms, i))
    m(name) = column(name)
    e(name) = column(name."_sd")
    set title word(names, i).": share of strength"
    set yrange [0:0.8]
    plot f using "step":(m("share_unique1") - e("share_unique1")):(m("share_unique1") + e("share_unique1")) with filledcurves linecolor rgb UNIQUE notitle, \
         f using "step":(m("share_redundant") - e("share_redundant")):(m("share_redundant") + e("share_redundant")) with filledcurves linecolor rgb REDUNDANT notitle, \
         f using "step":(m("share_synergistic") - e("share_synergistic")):(m("share_synergistic") + e("share_synergistic")) with filledcurves linecolor rgb SYNERGY notitle, \
         f using "step":"share_unique1" with lines linewidth 2 linecolor rgb UNIQUE title "U1", \
         f using "step":"share_redundant" with lines linewidth 2 linecolor rgb REDUNDANT title "R", \
         f using "step":"share_synergistic" with lines linewidth 2 linecolor rgb SYNERGY title "S"
    set title word(names, i).": alignment"
    set yrange [-0.5:1]
    plot f using "step":(m("alignment_unique1_synergistic") - e("alignment_unique1_synergistic")):(m("alignment_unique1_synergistic") + e("alignment_unique1_synergistic")) with filledcurves linecolor rgb UNIQUE notitle, \
         f using "step":(m("alignment_redundant_synergistic") - e("alignment_redundant_synergistic")):(m("alignment_redundant_synergistic") + e("alignment_redundant_synergistic")) with filledcurves linecolor rgb RANDOM notitle, \
         f using "step":"alignment_unique1_synergistic" with lines linewidth 2 linecolor rgb UNIQUE title "U1-S", \
         f using "step":"alignment_redundant_synergistic" with lines linewidth 2 linecolor rgb RANDOM title "R-S", \
         f using "step":"alignment_unique1_redundant" with lines dashtype 2 linecolor rgb NONE title "U1-R"
    set title word(names, i).": loss (dashed: train, solid: validation)"
    set yrange [0:*]
    plot f using "step":"loss_unique1" with lines dashtype 2 linecolor rgb UNIQUE notitle, \
         f using "step":"loss_redundant" with lines dashtype 2 linecolor rgb REDUNDANT notitle, \
         f using "step":"loss_synergistic" with lines dashtype 2 linecolor rgb SYNERGY notitle, \
         g using "step":"val_loss_unique1" with lines linewidth 2 linecolor rgb UNIQUE title "U1", \
         g using "step":"val_loss_redundant" with lines linewidth 2 linecolor rgb REDUNDANT title "R", \
         g using "step":"val_loss_synergistic" with lines linewidth 2 linecolor rgb SYNERGY title "S"
}
unset multiplot
