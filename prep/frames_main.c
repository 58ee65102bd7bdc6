/* SPDX-License-Identifier: MIT */
#include "prep/frames.h"

int main(int argc, char **argv)
{
    struct frames_options opt = FRAMES_OPTIONS_DEFAULT;
    struct err e = {0};

    cli_catch_signals();
    TRY(frames_options_parse(&opt, argc, argv, &e));
    TRY(frames_run(&opt, &e));
out:
    return cli_finish("synib-frames", &e);
}
