/* SPDX-License-Identifier: MIT */
#include "tests/support/hostile.h"

#include "common/base/bytes.h"
#include "tests/support/naive_reader.h"

#include <stdlib.h>
#include <string.h>

size_t hostile_buffer_at(const uint8_t *file)
{
    return 8 + (size_t)load_le64(file);
}

void hostile_reseal(uint8_t *file, size_t len)
{
    uint8_t *t = file + len - 64;

    store_le32(t + 60, naive_crc32c(t, 60));
}

uint8_t *hostile_build(const char *header, size_t buffer, size_t *len)
{
    static const uint8_t zero[8];
    size_t text = strlen(header), padded = (8 + text + 63) / 64 * 64 - 8;
    uint8_t *file = calloc(1, 8 + padded + buffer), *t;

    if (file == NULL)
        abort();
    *len = 8 + padded + buffer;
    store_le64(file, padded);
    memset(file + 8, ' ', padded);
    memcpy(file + 8, header, text);
    if (buffer < 64)
        return file;
    t = file + *len - 64;
    if (buffer >= 128 + 64)
        store_le32(file + 8 + padded + 64, naive_crc32c(zero, 8));
    memcpy(t, "\x89SIB\r\n\x1a\n", 8);
    store_le32(t + 8, 1);
    store_le32(t + 12, 1);
    store_le64(t + 16, *len);
    store_le64(t + 24, padded);
    store_le32(t + 32, naive_crc32c(file, 8 + padded));
    store_le32(t + 36, buffer >= 128 + 64 ? naive_crc32c(file + 8 + padded + 64, 4) : 0);
    hostile_reseal(file, *len);
    return file;
}
