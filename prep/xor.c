/* SPDX-License-Identifier: MIT */
#include "prep/xor.h"

#include "common/base/atomic_file.h"
#include "common/base/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job {
    const struct xor_tool_options *opt;
    struct vectors data[XOR_SPLITS];
    char *dir[XOR_SPLITS];
    bool kept[XOR_SPLITS]; /* there already, with the same content */
};

/* The content digest of the set in dir, "" when there is none. */
static enum err_code digest_of(const char *dir, char hex[65], struct err *e)
{
    struct shard_set *set = NULL;

    TRY(shard_set_probe(&set, dir, e));
    snprintf(hex, 65, "%s", set != NULL ? shard_set_digest(set) : "");
out:
    shard_set_close(set);
    return e->code;
}

/* All three are looked at before one is written. With --force a set that cannot be opened is one to
 * replace: a shard of it is missing, or another writer is just removing it. */
static enum err_code look_for_sets(struct job *j, struct err *e)
{
    char *index = NULL, hex[65];

    for (int s = 0; s < XOR_SPLITS; s++) {
        TRY(path_join(&j->dir[s], j->opt->output, xor_split_name[s], e));
        hex[0] = '\0';
        if (digest_of(j->dir[s], hex, e) == ERR_IO && j->opt->cli.force)
            err_clear(e);
        TRY(e->code);
        j->kept[s] = strcmp(hex, j->data[s].digest) == 0;
        free(index);
        index = NULL;
        TRY(path_join(&index, j->dir[s], "index.jsonl", e));
        if (!j->kept[s])
            TRY(atomic_file_check(index, j->opt->cli.force, e));
    }
out:
    free(index);
    return e->code;
}

static enum err_code put_meta(void *writer, const char *key, const char *value, struct err *e)
{
    return shard_writer_meta(writer, key, value, e);
}

static enum err_code put_provenance(struct job *j, struct shard_writer *w, enum xor_split split,
                                    struct err *e)
{
    char config[512], seed[32];

    xor_describe(&j->opt->data, config, sizeof config);
    snprintf(seed, sizeof seed, "%" PRIu64, j->opt->data.seed);
    TRY(shard_writer_meta(w, "synib.tool", "synib-xor", e));
    TRY(shard_writer_meta(w, "synib.version", cli_version, e));
    TRY(shard_writer_meta(w, "synib.config", config, e));
    TRY(shard_writer_meta(w, "synib.seed", seed, e));
    TRY(shard_writer_meta(w, "synib.split", xor_split_name[split], e));
    TRY(vectors_meta(&j->data[split], put_meta, w, e));
out:
    return e->code;
}

static enum err_code write_split(struct job *j, enum xor_split split, struct err *e)
{
    struct shard_options opt = {.prefix = "vectors", .force = j->opt->cli.force};
    const struct vectors *v = &j->data[split];
    struct shard_field field[SHARD_MAX_FIELDS];
    struct shard_writer *w = NULL, *done;
    int n = vectors_fields(v, field);

    TRY(shard_writer_open(&w, j->dir[split], &opt, field, n, e));
    TRY(put_provenance(j, w, split, e));
    for (int64_t i = 0; i < v->count; i++) {
        struct shard_value value[SHARD_MAX_FIELDS];

        for (int f = 0; f < n; f++)
            value[f] = vectors_value(v, i, f);
        TRY(shard_writer_add(w, value, e));
    }
    done = w;
    w = NULL;
    TRY(shard_writer_commit(done, e));
out:
    shard_writer_abort(w);
    return e->code;
}

static void report(const struct job *j)
{
    const struct cli *cli = &j->opt->cli;

    for (int s = 0; s < XOR_SPLITS; s++) {
        const struct vectors *v = &j->data[s];

        if (cli->json)
            printf("{\"split\":\"%s\",\"samples\":%" PRId64 ",\"digest\":\"%s\",\"kept\":%s}\n",
                   xor_split_name[s], v->count, v->digest, j->kept[s] ? "true" : "false");
        log_note(&cli->log, "%s: %" PRId64 " samples%s", xor_split_name[s], v->count,
                 j->kept[s]     ? ", there already"
                 : cli->dry_run ? ", would be written"
                                : "");
    }
}

enum err_code xor_tool_run(const struct xor_tool_options *opt, struct err *e)
{
    struct job j = {.opt = opt};

    TRY(xor_make(j.data, &opt->data, e));
    for (int s = 0; s < XOR_SPLITS; s++)
        TRY(vectors_digest(&j.data[s], e));
    if (opt->output != NULL)
        TRY(look_for_sets(&j, e));
    for (int s = 0; s < XOR_SPLITS && !opt->cli.dry_run; s++)
        TRY(j.kept[s] ? shard_set_tidy(j.dir[s], e) : write_split(&j, (enum xor_split)s, e));
    report(&j);
out:
    for (int s = 0; s < XOR_SPLITS; s++) {
        vectors_free(&j.data[s]);
        free(j.dir[s]);
    }
    return e->code;
}
