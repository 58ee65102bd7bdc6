/* SPDX-License-Identifier: MIT */
#include "prep/synth.h"

int main(int argc, char **argv)
{
    struct synth_options opt = SYNTH_OPTIONS_DEFAULT;
    struct synth_summary summary;
    struct err e = {0};

    TRY(synth_options_parse(&opt, argc, argv, &e));
    cli_catch_signals();
    TRY(synth_run(&opt, &summary, &e));
    if (opt.cli.json)
        synth_summary_json(&summary, stdout);
out:
    return cli_finish("synib-synth", &e);
}
