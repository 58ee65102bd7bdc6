/* SPDX-License-Identifier: MIT */
#include "prep/shard_commands.h"

#include <inttypes.h>
#include <string.h>

struct tally {
    int64_t sets, samples, files;
    int damaged; /* targets */
};

static enum err_code verify_target(const struct inspect_options *opt, struct target *t,
                                   struct tally *sum, struct err *e)
{
    for (int i = 0; i < t->views; i++) {
        struct view *v = &t->view[i];

        TRY(v->data != NULL ? dataset_verify(v->data, opt->cli.jobs, e)
                            : shard_set_verify(v->set, opt->cli.jobs, e));
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
            (void)json_array_append_new(faults, json_string(one.text));
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
