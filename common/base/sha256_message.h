/* SPDX-License-Identifier: MIT */
#ifndef COMMON_BASE_SHA256_MESSAGE_H
#define COMMON_BASE_SHA256_MESSAGE_H

#include "common/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a digest is of, as pieces one behind the other, most of them borrowed: so that the
 * digests of many messages can be made two at a time. Not to be moved: it points into itself.
 * Threads: one per message. */
enum { SHA256_MAX_PIECES = 80, SHA256_MAX_COPIED = 512 };

struct sha256_piece {
    const uint8_t *data;
    size_t len;
};

struct sha256_message {
    struct sha256_piece piece[SHA256_MAX_PIECES];
    int pieces;
    uint8_t copied[SHA256_MAX_COPIED];
    size_t copied_bytes;
};

/* Empties it. */
void sha256_message_begin(struct sha256_message *m);
/* Borrows the bytes until the digest is made. At most SHA256_MAX_PIECES with those that are copied.
 */
void sha256_message_add(struct sha256_message *m, const void *data, size_t len);
/* Copies them, or a number's, little endian. At most SHA256_MAX_COPIED in all. */
void sha256_message_copy(struct sha256_message *m, const void *data, size_t len);
void sha256_message_copy_u32(struct sha256_message *m, uint32_t v);
void sha256_message_copy_u64(struct sha256_message *m, uint64_t v);

/* ERR_NOMEM. */
NODISCARD enum err_code sha256_message_digest(const struct sha256_message *m, uint8_t out[32],
                                              struct err *e);

/* Makes one message after the other into *m, and says where its digest goes; false: there is none
 * left. */
typedef bool sha256_next(void *ctx, struct sha256_message *m, uint8_t **digest);

/* The digests of all messages of `next`, two at a time, which takes hardly longer than one where
 * the processor has SHA instructions. ERR_NOMEM: some are missing, `next` need not have been asked
 * for all. */
NODISCARD enum err_code sha256_messages(sha256_next *next, void *ctx, struct err *e);

#endif
