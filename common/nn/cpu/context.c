/* SPDX-License-Identifier: MIT */
#include "common/base/mem.h"
#include "common/base/parallel.h"
#include "common/nn/cpu/cpu.h"
#include "common/nn/cpu/gemm_tile.h"

#include <cpuid.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_THREADS = 1024, ROOM_BYTES = 8 << 20 };

const char *const nn_precision_names[] = {"float32", "bfloat16", NULL};

enum err_code nn_dnnl(dnnl_status_t status, const char *what, struct err *e)
{
    if (status == dnnl_success)
        return ERR_OK;
    if (status == dnnl_out_of_memory)
        return err_set(e, ERR_NOMEM, "oneDNN: %s: out of memory: use a smaller batch", what);
    return err_set(e, ERR_INTERNAL, "oneDNN: %s: refused with status %d", what, (int)status);
}

enum err_code nn_room(const char *what, struct err *e)
{
    void *volatile p = malloc(ROOM_BYTES); /* volatile: or the compiler leaves both calls out */

    if (p == NULL)
        return err_set(e, ERR_NOMEM, "oneDNN: %s: out of memory: use a smaller batch", what);
    free(p);
    return ERR_OK;
}

static enum err_code grow(struct scratch *s, size_t bytes, struct err *e)
{
    if (bytes <= s->bytes)
        return ERR_OK;
    free(s->data);
    *s = (struct scratch){0};
    if (mem_aligned(&s->data, bytes, 1, "kernel scratch", e) == ERR_OK)
        s->bytes = bytes;
    return s->bytes > 0 ? ERR_OK : ERR_NOMEM;
}

enum err_code nn_scratch(struct nn *nn, enum scratch_id id, size_t bytes, void *out, struct err *e)
{
    enum err_code rc = grow(&nn->scratch[id], bytes, e);

    memcpy(out, &nn->scratch[id].data, sizeof(void *));
    return rc;
}

enum err_code nn_worker_scratch(struct nn *nn, size_t bytes, struct err *e)
{
    enum err_code rc = ERR_OK;

    for (int i = 0; i < nn->threads && rc == ERR_OK; i++)
        rc = grow(&nn->worker_scratch[i], bytes, e);
    return rc;
}

enum err_code nn_check_blocked(const struct nn *nn, const struct bn_shape *s, const char *what,
                               struct err *e)
{
    if (s->n >= 1 && s->c >= 1 && s->h >= 1 && s->w >= 1 && s->c % nn->block == 0)
        return ERR_OK;
    return err_set(e, ERR_INTERNAL,
                   "%s: shape %lld x %lld x %lld x %lld: sizes must be at least 1 and channels a "
                   "multiple of %d",
                   what, (long long)s->n, (long long)s->c, (long long)s->h, (long long)s->w,
                   nn->block);
}

/* Whether bfloat16's products take so much less time than float32's that Winograd saves none beside
 * them: with AMX, and on AMD's family 26 (Zen 5), which multiplies 512 bits at once; its bit for
 * that (FP512) is not to be seen in virtual machines. */
static bool fast_bfloat16(dnnl_cpu_isa_t isa)
{
    unsigned eax, ebx, ecx, edx, family = 0;

    if (isa != dnnl_cpu_isa_avx512_core_bf16)
        return isa == dnnl_cpu_isa_avx512_core_amx;
    if (__get_cpuid(0, &eax, &ebx, &ecx, &edx) && ebx == signature_AMD_ebx &&
        __get_cpuid(1, &eax, &ebx, &ecx, &edx))
        family = (eax >> 8 & 0xf) + (eax >> 20 & 0xff);
    return family >= 26;
}

static const char *isa_name(dnnl_cpu_isa_t isa)
{
    switch (isa) {
    case dnnl_cpu_isa_avx512_core_amx: return "AVX-512 with AMX";
    case dnnl_cpu_isa_avx512_core_bf16:
        return fast_bfloat16(isa) ? "AVX-512 with fast BF16" : "AVX-512 with BF16";
    case dnnl_cpu_isa_avx512_core_vnni: return "AVX-512 with VNNI";
    case dnnl_cpu_isa_avx512_core: return "AVX-512";
    case dnnl_cpu_isa_avx2_vnni: return "AVX2 with VNNI";
    case dnnl_cpu_isa_avx2: return "AVX2";
    case dnnl_cpu_isa_avx: return "AVX";
    case dnnl_cpu_isa_sse41: return "SSE4.1";
    default: return "generic x86";
    }
}

static bool isa_is_avx512(dnnl_cpu_isa_t isa)
{
    return isa == dnnl_cpu_isa_avx512_core || isa == dnnl_cpu_isa_avx512_core_vnni ||
           isa == dnnl_cpu_isa_avx512_core_bf16 || isa == dnnl_cpu_isa_avx512_core_amx;
}

/* oneDNN does bfloat16 with plain AVX-512 as well, by instructions that take longer than float32's.
 */
static bool has_bfloat16(dnnl_cpu_isa_t isa)
{
    return isa == dnnl_cpu_isa_avx512_core_bf16 || isa == dnnl_cpu_isa_avx512_core_amx;
}

enum err_code nn_new(struct nn **out, int threads, struct err *e)
{
    struct nn *nn = NULL;
    dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    const dnnl_version_t *version = dnnl_version();

    *out = NULL;
    if (threads < 1 || threads > MAX_THREADS)
        return err_set(e, ERR_USAGE, "threads: %d: out of range: give 1 to %d", threads,
                       MAX_THREADS);
    TRY(mem_array(&nn, 1, sizeof *nn, "kernels", e));
    nn->threads = threads;
    nn->block = isa_is_avx512(isa) ? 16 : 8;
    nn->fast_bfloat16 = fast_bfloat16(isa);
    TRY(mem_array(&nn->streams, (size_t)threads, sizeof(dnnl_stream_t), "kernel streams", e));
    TRY(mem_array(&nn->worker_scratch, (size_t)threads, sizeof(struct scratch), "kernel scratch",
                  e));
    TRY(nn_room("engine", e));
    TRY(nn_dnnl(dnnl_engine_create(&nn->engine, dnnl_cpu, 0), "engine", e));
    for (int i = 0; i < threads; i++)
        TRY(nn_dnnl(dnnl_stream_create(&nn->streams[i], nn->engine, dnnl_stream_default_flags),
                    "stream", e));
    snprintf(nn->text, sizeof nn->text,
             "%s, blocks of %d, products in " TILE_BITS ", oneDNN %d.%d.%d", isa_name(isa),
             nn->block, version->major, version->minor, version->patch);
    *out = nn;
    nn = NULL;
out:
    nn_free(nn);
    return e->code;
}

void nn_free(struct nn *nn)
{
    if (nn == NULL)
        return;
    conv_ops_free(nn);
    for (int i = 0; i < nn->threads; i++) {
        if (nn->streams != NULL && nn->streams[i] != NULL)
            dnnl_stream_destroy(nn->streams[i]);
        if (nn->worker_scratch != NULL)
            free(nn->worker_scratch[i].data);
    }
    for (int i = 0; i < SCRATCH_N; i++)
        free(nn->scratch[i].data);
    if (nn->engine != NULL)
        dnnl_engine_destroy(nn->engine);
    free(nn->streams);
    free(nn->worker_scratch);
    free(nn);
}

enum err_code nn_set_precision(struct nn *nn, enum nn_precision precision, struct err *e)
{
    dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();

    if (precision == NN_BFLOAT16 && !has_bfloat16(isa))
        return err_set(e, ERR_USAGE,
                       "precision bfloat16: this processor (%s) has no instructions for it: use "
                       "float32",
                       isa_name(isa));
    if (precision != nn->precision)
        conv_ops_free(nn);
    nn->precision = precision;
    return ERR_OK;
}

void nn_set_planning(struct nn *nn, bool planning)
{
    nn->planning = planning;
}

bool nn_planning(const struct nn *nn)
{
    return nn->planning;
}

int nn_threads(const struct nn *nn)
{
    return nn->threads;
}

int nn_block(const struct nn *nn)
{
    return nn->block;
}

const char *nn_describe(const struct nn *nn)
{
    return nn->text;
}
