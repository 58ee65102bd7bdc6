/* SPDX-License-Identifier: MIT */
#ifndef COMMON_DATA_SHARD_H
#define COMMON_DATA_SHARD_H

#include "common/data/tensorfile.h"

/* Shard sets: a folder of container files "PREFIX-00000-<12 hex digits>.safetensors" ... and
 * "index.jsonl", which is written last. A folder without index is not a set. Samples are numbered
 * 0..n-1 through the shards in order. docs/formats/shards.md.
 *
 * A set has a list of fields, the same in every shard:
 *   fixed   one value of fixed shape per sample: tensor [n, dim...] of the field's dtype
 *   ragged  one byte string per sample (e.g. a JPEG): tensors U8 [total] and
 *           "<field>.off" I64 [n, 2]
 *
 * Every shard has a CRC32C per sample and field too, in tensor "crc32c" I32 [n, fields].
 *
 * Two digests: the file digests in the index (bytes; for sha256sum), and the *content digest*:
 * SHA-256 over every sample's field values in order, which does not depend on how samples are cut
 * into shards. */

enum { SHARD_MAX_FIELDS = 32, SHARD_NAME_SIZE = 64 };

struct shard_field {
    char name[SHARD_NAME_SIZE];
    enum dtype dtype;
    bool ragged; /* dtype U8, rank and dim unused */
    int rank;    /* of one sample: 0 = scalar */
    int64_t dim[TENSOR_MAX_RANK - 1];
};

/* One value given to the writer: `len` must be the field's size unless it is ragged. */
struct shard_value {
    const void *data;
    size_t len;
};

struct shard_options {
    const char *prefix;    /* file name prefix, e.g. "video" */
    uint64_t target_bytes; /* a shard ends with the sample that reaches it; 0 = 128 MiB */
    bool force;            /* replace an existing set */
};

/* ---- writing ---- */
struct shard_writer;

/* Makes the folder; ERR_EXISTS if it holds an index and !force. The new index replaces the old one
 * in one rename; shard files of an older set that the new index does not name are removed after
 * that. */
NODISCARD enum err_code shard_writer_open(struct shard_writer **w, const char *dir,
                                          const struct shard_options *opt,
                                          const struct shard_field *fields, int n_fields,
                                          struct err *e);
/* Provenance for every shard and the index: set before the first sample. Keys as in
 * docs/formats/shards.md ("synib.tool", "synib.config", "synib.seed", "synib.parent", ...). */
NODISCARD enum err_code shard_writer_meta(struct shard_writer *w, const char *key,
                                          const char *value, struct err *e);
/* As shard_writer_meta, but for the index alone, and at any time before commit: for what is known
 * only after the last sample, such as a digest. */
NODISCARD enum err_code shard_writer_index_meta(struct shard_writer *w, const char *key,
                                                const char *value, struct err *e);
/* Appends one sample: values[n_fields] in field order; copied. A ragged value has at least one
 * byte. */
NODISCARD enum err_code shard_writer_add(struct shard_writer *w, const struct shard_value *values,
                                         struct err *e);
/* Writes what is left and the index; frees w on failure too. ERR_DATA without any sample. */
NODISCARD enum err_code shard_writer_commit(struct shard_writer *w, struct err *e);
void shard_writer_abort(struct shard_writer *w);
/* Removes what killed writers left in the folder of a set: shards that its index does not name, and
 * partial files. For a set that is kept as it is; a writer does it on commit. Nothing happens while
 * another process writes the set. */
NODISCARD enum err_code shard_set_tidy(const char *dir, struct err *e);

/* ---- reading ---- */
struct shard_set;

/* Opens the index and every shard (mapped), checks sizes, headers and that all agree. Data are
 * verified per sample and field on every use. */
NODISCARD enum err_code shard_set_open(struct shard_set **s, const char *dir, struct err *e);
/* The same, but *s = NULL and ERR_OK when there is no set or it is not whole. What the system
 * refuses (ERR_IO, ERR_NOMEM) is an error still: it says nothing about the set. */
NODISCARD enum err_code shard_set_probe(struct shard_set **s, const char *dir, struct err *e);
/* One shard alone, as a set of its own; its digest is "", because that stands in the index. */
NODISCARD enum err_code shard_set_open_file(struct shard_set **s, const char *path, struct err *e);
/* The same over memory that outlives the set; `name` for messages. */
NODISCARD enum err_code shard_set_open_mem(struct shard_set **s, const char *name, const void *data,
                                           size_t len, struct err *e);
void shard_set_close(struct shard_set *s);

const char *shard_set_dir(const struct shard_set *s);
int64_t shard_set_count(const struct shard_set *s);
int shard_set_field_count(const struct shard_set *s);
const struct shard_field *shard_set_field(const struct shard_set *s, int field);
int shard_set_find(const struct shard_set *s, const char *field); /* -1 if absent */
const char *shard_set_meta(const struct shard_set *s, const char *key);
const char *shard_set_meta_key(const struct shard_set *s, int i); /* NULL past the end */
/* Content digest from the index, hex. */
const char *shard_set_digest(const struct shard_set *s);
/* Shards, for verify and ls. */
int shard_set_shards(const struct shard_set *s);
const struct tensorfile *shard_set_shard(const struct shard_set *s, int shard, int64_t *first,
                                         int64_t *count);
/* Bytes of all its files but the index. */
static inline uint64_t shard_set_bytes(const struct shard_set *s)
{
    uint64_t bytes = 0;
    int64_t first, count;

    for (int i = 0; i < shard_set_shards(s); i++)
        bytes += tensorfile_size(shard_set_shard(s, i, &first, &count));
    return bytes;
}

/* Bytes of a fixed field's value: the product of its dims times its dtype's size. */
size_t shard_field_bytes(const struct shard_field *f);

/* The bytes of one sample's field: a loan until close, verified against its CRC32C on every
 * use, because a mapped file may be damaged after it was opened. Threads: any. ERR_CHECKSUM: "FILE:
 * sample I (CLIP) field F: crc32c differs (byte N)". */
NODISCARD enum err_code shard_set_get(const struct shard_set *s, int64_t sample, int field,
                                      struct shard_value *v, struct err *e);
/* Everything: every value and tensor against its checksum, the content digest against the index,
 * what surrounds the tensors against what a writer writes, and the digits in each shard's name
 * against its contents: the file is then, byte for byte, its writer's, and its sha256 in the index
 * is not computed. A shard alone has no content digest; where it was renamed to another form, its
 * name is not compared either. All faults are listed. */
NODISCARD enum err_code shard_set_verify(const struct shard_set *s, int jobs, struct err *e);

#endif
