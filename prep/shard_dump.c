/* SPDX-License-Identifier: MIT */
#include "prep/shard_commands.h"

#include "common/base/hash.h"
#include "common/data/jpeg.h"
#include "common/data/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_NUMBERS = 8 };

/* "JPEG 480x360, 31234 bytes", or only the bytes. */
static void bytes_text(const struct shard_value *v, char *out, size_t size)
{
    struct jpeg_decoder *d = NULL;
    struct err ignored = {0};
    int w, h;

    if (jpeg_decoder_new(&d, &ignored) == ERR_OK &&
        jpeg_decoder_size(d, v->data, v->len, &w, &h, &ignored) == ERR_OK)
        snprintf(out, size, "JPEG %dx%d, %zu bytes", w, h, v->len);
    else
        snprintf(out, size, "%zu bytes", v->len);
    jpeg_decoder_free(d);
}

/* A number that a summary found; null when it found none, as JSON has none that are not finite. */
static json_t *number_json(enum dtype dtype, const struct number_summary *s, double real,
                           int64_t whole)
{
    if (s->count == 0)
        return json_null();
    return dtype == DTYPE_F32 ? json_real(real) : json_integer(whole);
}

/* {"min": ..., "mean": ..., "max": ..., "not_finite": ...} */
static json_t *summary_json(enum dtype dtype, const struct number_summary *s)
{
    return json_pack("{s:o, s:o, s:o, s:I}", "min", number_json(dtype, s, s->min, s->least), "mean",
                     number_json(DTYPE_F32, s, s->mean, 0), "max",
                     number_json(dtype, s, s->max, s->most), "not_finite",
                     (json_int_t)s->not_finite);
}

static void summary_text(const struct number_summary *s, char *out, size_t size)
{
    if (s->count == 0)
        snprintf(out, size, s->not_finite > 0 ? "NONE IS FINITE" : "no numbers");
    else
        snprintf(out, size, "min %.6g, mean %.6g, max %.6g%s", s->min, s->mean, s->max,
                 s->not_finite > 0 ? ", NOT ALL FINITE" : "");
}

/* The first numbers of an array, or all of a short one. */
static json_t *numbers_json(const struct shard_field *f, const struct shard_value *v)
{
    json_t *list = json_array();
    size_t n = v->len / dtype_size(f->dtype);

    for (size_t i = 0; i < n && i < SHOWN_NUMBERS; i++) {
        struct shard_value one = {(const uint8_t *)v->data + i * dtype_size(f->dtype),
                                  dtype_size(f->dtype)};
        struct number_summary s = summarise(f->dtype, one.data, one.len);

        (void)json_array_append_new(list, number_json(f->dtype, &s, s.mean, s.least));
    }
    return list;
}

static bool is_label(const char *name)
{
    return strcmp(name, "label") == 0 || strcmp(name, "base_label") == 0 ||
           strcmp(name, "donor_label") == 0;
}

/* What a number of this field stands for, "" when it only is a number. */
static void number_words(const struct view *view, const char *field, int32_t number, char *out,
                         size_t size)
{
    out[0] = '\0';
    if (strcmp(field, "source") == 0)
        (void)view_list_name(view, "synib.sources", number, out, size);
    else if (strcmp(field, "label") == 0 && shard_set_meta(view->set, "synib.classes") != NULL)
        (void)view_list_name(view, "synib.classes", number, out, size);
    else if (is_label(field))
        snprintf(out, size, "%s", label_text(number));
    else if (strcmp(field, "flags") == 0)
        flags_text((uint32_t)number, out, size);
}

/* One field's value: as words for a person in `text`, as JSON in the result. */
static json_t *show_value(const struct view *view, const struct shard_field *f,
                          const struct shard_value *v, char *text, size_t size)
{
    char hex[SHA256_HEX_SIZE], words[256];
    struct number_summary s;
    json_t *shown;
    int32_t number;

    if (f->ragged) {
        bytes_text(v, text, size);
        return json_pack("{s:I, s:s}", "bytes", (json_int_t)v->len, "what", text);
    }
    if (f->dtype == DTYPE_U8 && f->rank == 1 && v->len == CLIP_NAME_SIZE && clip_name_ok(v->data)) {
        snprintf(text, size, "%s", *(const char *)v->data != '\0' ? (const char *)v->data : "-");
        return json_shown(v->data);
    }
    if (f->dtype == DTYPE_U8 && v->len == SHA256_SIZE && strstr(f->name, "sha256") != NULL) {
        sha256_hex(v->data, hex);
        snprintf(text, size, "%s", hex);
        return json_string(hex);
    }
    if (f->dtype == DTYPE_I32 && f->rank == 0) {
        memcpy(&number, v->data, sizeof number);
        number_words(view, f->name, number, words, sizeof words);
        snprintf(text, size, "%" PRId32 "%s%s", number, words[0] != '\0' ? "  " : "", words);
        return json_integer(number);
    }
    s = summarise(f->dtype, v->data, v->len);
    summary_text(&s, text, size);
    shown = summary_json(f->dtype, &s);
    (void)json_object_set_new(shown, "first", numbers_json(f, v));
    return shown;
}

static enum err_code dump_sample(const struct inspect_options *opt, const struct target *t,
                                 const struct view *v, int64_t i, struct err *e)
{
    json_t *fields = json_object();
    char type[128], text[512];

    if (!opt->cli.json)
        fprintf(opt->out, "%s%s%s sample %" PRId64 " of %" PRId64 "\n", t->path,
                v->name[0] != '\0' ? " split " : "", v->name, i, v->count);
    for (int f = 0; f < v->fields; f++) {
        struct shard_value value;
        json_t *shown;

        TRY(view_get(v, i, f, &value, e));
        shown = show_value(v, &v->field[f], &value, text, sizeof text);
        (void)json_set_shown(fields, v->field[f].name, shown);
        field_type_text(&v->field[f], type, sizeof type);
        if (!opt->cli.json)
            fprintf(opt->out, "  %-14s %-16s %s\n", v->field[f].name, type, text);
    }
    if (opt->cli.json)
        TRY(inspect_json(opt->out,
                         json_pack("{s:o, s:o, s:I, s:O}", "path", json_shown(t->path), "split",
                                   json_shown(v->name), "sample", (json_int_t)i, "fields", fields),
                         e));
out:
    json_decref(fields);
    return e->code;
}

static enum err_code dump_tensors(const struct inspect_options *opt, const struct target *t,
                                  struct err *e)
{
    json_t *tensors = json_object();
    char text[128];

    TRY(tensorfile_verify_all(t->file, e));
    for (int i = 0; i < tensorfile_count(t->file); i++) {
        const struct tensor_info *info = tensorfile_info(t->file, i);
        struct number_summary s = summarise(info->dtype, tensorfile_data(t->file, i), info->bytes);

        if (opt->cli.json) {
            json_t *one = summary_json(info->dtype, &s);

            (void)json_object_set_new(one, "dtype", json_string(dtype_name(info->dtype)));
            (void)json_object_set_new(one, "bytes", json_integer((json_int_t)info->bytes));
            (void)json_set_shown(tensors, info->name, one);
            continue;
        }
        summary_text(&s, text, sizeof text);
        fprintf(opt->out, "%-44s %-3s %10" PRIu64 " bytes  %s\n", info->name,
                dtype_name(info->dtype), info->bytes, text);
    }
    if (opt->cli.json)
        TRY(inspect_json(
            opt->out, json_pack("{s:o, s:O}", "path", json_shown(t->path), "tensors", tensors), e));
out:
    json_decref(tensors);
    return e->code;
}

/* The sample asked for: by clip in any of the views, or by number in the first. */
static enum err_code find_sample(const struct inspect_options *opt, const struct target *t,
                                 const struct view **view, int64_t *sample, struct err *e)
{
    char clip[CLIP_NAME_SIZE];

    *view = &t->view[0];
    *sample = opt->sample >= 0 ? opt->sample : 0;
    if (opt->clip == NULL) {
        if (*sample >= t->view[0].count)
            return err_set(e, ERR_USAGE, "%s: --sample %" PRId64 ": it has samples 0 to %" PRId64,
                           t->path, *sample, t->view[0].count - 1);
        return ERR_OK;
    }
    for (int v = 0; v < t->views; v++) {
        for (int64_t i = 0; i < t->view[v].count; i++) {
            TRY(view_clip(&t->view[v], i, "clip", clip, e));
            if (strcmp(clip, opt->clip) == 0) {
                *view = &t->view[v];
                *sample = i;
                return ERR_OK;
            }
        }
    }
    FAIL(err_set(e, ERR_USAGE, "%s: --clip %s: no sample of this clip", t->path, opt->clip));
out:
    return e->code;
}

enum err_code inspect_dump(const struct inspect_options *opt, struct err *e)
{
    const struct view *view = NULL;
    struct target t = {0};
    int64_t sample = 0;

    TRY(target_open(&t, opt->target[0], opt->split, opt->base, e));
    if (t.file != NULL && (opt->clip != NULL || opt->sample >= 0))
        FAIL(err_set(e, ERR_USAGE, "%s: holds tensors, not samples: leave out %s", t.path,
                     opt->clip != NULL ? "--clip" : "--sample"));
    if (t.file != NULL) {
        TRY(dump_tensors(opt, &t, e));
    } else {
        TRY(find_sample(opt, &t, &view, &sample, e));
        TRY(dump_sample(opt, &t, view, sample, e));
    }
out:
    target_close(&t);
    return e->code;
}
