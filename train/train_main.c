/* SPDX-License-Identifier: MIT */
#include "train/train.h"

#include "common/base/parallel.h"

int main(int argc, char **argv)
{
    struct train_options opt;
    struct err e = {0};

    parallel_sleep_when_idle(argv);
    cli_catch_signals();
    TRY(train_options_parse(&opt, argc, argv, &e));
    TRY(train_run(&opt, &e));
out:
    return cli_finish("synib-train", &e);
}
