/* SPDX-License-Identifier: MIT */
#include "common/data/tensorfile.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/naive_reader.h"

#include <stdlib.h>
#include <string.h>

/* Containers with checksums put right. What the parser accepts, the independent reader accepts too,
 * and both see the same tensors. */

static void compare(const struct tensorfile *f, const uint8_t *file, size_t len)
{
    struct naive_file naive;

    if (!naive_open_mem(&naive, file, len))
        fuzz_fail(__FILE__, __LINE__, "the naive reader accepts it", naive.why);
    FUZZ_CHECK(naive.count == tensorfile_count(f));
    for (int i = 0; i < naive.count; i++) {
        const struct tensor_info *info = tensorfile_info(f, i);
        const struct naive_tensor *t = &naive.tensor[i];

        FUZZ_CHECK(strcmp(info->name, t->name) == 0);
        FUZZ_CHECK(strcmp(dtype_name(info->dtype), t->dtype) == 0);
        FUZZ_CHECK(info->rank == t->rank && info->bytes == t->bytes);
        for (int d = 0; d < t->rank; d++)
            FUZZ_CHECK(info->dim[d] == t->dim[d]);
        FUZZ_CHECK((const uint8_t *)tensorfile_data(f, i) - file == t->data - naive.bytes);
        FUZZ_CHECK(tensorfile_find(f, t->name) == i);
    }
    for (int i = 0; tensorfile_meta_key(f, i) != NULL; i++) {
        const char *key = tensorfile_meta_key(f, i), *said = naive_meta(&naive, key);

        FUZZ_CHECK(said != NULL && strcmp(said, tensorfile_meta(f, key)) == 0);
    }
    naive_close(&naive);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t len;
    uint8_t *file = fuzz_container(data, size, &len);
    struct tensorfile *f = NULL;
    struct err e = {0};

    if (tensorfile_open_mem(&f, "x", file, len, &e) != ERR_OK) {
        FUZZ_CHECK(f == NULL);
        fuzz_check_err(&e, 1);
    } else {
        FUZZ_CHECK(e.code == ERR_OK && tensorfile_size(f) == len);
        FUZZ_CHECK(tensorfile_verify_all(f, &e) == ERR_OK);
        compare(f, file, len);
    }
    tensorfile_close(f);
    free(file);
    return 0;
}
