/* SPDX-License-Identifier: MIT */
#include "common/base/sha256_message.h"

#include "common/base/bytes.h"
#include "common/base/hash.h"

#include <assert.h>
#include <string.h>

void sha256_message_begin(struct sha256_message *m)
{
    m->pieces = 0;
    m->copied_bytes = 0;
}

void sha256_message_add(struct sha256_message *m, const void *data, size_t len)
{
    assert(m->pieces < SHA256_MAX_PIECES);
    m->piece[m->pieces++] = (struct sha256_piece){data, len};
}

void sha256_message_copy(struct sha256_message *m, const void *data, size_t len)
{
    uint8_t *to = m->copied + m->copied_bytes;
    struct sha256_piece *last = m->pieces > 0 ? &m->piece[m->pieces - 1] : NULL;

    assert(len <= SHA256_MAX_COPIED - m->copied_bytes);
    memcpy(to, data, len);
    m->copied_bytes += len;
    if (last != NULL && last->data + last->len == to) /* copied, too */
        last->len += len;
    else
        sha256_message_add(m, to, len);
}

void sha256_message_copy_u32(struct sha256_message *m, uint32_t v)
{
    uint8_t bytes[4];

    store_le32(bytes, v);
    sha256_message_copy(m, bytes, sizeof bytes);
}

void sha256_message_copy_u64(struct sha256_message *m, uint64_t v)
{
    uint8_t bytes[8];

    store_le64(bytes, v);
    sha256_message_copy(m, bytes, sizeof bytes);
}

enum err_code sha256_message_digest(const struct sha256_message *m, uint8_t out[32], struct err *e)
{
    struct sha256 *h = sha256_new();

    for (int i = 0; i < m->pieces; i++)
        sha256_add(h, m->piece[i].data, m->piece[i].len);
    return sha256_end(h, out, e);
}

/* One of two digests that grow at once. Messages differ in length: a lane that is done goes on with
 * the next. */
struct lane {
    struct sha256_message message;
    struct sha256 *hash; /* NULL between two messages */
    uint8_t *digest;
    int piece; /* the one at hand */
    size_t at; /* bytes of it that are hashed */
};

/* Moves the lane to a piece that is not hashed yet, of the next message when this one is done. Its
 * hash is NULL afterwards when no message is left. *left: `next` has not said so yet. */
static enum err_code lane_piece(struct lane *l, sha256_next *next, void *ctx, bool *left,
                                struct err *e)
{
    for (;;) {
        struct sha256 *done = l->hash;

        if (l->hash != NULL) {
            while (l->piece < l->message.pieces && l->at == l->message.piece[l->piece].len) {
                l->piece++;
                l->at = 0;
            }
            if (l->piece < l->message.pieces)
                break;
            l->hash = NULL;
            TRY(sha256_end(done, l->digest, e));
        }
        *left = *left && next(ctx, &l->message, &l->digest);
        if (!*left)
            break;
        l->hash = sha256_new();
        if (l->hash == NULL)
            FAIL(err_set(e, ERR_NOMEM, "SHA-256: out of memory"));
        l->piece = 0;
        l->at = 0;
    }
out:
    return e->code;
}

static const uint8_t *lane_data(const struct lane *l)
{
    return l->message.piece[l->piece].data + l->at;
}

static size_t lane_len(const struct lane *l)
{
    return l->message.piece[l->piece].len - l->at;
}

enum err_code sha256_messages(sha256_next *next, void *ctx, struct err *e)
{
    struct lane a = {.hash = NULL}, b = {.hash = NULL};
    bool left = true;

    for (;;) {
        size_t m, n;

        TRY(lane_piece(&a, next, ctx, &left, e));
        TRY(lane_piece(&b, next, ctx, &left, e));
        m = a.hash != NULL ? lane_len(&a) : 0;
        n = b.hash != NULL ? lane_len(&b) : 0;
        if (a.hash != NULL && b.hash != NULL) {
            m = n = m < n ? m : n;
            sha256_add_pair(a.hash, lane_data(&a), m, b.hash, lane_data(&b), n);
        } else if (a.hash != NULL) {
            sha256_add(a.hash, lane_data(&a), m);
        } else if (b.hash != NULL) {
            sha256_add(b.hash, lane_data(&b), n);
        } else {
            break;
        }
        a.at += m;
        b.at += n;
    }
out:
    sha256_abort(a.hash);
    sha256_abort(b.hash);
    return e->code;
}
