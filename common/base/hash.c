/* SPDX-License-Identifier: MIT */
#include "common/base/hash.h"

#include <isa-l/crc.h>
#include <limits.h>
#include <openssl/evp.h>

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

/* struct sha256 is libcrypto's context under our name; NULL stands for "could not be made". */
struct sha256 *sha256_new(void)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) != 1) {
        EVP_MD_CTX_free(ctx);
        ctx = NULL;
    }
    return (struct sha256 *)ctx;
}

void sha256_add(struct sha256 *h, const void *data, size_t len)
{
    if (h != NULL)
        (void)EVP_DigestUpdate((EVP_MD_CTX *)h, data, len); /* cannot fail for SHA-256 in memory */
}

enum err_code sha256_end(struct sha256 *h, uint8_t out[SHA256_SIZE], struct err *e)
{
    int ok = h != NULL && EVP_DigestFinal_ex((EVP_MD_CTX *)h, out, NULL) == 1;

    EVP_MD_CTX_free((EVP_MD_CTX *)h);
    return ok ? ERR_OK : err_set(e, ERR_NOMEM, "libcrypto: cannot compute SHA-256");
}

void sha256_abort(struct sha256 *h)
{
    EVP_MD_CTX_free((EVP_MD_CTX *)h);
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
