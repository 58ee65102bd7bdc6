/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_HOSTILE_H
#define TESTS_SUPPORT_HOSTILE_H

#include <stddef.h>
#include <stdint.h>

/* Containers built from a header text, broken on purpose but with matching checksums, so that the
 * structural rules themselves are tested. */

#define HOSTILE_META "\"__metadata__\":{\"synib.container\":\"1\",\"synib.kind\":\"checkpoint\"}"
#define HOSTILE_X "\"x\":{\"dtype\":\"I32\",\"shape\":[2],\"data_offsets\":[0,8]}"
#define HOSTILE_PAD0 "\"_pad.0\":{\"dtype\":\"U8\",\"shape\":[56],\"data_offsets\":[8,64]}"
#define HOSTILE_TABLE "\"_crc32c\":{\"dtype\":\"I32\",\"shape\":[1],\"data_offsets\":[64,68]}"
#define HOSTILE_PAD1 "\"_pad.1\":{\"dtype\":\"U8\",\"shape\":[60],\"data_offsets\":[68,128]}"
#define HOSTILE_TRAILER "\"_trailer\":{\"dtype\":\"U8\",\"shape\":[64],\"data_offsets\":[128,192]}"
#define HOSTILE_REST HOSTILE_PAD0 "," HOSTILE_TABLE "," HOSTILE_PAD1 "," HOSTILE_TRAILER
/* One tensor, nothing wrong. */
#define HOSTILE_GOOD "{" HOSTILE_META "," HOSTILE_X "," HOSTILE_REST "}"
enum { HOSTILE_BUFFER = 192 };

/* A file of this header and a zero buffer of `buffer` bytes, whose last 64 are a trailer with right
 * checksums for the tensors above (count 1, table at 64). Malloc'd; *len its length. Aborts without
 * memory. */
uint8_t *hostile_build(const char *header, size_t buffer, size_t *len);
/* Where the buffer begins in such a file. */
size_t hostile_buffer_at(const uint8_t *file);
/* Renews the trailer's checksum of itself after a test changed it. */
void hostile_reseal(uint8_t *file, size_t len);

#endif
