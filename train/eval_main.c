/* SPDX-License-Identifier: MIT */
#include "train/eval.h"

#include "common/base/parallel.h"

int main(int argc, char **argv)
{
    struct eval_options opt;
    struct err e = {0};

    parallel_sleep_when_idle(argv);
    TRY(eval_options_parse(&opt, argc, argv, &e));
    TRY(eval_run(&opt, &e));
out:
    return cli_finish("synib-eval", &e);
}
