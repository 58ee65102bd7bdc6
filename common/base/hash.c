/* SPDX-License-Identifier: MIT */
/* The functions of libcrypto 1.1: those of 3.0 make some 4,400 allocations to find the same code,
 * and end the process (NULL pointer, 3.0.17) when one of the first fails. */
#define OPENSSL_API_COMPAT 10100

#include "common/base/hash.h"

#include "common/base/sha256_pair.h"

#include <isa-l/crc.h>
#include <limits.h>
#include <openssl/sha.h>
#include <stdlib.h>

#ifdef __x86_64__
#include <immintrin.h>

/* ISA-L's AVX-512 version returns with the upper halves of the vector registers in use, which makes
 * every SSE instruction that follows wait for them: libsoxr then takes 3.4 times as long. */
__attribute__((target("avx"))) static void clear_upper_halves(void)
{
    _mm256_zeroupper();
}

static void leave_vector_unit(void)
{
    if (__builtin_cpu_supports("avx"))
        clear_upper_halves();
}
#else
static void leave_vector_unit(void)
{
}
#endif

uint32_t hash_crc32c(uint32_t crc, const void *data, size_t len)
{
    const uint8_t *p = data;

    /* crc32_iscsi counts in int and neither reads nor applies the standard's complements. */
    crc = ~crc;
    while (len > 0) {
        int n = len > INT_MAX / 2 ? INT_MAX / 2 : (int)len;
        crc = crc32_iscsi((unsigned char *)(uintptr_t)p, n, crc);
        p += n;
        len -= (size_t)n;
    }
    leave_vector_unit();
    return ~crc;
}

/* NULL stands for "no memory". */
struct sha256 {
    SHA256_CTX ctx;
};

/* The functions of libcrypto return 1: they neither allocate nor fail. */
struct sha256 *sha256_new(void)
{
    struct sha256 *h = malloc(sizeof *h);

    if (h != NULL)
        (void)SHA256_Init(&h->ctx);
    return h;
}

void sha256_add(struct sha256 *h, const void *data, size_t len)
{
    if (h != NULL)
        (void)SHA256_Update(&h->ctx, data, len);
}

/* What is missing of a block that was begun, at most len. */
static size_t to_whole_block(const struct sha256 *h, size_t len)
{
    size_t missing = (SHA256_CBLOCK - h->ctx.num) % SHA256_CBLOCK;

    return missing < len ? missing : len;
}

/* As SHA256_Update counts bits. */
static void count_blocks(SHA256_CTX *ctx, size_t n)
{
    uint64_t bits = ((uint64_t)ctx->Nh << 32 | ctx->Nl) + (uint64_t)n * SHA256_CBLOCK * 8;

    ctx->Nl = (SHA_LONG)bits;
    ctx->Nh = (SHA_LONG)(bits >> 32);
}

void sha256_add_pair(struct sha256 *g, const void *g_data, size_t g_len, struct sha256 *h,
                     const void *h_data, size_t h_len)
{
    const uint8_t *p = g_data, *q = h_data;
    size_t i = 0, j = 0, n;

    if (g != NULL && h != NULL) {
        i = to_whole_block(g, g_len);
        j = to_whole_block(h, h_len);
        sha256_add(g, p, i);
        sha256_add(h, q, j);
        n = (g_len - i < h_len - j ? g_len - i : h_len - j) / SHA256_CBLOCK;
        if (n > 0 && sha256_blocks_pair(g->ctx.h, p + i, h->ctx.h, q + j, n)) {
            count_blocks(&g->ctx, n);
            count_blocks(&h->ctx, n);
            i += n * SHA256_CBLOCK;
            j += n * SHA256_CBLOCK;
        }
    }
    sha256_add(g, p + i, g_len - i);
    sha256_add(h, q + j, h_len - j);
}

enum err_code sha256_end(struct sha256 *h, uint8_t out[SHA256_SIZE], struct err *e)
{
    if (h == NULL)
        return err_set(e, ERR_NOMEM, "SHA-256: out of memory");
    (void)SHA256_Final(out, &h->ctx);
    free(h);
    return ERR_OK;
}

void sha256_abort(struct sha256 *h)
{
    free(h);
}

enum err_code sha256_bytes(const void *data, size_t len, uint8_t out[SHA256_SIZE], struct err *e)
{
    struct sha256 *h = sha256_new();

    sha256_add(h, data, len);
    return sha256_end(h, out, e);
}

void sha256_hex(const uint8_t digest[SHA256_SIZE], char out[SHA256_HEX_SIZE])
{
    static const char hex[] = "0123456789abcdef";

    for (int i = 0; i < SHA256_SIZE; i++) {
        out[2 * i] = hex[digest[i] >> 4];
        out[2 * i + 1] = hex[digest[i] & 15];
    }
    out[2 * SHA256_SIZE] = '\0';
}
