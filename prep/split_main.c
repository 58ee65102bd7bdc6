/* SPDX-License-Identifier: MIT */
#include "prep/split.h"

int main(int argc, char **argv)
{
    struct split_options opt = SPLIT_OPTIONS_DEFAULT;
    struct err e = {0};

    TRY(split_options_parse(&opt, argc, argv, &e));
    TRY(split_run(&opt, &e));
out:
    return cli_finish("synib-split", &e);
}
