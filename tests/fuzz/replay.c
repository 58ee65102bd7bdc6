/* SPDX-License-Identifier: MIT */
/* fuzz_NAME DIR [CHANGES]: runs the target over every file of the corpus DIR and over CHANGES
 * (default 200) small changes of each, the same ones every time. Prints how many inputs it ran. */
#include "common/base/file.h"
#include "common/base/rng.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEED = 1, MAX_INPUT = 1 << 20, MOST_EDITS = 4 };

/* As a parser sees memory under a fuzzer: a block of its own, so that sanitizers see its end. */
static void run(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);

    fuzz_check(copy != NULL, "memory");
    memcpy(copy, data, len);
    (void)LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

/* One edit in place of a buffer that has room for MAX_INPUT bytes; returns the new length. */
static size_t edit(uint8_t *b, size_t len, struct rng *r)
{
    static const uint8_t odd[] = {0, 1, 0x7f, 0x80, 0xff, '\n', '\t', '"', '{', '-'};
    size_t at = len > 0 ? rng_below(r, (uint32_t)len) : 0;
    size_t n = 1 + rng_below(r, 8);

    switch (len > 0 ? rng_below(r, 6) : 4) {
    case 0: b[at] ^= (uint8_t)(1u << rng_below(r, 8)); return len;
    case 1: b[at] = odd[rng_below(r, sizeof odd)]; return len;
    case 2: return at; /* cut */
    case 3:            /* n bytes less */
        if (n > len - at)
            n = len - at;
        memmove(b + at, b + at + n, len - at - n);
        return len - n;
    case 4: /* one byte more */
        if (len == MAX_INPUT)
            return len;
        memmove(b + at + 1, b + at, len - at);
        b[at] = odd[rng_below(r, sizeof odd)];
        return len + 1;
    default: /* a piece from elsewhere */
        if (n > len - at)
            n = len - at;
        memmove(b + at, b + rng_below(r, (uint32_t)(len - n + 1)), n);
        return len;
    }
}

static void change(const struct file_view *v, uint32_t file, int changes)
{
    static uint8_t buffer[MAX_INPUT];

    for (int i = 0; i < changes; i++) {
        struct rng r = rng_at(SEED, rng_stream("test.fuzz"), file, (uint32_t)i);
        size_t len = v->len;
        int edits = 1 + (int)rng_below(&r, MOST_EDITS);

        memcpy(buffer, v->data, len);
        while (edits-- > 0)
            len = edit(buffer, len, &r);
        run(buffer, len);
    }
}

int main(int argc, char **argv)
{
    int changes = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 200;
    struct name_list names = {0};
    struct err e = {0};

    if (argc < 2 || dir_list(&names, argv[1], "", &e) != ERR_OK || names.count == 0) {
        fprintf(stderr, "usage: %s DIR [CHANGES]; DIR holds inputs: %s\n", argv[0], e.text);
        return 1;
    }
    for (size_t i = 0; i < names.count; i++) {
        struct file_view v = {0};
        char *path = NULL;

        fuzz_check(path_join(&path, argv[1], names.name[i], &e) == ERR_OK, "memory");
        if (file_read(&v, path, MAX_INPUT, &e) != ERR_OK) {
            fprintf(stderr, "%s\n", e.text);
            return 1;
        }
        run(v.data, v.len);
        change(&v, (uint32_t)i, changes);
        file_view_free(&v);
        free(path);
    }
    printf("%zu inputs, %zu runs\n", names.count, names.count * (size_t)(1 + changes));
    name_list_free(&names);
    return 0;
}
