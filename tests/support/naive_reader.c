/* SPDX-License-Identifier: MIT */
#include "tests/support/naive_reader.h"

#include "tests/support/naive_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t naive_crc32c(const void *data, size_t len)
{
    const uint8_t *p = data;
    uint32_t crc = 0xffffffffu;

    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f63b78u : crc >> 1; /* 0x1EDC6F41 reflected */
    }
    return ~crc;
}

static uint64_t number_at(const uint8_t *p, int bytes)
{
    uint64_t v = 0;

    for (int i = bytes - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

static int say(char *why, const char *text)
{
    snprintf(why, NAIVE_WHY, "%s", text);
    return 0;
}

/* ---- container ---- */

static size_t size_of_dtype(const char *dtype)
{
    if (strcmp(dtype, "U8") == 0)
        return 1;
    if (strcmp(dtype, "I32") == 0 || strcmp(dtype, "F32") == 0)
        return 4;
    return strcmp(dtype, "I64") == 0 ? 8 : 0;
}

/* One tensor's entry; `at` is where it must begin. */
static int read_entry(const struct naive_file *f, const struct naive_node *entry, size_t buffer,
                      size_t at, struct naive_tensor *t)
{
    const struct naive_node *shape = naive_get(entry, "shape"),
                            *offsets = naive_get(entry, "data_offsets"), *dim;

    *t = (struct naive_tensor){.name = entry->key, .dtype = naive_text(entry, "dtype")};
    if (t->dtype == NULL || shape == NULL || shape->kind != '[' || offsets == NULL ||
        offsets->kind != '[' || offsets->child == NULL || offsets->child->next == NULL)
        return 0;
    t->bytes = size_of_dtype(t->dtype);
    for (dim = shape->child; dim != NULL; dim = dim->next) {
        if (t->rank == NAIVE_MAX_RANK || dim->kind != '0' || dim->number < 1)
            return 0;
        t->dim[t->rank++] = dim->number;
        t->bytes *= (size_t)dim->number;
    }
    t->data = f->bytes + buffer + at;
    return t->bytes > 0 && (size_t)offsets->child->number == at &&
           (size_t)offsets->child->next->number == at + t->bytes &&
           t->bytes <= f->len - buffer - at;
}

static int check_trailer(struct naive_file *f, const struct naive_tensor *table, size_t header_end)
{
    const uint8_t *t = f->bytes + f->len - 64;

    if (memcmp(t, "\x89SIB\r\n\x1a\n", 8) != 0 || number_at(t + 8, 4) != 1)
        return say(f->why, "magic or version");
    if (number_at(t + 12, 4) != (uint64_t)f->count || number_at(t + 16, 8) != f->len ||
        number_at(t + 24, 8) != header_end - 8)
        return say(f->why, "counts in the trailer");
    if (number_at(t + 32, 4) != naive_crc32c(f->bytes, header_end) ||
        number_at(t + 36, 4) != naive_crc32c(table->data, table->bytes) ||
        number_at(t + 60, 4) != naive_crc32c(t, 60))
        return say(f->why, "checksums in the trailer");
    for (int i = 40; i < 60; i++)
        if (t[i] != 0)
            return say(f->why, "reserved bytes in the trailer");
    for (int i = 0; i < f->count; i++)
        if (number_at(table->data + 4 * i, 4) !=
            naive_crc32c(f->tensor[i].data, f->tensor[i].bytes))
            return say(f->why, "checksum of a tensor");
    return 1;
}

static int read_tensors(struct naive_file *f, size_t header_end)
{
    struct naive_tensor t = {0}, table = {0};
    size_t at = 0;

    for (struct naive_node *n = f->header->child->next; n != NULL; n = n->next, at += t.bytes) {
        int pad = strncmp(n->key, "_pad.", 5) == 0;

        if (!read_entry(f, n, header_end, at, &t))
            return say(f->why, "a tensor's entry");
        if (!pad && at % 64 != 0)
            return say(f->why, "alignment");
        for (size_t i = 0; pad && i < t.bytes; i++)
            if (t.data[i] != 0)
                return say(f->why, "padding");
        if (strcmp(n->key, "_crc32c") == 0)
            table = t;
        else if (n->key[0] != '_' && f->count < NAIVE_MAX_TENSORS)
            f->tensor[f->count++] = t;
    }
    if (strcmp(t.name != NULL ? t.name : "", "_trailer") != 0 || t.bytes != 64 ||
        header_end + at != f->len || table.bytes != 4 * (size_t)f->count)
        return say(f->why, "end of the file");
    return check_trailer(f, &table, header_end);
}

int naive_open_mem(struct naive_file *f, const void *data, size_t len)
{
    const char *p, *end;
    uint64_t header;

    *f = (struct naive_file){.len = len};
    f->bytes = malloc(len + 1);
    f->tensor = calloc(NAIVE_MAX_TENSORS, sizeof *f->tensor);
    if (f->bytes == NULL || f->tensor == NULL)
        return say(f->why, "memory");
    memcpy(f->bytes, data, len);
    if (len < 8 + 64)
        return say(f->why, "too short");
    header = number_at(f->bytes, 8);
    if (header > 1048576 || header > len - 8 - 64 || (8 + header) % 64 != 0)
        return say(f->why, "header length");
    p = (const char *)f->bytes + 8;
    end = p + header;
    f->header = naive_json(&p, end, 0);
    if (f->header == NULL)
        return say(f->why, "header is not JSON");
    for (; p < end; p++)
        if (*p != ' ')
            return say(f->why, "header padding");
    if (f->header->child == NULL || strcmp(f->header->child->key, "__metadata__") != 0 ||
        naive_meta(f, "synib.container") == NULL)
        return say(f->why, "metadata");
    return read_tensors(f, 8 + (size_t)header);
}

static uint8_t *slurp(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    long size = -1;

    if (file != NULL && fseek(file, 0, SEEK_END) == 0)
        size = ftell(file);
    if (size >= 0)
        data = malloc((size_t)size + 1);
    if (data != NULL) {
        rewind(file);
        *len = fread(data, 1, (size_t)size, file);
    }
    if (file != NULL)
        fclose(file);
    return data;
}

int naive_open(struct naive_file *f, const char *path)
{
    size_t len = 0;
    uint8_t *data = slurp(path, &len);
    int ok;

    *f = (struct naive_file){0};
    if (data == NULL)
        return say(f->why, "cannot read the file");
    ok = naive_open_mem(f, data, len);
    free(data);
    return ok;
}

void naive_close(struct naive_file *f)
{
    naive_json_free(f->header);
    free(f->tensor);
    free(f->bytes);
    *f = (struct naive_file){0};
}

const char *naive_meta(const struct naive_file *f, const char *key)
{
    return naive_text(naive_get(f->header, "__metadata__"), key);
}

const struct naive_tensor *naive_find(const struct naive_file *f, const char *name)
{
    for (int i = 0; i < f->count; i++)
        if (strcmp(f->tensor[i].name, name) == 0)
            return &f->tensor[i];
    return NULL;
}

/* ---- sets ---- */

static int read_index(struct naive_set *s, const char *dir)
{
    struct naive_node **tail = &s->lines;
    char path[4096], want[64];
    const char *p, *end;
    size_t len = 0;
    uint8_t *text;
    int ok = 0;

    snprintf(path, sizeof path, "%s/index.jsonl", dir);
    text = slurp(path, &len);
    if (text == NULL || len < 23)
        goto out;
    snprintf(want, sizeof want, "{\"crc32c\":\"%08x\"}\n", (unsigned)naive_crc32c(text, len - 22));
    if (memcmp(want, text + len - 22, 22) != 0)
        goto out;
    p = (const char *)text;
    end = p + len - 22;
    while (p < end) {
        *tail = naive_json(&p, end, 0);
        if (*tail == NULL || p >= end || *p++ != '\n')
            goto out;
        tail = &(*tail)->next;
    }
    ok = s->lines != NULL;
out:
    free(text);
    return ok ? 1 : say(s->why, "index");
}

static const struct naive_node *field_of(const struct naive_set *s, int field)
{
    const struct naive_node *f = naive_get(s->lines, "fields");

    for (f = f != NULL ? f->child : NULL; f != NULL && field > 0; field--)
        f = f->next;
    return f;
}

/* Value i of one shard; its checksum is compared by check_values. */
static const uint8_t *locate(const struct naive_file *f, const struct naive_node *field,
                             long long i, size_t *len)
{
    const struct naive_tensor *t = naive_find(f, naive_text(field, "name"));
    char off_name[200];
    const struct naive_tensor *off;

    if (t == NULL)
        return NULL;
    if (naive_get(field, "ragged") == NULL) {
        *len = t->bytes / (size_t)t->dim[0];
        return t->data + (size_t)i * *len;
    }
    snprintf(off_name, sizeof off_name, "%s.off", t->name);
    off = naive_find(f, off_name);
    if (off == NULL)
        return NULL;
    *len = number_at(off->data + 16 * i + 8, 8);
    return t->data + number_at(off->data + 16 * i, 8);
}

static int check_values(struct naive_set *s, int shard, long long count)
{
    const struct naive_tensor *crc = naive_find(&s->shard[shard], "crc32c");

    if (crc == NULL || crc->dim[0] != count || crc->dim[1] != s->fields)
        return say(s->why, "tensor crc32c");
    for (long long i = 0; i < count; i++) {
        for (int f = 0; f < s->fields; f++) {
            size_t len = 0;
            const uint8_t *v = locate(&s->shard[shard], field_of(s, f), i, &len);

            if (v == NULL ||
                number_at(crc->data + 4 * (i * s->fields + f), 4) != naive_crc32c(v, len))
                return say(s->why, "checksum of a value");
        }
    }
    return 1;
}

int naive_set_open(struct naive_set *s, const char *dir)
{
    long long next = 0;
    int i = 0;

    *s = (struct naive_set){0};
    if (!read_index(s, dir))
        return 0;
    s->samples = naive_number(s->lines, "samples");
    s->shards = (int)naive_number(s->lines, "shards");
    while (field_of(s, s->fields) != NULL)
        s->fields++;
    s->shard = calloc((size_t)s->shards, sizeof *s->shard);
    for (struct naive_node *n = s->lines->next; n != NULL && i < s->shards; n = n->next, i++) {
        char path[4096];

        snprintf(path, sizeof path, "%s/%s", dir, naive_text(n, "shard"));
        if (!naive_open(&s->shard[i], path))
            return say(s->why, s->shard[i].why);
        if (naive_number(n, "first") != next || (size_t)naive_number(n, "bytes") != s->shard[i].len)
            return say(s->why, "a shard's line");
        if (!check_values(s, i, naive_number(n, "count")))
            return 0;
        next += naive_number(n, "count");
    }
    return i == s->shards && next == s->samples ? 1 : say(s->why, "number of samples");
}

void naive_set_close(struct naive_set *s)
{
    for (int i = 0; s->shard != NULL && i < s->shards; i++)
        naive_close(&s->shard[i]);
    free(s->shard);
    naive_json_free(s->lines);
    *s = (struct naive_set){0};
}

const char *naive_set_field(const struct naive_set *s, int field)
{
    return naive_text(field_of(s, field), "name");
}

const char *naive_set_meta(const struct naive_set *s, const char *key)
{
    return naive_text(naive_get(s->lines, "meta"), key);
}

const uint8_t *naive_value(const struct naive_set *s, long long sample, int field, size_t *len)
{
    int i = 0;

    for (const struct naive_node *n = s->lines->next; n != NULL; n = n->next, i++) {
        long long first = naive_number(n, "first");

        if (sample >= first && sample < first + naive_number(n, "count"))
            return locate(&s->shard[i], field_of(s, field), sample - first, len);
    }
    return NULL;
}
