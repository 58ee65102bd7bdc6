# SPDX-License-Identifier: MIT
# Validation over the epochs: Spurious XOR at strength 1 (all samples), PID-XOR (synergistic samples).
width = 1000; height = 420
load style
set multiplot layout 1,2
set xlabel "epoch"
set title "Spurious XOR, strength 1: validation has the shortcut"
set ylabel "accuracy"
set yrange [0.4:1.02]
a(name) = table("figure10-".name)
plot a("vanilla") using 1:"train_accuracy" with lines dashtype 2 linecolor rgb VANILLA title "vanilla, train", \
     a("vanilla") using 1:"val_accuracy" with lines linewidth 2 linecolor rgb VANILLA title "vanilla", \
     a("oracle") using 1:"val_accuracy" with lines linewidth 2 linecolor rgb ORACLE title "oracle", \
     a("random") using 1:"val_accuracy" with lines linewidth 2 linecolor rgb RANDOM title "random", \
     a("learned") using 1:"val_accuracy" with lines linewidth 2 linecolor rgb LEARNED title "learned"
set title "PID-controlled XOR: synergistic samples of validation"
b(name) = table("figure8-".name)
plot b("vanilla") using 1:"val_accuracy_synergistic" with lines linewidth 2 linecolor rgb VANILLA title "vanilla", \
     b("oracle") using 1:"val_accuracy_synergistic" with lines linewidth 2 linecolor rgb ORACLE title "oracle", \
     b("none") using 1:"val_accuracy_synergistic" with lines dashtype 2 linewidth 2 linecolor rgb NONE title "no mask", \
     b("random") using 1:"val_accuracy_synergistic" with lines linewidth 2 linecolor rgb RANDOM title "random", \
     b("learned") using 1:"val_accuracy_synergistic" with lines linewidth 2 linecolor rgb LEARNED title "learned"
unset multiplot
