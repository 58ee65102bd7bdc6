/* SPDX-License-Identifier: MIT */
#include "train/collected.h"

#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

static enum err_code make_room(struct collected *c, const struct network *net,
                               const struct data *data, struct err *e)
{
    const struct model_options *opt = model_opt(net->model);
    size_t n = (size_t)data_count(data), values;

    c->modalities = opt->modalities;
    for (int m = 0; m < opt->modalities; m++) {
        if (!opt->modality[m].use)
            continue;
        c->width[m] = model_features(net->model, m);
        if (!mem_size(n, (size_t)c->width[m], &values))
            return err_set(e, ERR_NOMEM, "features: too many");
        TRY(mem_array(&c->raw[m], values, sizeof *c->raw[m], "features", e));
    }
    if (data_classes(data) > 0)
        TRY(mem_array(&c->label, n, sizeof *c->label, "labels", e));
out:
    return e->code;
}

static enum err_code add_batch(struct collected *c, struct network *net, const struct batch *b,
                               struct err *e)
{
    struct method_step s;

    tape_begin(net->tape, PASS_EVALUATION);
    tape_no_grad_begin(net->tape);
    s = network_encode(net, b, 0, 0);
    tape_no_grad_end(net->tape);
    TRY(tape_error(net->tape, e));
    for (int m = 0; m < c->modalities; m++)
        if (c->raw[m] != NULL)
            memcpy(c->raw[m] + c->n * c->width[m], s.features.raw[m]->data,
                   (size_t)(b->n * c->width[m]) * sizeof(float));
    if (c->label != NULL)
        memcpy(c->label + c->n, b->aim.label, (size_t)b->n * sizeof *c->label);
    c->n += b->n;
out:
    return e->code;
}

enum err_code collect_features(struct collected *c, struct network *net, struct loader *loader,
                               const struct data *data, struct err *e)
{
    struct batch b;

    memset(c, 0, sizeof *c);
    TRY(make_room(c, net, data, e));
    loader_start(loader, 0, 0);
    for (;;) {
        TRY(loader_next(loader, &b, e));
        if (b.n == 0)
            break;
        TRY(add_batch(c, net, &b, e));
    }
out:
    if (e->code != ERR_OK)
        collected_free(c);
    return e->code;
}

void collected_free(struct collected *c)
{
    for (int m = 0; m < MODALITIES_MAX; m++)
        free(c->raw[m]);
    free(c->label);
    memset(c, 0, sizeof *c);
}
