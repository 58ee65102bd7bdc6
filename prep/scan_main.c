/* SPDX-License-Identifier: MIT */
#include "prep/scan.h"

int main(int argc, char **argv)
{
    struct scan_options opt = SCAN_OPTIONS_DEFAULT;
    struct err e = {0};

    TRY(scan_options_parse(&opt, argc, argv, &e));
    TRY(scan_run(&opt, &e));
out:
    return cli_finish("synib-scan", &e);
}
