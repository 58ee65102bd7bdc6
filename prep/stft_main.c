/* SPDX-License-Identifier: MIT */
#include "prep/stft.h"

int main(int argc, char **argv)
{
    struct base_set_options opt = {0};
    struct err e = {0};

    cli_catch_signals();
    TRY(stft_options_parse(&opt, argc, argv, &e));
    TRY(stft_run(&opt, &e));
out:
    return cli_finish("synib-stft", &e);
}
