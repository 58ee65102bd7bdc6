/* SPDX-License-Identifier: MIT */
#include "common/data/shard.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

/* A shard on top of a container whose checksums are right: fields, offsets, and every value, which
 * lies inside of the file. */

static void check_values(const struct shard_set *s, const uint8_t *file, size_t len)
{
    for (int64_t i = 0; i < shard_set_count(s); i++) {
        for (int f = 0; f < shard_set_field_count(s); f++) {
            const struct shard_field *field = shard_set_field(s, f);
            struct shard_value v = {0};
            struct err e = {0};

            if (shard_set_get(s, i, f, &v, &e) != ERR_OK) {
                FUZZ_CHECK(e.code == ERR_CHECKSUM);
                fuzz_check_err(&e, 1);
                continue;
            }
            FUZZ_CHECK(v.len > 0 && v.len <= len);
            FUZZ_CHECK((const uint8_t *)v.data >= file &&
                       (const uint8_t *)v.data + v.len <= file + len);
            FUZZ_CHECK(field->ragged || v.len == shard_field_bytes(field));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t len;
    uint8_t *file = fuzz_container(data, size, &len);
    struct shard_set *s = NULL;
    struct err e = {0};

    if (shard_set_open_mem(&s, "x", file, len, &e) != ERR_OK) {
        FUZZ_CHECK(s == NULL);
        fuzz_check_err(&e, 1);
    } else {
        FUZZ_CHECK(shard_set_count(s) > 0 && shard_set_field_count(s) > 0);
        check_values(s, file, len);
    }
    shard_set_close(s);
    free(file);
    return 0;
}
