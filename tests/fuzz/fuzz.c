/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/fuzz.h"

#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "tests/support/naive_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TRAILER = 64, LENGTH = 8, ALIGN = 64 };

void fuzz_fail(const char *file, int line, const char *condition, const char *text)
{
    fprintf(stderr, "%s:%d: does not hold: %s %s\n", file, line, condition, text);
    abort();
}

void fuzz_check_err(const struct err *e, int lines)
{
    static const char odd[] = "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\21\22\23\24\25\26\27"
                              "\30\31\32\33\34\35\36\37\177\302";
    const char *p = e->text;

    FUZZ_CHECK(e->code != ERR_OK);
    if (*p == '\0' || *p == '\n')
        fuzz_fail(__FILE__, __LINE__, "the first line is not empty", e->text);
    for (; *(p += strcspn(p, odd)) != '\0'; p++) {
        if (*p == '\302') {
            if ((p[1] & 0xe0) == 0x80)
                fuzz_fail(__FILE__, __LINE__, "no control characters of two bytes", e->text);
        } else if (*p != '\n') {
            fuzz_fail(__FILE__, __LINE__, "no control characters", e->text);
        } else if (--lines == 0 || p[1] == '\n' || p[1] == '\0') {
            fuzz_fail(__FILE__, __LINE__, "as many lines as allowed, none empty", e->text);
        }
    }
}

uint8_t *fuzz_copy(const void *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);

    if (copy == NULL)
        abort();
    if (size > 0)
        memcpy(copy, data, size);
    copy[size] = 0;
    return copy;
}

/* First and second number of a tensor's data_offsets, if they lie in a buffer of `room` bytes. */
static int offsets_of(const struct naive_node *tensor, size_t room, size_t *from, size_t *to)
{
    const struct naive_node *pair = naive_get(tensor, "data_offsets");

    if (pair == NULL || pair->child == NULL || pair->child->next == NULL ||
        pair->child->number < 0 || pair->child->next->number < pair->child->number ||
        (unsigned long long)pair->child->next->number > room)
        return 0;
    *from = (size_t)pair->child->number;
    *to = (size_t)pair->child->next->number;
    return 1;
}

/* Fills the table of checksums where the header says that it is; returns the number of tensors. */
static uint32_t seal_tensors(const struct naive_node *header, uint8_t *buffer, size_t room,
                             uint32_t *table_crc)
{
    size_t from, to, table = room, end = room;
    uint32_t n = 0;

    for (const struct naive_node *t = header->child; t != NULL; t = t->next)
        if (strcmp(t->key, "_crc32c") == 0 && offsets_of(t, room, &from, &to)) {
            table = from;
            end = to;
        }
    for (const struct naive_node *t = header->child; t != NULL; t = t->next) {
        if (t->key[0] == '_' || !offsets_of(t, room, &from, &to))
            continue;
        if (end - table >= 4 * ((size_t)n + 1))
            store_le32(buffer + table + 4 * (size_t)n, hash_crc32c(0, buffer + from, to - from));
        n++;
    }
    *table_crc = hash_crc32c(0, buffer + table, end - table < 4 * (size_t)n ? 0 : 4 * (size_t)n);
    return n;
}

static void put_trailer(uint8_t *t, const uint8_t *file, size_t len, size_t header, uint32_t n,
                        uint32_t table_crc)
{
    memset(t, 0, TRAILER);
    memcpy(t, "\x89SIB\r\n\x1a\n", 8);
    store_le32(t + 8, 1);
    store_le32(t + 12, n);
    store_le64(t + 16, len);
    store_le64(t + 24, header);
    store_le32(t + 32, hash_crc32c(0, file, LENGTH + header));
    store_le32(t + 36, table_crc);
    store_le32(t + 60, hash_crc32c(0, t, 60));
}

uint8_t *fuzz_container(const uint8_t *data, size_t size, size_t *len)
{
    const uint8_t *nul = size > 0 ? memchr(data, 0, size) : NULL;
    size_t text = nul != NULL ? (size_t)(nul - data) : size;
    size_t body = nul != NULL ? size - text - 1 : 0;
    size_t header = (LENGTH + text + ALIGN - 1) / ALIGN * ALIGN - LENGTH;
    struct naive_node *root;
    uint32_t n = 0, table_crc = 0;
    uint8_t *file;
    const char *p;

    *len = LENGTH + header + body + TRAILER;
    file = malloc(*len);
    if (file == NULL)
        abort();
    store_le64(file, header);
    memset(file + LENGTH, ' ', header);
    memcpy(file + LENGTH, data, text);
    if (body > 0)
        memcpy(file + LENGTH + header, nul + 1, body);
    p = (const char *)file + LENGTH;
    root = naive_json(&p, p + header, 0);
    if (root != NULL && root->kind == '{')
        n = seal_tensors(root, file + LENGTH + header, body, &table_crc);
    naive_json_free(root);
    put_trailer(file + *len - TRAILER, file, *len, header, n, table_crc);
    return file;
}
