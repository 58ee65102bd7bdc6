/* SPDX-License-Identifier: MIT */
#include "prep/xor.h"

int main(int argc, char **argv)
{
    struct xor_tool_options opt;
    struct err e = {0};

    TRY(xor_tool_parse(&opt, argc, argv, &e));
    TRY(xor_tool_run(&opt, &e));
out:
    return cli_finish("synib-xor", &e);
}
