/* SPDX-License-Identifier: MIT */
#include "common/base/cli.h"
#include "train/methods/method.h"

const struct method *const methods[] = {
    &method_uni_audio,
    &method_uni_video,
    &method_ensemble,
    &method_vanilla,
    &method_synib,
    &method_masking_only,
    &method_dnr,
    &method_mmpareto,
    &method_reconboost,
    &method_mcr,
    NULL,
};

enum err_code method_find(const struct method **m, const char *name, struct err *e)
{
    const char *names[sizeof methods / sizeof methods[0]] = {0};
    int i;

    for (i = 0; methods[i] != NULL; i++)
        names[i] = methods[i]->name;
    TRY(cli_choice(&i, name, names, "--method", e));
    *m = methods[i];
out:
    return e->code;
}
