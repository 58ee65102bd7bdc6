/* SPDX-License-Identifier: MIT */
#include "common/data/shard_format.h"
#include "tests/fuzz/fuzz.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* index.jsonl, to which the right line of its checksum is added. What is read is written and read
 * again: the same. */

enum { END = 22 };

static void read_again(const struct shard_index *x)
{
    struct shard_index again;
    char *text, *text_again;
    struct err e = {0};

    FUZZ_CHECK(shard_index_text(x, &text, &e) == ERR_OK);
    if (shard_index_parse(&again, "x", text, strlen(text), &e) != ERR_OK)
        fuzz_fail(__FILE__, __LINE__, "what is written can be read", e.text);
    FUZZ_CHECK(again.samples == x->samples && again.count == x->count);
    FUZZ_CHECK(again.n_fields == x->n_fields);
    FUZZ_CHECK(shard_index_text(&again, &text_again, &e) == ERR_OK);
    FUZZ_CHECK(strcmp(text, text_again) == 0);
    shard_index_free(&again);
    free(text_again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + END + 1);
    struct shard_index x;
    struct err e = {0};

    if (text == NULL)
        abort();
    if (size > 0)
        memcpy(text, data, size);
    snprintf(text + size, END + 1, "{\"crc32c\":\"%08" PRIx32 "\"}\n", hash_crc32c(0, text, size));
    if (shard_index_parse(&x, "x", text, size + END, &e) != ERR_OK)
        fuzz_check_err(&e, 1);
    else
        read_again(&x);
    shard_index_free(&x);
    free(text);
    return 0;
}
