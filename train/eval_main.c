/* SPDX-License-Identifier: MIT */
#include "train/eval.h"

int main(int argc, char **argv)
{
    struct eval_options opt;
    struct err e = {0};

    TRY(eval_options_parse(&opt, argc, argv, &e));
    TRY(eval_run(&opt, &e));
out:
    return cli_finish("synib-eval", &e);
}
