/* SPDX-License-Identifier: MIT */
#ifndef PREP_RIFF_H
#define PREP_RIFF_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* Strict walk over a RIFF/WAVE file in memory, before any library sees it. Pure: no I/O, bounded
 * by len, never reads outside data[0..len).
 *
 * Accepted: one 'fmt ' chunk before one 'data' chunk; PCM, 16 bits, 1 or 2 channels, 8000 to 192000
 * Hz, at least one sample; format tag 1 with a body of 16 or 18 bytes, or WAVE_FORMAT_EXTENSIBLE
 * (40 bytes) whose sub-format is PCM. Sizes must fit the file exactly: RIFF size + 8 == len, chunks
 * tile the file, odd chunks are padded, and so are the parts of a LIST chunk. Other chunks
 * (LIST, fact, ...) are allowed and skipped.
 *
 * Refused, each with its own message that names the byte offset: anything else, among it a git-lfs
 * pointer, a web page, RIFX/RF64, a size that claims more or less than the file has, bytes after
 * the end, float, A-law and 8/24-bit samples, 0 or more than 2 channels. */
struct riff_info {
    uint32_t rate_hz;
    int channels;
    uint64_t samples;   /* per channel, at least 1 */
    size_t pcm_offset;  /* where the samples start in the file; signed 16-bit little-endian, */
    size_t pcm_bytes;   /* interleaved; samples * channels * 2 bytes */
    const uint8_t *pcm; /* data + pcm_offset: a loan of the caller's memory, 1-byte aligned */
};

/* `name` stands for the file in messages. Errors: ERR_TRUNCATED when the file ends too early,
 * ERR_FORMAT otherwise; then *info is zeroed. Threads: any. */
NODISCARD enum err_code riff_walk(struct riff_info *info, const char *name, const void *data,
                                  size_t len, struct err *e);

/* What the samples of a file look like that riff_walk() accepted, over all channels. */
struct riff_stats {
    bool silent;         /* every sample is 0 */
    bool constant;       /* every sample of a channel has one value (silent implies constant) */
    int peak;            /* largest |sample|, 0..32768 */
    double clipped_part; /* samples at +32767, -32767 or -32768 / all samples, 0..1 */
};
void riff_measure(struct riff_stats *stats, const struct riff_info *info);

/* True for the text that git-lfs leaves in place of a file that was not fetched. */
bool is_git_lfs_pointer(const void *data, size_t len);

/* The first bytes of a file that is not what its name says, for a message: up to 8 bytes as
 * "'RIFF'"-like text with \xNN for what is not printable. */
enum { FILE_START_SIZE = 40 };
void describe_start(char out[FILE_START_SIZE], const void *data, size_t len);

#endif
