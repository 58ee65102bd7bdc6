/* SPDX-License-Identifier: MIT */
/* The container (common/data/tensorfile.h). The first byte says what the rest is: 'f' a file as it
 * is; 'h' the text of a header, around which a file with right checksums is made, so that the rules
 * behind the checksums are reached. The independent reader must agree on both. */
#include "common/data/tensorfile.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/hostile.h"
#include "tests/support/naive_reader.h"

#include <stdlib.h>
#include <string.h>

static void check_tensor(const struct tensorfile *f, int i, const uint8_t *data, size_t len)
{
    const struct tensor_info *info = tensorfile_info(f, i);
    const uint8_t *at = tensorfile_data(f, i);
    uint64_t bytes = dtype_size(info->dtype);

    fuzz_check(info->rank >= 0 && info->rank <= TENSOR_MAX_RANK, "rank");
    for (int k = 0; k < info->rank; k++)
        bytes *= (uint64_t)info->dim[k];
    fuzz_check(bytes == info->bytes, "bytes are those of the shape");
    fuzz_check(at >= data && info->bytes <= len - (size_t)(at - data), "data inside");
    fuzz_check((size_t)(at - data) == tensorfile_offset(f, i), "offset");
    fuzz_check(tensorfile_find(f, info->name) == i, "names are unique");
}

static void check_file(const uint8_t *data, size_t len)
{
    struct naive_file naive;
    struct tensorfile *f = NULL;
    struct err e = {0};
    enum err_code code = tensorfile_open_mem(&f, "a.file", data, len, &e);
    int opened = code == ERR_OK;

    if (code == ERR_OK) {
        for (int i = 0; i < tensorfile_count(f); i++)
            check_tensor(f, i, data, len);
        code = tensorfile_verify_all(f, &e);
    }
    if (code == ERR_OK) {
        fuzz_check(naive_open_mem(&naive, data, len), "the independent reader accepts it too");
        fuzz_check(naive.count == tensorfile_count(f), "both see as many tensors");
        naive_close(&naive);
    } else if (opened || len < 4096) {
        fuzz_check(!naive_open_mem(&naive, data, len), "the independent reader refuses it too");
        naive_close(&naive);
    }
    tensorfile_close(f);
    fuzz_check_err(code, &e, "a.file", fuzz_bad_file);
}

static void check_header(const uint8_t *text, size_t len)
{
    static const size_t buffer[] = {HOSTILE_BUFFER, 64, 0};
    char *header = malloc(len + 1);
    uint8_t *file, *aligned;
    size_t size;

    fuzz_check(header != NULL, "memory");
    memcpy(header, text, len);
    header[len] = '\0';
    for (size_t i = 0; i < sizeof buffer / sizeof *buffer; i++) {
        file = hostile_build(header, buffer[i], &size);
        aligned = aligned_alloc(64, (size + 63) / 64 * 64); /* as a mapping is */
        fuzz_check(aligned != NULL, "memory");
        memcpy(aligned, file, size);
        check_file(aligned, size);
        free(aligned);
        free(file);
    }
    free(header);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len > 1 && data[0] == 'h')
        check_header(data + 1, len - 1);
    else if (len > 1 && data[0] == 'f')
        check_file(data + 1, len - 1);
    return 0;
}
