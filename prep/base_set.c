/* SPDX-License-Identifier: MIT */
#include "prep/base_set.h"

#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/base/parallel.h"
#include "prep/confine.h"
#include "prep/ordered.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    MAX_FILE_BYTES = 64 << 20, /* the largest of CREMA-D is 8.5 MB */
    MAX_WARNINGS = 20,         /* rejected clips named on stderr; rejected.tsv has all */
    WINDOW_PER_THREAD = 4,     /* items that may wait for a slow clip, per thread */
};

/* What became of one clip. */
struct item {
    struct contain_result result; /* what sample looks into */
    struct base_sample sample;
    struct shard_value value[SHARD_MAX_FIELDS];
    uint8_t clip[CLIP_NAME_SIZE];
    bool fatal; /* err is the run's, not the clip's */
    struct err err;
};

struct run {
    const struct base_set_options *opt;
    const struct base_set_tool *tool;
    struct clip_list clips;
    void *scratch;
    struct contain *workers; /* [jobs] */
    struct ordered order;
    struct item *items; /* [order.window] */
    struct shard_writer *writer;
    struct atomic_file *rejected;
    struct progress progress;
    size_t written, rejected_here, rejected_before;
    size_t flagged[32]; /* samples per flag bit */
    bool failed;        /* atomic: err is set, the rest is skipped */
    struct err err;
};

static bool is_set(const bool *flag)
{
    return __atomic_load_n(flag, __ATOMIC_RELAXED);
}

static void item_reset(struct item *item)
{
    contain_result_free(&item->result);
    *item = (struct item){0};
}

/* True for faults of the clip, false for those of the run. */
static bool rejects_clip(const struct item *item)
{
    enum err_code code = item->fatal ? ERR_OK : item->err.code;

    return code == ERR_IO || code == ERR_FORMAT || code == ERR_TRUNCATED || code == ERR_DATA ||
           code == ERR_CHECKSUM;
}

static enum err_code check_digest(const struct clip_row *row, const struct file_view *file,
                                  struct err *e)
{
    uint8_t digest[SHA256_SIZE];

    TRY(sha256_bytes(file->data, file->len, digest, e));
    if (memcmp(digest, row->sha256, sizeof digest) != 0)
        (void)err_set(e, ERR_CHECKSUM,
                      "%s: changed since the scan: its SHA-256 is not the one in "
                      "the clip list: run synib-scan again",
                      row->path);
out:
    return e->code;
}

static void fill_values(const struct base_set_tool *tool, const struct clip_row *row,
                        struct item *item)
{
    struct shard_value *value = item->value;

    value[tool->clip_field] = (struct shard_value){item->clip, sizeof item->clip};
    value[tool->actor_field] = (struct shard_value){&row->actor, sizeof row->actor};
    value[tool->label_field] = (struct shard_value){&row->label, sizeof row->label};
    value[tool->flags_field] = (struct shard_value){&item->sample.flags, sizeof item->sample.flags};
    value[tool->sha256_field] = (struct shard_value){row->sha256, sizeof row->sha256};
    for (int k = 0; k < tool->parts; k++)
        value[tool->part_field + k] =
            (struct shard_value){item->sample.part[k], item->sample.part_len[k]};
    if (tool->index_field >= 0)
        value[tool->index_field] =
            (struct shard_value){item->sample.index, sizeof item->sample.index};
}

/* Reasons go to rejected.tsv, which must not depend on where the corpus lies. */
static void without_root(const struct run *run, struct err *e)
{
    size_t n = strlen(run->opt->root);

    if (strncmp(e->text, run->opt->root, n) == 0 && n > 0) {
        n += strspn(e->text + n, "/");
        memmove(e->text, e->text + n, strlen(e->text + n) + 1);
    }
}

/* A worker's job: the clip of row `tag`. */
static enum err_code decode(void *ctx, int64_t tag, const void *data, size_t len, void *out,
                            size_t *out_len, struct err *e)
{
    const struct run *run = ctx;
    const struct base_set_tool *tool = run->tool;
    const struct clip_row *row = &run->clips.row[tag];
    struct base_sample sample = {0};

    TRY(tool->work(tool->ctx, run->scratch, row, data, len, &sample, e));
    if (base_sample_pack(&sample, tool->parts, tool->part_max, out, out_len, e) != ERR_OK)
        (void)err_in(e, "%s", row->path);
out:
    for (int k = 0; k < SAMPLE_MAX_PARTS; k++)
        free(sample.part[k]);
    return e->code;
}

/* The worker may have been taken over by the clip: nothing of what it gave is taken on trust. */
static enum err_code accept(const struct base_set_tool *tool, const struct clip_row *row,
                            struct item *item, struct err *e)
{
    struct base_sample *s = &item->sample;

    TRY(base_sample_unpack(s, tool->parts, tool->part_max, item->result.data, item->result.len, e));
    if ((s->flags & ~tool->may_flag) != 0)
        FAIL(err_set(e, ERR_FORMAT, "its decoder gave flags 0x%x", (unsigned)s->flags));
    TRY(tool->check(s, e));
    s->flags |= row->flags & tool->keep_flags;
out:
    return err_in(e, "%s", row->path);
}

static enum err_code run_worker(struct run *run, int64_t i, int slot, const struct file_view *file,
                                struct item *item)
{
    struct err broken = {0};

    if (contain_run(run->workers, slot, i, run->clips.row[i].path, file->data, file->len,
                    &item->result, &item->err, &broken) != ERR_OK) {
        item->err = broken;
        item->fatal = true;
    }
    return item->err.code;
}

static void make_item(struct run *run, int64_t i, int slot, struct item *item)
{
    const struct clip_row *row = &run->clips.row[i];
    const struct base_set_tool *tool = run->tool;
    struct err *e = &item->err;
    struct file_view file = {0};

    TRY(clip_name_pack(item->clip, row->clip, e));
    if (file_read_beneath(&file, run->opt->root, row->path, MAX_FILE_BYTES, e) != ERR_OK) {
        without_root(run, e);
        goto out;
    }
    TRY(check_digest(row, &file, e));
    TRY(run_worker(run, i, slot, &file, item));
    TRY(accept(tool, row, item, e));
    fill_values(tool, row, item);
out:
    file_view_free(&file);
}

static void work_on(void *ctx, int64_t i, int worker)
{
    struct run *run = ctx;
    const struct clip_row *row = &run->clips.row[i];
    struct item *item = &run->items[ordered_begin(&run->order, i)];

    if (cli_stop_requested())
        (void)err_set(&item->err, ERR_STOPPED,
                      "stopped on request: nothing was written; the same command starts again");
    else if (!row->rejected && !is_set(&run->failed))
        make_item(run, i, worker, item);
    ordered_end(&run->order, i);
}

/* A line of rejected.tsv; characters that cannot stand in a cell become '?'. */
static enum err_code list_rejected(struct run *run, const char *clip, const char *step,
                                   const char *reason, struct err *e)
{
    char cell[ERR_TEXT_SIZE];

    snprintf(cell, sizeof cell, "%s", reason);
    for (char *p = cell; *p != '\0'; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            *p = '?';
    if (!tsv_cell_ok(cell))
        snprintf(cell, sizeof cell, "(reason is not UTF-8)");
    return atomic_file_printf(run->rejected, e, "%s\t%s\t%s\n", clip, step, cell);
}

static enum err_code settle(struct run *run, const struct clip_row *row, struct item *item,
                            struct err *e)
{
    const struct log *log = &run->opt->cli.log;

    if (row->rejected && item->err.code == ERR_OK) {
        run->rejected_before++;
        return list_rejected(run, row->clip, "scan", row->reason, e);
    }
    if (rejects_clip(item)) {
        if (++run->rejected_here <= MAX_WARNINGS)
            log_warn(log, "rejected %s: %s", row->clip, item->err.text);
        return list_rejected(run, row->clip, run->tool->step, item->err.text, e);
    }
    if (item->err.code != ERR_OK)
        return err_copy(e, &item->err);
    TRY(shard_writer_add(run->writer, item->value, e));
    run->written++;
    for (int bit = 0; bit < 32; bit++)
        run->flagged[bit] += item->sample.flags >> bit & 1;
out:
    return e->code;
}

static void consume(void *ctx, int64_t i)
{
    struct run *run = ctx;
    struct item *item = &run->items[i % run->order.window];

    if (!is_set(&run->failed) && settle(run, &run->clips.row[i], item, &run->err) != ERR_OK)
        __atomic_store_n(&run->failed, true, __ATOMIC_RELAXED);
    item_reset(item);
    progress_step(&run->progress, 1);
}

static enum err_code add_provenance(struct run *run, struct err *e)
{
    const struct base_set_tool *tool = run->tool;
    char seed[24];

    snprintf(seed, sizeof seed, "%llu", (unsigned long long)run->opt->cli.seed);
    TRY(shard_writer_meta(run->writer, "synib.tool", tool->name, e));
    TRY(shard_writer_meta(run->writer, "synib.version", cli_version, e));
    TRY(shard_writer_meta(run->writer, "synib.config", tool->config, e));
    TRY(shard_writer_meta(run->writer, "synib.libs", tool->libraries, e));
    TRY(shard_writer_meta(run->writer, "synib.seed", seed, e));
    TRY(shard_writer_meta(run->writer, "synib.parent", tsv_digest(run->clips.table), e));
out:
    return e->code;
}

static enum err_code open_outputs(struct run *run, struct err *e)
{
    const struct base_set_options *opt = run->opt;
    struct shard_options shard = {.prefix = run->tool->prefix, .force = opt->cli.force};
    char *path = NULL;

    TRY(shard_writer_open(&run->writer, opt->output, &shard, run->tool->field, run->tool->fields,
                          e));
    TRY(add_provenance(run, e));
    TRY(path_join(&path, opt->output, "rejected.tsv", e));
    /* Forced: shard_writer_open has refused a folder that holds a set, so what may lie there is the
     * list of a run that did not finish. */
    TRY(atomic_file_open(&run->rejected, path, true, e));
    TRY(atomic_file_printf(run->rejected, e, "#synib-rejected 1\nclip\tstep\treason\n"));
out:
    free(path);
    return e->code;
}

static enum err_code run_clips(struct run *run, struct err *e)
{
    int jobs = run->opt->cli.jobs > 1 ? run->opt->cli.jobs : 1;
    int64_t window = (int64_t)jobs * WINDOW_PER_THREAD;

    const struct base_set_tool *tool = run->tool;
    struct contain_options contain = {
        .workers = jobs,
        .in_max = MAX_FILE_BYTES,
        .out_max = base_sample_room(tool->parts, tool->part_max),
        .limits = tool->limits,
        .fn = decode,
        .ctx = run,
    };

    TRY(tool->scratch_new(&run->scratch, e));
    TRY(contain_open(&run->workers, &contain, e));
    log_debug(&run->opt->cli.log, "decoding is confined by %s", confine_describe(confine_level()));
    TRY(mem_array(&run->items, (size_t)window, sizeof *run->items, "reorder buffer", e));
    TRY(ordered_init(&run->order, window, consume, run, e));
    progress_begin(&run->progress, &run->opt->cli.log, "clips", (int64_t)run->clips.count);
    parallel_for(jobs, (int64_t)run->clips.count, work_on, run);
    progress_end(&run->progress);
    if (run->err.code != ERR_OK)
        (void)err_copy(e, &run->err);
out:
    contain_close(run->workers);
    tool->scratch_free(run->scratch);
    free(run->items);
    ordered_free(&run->order);
    return e->code;
}

/* rejected.tsv first: the index that makes the folder a set must not appear without it. */
static enum err_code publish(struct run *run, struct err *e)
{
    struct atomic_file *rejected = run->rejected;
    struct shard_writer *writer = run->writer;

    run->rejected = NULL;
    TRY(atomic_file_commit(rejected, e));
    if (run->written == 0) {
        (void)err_set(e, ERR_DATA,
                      "%s: no clip is left: %zu were rejected by the scan, %zu here: see "
                      "rejected.tsv in it; no set was written",
                      run->opt->output, run->rejected_before, run->rejected_here);
        goto out;
    }
    run->writer = NULL;
    TRY(shard_writer_commit(writer, e));
out:
    return e->code;
}

static void summarise(const struct run *run)
{
    const struct log *log = &run->opt->cli.log;
    FILE *out = run->opt->out;
    const char *comma = "";

    if (run->rejected_here > MAX_WARNINGS)
        log_warn(log, "... and %zu more rejected clips: see %s/rejected.tsv",
                 run->rejected_here - MAX_WARNINGS, run->opt->output);
    log_note(log, "%zu clips: %zu written, %zu rejected here, %zu rejected by the scan",
             run->clips.count, run->written, run->rejected_here, run->rejected_before);
    for (int bit = 0; bit < 32; bit++)
        if (run->flagged[bit] > 0)
            log_note(log, "flag %s: %zu", sample_flag_name((enum sample_flag)(1u << bit)),
                     run->flagged[bit]);
    if (!run->opt->cli.json)
        return;
    fprintf(out,
            "{\"clips\":%zu,\"written\":%zu,\"rejected\":%zu,\"rejected_by_scan\":%zu,\"flags\":{",
            run->clips.count, run->written, run->rejected_here, run->rejected_before);
    for (int bit = 0; bit < 32; bit++)
        if (run->flagged[bit] > 0) {
            fprintf(out, "%s\"%s\":%zu", comma, sample_flag_name((enum sample_flag)(1u << bit)),
                    run->flagged[bit]);
            comma = ",";
        }
    fprintf(out, "}}\n");
}

/* What would reject every clip is said once, before anything is written. */
static enum err_code check_inputs(const struct run *run, struct err *e)
{
    const struct base_set_options *opt = run->opt;
    struct stat st;

    if (run->clips.usable == 0)
        return err_set(e, ERR_DATA, "%s: no clip is left: it lists %zu, all rejected by the scan",
                       opt->clips, run->clips.count);
    if (stat(opt->root, &st) != 0)
        return err_sys(e, "%s: cannot open: --root names the folder that synib-scan looked at",
                       opt->root);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, ERR_IO,
                       "%s: is not a folder: --root names the one that synib-scan looked at",
                       opt->root);
    return ERR_OK;
}

enum err_code base_set_run(const struct base_set_options *opt, const struct base_set_tool *tool,
                           struct err *e)
{
    struct run *run = NULL;
    char *index = NULL;

    TRY(mem_array(&run, 1, sizeof *run, "run", e));
    run->opt = opt;
    run->tool = tool;
    TRY(clip_list_read(&run->clips, opt->clips, tool->media, e));
    TRY(check_inputs(run, e));
    if (opt->cli.dry_run) {
        TRY(path_join(&index, opt->output, "index.jsonl", e));
        TRY(atomic_file_check(index, opt->cli.force, e));
        log_note(&opt->cli.log, "would read %zu clips (%zu were rejected by the scan) and write %s",
                 run->clips.usable, run->clips.count - run->clips.usable, opt->output);
        goto out;
    }
    TRY(dir_room(opt->output, run->clips.usable * tool->sample_bytes, e));
    TRY(open_outputs(run, e));
    TRY(run_clips(run, e));
    TRY(publish(run, e));
    summarise(run);
    if (run->rejected_here > 0)
        (void)err_set(e, ERR_REJECTED, "%s: %zu of %zu clips were rejected: see rejected.tsv in it",
                      opt->output, run->rejected_here, run->clips.usable);
out:
    free(index);
    if (run != NULL) {
        atomic_file_abort(run->rejected);
        shard_writer_abort(run->writer);
        clip_list_free(&run->clips);
        free(run);
    }
    return e->code;
}
