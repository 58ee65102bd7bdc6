/* SPDX-License-Identifier: MIT */
#include "prep/clip_list.h"

#include "common/base/cli.h"
#include "common/base/mem.h"
#include "common/data/fields.h"
#include "prep/clip_name.h"
#include "prep/manifests.h"

#include <stdlib.h>
#include <string.h>

const char *const clip_list_columns[] = {
    "clip",         "actor",   "label", "video",  "audio", "video_sha256",
    "audio_sha256", "verdict", "flags", "reason", NULL};

static const char *cell(const struct tsv *t, size_t row, const char *column)
{
    return tsv_cell(t, row, tsv_column(t, column));
}

/* Names joined by commas; unknown ones are an error. */
static bool parse_flags(uint32_t *out, const char *text)
{
    *out = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        uint32_t bit = 1;

        for (; bit != 0; bit <<= 1) {
            const char *name = sample_flag_name((enum sample_flag)bit);
            if (name != NULL && strlen(name) == len && memcmp(name, text, len) == 0)
                break;
        }
        if (bit == 0)
            return false;
        *out |= bit;
        text += len;
        if (*text == ',' && *++text == '\0')
            return false;
    }
    return true;
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *p = memchr(digits, c, sizeof digits - 1);

    return p == NULL ? -1 : (int)(p - digits);
}

static bool parse_digest(uint8_t out[SHA256_SIZE], const char *hex)
{
    if (strlen(hex) != 2 * SHA256_SIZE)
        return false;
    for (size_t i = 0; i < SHA256_SIZE; i++) {
        int hi = hex_digit(hex[2 * i]), lo = hex_digit(hex[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}

/* Stays below ROOT: relative, no "..", no empty part. */
static bool path_is_inside(const char *path)
{
    if (*path == '\0')
        return false;
    while (true) {
        size_t len = strcspn(path, "/");

        if (len == 0 || (len == 2 && path[0] == '.' && path[1] == '.'))
            return false;
        if (path[len] == '\0')
            return true;
        path += len + 1;
    }
}

/* A name that a set can hold. */
static bool name_fits(const char *clip)
{
    uint8_t cell[CLIP_NAME_SIZE];
    struct err ignored = {0};

    return clip_name_pack(cell, clip, &ignored) == ERR_OK;
}

/* A number, or `empty` for an empty cell where that is allowed. */
static bool parse_number(int64_t *out, const char *text, int64_t min, int64_t max,
                         bool may_be_empty, int64_t empty)
{
    struct err ignored = {0};

    if (*text == '\0') {
        *out = empty;
        return may_be_empty;
    }
    return cli_int(out, text, min, max, "", &ignored) == ERR_OK;
}

static void parse_row(struct clip_row *r, const struct tsv *t, size_t row, enum clip_media media,
                      struct err *e)
{
    bool video = media == CLIP_VIDEO;
    const char *verdict = cell(t, row, "verdict"), *bad = NULL;
    int64_t actor = 0, label = -1;

    r->clip = cell(t, row, "clip");
    r->path = cell(t, row, video ? "video" : "audio");
    r->reason = cell(t, row, "reason");
    r->rejected = strcmp(verdict, "rejected") == 0;
    if (*r->clip == '\0')
        bad = "clip";
    else if (!r->rejected && !name_fits(r->clip))
        bad = "clip";
    else if (!r->rejected && strcmp(verdict, "accepted") != 0 && strcmp(verdict, "flagged") != 0)
        bad = "verdict";
    else if (!parse_number(&actor, cell(t, row, "actor"), 0, ACTOR_MAX, r->rejected, 0))
        bad = "actor";
    else if (!parse_number(&label, cell(t, row, "label"), 0, N_EMOTIONS - 1, r->rejected, -1))
        bad = "label";
    else if (!parse_flags(&r->flags, cell(t, row, "flags")))
        bad = "flags";
    else if (!r->rejected && !path_is_inside(r->path))
        bad = video ? "video" : "audio";
    else if (!r->rejected &&
             !parse_digest(r->sha256, cell(t, row, video ? "video_sha256" : "audio_sha256")))
        bad = video ? "video_sha256" : "audio_sha256";
    r->actor = (int32_t)actor;
    r->label = (int32_t)label;
    if (bad != NULL)
        (void)err_add_line(e, ERR_DATA, "%s:%zu: column %s: '%s' is not valid", tsv_name(t),
                           tsv_line(t, row), bad, cell(t, row, bad));
}

enum err_code clip_list_read(struct clip_list *list, const char *path, enum clip_media media,
                             struct err *e)
{
    struct tsv *t = NULL;

    *list = (struct clip_list){0};
    TRY(tsv_read(&t, path, "clips", clip_list_columns, e));
    TRY(clip_list_take(list, t, media, e));
out:
    return e->code;
}

enum err_code clip_list_take(struct clip_list *list, struct tsv *t, enum clip_media media,
                             struct err *e)
{
    struct tsv_index index = {0};

    *list = (struct clip_list){.table = t};
    list->count = tsv_rows(list->table);
    TRY(mem_array(&list->row, list->count, sizeof *list->row, "clips", e));
    for (size_t i = 0; i < list->count; i++) {
        parse_row(&list->row[i], list->table, i, media, e);
        list->usable += !list->row[i].rejected;
    }
    TRY(e->code);
    TRY(tsv_index_init(&index, list->table, "clip", e));
    TRY(tsv_index_unique(&index, e));
out:
    tsv_index_free(&index);
    if (e->code != ERR_OK)
        clip_list_free(list);
    return e->code;
}

void clip_list_free(struct clip_list *list)
{
    tsv_free(list->table);
    free(list->row);
    *list = (struct clip_list){0};
}
