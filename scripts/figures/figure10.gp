# SPDX-License-Identifier: MIT
# Validation over the epochs, mean and standard error: Spurious XOR at strength 1 (all samples), PID-XOR
# (synergistic samples). tests_left, tests_right: test accuracy after the last epoch, in the order of the arms.
width = 1000; height = 430
load style
set bmargin 8
set multiplot layout 1,2
set xlabel "epoch"
set ylabel "accuracy"
set yrange [0.4:1.02]
low(c) = column(c) - column(c."_se")
high(c) = column(c) + column(c."_se")
left = "vanilla oracle random learned"
left_colors = VANILLA." ".ORACLE." ".RANDOM." ".LEARNED
set title "Spurious XOR, strength 1: validation has the shortcut"
c = "val_accuracy"
plot for [i = 1:4] table("figure10-".word(left, i)) using 1:(low(c)):(high(c)) with filledcurves linecolor rgb word(left_colors, i) notitle, \
     for [i = 1:4] table("figure10-".word(left, i)) using 1:(column(c)) with lines linewidth 2 linecolor rgb word(left_colors, i) \
         title word(left, i)." (test ".word(tests_left, i).")", \
     table("figure10-vanilla") using 1:"train_accuracy" with lines dashtype 2 linecolor rgb VANILLA title "vanilla, train"
right = "vanilla oracle none random learned"
right_colors = VANILLA." ".ORACLE." ".NONE." ".RANDOM." ".LEARNED
set title "PID-controlled XOR: synergistic samples of validation"
c = "val_accuracy_synergistic"
plot for [i = 1:5] table("figure8-".word(right, i)) using 1:(low(c)):(high(c)) with filledcurves linecolor rgb word(right_colors, i) notitle, \
     for [i = 1:5] table("figure8-".word(right, i)) using 1:(column(c)) with lines linewidth 2 linecolor rgb word(right_colors, i) \
         title word(right, i)." (test ".word(tests_right, i).")"
unset multiplot
