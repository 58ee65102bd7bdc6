/* SPDX-License-Identifier: MIT */
#include "common/data/shard_set.h"

#include "common/base/mem.h"
#include "common/base/parallel.h"

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

static struct shard_unhashed all_of(const struct tensorfile *f)
{
    return (struct shard_unhashed){
        .hash = sha256_new(), .data = tensorfile_bytes(f), .len = tensorfile_size(f)};
}

static void verify_samples(struct job *j, int64_t shard, struct shard_unhashed *file)
{
    const struct shard_set *s = j->set;
    const struct shard_part *p = &s->part[shard];
    struct shard_value values[SHARD_MAX_FIELDS];
    struct err one = {0};

    for (int64_t i = p->first; i < p->first + p->count; i++) {
        for (int f = 0; f < s->index.n_fields; f++)
            if (shard_set_get(s, i, f, &values[f], &one) != ERR_OK)
                add_fault(j, shard, &one);
        if (shard_sample_digest_beside(values, s->index.n_fields, file,
                                       j->digests + i * SHA256_SIZE, &one) != ERR_OK)
            add_fault(j, shard, &one);
    }
}

/* Bytes that are under no sample's checksum, and the file as a whole. */
static void verify_file(struct job *j, int64_t shard, struct shard_unhashed *file)
{
    const struct shard_part *p = &j->set->part[shard];
    const char *want = j->set->index.line[shard].sha256;
    uint8_t digest[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];
    struct err one = {0};
    struct sha256 *hash;

    if (tensorfile_verify_all(p->file, &one) != ERR_OK) {
        add_fault(j, shard, &one);
        return;
    }
    sha256_add(file->hash, file->data, file->len);
    hash = file->hash;
    file->hash = NULL;
    if (sha256_end(hash, digest, &one) != ERR_OK) {
        add_fault(j, shard, &one);
        return;
    }
    sha256_hex(digest, hex);
    if (want[0] != '\0' && strcmp(hex, want) != 0) {
        (void)err_set(&one, ERR_CHECKSUM,
                      "%s: sha256 differs from the index: it is another file than the set's",
                      tensorfile_path(p->file));
        add_fault(j, shard, &one);
    }
}

static void verify_shard(void *ctx, int64_t shard, int worker)
{
    struct job *j = ctx;
    struct shard_unhashed file = all_of(j->set->part[shard].file);

    (void)worker;
    verify_samples(j, shard, &file);
    if (j->faults[shard] == 0)
        verify_file(j, shard, &file);
    sha256_abort(file.hash);
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
        FAIL(err_set(e, ERR_CHECKSUM, "%s: content digest differs from the index", s->dir));
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
