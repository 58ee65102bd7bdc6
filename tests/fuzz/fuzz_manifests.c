/* SPDX-License-Identifier: MIT */
#include "prep/clip_list.h"
#include "prep/clip_name.h"
#include "prep/split_table.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

/* clips.tsv and split tables as their users read them. */

static struct tsv *table_of(const uint8_t *data, size_t size, const char *kind,
                            const char *const *columns)
{
    struct tsv *t = NULL;
    struct err e = {0};

    if (tsv_parse(&t, "x", kind, columns, data, size, &e) != ERR_OK)
        fuzz_check_err(&e, 20);
    return t;
}

static void read_clips(const uint8_t *data, size_t size, enum clip_media media)
{
    struct tsv *t = table_of(data, size, "clips", clip_list_columns);
    struct clip_list list;
    struct err e = {0};
    size_t usable = 0;

    if (t == NULL)
        return;
    if (clip_list_take(&list, t, media, &e) != ERR_OK) {
        fuzz_check_err(&e, 20);
        return;
    }
    for (size_t i = 0; i < list.count; i++) {
        const struct clip_row *r = &list.row[i];

        usable += !r->rejected;
        FUZZ_CHECK(r->actor >= 0 && r->actor <= ACTOR_MAX && r->label >= -1 &&
                   r->label < N_EMOTIONS);
        FUZZ_CHECK(r->rejected ||
                   (strlen(r->clip) < CLIP_NAME_SIZE && r->path[0] != '/' &&
                    strncmp(r->path, "../", 3) != 0 && strstr(r->path, "/../") == 0));
    }
    FUZZ_CHECK(usable == list.usable);
    clip_list_free(&list);
}

static void read_corpus(const uint8_t *data, size_t size)
{
    struct tsv *t = table_of(data, size, "clips", corpus_columns);
    struct corpus c;
    struct err e = {0};
    size_t accepted = 0, rows;

    if (t == NULL)
        return;
    rows = tsv_rows(t);
    if (corpus_take(&c, t, &e) != ERR_OK) {
        fuzz_check_err(&e, 20);
        return;
    }
    FUZZ_CHECK(c.count + c.misnamed == rows);
    for (size_t i = 0; i < c.count; i++) {
        accepted += !c.clip[i].rejected;
        FUZZ_CHECK(corpus_find(&c, c.clip[i].clip) == &c.clip[i]);
    }
    FUZZ_CHECK(accepted == c.accepted);
    corpus_free(&c);
}

static void read_split(const uint8_t *data, size_t size)
{
    struct tsv *t = table_of(data, size, "split", split_table_columns);
    struct part_counts counts[N_PARTS];
    struct split_table table;
    struct err e = {0};
    size_t rows, actors;

    if (t == NULL)
        return;
    rows = tsv_rows(t);
    if (split_table_take(&table, t, &e) != ERR_OK) {
        fuzz_check_err(&e, 20);
        return;
    }
    FUZZ_CHECK(table.count == rows && strlen(table.digest) == 64);
    FUZZ_CHECK(split_table_count(&table, counts, &e) == ERR_OK);
    FUZZ_CHECK(counts[0].clips + counts[1].clips + counts[2].clips == rows);
    if (split_table_check_speakers(&table, "x", &actors, &e) != ERR_OK) {
        FUZZ_CHECK(actors > 0);
        fuzz_check_err(&e, 20);
    }
    split_table_free(&table);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 8 && memcmp(data, "#synib-s", 8) == 0) {
        read_split(data, size);
    } else {
        read_clips(data, size, CLIP_VIDEO);
        read_clips(data, size, CLIP_AUDIO);
        read_corpus(data, size);
    }
    return 0;
}
