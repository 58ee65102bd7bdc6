/* SPDX-License-Identifier: MIT */
#include "train/sweep/sweep.h"

#include "common/base/parallel.h"

int main(int argc, char **argv)
{
    struct sweep_options opt;
    struct err e = {0};

    parallel_sleep_when_idle(argv);
    cli_catch_signals();
    TRY(sweep_options_parse(&opt, argc, argv, &e));
    TRY(sweep_run(&opt, &e));
out:
    return cli_finish("synib-sweep", &e);
}
