/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_NAIVE_READER_H
#define TESTS_SUPPORT_NAIVE_READER_H

#include <stddef.h>
#include <stdint.h>

/* A second reader of containers and shard sets, written from docs/formats/container.md and
 * shards.md alone: it shares no code with common/. It shows that the specification is enough. It is
 * slow, reads whole files, and says what is wrong in a fixed text. */

enum { NAIVE_MAX_TENSORS = 2100, NAIVE_MAX_RANK = 5, NAIVE_WHY = 200 };

struct naive_tensor {
    const char *name, *dtype;
    int rank;
    long long dim[NAIVE_MAX_RANK];
    const uint8_t *data;
    size_t bytes;
};

struct naive_node;

struct naive_file {
    uint8_t *bytes; /* own copy */
    size_t len;
    struct naive_node *header;
    struct naive_tensor *tensor; /* data tensors only, in file order */
    int count;
    char why[NAIVE_WHY]; /* "" = fine */
};

/* Reads and checks everything, data too. Returns 1 when fine; naive_close() in any case. */
int naive_open_mem(struct naive_file *f, const void *data, size_t len);
int naive_open(struct naive_file *f, const char *path);
void naive_close(struct naive_file *f);
const char *naive_meta(const struct naive_file *f, const char *key); /* NULL if absent */
const struct naive_tensor *naive_find(const struct naive_file *f, const char *name);

struct naive_set {
    struct naive_node *lines; /* one per line of the index */
    struct naive_file *shard;
    int shards, fields;
    long long samples;
    char why[NAIVE_WHY];
};

int naive_set_open(struct naive_set *s, const char *dir);
void naive_set_close(struct naive_set *s);
const char *naive_set_field(const struct naive_set *s, int field);
const char *naive_set_meta(const struct naive_set *s, const char *key);
/* The bytes of one value; NULL when there is no such sample. */
const uint8_t *naive_value(const struct naive_set *s, long long sample, int field, size_t *len);

/* Bit by bit. */
uint32_t naive_crc32c(const void *data, size_t len);

#endif
