/* SPDX-License-Identifier: MIT */
#ifndef COMMON_DATA_TENSORFILE_H
#define COMMON_DATA_TENSORFILE_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* The container of shards and checkpoints: a strict, checksummed profile of safetensors, specified
 * in docs/formats/container.md. Every byte of a file is covered by exactly one checked rule, so any
 * single damaged byte is found before data are used.
 *
 * Threads: a writer belongs to one thread; a reader may be shared once opened. */

enum dtype { DTYPE_U8, DTYPE_I32, DTYPE_I64, DTYPE_F32 };
enum { TENSOR_MAX_RANK = 5, TENSORFILE_MAX_TENSORS = 1024, TENSORFILE_ALIGN = 64 };

size_t dtype_size(enum dtype t);
const char *dtype_name(enum dtype t);              /* as in safetensors: "U8" "I32" "I64" "F32" */
bool dtype_parse(enum dtype *t, const char *name); /* false: not one of ours */

/* One tensor's name and shape. rank 0 is a scalar. */
struct tensor_info {
    const char *name; /* a loan from the file object */
    enum dtype dtype;
    int rank;
    int64_t dim[TENSOR_MAX_RANK];
    uint64_t bytes; /* product of dims * dtype_size */
};

/* ---- writing: metadata and tensors are declared, then data are streamed in declaration order ----
 */
struct tensorfile_writer;

/* kind: "shard" or "checkpoint"; goes to metadata. */
NODISCARD enum err_code tensorfile_writer_open(struct tensorfile_writer **w, const char *path,
                                               const char *kind, bool force, struct err *e);
/* Strings only; keys unique. Never wall-clock, host or path. */
NODISCARD enum err_code tensorfile_writer_meta(struct tensorfile_writer *w, const char *key,
                                               const char *value, struct err *e);
NODISCARD enum err_code tensorfile_writer_declare(struct tensorfile_writer *w, const char *name,
                                                  enum dtype dtype, int rank, const int64_t *dim,
                                                  struct err *e);
/* Data of the declared tensors, one after the other, in any number of pieces. */
NODISCARD enum err_code tensorfile_writer_data(struct tensorfile_writer *w, const void *data,
                                               size_t len, struct err *e);
/* Writes checksums and trailer, publishes atomically, frees w (on failure too). digest (may be
 * NULL) receives the file's SHA-256. */
NODISCARD enum err_code tensorfile_writer_commit(struct tensorfile_writer *w, uint8_t digest[32],
                                                 struct err *e);
void tensorfile_writer_abort(struct tensorfile_writer *w);

/* ---- reading ---- */
struct tensorfile;

/* Maps the file and checks size, header, trailer and every structural rule; tensor data are checked
 * by tensorfile_verify* below. */
NODISCARD enum err_code tensorfile_open(struct tensorfile **f, const char *path, struct err *e);
/* The same over memory that outlives the object; `name` for messages. */
NODISCARD enum err_code tensorfile_open_mem(struct tensorfile **f, const char *name,
                                            const void *data, size_t len, struct err *e);
void tensorfile_close(struct tensorfile *f);

const char *tensorfile_path(const struct tensorfile *f);
/* Length of the file in bytes, these bytes (loan until close), and their SHA-256. */
uint64_t tensorfile_size(const struct tensorfile *f);
const void *tensorfile_bytes(const struct tensorfile *f);
NODISCARD enum err_code tensorfile_digest(const struct tensorfile *f, uint8_t digest[32],
                                          struct err *e);
const char *tensorfile_kind(const struct tensorfile *f);
/* A metadata string, NULL if absent; loan until close. */
const char *tensorfile_meta(const struct tensorfile *f, const char *key);
/* i-th key in file order, NULL past the end. */
const char *tensorfile_meta_key(const struct tensorfile *f, int i);
int tensorfile_count(const struct tensorfile *f);
const struct tensor_info *tensorfile_info(const struct tensorfile *f, int i);
/* Index by name, -1 if absent. */
int tensorfile_find(const struct tensorfile *f, const char *name);
/* Where tensor i's data lie in the mapping, 64-byte aligned; loan until close; NOT yet verified. */
const void *tensorfile_data(const struct tensorfile *f, int i);
/* Byte offset of tensor i's data in the file, for messages. */
uint64_t tensorfile_offset(const struct tensorfile *f, int i);
/* Checks tensor i against its checksum: ERR_CHECKSUM names file, tensor and offset. */
NODISCARD enum err_code tensorfile_verify(const struct tensorfile *f, int i, struct err *e);
/* Checks all tensors (padding is checked on opening); one line per damaged tensor. */
NODISCARD enum err_code tensorfile_verify_all(const struct tensorfile *f, struct err *e);
/* ERR_CHECKSUM unless the file is, byte for byte, what a writer makes of the metadata and tensors
 * that were found on opening; crc: the CRC32C of each tensor's bytes as the caller has just read
 * them. The bytes of the tensors are not read. Opening accepts other white space and another order
 * of keys in the header. */
NODISCARD enum err_code tensorfile_verify_written(const struct tensorfile *f, const uint32_t *crc,
                                                  struct err *e);

#endif
