/* SPDX-License-Identifier: MIT */
#include "train/report/report.h"

#include "common/base/parallel.h"

int main(int argc, char **argv)
{
    struct report_options opt = {0};
    struct err e = {0};

    parallel_sleep_when_idle(argv);
    TRY(report_options_parse(&opt, argc, argv, &e));
    TRY(report_make(&opt, &e));
out:
    report_options_free(&opt);
    return cli_finish("synib-report", &e);
}
