/* SPDX-License-Identifier: MIT */
#include "common/data/tensorfile.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/naive_reader.h"

#include <stdlib.h>

/* The bytes as they are, checksums and all: what is accepted and verified, the independent reader
 * accepts. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *file = fuzz_copy(data, size);
    struct tensorfile *f = NULL;
    struct naive_file naive;
    struct err e = {0};

    if (tensorfile_open_mem(&f, "x", file, size, &e) != ERR_OK) {
        fuzz_check_err(&e, 1);
    } else if (tensorfile_verify_all(f, &e) != ERR_OK) {
        fuzz_check_err(&e, 20);
    } else {
        if (!naive_open_mem(&naive, file, size))
            fuzz_fail(__FILE__, __LINE__, "the naive reader accepts it", naive.why);
        naive_close(&naive);
    }
    tensorfile_close(f);
    free(file);
    return 0;
}
