/* SPDX-License-Identifier: MIT */
#include "tests/support/damage.h"

#include "common/base/cli.h"
#include "common/base/file.h"
#include "tests/support/check.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_BURST = 64, MAX_APPEND = 4096 };

struct strength strength_parse(int argc, char **argv)
{
    struct strength s = {.seed = 1};
    const char *seed = getenv("TEST_SEED");
    struct err e = {0};

    for (int i = 1; i < argc && e.code == ERR_OK; i++) {
        if (strcmp(argv[i], "--full") == 0)
            s.full = true;
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = argv[++i];
        else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
            cmocka_set_test_filter(argv[++i]);
        else
            (void)err_set(&e, ERR_USAGE, "'%s': only --full, --seed N and --only TEST", argv[i]);
    }
    if (e.code != ERR_OK || (seed != NULL && cli_u64(&s.seed, seed, "seed", &e) != ERR_OK)) {
        fprintf(stderr, "%s\n", e.text);
        exit(2);
    }
    printf("seed %" PRIu64 ", %s\n", s.seed, s.full ? "full strength" : "short form");
    return s;
}

/* ---- the file ---- */

void damage_open(struct damage_victim *v, const char *path)
{
    struct stat st;

    *v = (struct damage_victim){.path = strdup(path), .fd = open(path, O_RDWR | O_CLOEXEC)};
    assert_non_null(v->path);
    assert_true(v->fd >= 0);
    assert_int_equal(fstat(v->fd, &st), 0);
    v->len = (size_t)st.st_size;
    v->map = mmap(NULL, v->len, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
    assert_ptr_not_equal(v->map, MAP_FAILED);
    v->good = malloc(v->len);
    assert_non_null(v->good);
    memcpy(v->good, v->map, v->len);
    v->must_name = path_base(v->path);
}

void damage_close(struct damage_victim *v)
{
    munmap(v->map, v->len);
    close(v->fd);
    free(v->good);
    free(v->path);
    memset(v, 0, sizeof *v);
}

void damage_undo(struct damage_victim *v)
{
    memcpy(v->map + v->from, v->good + v->from, v->to - v->from);
}

void damage_try_good(struct damage_victim *v)
{
    struct damage_seen seen = {0};
    struct err e = {0};

    v->from = 0;
    v->to = v->len;
    ASSERT_OK(v->read(v->ctx, v, &seen, &e), e);
    assert_true(seen.opened && !seen.wrong);
    if (v->verify != NULL)
        ASSERT_OK(v->verify(v->ctx, v, &e), e);
}

void damage_try(struct damage_victim *v, const char *what, uint64_t detail)
{
    struct damage_seen seen = {0};
    struct err e = {0};
    enum err_code rc = v->read(v->ctx, v, &seen, &e);

    v->cases++;
    if (seen.wrong)
        fail_msg("%s: %s (bytes %zu to %zu, %" PRIu64 "): a damaged value was handed out", v->path,
                 what, v->from, v->to, detail);
    if (rc == ERR_OK && v->may_rest) {
        v->rested++;
        rc = v->verify(v->ctx, v, &e);
    } else if (seen.opened) {
        v->at_read++;
    } else {
        v->at_open++;
    }
    if (rc == ERR_OK)
        fail_msg("%s: %s (bytes %zu to %zu, %" PRIu64 "): was not found", v->path, what, v->from,
                 v->to, detail);
    if (err_exit_status(rc) != 4 || strstr(e.text, v->must_name) == NULL)
        fail_msg("%s: %s (bytes %zu to %zu, %" PRIu64 "): %d: %s", v->path, what, v->from, v->to,
                 detail, rc, e.text);
}

void damage_report(const struct damage_victim *v, const char *what)
{
    printf("%s, %zu bytes: %" PRId64 " cases: %" PRId64 " found on opening, %" PRId64
           " on reading, %" PRId64 " in bytes of no use to the reader and found by verify\n",
           what, v->len, v->cases, v->at_open, v->at_read, v->rested);
    fflush(stdout); /* the next campaign may take minutes */
}

/* ---- campaigns ---- */

void damage_bytes(struct damage_victim *v, size_t first, size_t stride, int values)
{
    for (size_t i = first; i < v->len; i += stride) {
        v->from = i;
        v->to = i + 1;
        for (int k = 0; k < values; k++) {
            int change = 1 + k * 255 / values; /* 1..255 */

            v->map[i] = v->good[i] ^ (uint8_t)change;
            damage_try(v, "byte changed by xor", (uint64_t)change);
        }
        damage_undo(v);
    }
}

static size_t random_place(struct rng *r, size_t n)
{
    return (size_t)(rng_double(r) * (double)n);
}

void damage_random(struct damage_victim *v, struct rng *r, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        size_t len = i % 2 == 0 ? 1 : 2 + rng_below(r, MAX_BURST - 1);

        v->from = random_place(r, v->len - len);
        v->to = v->from + len;
        for (size_t k = v->from; k < v->to; k++)
            v->map[k] = (uint8_t)rng_u32(r);
        v->map[v->from] = v->good[v->from] ^ (uint8_t)(1 + rng_below(r, 255));
        v->map[v->to - 1] = v->good[v->to - 1] ^ (uint8_t)(1 + rng_below(r, 255));
        damage_try(v, "random change", (uint64_t)i);
        damage_undo(v);
    }
}

/* 1, 2, 4, ... up to half of the file, by turns. */
static size_t block_size(const struct damage_victim *v, int64_t i)
{
    size_t size = (size_t)1 << (i % 24);

    return size <= v->len / 2 ? size : 1 + (size_t)i % (v->len / 2);
}

void damage_blocks(struct damage_victim *v, struct rng *r, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        size_t size = block_size(v, i), aligned = i % 3 == 0 ? size : 1, a, b;

        a = random_place(r, v->len - 2 * size + 1) / aligned * aligned;
        b = a + size + random_place(r, v->len - a - 2 * size + 1) / aligned * aligned;
        if (memcmp(v->good + a, v->good + b, size) == 0)
            continue; /* the same file */
        v->from = a;
        v->to = b + size;
        memcpy(v->map + a, v->good + b, size);
        if (i % 2 == 0)
            memcpy(v->map + b, v->good + a, size);
        damage_try(v, i % 2 == 0 ? "blocks exchanged" : "block copied", size);
        damage_undo(v);
    }
}

void damage_foreign(struct damage_victim *v, struct rng *r, const struct damage_victim *other,
                    int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        size_t size = block_size(v, i), at = random_place(r, v->len - size + 1);

        if (i % 3 == 0)
            at = at / size * size;
        if (at + size > other->len || memcmp(v->good + at, other->good + at, size) == 0)
            continue;
        v->from = at;
        v->to = at + size;
        memcpy(v->map + at, other->good + at, size);
        damage_try(v, "block of another file", size);
        damage_undo(v);
    }
}

void damage_cuts(struct damage_victim *v, size_t stride)
{
    for (size_t len = 0; len < v->len; len += stride) {
        v->from = len;
        v->to = v->len;
        assert_int_equal(ftruncate(v->fd, (off_t)len), 0);
        damage_try(v, "cut", len);
        assert_int_equal(ftruncate(v->fd, (off_t)v->len), 0);
        damage_undo(v);
    }
}

void damage_appends(struct damage_victim *v, struct rng *r, size_t stride)
{
    static const char *const what[] = {"zeros appended", "noise appended", "its beginning appended",
                                       "its last bytes appended"};
    uint8_t more[MAX_APPEND];

    v->from = v->to = v->len;
    for (size_t n = 1; n <= MAX_APPEND; n += stride) {
        for (int kind = 0; kind < 4; kind++) {
            size_t copied = n < v->len ? n : v->len;

            memset(more, 0, sizeof more);
            if (kind == 1)
                for (size_t i = 0; i < n; i++)
                    more[i] = (uint8_t)rng_u32(r);
            else if (kind >= 2)
                memcpy(more, kind == 2 ? v->good : v->good + v->len - copied, copied);
            assert_int_equal(pwrite(v->fd, more, n, (off_t)v->len), (ssize_t)n);
            damage_try(v, what[kind], n);
            assert_int_equal(ftruncate(v->fd, (off_t)v->len), 0);
        }
    }
}
