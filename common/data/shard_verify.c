/* SPDX-License-Identifier: MIT */
#include "common/data/shard_set.h"

#include "common/base/bytes.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/base/parallel.h"
#include "common/data/tensorfile_format.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What the workers share; each shard has its own error and its own samples' digests. */
struct job {
    const struct shard_set *set;
    struct err *err;  /* [shards] */
    uint8_t *digests; /* [samples][32] */
    int64_t *faults;  /* [shards] */
};

static void add_fault(struct job *j, int64_t shard, struct err *one)
{
    j->faults[shard]++;
    (void)err_add_line(&j->err[shard], one->code, "%s", one->text);
    err_clear(one);
}

/* ---- values ---- */

/* The samples of one shard. */
struct queue {
    struct job *job;
    int64_t shard, next, end;
    uint32_t crc[SHARD_MAX_FIELDS]; /* of each field's values so far, end to end */
};

/* Checks each value against its checksum; true when none is damaged. Its tensor's checksum is taken
 * on the way: a second look at the file would find it in no cache. */
static bool read_values(struct queue *q, int64_t sample, struct shard_value *values)
{
    int64_t before = q->job->faults[q->shard];
    struct err one = {0};

    for (int f = 0; f < q->job->set->index.n_fields; f++) {
        if (shard_set_get(q->job->set, sample, f, &values[f], &one) == ERR_OK)
            q->crc[f] = hash_crc32c(q->crc[f], values[f].data, values[f].len);
        else
            add_fault(q->job, q->shard, &one);
    }
    return q->job->faults[q->shard] == before;
}

/* The next sample without damage. */
static bool next_sample(void *ctx, struct sha256_message *m, uint8_t **digest)
{
    struct queue *q = ctx;
    struct shard_value values[SHARD_MAX_FIELDS];

    while (q->next < q->end) {
        int64_t sample = q->next++;

        if (!read_values(q, sample, values))
            continue;
        shard_sample_message(values, q->job->set->index.n_fields, m);
        *digest = q->job->digests + sample * SHA256_SIZE;
        return true;
    }
    return false;
}

/* ---- the rest of the file ---- */

static uint32_t tensor_crc(const struct tensorfile *f, int i)
{
    return hash_crc32c(0, tensorfile_data(f, i), (size_t)tensorfile_info(f, i)->bytes);
}

/* The file around its values. */
static enum err_code verify_container(const struct queue *q, struct err *e)
{
    const struct shard_set *s = q->job->set;
    const struct shard_part *p = &s->part[q->shard];
    uint32_t crc[2 * SHARD_MAX_FIELDS + 1];
    int last = tensorfile_count(p->file) - 1;

    for (int f = 0; f < s->index.n_fields; f++) {
        crc[p->blob[f]] = q->crc[f];
        if (s->index.field[f].ragged)
            crc[p->off[f]] = tensor_crc(p->file, p->off[f]);
    }
    crc[last] = tensor_crc(p->file, last); /* of the values' checksums */
    return tensorfile_verify_written(p->file, crc, e);
}

/* The provenance as its writer was told it; NULL without memory. */
static json_t *provenance(const struct tensorfile *f)
{
    static const char *const own[] = {TF_META_CONTAINER, TF_META_KIND, SHARD_META_FIRST};
    json_t *meta = json_object();
    const char *key;

    for (int i = 0; (key = tensorfile_meta_key(f, i)) != NULL; i++) {
        bool is_own = false;

        for (size_t k = 0; k < sizeof own / sizeof own[0]; k++)
            is_own = is_own || strcmp(key, own[k]) == 0;
        if (is_own)
            continue;
        if (json_object_set_new(meta, key, json_string(tensorfile_meta(f, key))) != 0) {
            json_decref(meta);
            return NULL;
        }
    }
    return meta;
}

/* The digits in its name are those of its contents. A name of another form says nothing: that is a
 * shard alone, which was renamed. */
static enum err_code verify_name(const struct job *j, int64_t shard, struct err *e)
{
    const struct shard_set *s = j->set;
    const struct shard_part *p = &s->part[shard];
    const char *path = tensorfile_path(p->file), *name = s->index.line[shard].name;
    struct shard_contents c = {
        .first = strtoll(tensorfile_meta(p->file, SHARD_META_FIRST), NULL, 10),
        .field = s->index.field,
        .n_fields = s->index.n_fields,
        .digests = j->digests + p->first * SHA256_SIZE,
        .count = p->count,
    };
    char *prefix = NULL, *said, digits[SHARD_NAME_DIGITS + 1];

    if (!shard_name_ok(name, NULL, -1))
        return ERR_OK;
    TRY(mem_string(&prefix, name, e));
    said = strrchr(prefix, '-') + 1;
    said[-1] = '\0';
    *strrchr(prefix, '-') = '\0'; /* and its number */
    c.prefix = prefix;
    c.meta = provenance(p->file);
    if (c.meta == NULL)
        FAIL(err_set(e, ERR_NOMEM, "%s: no memory for metadata", path));
    TRY(shard_name_digits(path, &c, digits, e));
    if (strncmp(said, digits, SHARD_NAME_DIGITS) != 0)
        FAIL(err_set(e, ERR_CHECKSUM,
                     "%s: its name says other contents, these have %s: it is another shard under "
                     "this name: restore it or make it again",
                     path, digits));
out:
    json_decref(c.meta);
    free(prefix);
    return e->code;
}

static void verify_shard(void *ctx, int64_t shard, int worker)
{
    struct job *j = ctx;
    const struct shard_part *p = &j->set->part[shard];
    struct queue q = {.job = j, .shard = shard, .next = p->first, .end = p->first + p->count};
    struct err one = {0};

    (void)worker;
    if (sha256_messages(next_sample, &q, &one) != ERR_OK)
        add_fault(j, shard, &one);
    if (j->faults[shard] > 0)
        return;
    if (verify_container(&q, &one) != ERR_OK || verify_name(j, shard, &one) != ERR_OK)
        add_fault(j, shard, &one);
}

static enum err_code verify_content(const struct job *j, struct err *e)
{
    const struct shard_set *s = j->set;
    struct sha256 *h = shard_content_begin(s->index.field, s->index.n_fields);
    uint8_t digest[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];

    sha256_add(h, j->digests, (size_t)s->index.samples * SHA256_SIZE);
    TRY(sha256_end(h, digest, e));
    sha256_hex(digest, hex);
    if (s->index.content[0] != '\0' && strcmp(hex, s->index.content) != 0)
        FAIL(err_set(e, ERR_CHECKSUM,
                     "%s: content digest differs from the index: its shards are not those of this "
                     "index: restore the set or make it again",
                     s->dir));
out:
    return e->code;
}

enum err_code shard_set_verify(const struct shard_set *s, int jobs, struct err *e)
{
    struct job j = {.set = s};
    int64_t faults = 0;

    TRY(mem_array(&j.err, s->index.count, sizeof *j.err, s->dir, e));
    TRY(mem_array(&j.faults, s->index.count, sizeof *j.faults, s->dir, e));
    TRY(mem_array(&j.digests, (size_t)s->index.samples, SHA256_SIZE, s->dir, e));
    parallel_for(jobs, (int64_t)s->index.count, verify_shard, &j);
    for (size_t i = 0; i < s->index.count; i++) {
        if (j.faults[i] > 0)
            (void)err_add_line(e, j.err[i].code, "%s", j.err[i].text);
        faults += j.faults[i];
    }
    if (faults > 20)
        (void)err_in(e, "%s: %" PRId64 " faults, the first 20", s->dir, faults);
    if (faults == 0)
        TRY(verify_content(&j, e));
out:
    free(j.err);
    free(j.faults);
    free(j.digests);
    return e->code;
}
