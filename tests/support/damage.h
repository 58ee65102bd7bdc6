/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_DAMAGE_H
#define TESTS_SUPPORT_DAMAGE_H

#include "common/base/err.h"
#include "common/base/rng.h"

#include <stddef.h>
#include <stdint.h>

/* One file damaged in many ways, in place, and read by the product's own code after each: whatever
 * is changed must be found before it is used, with exit status 4 and a message that names the file.
 *
 * A program that uses this runs its short form by default; `PROGRAM --full` runs all it can, and
 * `--seed N` (or TEST_SEED) replays its random part; `--only TEST` runs one test. */

struct strength {
    bool full;
    uint64_t seed;
};
/* Also prints the seed. Bad arguments end the program with status 2. */
struct strength strength_parse(int argc, char **argv);

/* What a reader found besides its error. */
struct damage_seen {
    bool opened; /* the file was opened: the error, if any, came when a value was read */
    bool wrong;  /* a value was handed out that is not the original one */
};

struct damage_victim {
    char *path;
    const char *must_name; /* part of every message; NULL: the last part of the path */
    int fd;
    uint8_t *map;  /* the file, shared and writable */
    uint8_t *good; /* what it holds undamaged */
    size_t len;
    size_t from, to; /* bytes that the present damage has touched, as an interval */
    bool may_rest;   /* a damage that touches nothing the reader uses may pass; `rested` counts */

    /* Reads all that the file leads to, or what [from, to) touches. */
    enum err_code (*read)(void *ctx, const struct damage_victim *v, struct damage_seen *seen,
                          struct err *e);
    void *ctx;
    /* Where a damage rested: must find it. NULL unless may_rest. */
    enum err_code (*verify)(void *ctx, const struct damage_victim *v, struct err *e);

    int64_t cases, at_open, at_read, rested;
};

/* Maps the file and keeps a copy; the members that say how to read are the caller's. */
void damage_open(struct damage_victim *v, const char *path);
void damage_close(struct damage_victim *v);
/* Reads the file as it is now and fails the test unless that is an error, as above. */
void damage_try(struct damage_victim *v, const char *what, uint64_t detail);
/* The undamaged file must read without an error. */
void damage_try_good(struct damage_victim *v);
/* Puts the bytes of [from, to) back. */
void damage_undo(struct damage_victim *v);
/* Prints the counts in one line. */
void damage_report(const struct damage_victim *v, const char *what);

/* ---- campaigns ---- */

/* Every `stride`-th byte from `first` on, with `values` of its 255 other values, spread evenly. */
void damage_bytes(struct damage_victim *v, size_t first, size_t stride, int values);
/* n random changes: half of them single bytes, half bursts of 2 to 64 bytes. */
void damage_random(struct damage_victim *v, struct rng *r, int64_t n);
/* Two blocks exchanged or one copied over the other, of sizes from 1 byte up; n times. */
void damage_blocks(struct damage_victim *v, struct rng *r, int64_t n);
/* A block replaced by what another file holds at the same place; n times. */
void damage_foreign(struct damage_victim *v, struct rng *r, const struct damage_victim *other,
                    int64_t n);
/* The file cut to every `stride`-th length below its own. */
void damage_cuts(struct damage_victim *v, size_t stride);
/* 1 to 4096 bytes (every `stride`-th number) behind the end: zeros, noise, copies of the file's
 * beginning and of its last bytes. */
void damage_appends(struct damage_victim *v, struct rng *r, size_t stride);

#endif
