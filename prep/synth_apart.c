/* SPDX-License-Identifier: MIT */
#include "prep/synth_apart.h"

#include <stdint.h>
#include <string.h>

/* No clip has a megabyte. None is hostile: a slow machine, or a build with sanitizers, may take its
 * time. */
enum { OUT_MAX = 16 << 20, HOUR_MS = 3600 * 1000 };

enum { PARTS = 4 };
struct head {
    struct defect_clip clip; /* its pointers are the worker's */
    uint64_t len[PARTS];
};

static void parts_of(struct defect_clip *d, struct buffer *part[PARTS])
{
    part[0] = &d->flv;
    part[1] = &d->wav;
    part[2] = &d->listed_flv;
    part[3] = &d->listed_wav;
}

static enum err_code pack(struct defect_clip *d, uint8_t *out, size_t *out_len, struct err *e)
{
    struct head head = {.clip = *d};
    struct buffer *part[PARTS];
    size_t at = sizeof head;

    parts_of(d, part);
    for (int k = 0; k < PARTS; k++) {
        if (part[k]->len > OUT_MAX - at)
            return err_set(e, ERR_INTERNAL, "a clip has more than %d bytes", (int)OUT_MAX);
        if (part[k]->len > 0)
            memcpy(out + at, part[k]->data, part[k]->len);
        head.len[k] = part[k]->len;
        at += part[k]->len;
    }
    memcpy(out, &head, sizeof head);
    *out_len = at;
    return ERR_OK;
}

static enum err_code unpack(struct defect_clip *d, const struct contain_result *bytes,
                            const char *name, struct err *e)
{
    struct head head;
    struct buffer *part[PARTS];
    size_t at = sizeof head;

    if (bytes->len < sizeof head)
        return err_set(e, ERR_INTERNAL, "%s: its worker gave %zu bytes", name, bytes->len);
    memcpy(&head, bytes->data, sizeof head);
    *d = head.clip;
    parts_of(d, part);
    for (int k = 0; k < PARTS; k++) {
        if (head.len[k] > bytes->len - at)
            return err_set(e, ERR_INTERNAL, "%s: its worker gave less than it said", name);
        *part[k] = (struct buffer){.data = (uint8_t *)bytes->data + at, .len = head.len[k]};
        at += head.len[k];
    }
    return ERR_OK;
}

/* A worker's job. */
static enum err_code make(void *ctx, int64_t tag, const void *in, size_t in_len, void *out,
                          size_t *out_len, struct err *e)
{
    struct synth_workers *w = ctx;
    struct defect_clip d = {0};

    (void)in;
    (void)in_len;
    TRY(w->make(w->ctx, tag, &d, e));
    TRY(pack(&d, out, out_len, e));
out:
    defect_clip_free(&d);
    return e->code;
}

enum err_code synth_workers_open(struct synth_workers *w, int jobs, struct err *e)
{
    struct contain_options opt = {
        .workers = jobs,
        .out_max = OUT_MAX,
        .limits = CONTAIN_LIMITS_DEFAULT,
        .doing = "encoding",
        .fn = make,
        .ctx = w,
    };

    opt.limits.cpu_ms = opt.limits.idle_ms = HOUR_MS;
    return contain_open(&w->pool, &opt, e);
}

enum err_code synth_workers_make(struct synth_workers *w, int slot, int64_t i, const char *name,
                                 struct contain_result *bytes, struct defect_clip *d, struct err *e)
{
    struct err fault = {0};

    *d = (struct defect_clip){0};
    TRY(contain_run(w->pool, slot, i, name, NULL, 0, bytes, &fault, e));
    if (fault.code != ERR_OK)
        return err_set(e, ERR_NOMEM, "%s: perhaps for lack of memory: use fewer jobs (-j)",
                       fault.text);
    TRY(unpack(d, bytes, name, e));
out:
    return e->code;
}
