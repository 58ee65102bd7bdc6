/* SPDX-License-Identifier: MIT */
/* index.jsonl (common/data/shard_format.h): what is accepted and written anew is read as the same.
 */
#include "common/data/shard_format.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct shard_index x = {0}, again = {0};
    char *text = NULL, *second = NULL, *copy = malloc(len + 1);
    struct err e = {0};
    enum err_code code;

    fuzz_check(copy != NULL, "memory");
    memcpy(copy, data, len);
    copy[len] = '\0';
    code = shard_index_parse(&x, "index.jsonl", copy, len, &e);
    if (code == ERR_OK) {
        fuzz_check(shard_index_text(&x, &text, &e) == ERR_OK, "it can be written");
        fuzz_check(shard_index_parse(&again, "again", text, strlen(text), &e) == ERR_OK,
                   "what was written is read");
        fuzz_check(shard_index_text(&again, &second, &e) == ERR_OK, "and written again");
        fuzz_check(strcmp(text, second) == 0, "as the same text");
    }
    shard_index_free(&x);
    shard_index_free(&again);
    free(text);
    free(second);
    free(copy);
    fuzz_check_err(code, &e, "index.jsonl", fuzz_bad_file);
    return 0;
}
