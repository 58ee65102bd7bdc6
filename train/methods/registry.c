/* SPDX-License-Identifier: MIT */
#include "common/base/cli.h"
#include "train/methods/method.h"

#include <assert.h>

#define METHOD(name) &method_##name,
const struct method *const methods[] = {
#include "train/methods/list.h"
    NULL,
};
#undef METHOD
static_assert(sizeof methods / sizeof methods[0] <= METHODS_MAX,
              "arrays of names are large enough");

const struct method *const unimodal_methods[MEDIA_MODALITIES] = {
    [MEDIA_AUDIO] = &method_uni_audio,
    [MEDIA_VIDEO] = &method_uni_video,
};

bool method_needs_unimodal(const struct method *m, const struct config *c)
{
    return c->kind == KIND_MEDIA && (!m->trains || (m->fusion && c->init == INIT_PRETRAINED));
}

void method_names(const char *names[METHODS_MAX])
{
    int i;

    for (i = 0; methods[i] != NULL; i++)
        names[i] = methods[i]->name;
    names[i] = NULL;
}

enum err_code method_find(const struct method **m, const char *name, struct err *e)
{
    const char *names[METHODS_MAX];
    int i;

    method_names(names);
    TRY(cli_choice(&i, name, names, "--method", e));
    *m = methods[i];
out:
    return e->code;
}
