# SPDX-License-Identifier: MIT
# Accuracy without the shortcut, by its strength in training; and by p for random masks.
width = 1000; height = 400
load style
set bmargin 8
set multiplot layout 1,2
set title "Spurious XOR: last epoch, mean and standard error"
set xlabel "strength of the shortcut in training"
set ylabel "test accuracy (%)"
set yrange [45:102]
f = table("figure6")
plot f using 1:"vanilla":(bar("vanilla_se")) with yerrorlines linecolor rgb VANILLA pointtype 7 title "vanilla", \
     f using 1:"vanilla-equal":(bar("vanilla-equal_se")) with yerrorlines dashtype 2 linecolor rgb VANILLA pointtype 6 title "vanilla, SynIB's rates", \
     f using 1:"oracle":(bar("oracle_se")) with yerrorlines linecolor rgb ORACLE pointtype 7 title "oracle", \
     f using 1:"learned":(bar("learned_se")) with yerrorlines linecolor rgb LEARNED pointtype 7 title "learned", \
     f using 1:"random":(bar("random_se")) with yerrorlines linecolor rgb RANDOM pointtype 7 title "random, p = 0.4", \
     f using 1:"none":(bar("none_se")) with yerrorlines dashtype 2 linecolor rgb NONE pointtype 6 title "no mask, penalty only"
set title "Random masks by p"
set xlabel "p"
f = table("figure6-p")
plot f using 1:"s0.6":(bar("s0.6_se")) with yerrorlines dashtype 2 linecolor rgb RANDOM pointtype 6 title "random, strength 0.6", \
     f using 1:"s1":(bar("s1_se")) with yerrorlines linecolor rgb RANDOM pointtype 7 title "random, strength 1", \
     f using 1:"learned-s1" with lines linecolor rgb LEARNED title "learned, strength 1", \
     f using 1:"all-s1" with lines linecolor rgb "black" title "whole modality, strength 1"
unset multiplot
