/* SPDX-License-Identifier: MIT */
#ifndef COMMON_BASE_HASH_H
#define COMMON_BASE_HASH_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* CRC32C (Castagnoli, reflected, as iSCSI and ext4; through ISA-L): crc of data[0..len) that
 * continues `crc`; start with 0. hash_crc32c(0, "123456789", 9) == 0xe3069283. Finds every error
 * burst of up to 32 bits. Threads: any. */
uint32_t hash_crc32c(uint32_t crc, const void *data, size_t len);

enum { SHA256_SIZE = 32, SHA256_HEX_SIZE = 65 };

/* Incremental SHA-256 (through libcrypto). One object per thread. Without memory sha256_new returns
 * NULL and sha256_end reports it. */
struct sha256;
struct sha256 *sha256_new(void);
void sha256_add(struct sha256 *h, const void *data, size_t len);
/* sha256_add to each of two different objects; long data take little longer together than the
 * longer of them alone, where the processor has SHA instructions. */
void sha256_add_pair(struct sha256 *g, const void *g_data, size_t g_len, struct sha256 *h,
                     const void *h_data, size_t h_len);
/* Writes the digest and frees h, on failure too (h may be NULL: that is the failure). */
NODISCARD enum err_code sha256_end(struct sha256 *h, uint8_t out[SHA256_SIZE], struct err *e);

/* Frees h without a digest; NULL is fine. */
void sha256_abort(struct sha256 *h);

NODISCARD enum err_code sha256_bytes(const void *data, size_t len, uint8_t out[SHA256_SIZE],
                                     struct err *e);

/* Lower-case hexadecimal, NUL-terminated. */
void sha256_hex(const uint8_t digest[SHA256_SIZE], char out[SHA256_HEX_SIZE]);

#endif
