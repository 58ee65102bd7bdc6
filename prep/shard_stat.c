/* SPDX-License-Identifier: MIT */
#include "prep/shard_commands.h"

#include "common/base/mem.h"
#include "common/data/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* How often each actor occurs, in order of their number. */
struct actor_count {
    int32_t actor;
    int64_t count;
};

struct counts {
    int64_t samples, mutated, same_actor_donors;
    int64_t matched, same_actor_matched; /* swaps that keep their label */
    int64_t label[N_LABELS];
    int64_t moved[N_EMOTIONS][N_EMOTIONS]; /* mutated: [base label][donor label] */
    int64_t flag[32];
    struct actor_count *actor;
    size_t actors, cap;
};

static enum err_code count_actor(struct counts *c, int32_t actor, struct err *e)
{
    size_t at = 0;

    while (at < c->actors && c->actor[at].actor < actor)
        at++;
    if (at == c->actors || c->actor[at].actor != actor) {
        TRY(mem_grow(&c->actor, &c->cap, c->actors + 1, sizeof *c->actor, "actors", e));
        memmove(c->actor + at + 1, c->actor + at, (c->actors - at) * sizeof *c->actor);
        c->actor[at] = (struct actor_count){.actor = actor};
        c->actors++;
    }
    c->actor[at].count++;
out:
    return e->code;
}

static enum err_code count_sample(struct counts *c, const struct view *v, int64_t i, struct err *e)
{
    char clip[CLIP_NAME_SIZE], donor[CLIP_NAME_SIZE];
    int32_t label, base, donor_label, actor, flags;

    TRY(view_i32(v, i, "label", -1, &label, e));
    TRY(view_i32(v, i, "base_label", -1, &base, e));
    TRY(view_i32(v, i, "donor_label", -1, &donor_label, e));
    TRY(view_i32(v, i, "actor", -1, &actor, e));
    TRY(view_i32(v, i, "flags", 0, &flags, e));
    TRY(view_clip(v, i, "clip", clip, e));
    TRY(view_clip(v, i, "donor", donor, e));
    c->samples++;
    if (label >= 0 && label < N_LABELS)
        c->label[label]++;
    for (int bit = 0; bit < 32; bit++)
        c->flag[bit] += (uint32_t)flags >> bit & 1;
    if (donor[0] != '\0' && label != LABEL_IRONY) {
        c->matched++;
        c->same_actor_matched += strncmp(clip, donor, 5) == 0; /* "1001_" */
    } else if (donor[0] != '\0') {
        c->mutated++;
        c->same_actor_donors += strncmp(clip, donor, 5) == 0;
        if (base >= 0 && base < N_EMOTIONS && donor_label >= 0 && donor_label < N_EMOTIONS)
            c->moved[base][donor_label]++;
    }
    if (actor >= 0)
        TRY(count_actor(c, actor, e));
out:
    return e->code;
}

static void print_counts(FILE *out, const struct target *t, const struct view *v,
                         const struct counts *c)
{
    char flags[256];

    fprintf(out, "%s%s%s: %" PRId64 " samples, %zu actors\n", t->path,
            v->name[0] != '\0' ? " split " : "", v->name, c->samples, c->actors);
    fprintf(out, "  classes\n");
    for (int l = 0; l < N_LABELS; l++)
        if (l < N_EMOTIONS || c->mutated > 0)
            fprintf(out, "    %-10s %6" PRId64 "\n", label_names[l], c->label[l]);
    if (c->mutated > 0) {
        fprintf(out, "  mutated %" PRId64 ", %" PRId64 " with a donor by the same actor\n",
                c->mutated, c->same_actor_donors);
        fprintf(out, "    face \\ voice");
        for (int d = 0; d < N_EMOTIONS; d++)
            fprintf(out, " %7s", label_names[d]);
        fprintf(out, "\n");
        for (int b = 0; b < N_EMOTIONS; b++) {
            fprintf(out, "    %-12s", label_names[b]);
            for (int d = 0; d < N_EMOTIONS; d++)
                fprintf(out, " %7" PRId64, c->moved[b][d]);
            fprintf(out, "\n");
        }
    }
    if (c->matched > 0)
        fprintf(out, "  matched %" PRId64 ", %" PRId64 " with a donor by the same actor\n",
                c->matched, c->same_actor_matched);
    fprintf(out, "  flags\n");
    for (int bit = 0; bit < 32; bit++) {
        if (c->flag[bit] == 0)
            continue;
        flags_text(1u << bit, flags, sizeof flags);
        fprintf(out, "    %-16s %6" PRId64 "\n", flags, c->flag[bit]);
    }
    fprintf(out, "  actors\n   ");
    for (size_t a = 0; a < c->actors; a++)
        fprintf(out, " %" PRId32 ":%" PRId64, c->actor[a].actor, c->actor[a].count);
    fprintf(out, "\n");
}

static json_t *counts_json(const struct target *t, const struct view *v, const struct counts *c)
{
    json_t *classes = json_object(), *actors = json_object(), *flags = json_object(),
           *moved = json_object();
    char text[256];

    for (int l = 0; l < N_LABELS; l++)
        (void)json_object_set_new(classes, label_names[l], json_integer(c->label[l]));
    for (int bit = 0; bit < 32; bit++) {
        if (c->flag[bit] == 0)
            continue;
        flags_text(1u << bit, text, sizeof text);
        (void)json_object_set_new(flags, text, json_integer(c->flag[bit]));
    }
    for (size_t a = 0; a < c->actors; a++) {
        snprintf(text, sizeof text, "%" PRId32, c->actor[a].actor);
        (void)json_object_set_new(actors, text, json_integer(c->actor[a].count));
    }
    for (int b = 0; b < N_EMOTIONS; b++) {
        json_t *row = json_object();

        for (int d = 0; d < N_EMOTIONS; d++)
            (void)json_object_set_new(row, label_names[d], json_integer(c->moved[b][d]));
        (void)json_object_set_new(moved, label_names[b], row);
    }
    return json_pack(
        "{s:o, s:o, s:I, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "path", json_shown(t->path),
        "split", json_shown(v->name), "samples", (json_int_t)c->samples, "classes", classes,
        "mutated", (json_int_t)c->mutated, "same_actor_donors", (json_int_t)c->same_actor_donors,
        "matched", (json_int_t)c->matched, "same_actor_matched", (json_int_t)c->same_actor_matched,
        "face_voice", moved, "flags", flags, "actors", actors);
}

enum err_code inspect_stat(const struct inspect_options *opt, struct err *e)
{
    json_t *list = json_array();
    struct counts c = {0};
    struct target t = {0};

    TRY(target_open(&t, opt->target[0], opt->split, opt->base, e));
    if (t.file != NULL)
        FAIL(err_set(e, ERR_DATA, "%s: is a checkpoint: stat counts samples; see dump", t.path));
    for (int v = 0; v < t.views; v++) {
        if (view_find(&t.view[v], "clip") < 0) {
            TRY(inspect_stat_vectors(opt, &t, &t.view[v], list, e));
            continue;
        }
        free(c.actor);
        c = (struct counts){0};
        for (int64_t i = 0; i < t.view[v].count; i++)
            TRY(count_sample(&c, &t.view[v], i, e));
        if (opt->cli.json)
            (void)json_array_append_new(list, counts_json(&t, &t.view[v], &c));
        else
            print_counts(opt->out, &t, &t.view[v], &c);
    }
    if (opt->cli.json)
        TRY(inspect_json(opt->out, json_pack("{s:O}", "sets", list), e));
out:
    free(c.actor);
    target_close(&t);
    json_decref(list);
    return e->code;
}
