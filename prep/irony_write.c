/* SPDX-License-Identifier: MIT */
#include "prep/irony.h"

#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/data/irony.h"
#include "common/data/json.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_META = 20, VALUE_SIZE = 768 };

/* Provenance of one set, in the order in which it is written. */
struct meta {
    const char *key[MAX_META];
    char value[MAX_META][VALUE_SIZE];
    int count;
};

/* One run: bases, plans, writers. */
struct job {
    const struct irony_options *opt;
    const struct plan_options *plan;
    const struct split_table *t;
    struct shard_set *video, *audio;
    struct clip_index *video_clips, *audio_clips;
    size_t leaking;       /* speakers in more than one part */
    const char **dropped; /* [t->count] why, NULL = kept; static strings */
    size_t drops;
    size_t missing; /* of the drops, those that no --drop asked for */
    struct irony_part part[N_PARTS];
    struct meta meta[N_PARTS];
    char *dir[N_PARTS];
    bool done[N_PARTS]; /* an equal set is already there */
    struct irony_writer *writer[N_PARTS];
    char digest[N_PARTS][65];
};

static void job_free(struct job *j)
{
    for (int p = 0; p < N_PARTS; p++) {
        irony_writer_abort(j->writer[p]);
        irony_part_free(&j->part[p]);
        free(j->dir[p]);
    }
    free(j->dropped);
    clip_index_free(j->video_clips);
    clip_index_free(j->audio_clips);
    shard_set_close(j->video);
    shard_set_close(j->audio);
}

/* ---- what is there ---- */

static enum err_code open_bases(struct job *j, struct err *e)
{
    struct shard_field video[N_VIDEO_FIELDS], audio[N_AUDIO_FIELDS];
    int64_t shape[2] = {SPECTROGRAM_BINS, SPECTROGRAM_FRAMES};
    int spectrogram;

    TRY(shard_set_open(&j->video, j->opt->video, e));
    fields_video(video);
    TRY(fields_check(j->video, video, N_VIDEO_FIELDS, "video base", e));
    TRY(clip_index_new(&j->video_clips, j->video, VIDEO_CLIP, e));
    TRY(shard_set_open(&j->audio, j->opt->audio, e));
    spectrogram = shard_set_find(j->audio, "audio.logstft");
    if (spectrogram >= 0) /* any shape will do; the rest of the list is fixed */
        memcpy(shape, shard_set_field(j->audio, spectrogram)->dim, sizeof shape);
    fields_audio(audio, (int)shape[0], (int)shape[1]);
    TRY(fields_check(j->audio, audio, N_AUDIO_FIELDS, "audio base", e));
    TRY(clip_index_new(&j->audio_clips, j->audio, AUDIO_CLIP, e));
out:
    return e->code;
}

static const char by_option[] = "dropped by --drop";

static const char *why_dropped(const struct job *j, const struct split_row *row)
{
    bool video = clip_index_find(j->video_clips, row->clip) >= 0;
    bool audio = clip_index_find(j->audio_clips, row->clip) >= 0;

    for (size_t i = 0; i < j->opt->drops; i++)
        if (strcmp(j->opt->drop[i], row->clip) == 0)
            return by_option;
    if (!video && !audio)
        return "in neither base set";
    if (!video)
        return "not in the video base";
    return audio ? NULL : "not in the audio base";
}

static enum err_code find_dropped(struct job *j, struct err *e)
{
    TRY(mem_array(&j->dropped, j->t->count, sizeof *j->dropped, "dropped clips", e));
    for (size_t i = 0; i < j->t->count; i++) {
        j->dropped[i] = why_dropped(j, &j->t->row[i]);
        j->drops += j->dropped[i] != NULL;
        j->missing += j->dropped[i] != NULL && j->dropped[i] != by_option;
    }
out:
    return e->code;
}

static bool is_dropped(const struct split_row *row, void *ctx)
{
    const struct job *j = ctx;

    return j->dropped[row - j->t->row] != NULL;
}

static enum err_code check_speakers(struct job *j, struct err *e)
{
    struct err leak = {0};

    if (split_table_check_speakers(j->t, j->opt->split, &j->leaking, &leak) == ERR_OK)
        return ERR_OK;
    if (leak.code != ERR_DATA || !j->opt->allow_overlap)
        return err_copy(e, &leak);
    log_warn(&j->opt->cli.log, "%zu speakers are in more than one part (allowed; stamped)",
             j->leaking);
    return ERR_OK;
}

static enum err_code make_plans(struct job *j, struct err *e)
{
    for (int p = 0; p < N_PARTS; p++) {
        TRY(irony_part_init(&j->part[p], j->t, (enum part)p, is_dropped, j, e));
        if (j->part[p].n == 0)
            FAIL(err_set(e, ERR_DATA, "%s: part '%s' has no clip that both bases hold",
                         j->opt->split, part_names[p]));
        TRY(irony_part_plan(&j->part[p], j->plan, e));
    }
out:
    return e->code;
}

/* ---- provenance ---- */

static void add_meta(struct meta *m, const char *key, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void add_meta(struct meta *m, const char *key, const char *fmt, ...)
{
    va_list ap;

    assert(m->count < MAX_META);
    m->key[m->count] = key;
    va_start(ap, fmt);
    vsnprintf(m->value[m->count++], VALUE_SIZE, fmt, ap);
    va_end(ap);
}

/* The shortest text that reads back as the same number. */
static void rate_text(char *out, size_t size, double rate)
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(out, size, "%.*g", digits, rate);
        if (strtod(out, NULL) == rate)
            return;
    }
}

/* What synib.config says about matched swaps: nothing without them, so that such sets keep the
 * bytes that they had before there were any. */
static void matched_config(char *out, size_t size, const struct plan_options *plan)
{
    char rate[40];

    out[0] = '\0';
    if (plan->matched_rate == 0.0)
        return;
    rate_text(rate, sizeof rate, plan->matched_rate);
    snprintf(out, size, "\"matched\":%s,\"matched_donors\":\"%s\",", rate,
             donor_rule_names[plan->matched_rule]);
}

static void add_matched_meta(struct meta *m, const struct plan_options *opt,
                             const struct irony_plan *plan)
{
    char rate[40];

    rate_text(rate, sizeof rate, opt->matched_rate);
    add_meta(m, "synib.matched.rate", "%s", rate);
    add_meta(m, "synib.matched.donors", "%s", donor_rule_names[opt->matched_rule]);
    add_meta(m, "synib.matched", "%zu", plan->matched);
    add_meta(m, "synib.matched.fallbacks", "%zu", plan->matched_fallbacks);
}

static void make_meta(struct job *j, int p)
{
    struct meta *m = &j->meta[p];
    const char *layout = j->opt->materialise ? "materialised" : "overlay";
    const char *donors = donor_rule_names[j->plan->rule];
    char rate[40], matched[160];

    rate_text(rate, sizeof rate, j->plan->rate);
    matched_config(matched, sizeof matched, j->plan);
    add_meta(m, "synib.tool", "synib-irony");
    add_meta(m, "synib.version", "%s", cli_version);
    add_meta(m, "synib.config",
             "{\"donor_fallback\":%s,\"donors\":\"%s\",\"layout\":\"%s\",%s\"rate\":%s}",
             j->plan->fallback ? "true" : "false", donors, layout, matched, rate);
    add_meta(m, "synib.seed", "%" PRIu64, j->plan->seed);
    add_meta(m, "synib.scheme", "%s", j->t->scheme);
    add_meta(m, "synib.fold", "%d", j->t->fold);
    add_meta(m, "synib.split", "%s", part_names[p]);
    add_meta(m, "synib.rate", "%s", rate);
    add_meta(m, "synib.donors", "%s", donors);
    add_meta(m, "synib.mutated", "%zu", j->part[p].plan.mutated);
    add_meta(m, "synib.donor_fallbacks", "%zu", j->part[p].plan.fallbacks);
    add_meta(m, "synib.plan.digest", "%s", j->part[p].digest);
    add_meta(m, "synib.dropped", "%zu", j->drops);
    add_meta(m, "synib.parent", "split:%s video:%s audio:%s", j->t->digest,
             shard_set_digest(j->video), shard_set_digest(j->audio));
    add_meta(m, "synib.speaker_overlap", "%zu", j->leaking);
    if (j->plan->matched_rate > 0.0)
        add_matched_meta(m, j->plan, &j->part[p].plan);
}

static bool same(const char *a, const char *b)
{
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* True when `set` holds the part's clips in their order. The plan's digest does not say so: it
 * names mutated clips only, none at rate 0. */
static bool same_clips(const struct irony_part *part, const struct shard_set *set)
{
    struct clip_index *x = NULL;
    struct err quiet = {0};
    bool same = shard_set_count(set) == (int64_t)part->n &&
                clip_index_new(&x, set, IRONY_CLIP, &quiet) == ERR_OK;

    for (size_t i = 0; i < part->n && same; i++)
        same = clip_index_find(x, part->row[i]->clip) == (int64_t)i;
    clip_index_free(x);
    return same;
}

/* True when `set` was made from the same bases with the same clips, plan and options. */
static bool is_made(const struct job *j, int p, const struct shard_set *set)
{
    const struct meta *m = &j->meta[p];

    for (int i = 0; i < m->count; i++)
        if (!same(shard_set_meta(set, m->key[i]), m->value[i]))
            return false;
    return shard_set_meta(set, "synib.content") != NULL && same_clips(&j->part[p], set) &&
           same(shard_set_meta(set, "synib.video.digest"), shard_set_digest(j->video)) &&
           same(shard_set_meta(set, "synib.audio.digest"), shard_set_digest(j->audio));
}

/* A set that a run before this one finished is kept, so that the same command finishes a job that
 * was killed between two sets; any other set is in the way. */
static enum err_code look_for_sets(struct job *j, struct err *e)
{
    for (int p = 0; p < N_PARTS; p++) {
        struct shard_set *set = NULL;

        make_meta(j, p);
        TRY(path_join(&j->dir[p], j->opt->output, part_names[p], e));
        if (j->opt->cli.force)
            continue;
        TRY(shard_set_probe(&set, j->dir[p], e));
        j->done[p] = set != NULL && is_made(j, p, set);
        if (j->done[p])
            snprintf(j->digest[p], sizeof j->digest[p], "%s", shard_set_meta(set, "synib.content"));
        shard_set_close(set);
    }
out:
    return e->code;
}

/* What a dry run can say about its output. */
static enum err_code check_output(struct job *j, struct err *e)
{
    char *index = NULL;

    TRY(look_for_sets(j, e));
    for (int p = 0; p < N_PARTS; p++) {
        free(index);
        index = NULL;
        TRY(path_join(&index, j->dir[p], "index.jsonl", e));
        if (!j->done[p])
            TRY(atomic_file_check(index, j->opt->cli.force, e));
    }
out:
    free(index);
    return e->code;
}

/* ---- writing ---- */

static uint32_t plan_flags(const struct irony_plan *plan, size_t i)
{
    return (plan->fell_back[i] ? FLAG_DONOR_FALLBACK : 0) |
           (plan->is_matched[i] ? FLAG_MATCHED_DONOR : 0);
}

static enum err_code add_rows(struct job *j, int p, struct err *e)
{
    const struct irony_part *part = &j->part[p];

    for (size_t i = 0; i < part->n; i++) {
        int64_t d = part->plan.donor[i];
        struct irony_row row = {.clip = part->row[i]->clip,
                                .donor = d >= 0 ? part->row[d]->clip : NULL,
                                .donor_index = (int32_t)d,
                                .label = irony_plan_label(&part->plan, part->clip, i),
                                .base_label = part->row[i]->label,
                                .donor_label = d >= 0 ? part->row[d]->label : -1,
                                .actor = part->row[i]->actor,
                                .flags = plan_flags(&part->plan, i)};

        TRY(irony_writer_add(j->writer[p], &row, e));
    }
out:
    return e->code;
}

static enum err_code fill_writer(struct job *j, int p, struct err *e)
{
    struct irony_writer_options opt = {.materialise = j->opt->materialise,
                                       .force = j->opt->cli.force};
    const struct meta *m = &j->meta[p];

    TRY(irony_writer_open(&j->writer[p], j->dir[p], j->video, j->audio, &opt, e));
    for (int i = 0; i < m->count; i++)
        TRY(irony_writer_meta(j->writer[p], m->key[i], m->value[i], e));
    TRY(add_rows(j, p, e));
out:
    return e->code;
}

static enum err_code write_dropped(const struct job *j, struct err *e)
{
    struct atomic_file *f = NULL, *done;
    char *path = NULL;

    TRY(path_join(&path, j->opt->output, "dropped.tsv", e));
    /* Always replaced: it belongs to the sets beside it, which were checked above. */
    TRY(atomic_file_open(&f, path, true, e));
    TRY(atomic_file_printf(f, e, "#synib-dropped 1\nclip\tpart\treason\n"));
    for (size_t i = 0; i < j->t->count; i++)
        if (j->dropped[i] != NULL)
            TRY(atomic_file_printf(f, e, "%s\t%s\t%s\n", j->t->row[i].clip,
                                   part_names[j->t->row[i].part], j->dropped[i]));
    done = f;
    f = NULL;
    TRY(atomic_file_commit(done, e));
out:
    atomic_file_abort(f);
    free(path);
    return e->code;
}

/* A self-contained sample takes what the bases take per clip. */
static enum err_code check_room(const struct job *j, struct err *e)
{
    double sample = (double)shard_set_bytes(j->video) / (double)shard_set_count(j->video) +
                    (double)shard_set_bytes(j->audio) / (double)shard_set_count(j->audio);
    size_t samples = 0;

    for (int p = 0; p < N_PARTS; p++)
        samples += j->done[p] ? 0 : j->part[p].n;
    return j->opt->materialise ? dir_room(j->opt->output, (uint64_t)(sample * (double)samples), e)
                               : ERR_OK;
}

/* Every row of every part is checked and buffered before the first set is published. */
static enum err_code write_sets(struct job *j, struct err *e)
{
    TRY(look_for_sets(j, e));
    TRY(check_room(j, e));
    TRY(dir_make(j->opt->output, e));
    for (int p = 0; p < N_PARTS; p++)
        if (!j->done[p])
            TRY(fill_writer(j, p, e));
    TRY(write_dropped(j, e));
    for (int p = 0; p < N_PARTS; p++) {
        struct irony_writer *w = j->writer[p];

        j->writer[p] = NULL;
        TRY(j->done[p] ? shard_set_tidy(j->dir[p], e) : irony_writer_commit(w, j->digest[p], e));
    }
out:
    return e->code;
}

/* ---- the report ---- */

static enum err_code print_json(const struct job *j, struct err *e)
{
    json_t *root = json_pack("{s:s, s:i, s:I, s:I}", "scheme", j->t->scheme, "fold", j->t->fold,
                             "seed", (json_int_t)j->plan->seed, "dropped", (json_int_t)j->drops);
    int rc = root == NULL;

    json_begin();
    for (int p = 0; p < N_PARTS && rc == 0; p++) {
        json_t *part = irony_part_json(&j->part[p], j->plan);

        if (part != NULL && j->digest[p][0] != '\0')
            rc = json_object_set_new(part, "content", json_string(j->digest[p]));
        rc |= json_object_set_new(root, part_names[p], part);
    }
    if (rc != 0) {
        json_decref(root);
        root = NULL;
    }
    return json_print(root, j->opt->out, JSON_INDENT(2) | JSON_REAL_PRECISION(15), e);
}

static void report(const struct job *j)
{
    enum { SHOWN = 10 };
    const struct log *log = &j->opt->cli.log;
    char matched[48] = "";
    size_t shown = 0;

    for (size_t i = 0; i < j->t->count; i++) {
        if (j->dropped[i] == NULL)
            continue;
        if (shown++ == SHOWN && log->level < LOG_VERBOSE) {
            log_warn(log, "... and %zu more dropped clips (see dropped.tsv)", j->drops - SHOWN);
            break;
        }
        log_warn(log, "dropped %s (%s): %s", j->t->row[i].clip, part_names[j->t->row[i].part],
                 j->dropped[i]);
    }
    for (int p = 0; p < N_PARTS; p++) {
        const struct irony_plan *plan = &j->part[p].plan;

        if (plan->matched > 0)
            snprintf(matched, sizeof matched, " %4zu matched,", plan->matched);
        log_note(log, "%-5s %5zu clips, %4zu irony,%s plan %.16s%s", part_names[p], j->part[p].n,
                 plan->mutated, matched, j->part[p].digest,
                 j->done[p] ? " (was already there)" : "");
    }
}

enum err_code irony_write(const struct irony_options *opt, const struct split_table *t,
                          const struct plan_options *plan, struct err *e)
{
    struct job j = {.opt = opt, .plan = plan, .t = t};

    TRY(check_speakers(&j, e));
    TRY(open_bases(&j, e));
    TRY(find_dropped(&j, e));
    TRY(make_plans(&j, e));
    if (!opt->cli.dry_run)
        TRY(write_sets(&j, e));
    else if (opt->output != NULL)
        TRY(check_output(&j, e));
    report(&j);
    if (opt->cli.json)
        TRY(print_json(&j, e));
    if (j.missing > 0)
        FAIL(err_set(e, ERR_REJECTED, "%s: %zu of %zu clips are not in the base sets", opt->split,
                     j.missing, t->count));
out:
    job_free(&j);
    return e->code;
}
