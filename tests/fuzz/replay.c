/* SPDX-License-Identifier: MIT */
#include "common/base/file.h"
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* fuzz_NAME [-v] MUTANTS DIR...: runs a target without libFuzzer over every file of the folders
 * (one that does not exist is passed over), and over MUTANTS changed copies of each, the same ones
 * every time. -v names each file and mutant before it runs, so that the last one named is at fault.
 */

enum { MAX_CHANGES = 4, MAX_BYTES = 1 << 20, TOO_SMALL = 64 };

/* xorshift64*: any fixed stream of numbers will do. */
static uint64_t next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 2685821657736338717u;
}

/* Changes, inserts, removes or repeats bytes of data[*len], which has room for TOO_SMALL more. */
static void mutate(uint8_t *data, size_t *len, uint64_t *state)
{
    size_t at = *len > 0 ? next(state) % *len : 0, n = 1 + next(state) % 8;
    uint8_t value = (uint8_t)next(state);

    if (*len == 0 || next(state) % 8 == 0) {
        memmove(data + at + 1, data + at, *len - at);
        data[at] = value;
        ++*len;
    } else if (value % 4 == 0) {
        n = n < *len - at ? n : *len - at;
        memmove(data + at, data + at + n, *len - at - n);
        *len -= n;
    } else if (value % 4 == 1) {
        data[at] ^= (uint8_t)(1u << value / 32);
    } else if (value % 4 == 2) {
        data[at] = data[next(state) % *len];
    } else {
        data[at] = value;
    }
}

/* In a block of its own, so that a sanitizer sees its end. */
static void run(const uint8_t *data, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);

    if (copy == NULL)
        abort();
    memcpy(copy, data, len);
    (void)LLVMFuzzerTestOneInput(copy, len);
    free(copy);
}

static void run_mutants(const struct file_view *v, long mutants, uint64_t state, bool verbose)
{
    static uint8_t data[MAX_BYTES + TOO_SMALL];

    for (long i = 0; i < mutants; i++) {
        size_t len = v->len;
        int changes = 1 + (int)(next(&state) % MAX_CHANGES);

        if (verbose)
            fprintf(stderr, "  mutant %ld\n", i);
        memcpy(data, v->data, len);
        while (changes-- > 0)
            mutate(data, &len, &state);
        run(data, len);
    }
}

static enum err_code run_folder(const char *dir, long mutants, bool verbose, size_t *files,
                                struct err *e)
{
    struct name_list names = {0};
    struct file_view v = {0};
    char *path = NULL;

    TRY(dir_list(&names, dir, "", e));
    for (size_t i = 0; i < names.count; i++) {
        TRY(path_join(&path, dir, names.name[i], e));
        TRY(file_read(&v, path, MAX_BYTES, e));
        if (verbose)
            fprintf(stderr, "%s\n", path);
        run(v.data, v.len);
        run_mutants(&v, mutants, ++*files, verbose);
        file_view_free(&v);
        free(path);
        path = NULL;
    }
out:
    file_view_free(&v);
    free(path);
    name_list_free(&names);
    return e->code;
}

int main(int argc, char **argv)
{
    bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
    int first = 1 + verbose;
    long mutants;
    size_t files = 0;
    struct err e = {0};

    if (argc < first + 2) {
        fprintf(stderr, "usage: %s [-v] MUTANTS DIR...\n", argv[0]);
        return 2;
    }
    mutants = strtol(argv[first], NULL, 10);
    for (int i = first + 1; i < argc; i++)
        if (access(argv[i], F_OK) == 0)
            TRY(run_folder(argv[i], mutants, verbose, &files, &e));
    if (files == 0)
        TRY(err_set(&e, ERR_DATA, "%s: has no files", argv[argc - 1]));
    printf("%zu files, %ld mutants of each\n", files, mutants);
out:
    if (e.code != ERR_OK)
        fprintf(stderr, "%s: %s\n", argv[0], e.text);
    return e.code == ERR_OK ? 0 : 1;
}
