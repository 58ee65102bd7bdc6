/* SPDX-License-Identifier: MIT */
#include "prep/riff.h"

#include "common/base/bytes.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CHUNK_HEADER = 8,
    RIFF_HEADER = 12, /* "RIFF" size "WAVE" */
    FORMAT_PCM = 1,
    FORMAT_EXTENSIBLE = 0xfffe,
    FMT_PLAIN = 16,
    FMT_WITH_EXTRA = 18,
    FMT_EXTENSIBLE = 40,
    RATE_MIN_HZ = 8000,
    RATE_MAX_HZ = 192000,
};

/* KSDATAFORMAT_SUBTYPE_PCM */
static const uint8_t subtype_pcm[16] = {0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00,
                                        0x80, 0x00, 0x00, 0xaa, 0x00, 0x38, 0x9b, 0x71};

bool is_git_lfs_pointer(const void *data, size_t len)
{
    static const char start[] = "version https://git-lfs.github.com/spec/";

    return len >= sizeof start - 1 && memcmp(data, start, sizeof start - 1) == 0;
}

void describe_start(char out[FILE_START_SIZE], const void *data, size_t len)
{
    const uint8_t *b = data;
    size_t n = len < 8 ? len : 8;
    size_t at = 0;

    out[at++] = '\'';
    for (size_t i = 0; i < n; i++) {
        if (isprint(b[i]) && b[i] != '\'' && b[i] != '\\')
            out[at++] = (char)b[i];
        else
            at += (size_t)snprintf(out + at, FILE_START_SIZE - at, "\\x%02x", b[i]);
    }
    out[at++] = '\'';
    out[at] = '\0';
}

/* A walk in progress. */
struct walk {
    const char *name;
    const uint8_t *data;
    size_t len;
    bool have_fmt;
    bool have_data;
    struct riff_info info;
};

static enum err_code check_header(const struct walk *w, struct err *e)
{
    char start[FILE_START_SIZE];
    uint64_t claimed;

    if (w->len == 0)
        return err_set(e, ERR_TRUNCATED, "%s: is empty", w->name);
    if (is_git_lfs_pointer(w->data, w->len))
        return err_set(e, ERR_FORMAT, "%s: is a git-lfs pointer, not media: run 'git lfs pull'",
                       w->name);
    describe_start(start, w->data, w->len);
    if (memcmp(w->data, "RIFF", w->len < 4 ? w->len : 4) != 0)
        return err_set(e, ERR_FORMAT, "%s: is not WAV (starts with %s)", w->name, start);
    if (w->len < RIFF_HEADER)
        return err_set(e, ERR_TRUNCATED, "%s: RIFF: header of %d bytes is cut at byte %zu", w->name,
                       RIFF_HEADER, w->len);
    if (memcmp(w->data + 8, "WAVE", 4) != 0)
        return err_set(e, ERR_FORMAT, "%s: RIFF: form at byte 8 is not 'WAVE'", w->name);
    claimed = (uint64_t)load_le32(w->data + 4) + CHUNK_HEADER;
    if (claimed > w->len)
        return err_set(e, ERR_TRUNCATED, "%s: RIFF: header claims %llu bytes, file has %zu",
                       w->name, (unsigned long long)claimed, w->len);
    if (claimed < w->len)
        return err_set(e, ERR_FORMAT,
                       "%s: RIFF: header claims %llu bytes, file has %zu: extra bytes at the end",
                       w->name, (unsigned long long)claimed, w->len);
    return ERR_OK;
}

static enum err_code check_fmt_size(const struct walk *w, size_t at, uint32_t size, struct err *e)
{
    const uint8_t *b = w->data + at;
    unsigned tag;

    if (size != FMT_PLAIN && size != FMT_WITH_EXTRA && size != FMT_EXTENSIBLE)
        return err_set(e, ERR_FORMAT,
                       "%s: RIFF: chunk 'fmt ' at byte %zu has %u bytes, want 16, 18 or 40",
                       w->name, at, size);
    tag = load_le16(b);
    if (tag != FORMAT_PCM && tag != FORMAT_EXTENSIBLE)
        return err_set(e, ERR_FORMAT,
                       "%s: RIFF: format %u at byte %zu is not PCM: convert to 16-bit PCM", w->name,
                       tag, at);
    if ((tag == FORMAT_EXTENSIBLE) != (size == FMT_EXTENSIBLE))
        return err_set(e, ERR_FORMAT,
                       "%s: RIFF: format %u at byte %zu does not go with a chunk of %u bytes",
                       w->name, tag, at, size);
    if (size == FMT_WITH_EXTRA && load_le16(b + 16) != 0)
        return err_set(e, ERR_FORMAT, "%s: RIFF: extra format size at byte %zu is %u, want 0",
                       w->name, at + 16, load_le16(b + 16));
    if (size == FMT_EXTENSIBLE && (load_le16(b + 16) != 22 || load_le16(b + 18) != 16 ||
                                   memcmp(b + 24, subtype_pcm, sizeof subtype_pcm) != 0))
        return err_set(e, ERR_FORMAT,
                       "%s: RIFF: extensible format at byte %zu is not 16-bit PCM: convert to "
                       "16-bit PCM",
                       w->name, at);
    return ERR_OK;
}

static enum err_code read_fmt(struct walk *w, size_t at, uint32_t size, struct err *e)
{
    const uint8_t *b = w->data + at;
    unsigned channels, bits, align;
    uint32_t rate_hz;

    if (w->have_fmt)
        return err_set(e, ERR_FORMAT, "%s: RIFF: second chunk 'fmt ' at byte %zu", w->name, at);
    TRY(check_fmt_size(w, at, size, e));
    channels = load_le16(b + 2);
    rate_hz = load_le32(b + 4);
    align = load_le16(b + 12);
    bits = load_le16(b + 14);
    if (channels < 1 || channels > 2)
        FAIL(err_set(e, ERR_FORMAT, "%s: RIFF: %u channels at byte %zu, want 1 or 2", w->name,
                     channels, at + 2));
    if (rate_hz < RATE_MIN_HZ || rate_hz > RATE_MAX_HZ)
        FAIL(err_set(e, ERR_FORMAT, "%s: RIFF: %u Hz at byte %zu, want %d to %d", w->name, rate_hz,
                     at + 4, RATE_MIN_HZ, RATE_MAX_HZ));
    if (bits != 16)
        FAIL(err_set(e, ERR_FORMAT,
                     "%s: RIFF: %u-bit samples at byte %zu, want 16: convert to 16-bit PCM",
                     w->name, bits, at + 14));
    if (align != channels * 2)
        FAIL(err_set(e, ERR_FORMAT, "%s: RIFF: block size %u at byte %zu, want %u", w->name, align,
                     at + 12, channels * 2));
    if (load_le32(b + 8) != rate_hz * align)
        FAIL(err_set(e, ERR_FORMAT, "%s: RIFF: byte rate %u at byte %zu, want %u", w->name,
                     load_le32(b + 8), at + 8, rate_hz * align));
    w->info.channels = (int)channels;
    w->info.rate_hz = rate_hz;
    w->have_fmt = true;
out:
    return e->code;
}

static enum err_code read_data(struct walk *w, size_t at, uint32_t size, struct err *e)
{
    uint32_t block;

    if (!w->have_fmt)
        return err_set(e, ERR_FORMAT, "%s: RIFF: chunk 'data' at byte %zu before 'fmt '", w->name,
                       at);
    if (w->have_data)
        return err_set(e, ERR_FORMAT, "%s: RIFF: second chunk 'data' at byte %zu", w->name, at);
    block = (uint32_t)w->info.channels * 2;
    if (size == 0)
        return err_set(e, ERR_FORMAT, "%s: RIFF: chunk 'data' at byte %zu holds no samples",
                       w->name, at);
    if (size % block != 0)
        return err_set(e, ERR_FORMAT,
                       "%s: RIFF: chunk 'data' at byte %zu has %u bytes, not a multiple of %u",
                       w->name, at, size, block);
    w->info.pcm_offset = at;
    w->info.pcm_bytes = size;
    w->info.pcm = w->data + at;
    w->info.samples = size / block;
    w->have_data = true;
    return ERR_OK;
}

/* Checks that a chunk of `size` bytes, with its padding, starts at `at` and ends by `end`. */
static enum err_code check_extent(const struct walk *w, const uint8_t *id, size_t at, size_t end,
                                  uint32_t size, struct err *e)
{
    size_t left = end - at;
    char shown[FILE_START_SIZE];

    describe_start(shown, id, 4);
    for (int i = 0; i < 4; i++)
        if (id[i] < 0x20 || id[i] > 0x7e)
            return err_set(e, ERR_FORMAT, "%s: RIFF: bad chunk name %s at byte %zu", w->name, shown,
                           at - CHUNK_HEADER);
    if (size > left)
        return err_set(e, end == w->len ? ERR_TRUNCATED : ERR_FORMAT,
                       "%s: RIFF: chunk %s at byte %zu claims %u bytes, %zu are left", w->name,
                       shown, at - CHUNK_HEADER, size, left);
    if (size % 2 != 0 && size == left)
        return err_set(e, ERR_TRUNCATED, "%s: RIFF: chunk %s at byte %zu lacks its padding byte",
                       w->name, shown, at - CHUNK_HEADER);
    return ERR_OK;
}

/* Visits the chunks in [at, end); those of a LIST (inside) are only checked for size. One level:
 * a LIST within a LIST is data to us, as it is to a reader that skips it. */
static enum err_code walk_chunks(struct walk *w, size_t at, size_t end, bool inside, struct err *e)
{
    while (at < end) {
        const uint8_t *id = w->data + at;
        uint32_t size;

        if (end - at < CHUNK_HEADER)
            FAIL(err_set(e, ERR_FORMAT,
                         "%s: RIFF: %zu stray bytes at byte %zu, no room for a chunk", w->name,
                         end - at, at));
        size = load_le32(id + 4);
        at += CHUNK_HEADER;
        TRY(check_extent(w, id, at, end, size, e));
        if (inside) {
            at += size + size % 2;
            continue;
        }
        if (memcmp(id, "fmt ", 4) == 0)
            TRY(read_fmt(w, at, size, e));
        else if (memcmp(id, "data", 4) == 0)
            TRY(read_data(w, at, size, e));
        else if (memcmp(id, "LIST", 4) == 0 && size < 4)
            FAIL(err_set(e, ERR_FORMAT, "%s: RIFF: chunk 'LIST' at byte %zu has no type", w->name,
                         at));
        else if (memcmp(id, "LIST", 4) == 0)
            TRY(walk_chunks(w, at + 4, at + size, true, e));
        at += size + size % 2;
    }
out:
    return e->code;
}

enum err_code riff_walk(struct riff_info *info, const char *name, const void *data, size_t len,
                        struct err *e)
{
    struct walk w = {.name = name, .data = data, .len = len};

    *info = (struct riff_info){0};
    TRY(check_header(&w, e));
    TRY(walk_chunks(&w, RIFF_HEADER, len, false, e));
    if (!w.have_fmt)
        FAIL(err_set(e, ERR_FORMAT, "%s: RIFF: no chunk 'fmt '", name));
    if (!w.have_data)
        FAIL(err_set(e, ERR_FORMAT, "%s: RIFF: no chunk 'data'", name));
    *info = w.info;
out:
    return e->code;
}

void riff_measure(struct riff_stats *stats, const struct riff_info *info)
{
    size_t n = info->pcm_bytes / 2;
    size_t channels = (size_t)info->channels;
    size_t clipped = 0;

    *stats = (struct riff_stats){.silent = true, .constant = true};
    for (size_t i = 0; i < n; i++) {
        int v = (int16_t)load_le16(info->pcm + 2 * i);
        int first = (int16_t)load_le16(info->pcm + 2 * (i % channels));
        int size = abs(v);

        stats->peak = size > stats->peak ? size : stats->peak;
        stats->constant = stats->constant && v == first;
        clipped += size >= INT16_MAX;
    }
    stats->silent = stats->peak == 0;
    stats->clipped_part = (double)clipped / (double)n;
}
