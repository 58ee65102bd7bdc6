/* SPDX-License-Identifier: MIT */
#include "prep/shard_commands.h"

#include "common/base/file.h"
#include "common/data/json.h"

#include <inttypes.h>
#include <string.h>

struct tally {
    int64_t sets, samples, files;
    int damaged; /* targets */
};

static bool names_shard(const struct shard_set *s, const char *name)
{
    int64_t first, count;

    for (int i = 0; i < shard_set_shards(s); i++)
        if (strcmp(path_base(tensorfile_path(shard_set_shard(s, i, &first, &count))), name) == 0)
            return true;
    return false;
}

/* A shard that the index does not name is nobody's data: another set's, or what a killed run left.
 */
static enum err_code name_strangers(const struct inspect_options *opt, const struct shard_set *s,
                                    struct err *e)
{
    struct name_list names = {0};

    if (shard_set_digest(s)[0] == '\0') /* a single file */
        return ERR_OK;
    TRY(dir_list(&names, shard_set_dir(s), ".safetensors", e));
    for (size_t i = 0; i < names.count; i++)
        if (!names_shard(s, names.name[i]))
            log_warn(&opt->cli.log, "%s/%s: is not in the index: no part of the set, not checked",
                     shard_set_dir(s), names.name[i]);
out:
    name_list_free(&names);
    return e->code;
}

static enum err_code verify_target(const struct inspect_options *opt, struct target *t,
                                   struct tally *sum, struct err *e)
{
    for (int i = 0; i < t->views; i++) {
        struct view *v = &t->view[i];

        TRY(v->data != NULL ? dataset_verify(v->data, opt->cli.jobs, e)
                            : shard_set_verify(v->set, opt->cli.jobs, e));
        TRY(name_strangers(opt, v->set, e));
        sum->sets++;
        sum->samples += v->count;
        sum->files += shard_set_shards(v->set);
    }
    if (t->file != NULL) {
        TRY(tensorfile_verify_all(t->file, e));
        sum->files++;
    }
out:
    return e->code;
}

/* Goes on after a damaged target, so that one run names all damage. */
enum err_code inspect_verify(const struct inspect_options *opt, struct err *e)
{
    struct tally sum = {0};
    json_t *faults = json_array();

    for (int i = 0; i < opt->targets; i++) {
        struct target t = {0};
        struct err one = {0};

        if (target_open(&t, opt->target[i], opt->split, opt->base, &one) == ERR_OK &&
            verify_target(opt, &t, &sum, &one) == ERR_OK) {
            if (!opt->cli.json)
                fprintf(opt->out, "%s: every byte is as written\n", opt->target[i]);
        } else {
            sum.damaged++;
            (void)json_array_append_new(faults, json_shown(one.text));
            (void)err_add_line(e, one.code, "%s", one.text);
        }
        target_close(&t);
    }
    if (opt->cli.json) {
        struct err report = {0};

        if (inspect_json(opt->out,
                         json_pack("{s:i, s:i, s:I, s:I, s:I, s:O}", "targets", opt->targets,
                                   "damaged", sum.damaged, "sets", (json_int_t)sum.sets, "samples",
                                   (json_int_t)sum.samples, "files", (json_int_t)sum.files,
                                   "faults", faults),
                         &report) != ERR_OK)
            (void)err_add_line(e, report.code, "%s", report.text);
    }
    json_decref(faults);
    return e->code;
}
