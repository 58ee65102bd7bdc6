# SPDX-License-Identifier: MIT
# Accuracy over the simplex of sources (unique left, redundant right, synergistic on top): all samples above,
# synergistic ones below. table_name, heading, stage, point_size: from the caller.
width = 1500; height = 560
load style
unset border; unset tics; unset grid; unset key
set style fill solid noborder
set palette defined (0 "#7f0000", 0.5 "#f7d08a", 1 "#00441b")
set size ratio -1
set xrange [-0.1:1.1]; set yrange [-0.16:1.0]
set lmargin 1; set rmargin 1; set tmargin 2; set bmargin 1
f = table(table_name)
x(u, r, s) = r + s / 2
y(s) = s * 0.866
arms = "vanilla vanilla-tuned oracle none random learned"
names = "'vanilla' 'vanilla, tuned' 'oracle' 'no mask (= published c, d)' 'random, p = 0.5' 'learned'"
set label 1 "U" at 0,-0.1 center; set label 2 "R" at 1,-0.1 center; set label 3 "S" at 0.5,0.95 center
set multiplot title heading.": all samples above, synergistic samples below"
set cbtics # of the colour scales at the right, one per row
do for [what in "accuracy accuracy_synergistic"] {
    bottom = what eq "accuracy" ? 0.5 : 0.02
    set cbrange [(what eq "accuracy" ? 0.7 : 0.4):1]
    do for [i = 1:6] {
        arm = word(arms, i)
        if (i == 6) {
            set colorbox user origin screen 0.955, screen bottom + 0.06 size screen 0.008, screen 0.3
        } else {
            unset colorbox
        }
        set size ratio -1 0.157,0.44
        set origin 0.157 * (i - 1),bottom
        set title (what eq "accuracy" ? word(names, i) : "")
        plot f using (stringcolumn("arm") eq arm ? x(column("u"), column("r"), column("s")) : NaN):(y(column("s"))):(column(stage."_".what)) \
            with points pointtype 7 pointsize point_size palette
    }
}
unset multiplot
