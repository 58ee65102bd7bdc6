/* SPDX-License-Identifier: MIT */
/* Manifests: the table itself, and the tables that tools read by their schema. The first byte
 * chooses. */
#include "common/data/tsv.h"
#include "prep/clip_list.h"
#include "prep/split_table.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void check_table(const uint8_t *data, size_t len)
{
    struct tsv *t = NULL;
    struct err e = {0};
    enum err_code code = tsv_parse(&t, "a.tsv", "clips", NULL, data, len, &e);

    if (code == ERR_OK)
        for (size_t row = 0; row < tsv_rows(t); row++)
            if (tsv_column(t, "clip") >= 0)
                fuzz_check(tsv_cell_ok(tsv_cell(t, row, tsv_column(t, "clip"))), "cells are text");
    tsv_free(t);
    fuzz_check_err(code, &e, "a.tsv", fuzz_bad_file);
}

static void check_clips(const char *path, enum clip_media media)
{
    struct clip_list list = {0};
    struct err e = {0};
    enum err_code code = clip_list_read(&list, path, media, &e);

    if (code == ERR_OK)
        for (size_t i = 0; i < list.count; i++) {
            const struct clip_row *row = &list.row[i];

            fuzz_check(row->rejected || (row->path[0] != '\0' && row->path[0] != '/'),
                       "paths lie beneath the root");
            fuzz_check(strstr(row->path, "../") == NULL, "and do not climb");
        }
    clip_list_free(&list);
    fuzz_check_err(code, &e, path, fuzz_bad_file);
}

static void check_split(const char *path)
{
    struct split_table table = {0};
    struct part_counts counts[N_PARTS];
    struct err e = {0};
    enum err_code code = split_table_read(&table, path, &e);

    if (code == ERR_OK) {
        if (split_table_check_speakers(&table, path, NULL, &e) != ERR_OK)
            fuzz_check_err(e.code, &e, path, fuzz_bad_file);
        fuzz_check(split_table_count(&table, counts, &e) == ERR_OK, "what was read is counted");
    }
    split_table_free(&table);
    fuzz_check_err(code, &e, path, fuzz_bad_file);
}

static void check_corpus(const char *path)
{
    struct corpus corpus = {0};
    struct err e = {0};
    enum err_code code = corpus_read(&corpus, path, &e);

    corpus_free(&corpus);
    fuzz_check_err(code, &e, path, fuzz_bad_file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const char *path;

    if (len < 1)
        return 0;
    if (data[0] == 't') {
        check_table(data + 1, len - 1);
        return 0;
    }
    path = fuzz_file(data + 1, len - 1);
    switch (data[0]) {
    case 'v': check_clips(path, CLIP_VIDEO); break;
    case 'a': check_clips(path, CLIP_AUDIO); break;
    case 's': check_split(path); break;
    case 'c': check_corpus(path); break;
    default: break;
    }
    return 0;
}
