/* SPDX-License-Identifier: MIT */
#include "prep/base_sample.h"

#include <assert.h>
#include <string.h>

struct head {
    uint32_t flags;
    int32_t index[FRAMES_PER_CLIP];
    uint64_t part_len[SAMPLE_MAX_PARTS];
};

enum { ALIGN = 64 };
static_assert(sizeof(struct head) <= ALIGN, "parts begin after one line");

static size_t aligned(size_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

size_t base_sample_room(int parts, size_t part_max)
{
    return ALIGN + (size_t)parts * aligned(part_max);
}

enum err_code base_sample_pack(const struct base_sample *s, int parts, size_t part_max, void *out,
                               size_t *len, struct err *e)
{
    struct head head = {.flags = s->flags};
    uint8_t *bytes = out;
    size_t at = ALIGN;

    memcpy(head.index, s->index, sizeof head.index);
    for (int k = 0; k < parts; k++) {
        if (s->part_len[k] > part_max)
            return err_set(e, ERR_DATA, "picture %d has %zu bytes, the limit is %zu", k,
                           s->part_len[k], part_max);
        head.part_len[k] = s->part_len[k];
        if (s->part_len[k] > 0)
            memcpy(bytes + at, s->part[k], s->part_len[k]);
        at += aligned(s->part_len[k]);
    }
    memcpy(bytes, &head, sizeof head);
    *len = at;
    return ERR_OK;
}

enum err_code base_sample_unpack(struct base_sample *s, int parts, size_t part_max, void *data,
                                 size_t len, struct err *e)
{
    uint8_t *bytes = data;
    struct head head;
    size_t at = ALIGN;

    *s = (struct base_sample){0};
    if (len < ALIGN)
        return err_set(e, ERR_FORMAT, "its decoder gave %zu bytes", len);
    memcpy(&head, data, sizeof head);
    for (int k = 0; k < parts; k++) {
        if (head.part_len[k] == 0 || head.part_len[k] > part_max ||
            aligned(head.part_len[k]) > len - at)
            return err_set(e, ERR_FORMAT, "its decoder gave parts that do not fit");
        s->part[k] = bytes + at;
        s->part_len[k] = head.part_len[k];
        at += aligned(head.part_len[k]);
    }
    if (at != len)
        return err_set(e, ERR_FORMAT, "its decoder gave bytes that belong to nothing");
    s->flags = head.flags;
    memcpy(s->index, head.index, sizeof s->index);
    return ERR_OK;
}
