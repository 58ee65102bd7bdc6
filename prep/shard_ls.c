/* SPDX-License-Identifier: MIT */
#include "prep/shard_commands.h"

#include "common/data/json.h"

#include <inttypes.h>

static void print_set(FILE *out, const struct target *t, const struct view *v)
{
    char type[128];
    const char *key;

    fprintf(out, "%s%s%s\n", t->path, v->name[0] != '\0' ? " split " : "", v->name);
    fprintf(out, "  samples  %" PRId64 " in %d shard%s, %" PRIu64 " bytes\n", v->count,
            shard_set_shards(v->set), shard_set_shards(v->set) > 1 ? "s" : "",
            shard_set_bytes(v->set));
    if (shard_set_digest(v->set)[0] != '\0')
        fprintf(out, "  digest   %s\n", shard_set_digest(v->set));
    fprintf(out, "  fields\n");
    for (int f = 0; f < shard_set_field_count(v->set); f++) {
        field_type_text(shard_set_field(v->set, f), type, sizeof type);
        fprintf(out, "    %-20s %s\n", shard_set_field(v->set, f)->name, type);
    }
    fprintf(out, "  metadata\n");
    for (int i = 0; (key = shard_set_meta_key(v->set, i)) != NULL; i++)
        fprintf(out, "    %-20s %s\n", key, shard_set_meta(v->set, key));
}

static void shape_text(const struct tensor_info *info, char *out, size_t size)
{
    size_t n = 0;

    out[0] = '\0';
    for (int i = 0; i < info->rank && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%" PRId64, i > 0 ? ", " : "", info->dim[i]);
}

static void print_file(FILE *out, const struct target *t)
{
    char shape[128];
    const char *key;

    fprintf(out, "%s\n  kind     %s, %" PRIu64 " bytes\n  tensors  %d\n", t->path,
            tensorfile_kind(t->file), tensorfile_size(t->file), tensorfile_count(t->file));
    for (int i = 0; i < tensorfile_count(t->file); i++) {
        const struct tensor_info *info = tensorfile_info(t->file, i);

        shape_text(info, shape, sizeof shape);
        fprintf(out, "    %-44s %-3s [%s]\n", info->name, dtype_name(info->dtype), shape);
    }
    fprintf(out, "  metadata\n");
    for (int i = 0; (key = tensorfile_meta_key(t->file, i)) != NULL; i++)
        fprintf(out, "    %-20s %s\n", key, tensorfile_meta(t->file, key));
}

static json_t *set_json(const struct target *t, const struct view *v)
{
    json_t *fields = json_array(), *meta = json_object();
    char type[128];
    const char *key;

    for (int f = 0; f < shard_set_field_count(v->set); f++) {
        field_type_text(shard_set_field(v->set, f), type, sizeof type);
        (void)json_array_append_new(fields, json_pack("{s:o, s:s}", "name",
                                                      json_shown(shard_set_field(v->set, f)->name),
                                                      "type", type));
    }
    for (int i = 0; (key = shard_set_meta_key(v->set, i)) != NULL; i++)
        (void)json_set_shown(meta, key, json_shown(shard_set_meta(v->set, key)));
    return json_pack("{s:o, s:s, s:o, s:I, s:i, s:I, s:o, s:o, s:o}", "path", json_shown(t->path),
                     "kind", "set", "split", json_shown(v->name), "samples", (json_int_t)v->count,
                     "shards", shard_set_shards(v->set), "bytes",
                     (json_int_t)shard_set_bytes(v->set), "digest",
                     json_shown(shard_set_digest(v->set)), "fields", fields, "metadata", meta);
}

static json_t *file_json(const struct target *t)
{
    json_t *tensors = json_array(), *meta = json_object();
    const char *key;

    for (int i = 0; i < tensorfile_count(t->file); i++) {
        const struct tensor_info *info = tensorfile_info(t->file, i);
        json_t *shape = json_array();

        for (int d = 0; d < info->rank; d++)
            (void)json_array_append_new(shape, json_integer(info->dim[d]));
        (void)json_array_append_new(tensors,
                                    json_pack("{s:o, s:s, s:o}", "name", json_shown(info->name),
                                              "dtype", dtype_name(info->dtype), "shape", shape));
    }
    for (int i = 0; (key = tensorfile_meta_key(t->file, i)) != NULL; i++)
        (void)json_set_shown(meta, key, json_shown(tensorfile_meta(t->file, key)));
    return json_pack("{s:o, s:o, s:I, s:o, s:o}", "path", json_shown(t->path), "kind",
                     json_shown(tensorfile_kind(t->file)), "bytes",
                     (json_int_t)tensorfile_size(t->file), "tensors", tensors, "metadata", meta);
}

enum err_code inspect_ls(const struct inspect_options *opt, struct err *e)
{
    json_t *list = json_array();
    struct target t = {0};

    for (int i = 0; i < opt->targets; i++) {
        TRY(target_open(&t, opt->target[i], opt->split, opt->base, e));
        for (int v = 0; v < t.views; v++) {
            if (opt->cli.json)
                (void)json_array_append_new(list, set_json(&t, &t.view[v]));
            else
                print_set(opt->out, &t, &t.view[v]);
        }
        if (t.file != NULL && opt->cli.json)
            (void)json_array_append_new(list, file_json(&t));
        else if (t.file != NULL)
            print_file(opt->out, &t);
        target_close(&t);
    }
    if (opt->cli.json) {
        json_t *report = json_pack("{s:O}", "targets", list);

        TRY(inspect_json(opt->out, report, e));
    }
out:
    target_close(&t);
    json_decref(list);
    return e->code;
}
