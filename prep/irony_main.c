/* SPDX-License-Identifier: MIT */
#include "prep/irony.h"

int main(int argc, char **argv)
{
    struct irony_options opt = IRONY_OPTIONS_DEFAULT;
    struct err e = {0};

    TRY(irony_options_parse(&opt, argc, argv, &e));
    TRY(irony_run(&opt, &e));
out:
    irony_options_free(&opt);
    return cli_finish("synib-irony", &e);
}
