/* SPDX-License-Identifier: MIT */
#include "train/train.h"

int main(int argc, char **argv)
{
    struct train_options opt;
    struct err e = {0};

    cli_catch_signals();
    TRY(train_options_parse(&opt, argc, argv, &e));
    TRY(train_run(&opt, &e));
out:
    return cli_finish("synib-train", &e);
}
