/* SPDX-License-Identifier: MIT */
#include "train/masks/mask.h"

static struct tensor *encoded_z(const struct method_step *s, int which, struct tensor *x,
                                bool detach)
{
    struct noise_key key = step_key(s, "dropout.masked_input");
    struct tensor *raw = model_encode_one(s->model, s->tape, which, x, &key);

    if (detach)
        raw = op_detach(s->tape, raw);
    return model_fusion_input(s->model, s->tape, raw);
}

/* Numbers of the rows that have a masked value, in order, tape memory; returns how many. While
 * memory is planned all have one. */
static int64_t masked_rows(const struct method_step *s, const struct mask_site *site,
                           const struct tensor *mask, int32_t **row)
{
    struct tensor *list = tape_scratch(s->tape, 1, &s->batch->n);
    int64_t n = 0;

    if (list == NULL)
        return 0;
    *row = (int32_t *)(void *)list->data;
    for (int64_t b = 0; b < s->batch->n; b++) {
        const float *m = mask->data + b * site->width;
        int64_t k = 0;

        while (!nn_planning(s->nn) && k < site->width && m[k] == 0)
            k++;
        if (k < site->width)
            (*row)[n++] = (int32_t)b;
    }
    return n;
}

/* z of the intact pass with the masked rows encoded anew. */
static struct tensor *partly_encoded_z(const struct method_step *s, const struct mask_site *site,
                                       struct tensor *x, int64_t n, const int32_t *row, bool detach)
{
    struct tensor *intact = s->features.z[site->which];

    if (detach)
        intact = op_detach(s->tape, intact);
    if (n == 0)
        return intact;
    x = op_gather_rows(s->tape, x, n, row);
    return op_replace_rows(s->tape, intact, encoded_z(s, site->which, x, detach), row);
}

struct tensor *corrupted_z(const struct method_step *s, const struct corruption *c, bool detach)
{
    const struct mask_site *site = &c->site;
    struct tensor *x;
    int32_t *row = NULL;
    int64_t n;

    if (c->mask == NULL)
        return detach ? op_detach(s->tape, s->features.z[site->which]) : s->features.z[site->which];
    x = op_mix(s->tape, site->x, c->mask, c->fill);
    if (s->config->mask_space == SPACE_LATENT)
        return detach ? op_detach(s->tape, x) : x;
    if (x == NULL || x->needs_grad || !model_encodes_rows_alone(s->model, s->tape, site->which))
        return encoded_z(s, site->which, x, detach);
    n = masked_rows(s, site, c->mask, &row);
    if (n == s->batch->n && !nn_planning(s->nn)) /* which takes less memory than almost all rows */
        return encoded_z(s, site->which, x, detach);
    return partly_encoded_z(s, site, x, n, row, detach);
}

static double mean_of(const struct tensor *x)
{
    int64_t count = tensor_count(x);
    double sum = 0;

    for (int64_t i = 0; i < count; i++)
        sum += (double)x->data[i];
    return sum / (double)count;
}

/* With memory for mask and fill; false on an error of the tape. */
static bool corruption_begin(const struct method_step *s, int which, struct corruption *c)
{
    *c = (struct corruption){.site = mask_site_of(s, which)};
    if (c->site.x == NULL)
        return false;
    c->mask = tape_scratch(s->tape, c->site.x->rank, c->site.x->dim);
    c->fill = tape_scratch(s->tape, c->site.x->rank, c->site.x->dim);
    return c->mask != NULL && c->fill != NULL;
}

struct corruption corruption_make(const struct method_step *s, int which, struct loss_sum *sum,
                                  struct step_report *report)
{
    const struct mask *kind = masks[s->config->mask];
    struct corruption c;

    if (kind->nothing) {
        report->value[VALUE_MASK_SHARE + which] = 0;
        return (struct corruption){.site = mask_site_of(s, which)};
    }
    if (!corruption_begin(s, which, &c))
        return c;
    kind->make(s, &c.site, c.mask->data, sum, report);
    fill_make(s, &c.site, (enum fill_kind)s->config->fill, 0, c.fill->data);
    if (!tape_failed(s->tape))
        report->value[VALUE_MASK_SHARE + which] = mean_of(c.mask);
    return c;
}

struct tensor *shuffled_z(const struct method_step *s, int which)
{
    struct noise_key key = step_key_of(s, "mask.ce.", which);
    struct corruption c;

    if (!corruption_begin(s, which, &c))
        return NULL;
    random_mask(s, &c.site, &key, c.mask->data);
    fill_make(s, &c.site, FILL_SHUFFLE, UINT16_MAX, c.fill->data);
    return corrupted_z(s, &c, false);
}
