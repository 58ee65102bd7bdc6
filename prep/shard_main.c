/* SPDX-License-Identifier: MIT */
#include "prep/shard.h"

int main(int argc, char **argv)
{
    struct inspect_options opt = INSPECT_OPTIONS_DEFAULT;
    struct err e = {0};

    TRY(inspect_options_parse(&opt, argc, argv, &e));
    TRY(inspect_run(&opt, &e));
out:
    return cli_finish("synib-shard", &e);
}
