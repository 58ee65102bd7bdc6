/* SPDX-License-Identifier: MIT */
#include "common/data/image_resize.h"

#include "common/base/mem.h"

#include <stdlib.h>
#include <string.h>

#ifdef __x86_64__
#include <immintrin.h>
#endif

enum {
    PRECISION = 22, /* Pillow's PRECISION_BITS: 32 - 8 - 2 */
    LANES = 16,     /* bytes worked on at once: four RGBX pixels */
    QUAD = 4,       /* rows that go through the first pass together */
};

/* For every output position: where its sources begin, how many they are, their weights. */
struct axis {
    int *first, *count;
    int32_t *weight; /* [out][taps] */
    int taps;
    int in; /* what it was made for; 0 = nothing yet */
    size_t cap;
};

/* First pass over QUAD rows: quad [w][QUAD] pixels -> rows[QUAD][size] pixels. */
typedef void columns_fn(const struct axis *a, int size, const uint8_t *quad, uint8_t *rows,
                        size_t stride);
/* Second pass for one output row: `count` rows at `rows` -> out, `bytes` a multiple of LANES. */
typedef void rows_fn(const int32_t *weight, int count, const uint8_t *rows, size_t stride,
                     uint8_t *out, size_t bytes);

struct resizer {
    int size;
    size_t row_bytes; /* of a first-pass row: 4 * size, padded to LANES */
    struct axis x, y;
    uint8_t *quad; /* QUAD source rows, pixel by pixel */
    size_t quad_cap;
    uint8_t *rows; /* result of the first pass */
    size_t rows_cap;
    uint8_t *out; /* one row of the second pass */
    columns_fn *columns;
    rows_fn *combine;
};

/* Three versions of the same integer arithmetic. Weights are not negative and sum to 2^22 give or
 * take half a unit per tap, so the sums stay within 0..255 after the shift: nothing needs clipping,
 * and the narrowing conversions below lose nothing. */
static const int32_t HALF = 1 << (PRECISION - 1);

static void columns_plain(const struct axis *a, int size, const uint8_t *quad, uint8_t *rows,
                          size_t stride)
{
    for (int x = 0; x < size; x++) {
        const int32_t *w = a->weight + (size_t)x * (size_t)a->taps;
        const uint8_t *p = quad + (size_t)a->first[x] * LANES;
        int32_t sum[LANES];

        for (int i = 0; i < LANES; i++)
            sum[i] = HALF;
        for (int t = 0; t < a->count[x]; t++, p += LANES)
            for (int i = 0; i < LANES; i++)
                sum[i] += p[i] * w[t];
        for (int i = 0; i < LANES; i++)
            rows[(size_t)(i / 4) * stride + (size_t)(x * 4 + i % 4)] =
                (uint8_t)(sum[i] >> PRECISION);
    }
}

static void rows_plain(const int32_t *weight, int count, const uint8_t *rows, size_t stride,
                       uint8_t *out, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        int32_t sum = HALF;

        for (int t = 0; t < count; t++)
            sum += rows[(size_t)t * stride + i] * weight[t];
        out[i] = (uint8_t)(sum >> PRECISION);
    }
}

#ifdef __x86_64__
static inline void store_quad(__m128i v, uint8_t *rows, size_t stride)
{
    uint32_t pixel[QUAD];

    memcpy(pixel, &v, sizeof v);
    for (size_t r = 0; r < QUAD; r++)
        memcpy(rows + r * stride, &pixel[r], sizeof pixel[r]);
}

__attribute__((target("avx512f,avx512bw,avx512vl"))) static __m128i weigh_avx512(
    const int32_t *weight, int count, const uint8_t *p, size_t step)
{
    __m512i sum = _mm512_set1_epi32(HALF);

    for (int t = 0; t < count; t++, p += step) {
        __m512i v = _mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)p));
        sum = _mm512_add_epi32(sum, _mm512_mullo_epi32(v, _mm512_set1_epi32(weight[t])));
    }
    return _mm512_cvtepi32_epi8(_mm512_srli_epi32(sum, PRECISION));
}

__attribute__((target("avx512f,avx512bw,avx512vl"))) static void columns_avx512(
    const struct axis *a, int size, const uint8_t *quad, uint8_t *rows, size_t stride)
{
    for (int x = 0; x < size; x++)
        store_quad(weigh_avx512(a->weight + (size_t)x * (size_t)a->taps, a->count[x],
                                quad + (size_t)a->first[x] * LANES, LANES),
                   rows + (size_t)x * 4, stride);
}

__attribute__((target("avx512f,avx512bw,avx512vl"))) static void rows_avx512(
    const int32_t *weight, int count, const uint8_t *rows, size_t stride, uint8_t *out,
    size_t bytes)
{
    for (size_t i = 0; i < bytes; i += LANES)
        _mm_storeu_si128((void *)(out + i), weigh_avx512(weight, count, rows + i, stride));
}

__attribute__((target("avx2"))) static __m128i weigh_avx2(const int32_t *weight, int count,
                                                          const uint8_t *p, size_t step)
{
    __m256i lo = _mm256_set1_epi32(HALF), hi = lo, words;

    for (int t = 0; t < count; t++, p += step) {
        __m256i w = _mm256_set1_epi32(weight[t]);
        __m128i v = _mm_loadu_si128((const void *)p);
        lo = _mm256_add_epi32(lo, _mm256_mullo_epi32(_mm256_cvtepu8_epi32(v), w));
        v = _mm_srli_si128(v, 8);
        hi = _mm256_add_epi32(hi, _mm256_mullo_epi32(_mm256_cvtepu8_epi32(v), w));
    }
    /* Packing works on 128-bit halves: lo and hi come out as 0 2 1 3 in groups of four. */
    words = _mm256_packus_epi32(_mm256_srli_epi32(lo, PRECISION), _mm256_srli_epi32(hi, PRECISION));
    words = _mm256_permute4x64_epi64(words, _MM_SHUFFLE(3, 1, 2, 0));
    return _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
}

__attribute__((target("avx2"))) static void columns_avx2(const struct axis *a, int size,
                                                         const uint8_t *quad, uint8_t *rows,
                                                         size_t stride)
{
    for (int x = 0; x < size; x++)
        store_quad(weigh_avx2(a->weight + (size_t)x * (size_t)a->taps, a->count[x],
                              quad + (size_t)a->first[x] * LANES, LANES),
                   rows + (size_t)x * 4, stride);
}

__attribute__((target("avx2"))) static void rows_avx2(const int32_t *weight, int count,
                                                      const uint8_t *rows, size_t stride,
                                                      uint8_t *out, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += LANES)
        _mm_storeu_si128((void *)(out + i), weigh_avx2(weight, count, rows + i, stride));
}
#endif

static bool choose_kernels(struct resizer *r, enum resize_unit unit)
{
#ifdef __x86_64__
    __builtin_cpu_init();
    if ((unit == RESIZE_BEST || unit == RESIZE_AVX512) && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl")) {
        r->columns = columns_avx512;
        r->combine = rows_avx512;
        return true;
    }
    if ((unit == RESIZE_BEST || unit == RESIZE_AVX2) && __builtin_cpu_supports("avx2")) {
        r->columns = columns_avx2;
        r->combine = rows_avx2;
        return true;
    }
#endif
    r->columns = columns_plain;
    r->combine = rows_plain;
    return unit == RESIZE_BEST || unit == RESIZE_PLAIN;
}

static double triangle(double x)
{
    x = x < 0 ? -x : x;
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Weights of `out` positions over `in` sources; the order of operations is Pillow's, so that the
 * doubles are too. */
static enum err_code axis_make(struct axis *a, int in, int out, double *scratch, struct err *e)
{
    double scale = (double)in / out, width = scale < 1.0 ? 1.0 : scale, per = 1.0 / width;
    int taps = (int)width + ((double)(int)width < width ? 1 : 0); /* ceil */
    size_t need;

    if (a->in == in)
        return ERR_OK;
    a->in = 0;
    a->taps = taps * 2 + 1;
    need = (size_t)a->taps * (size_t)out;
    TRY(mem_grow(&a->weight, &a->cap, need, sizeof *a->weight, "resize weights", e));
    for (int i = 0; i < out; i++) {
        double centre = (i + 0.5) * scale, sum = 0.0;
        int first = (int)(centre - width + 0.5), end = (int)(centre + width + 0.5);

        first = first < 0 ? 0 : first;
        end = end > in ? in : end;
        for (int t = 0; t < end - first; t++) {
            scratch[t] = triangle((t + first - centre + 0.5) * per);
            sum += scratch[t];
        }
        a->first[i] = first;
        a->count[i] = end - first;
        for (int t = 0; t < end - first; t++)
            a->weight[(size_t)i * (size_t)a->taps + (size_t)t] =
                (int32_t)(0.5 + scratch[t] / sum * (1 << PRECISION));
    }
    a->in = in;
out:
    return e->code;
}

enum err_code resizer_new(struct resizer **out, int size, enum resize_unit unit, struct err *e)
{
    struct resizer *r = NULL;
    size_t n = (size_t)size;

    *out = NULL;
    TRY(mem_array(&r, 1, sizeof *r, "resizer", e));
    r->size = size;
    r->row_bytes = (n * 4 + LANES - 1) / LANES * LANES;
    TRY(mem_array(&r->x.first, n, sizeof *r->x.first, "resize positions", e));
    TRY(mem_array(&r->x.count, n, sizeof *r->x.count, "resize positions", e));
    TRY(mem_array(&r->y.first, n, sizeof *r->y.first, "resize positions", e));
    TRY(mem_array(&r->y.count, n, sizeof *r->y.count, "resize positions", e));
    TRY(mem_array(&r->out, r->row_bytes, 1, "resized row", e));
    if (!choose_kernels(r, unit)) {
        (void)err_set(e, ERR_USAGE, "this CPU lacks the asked vector unit");
        goto out;
    }
    *out = r;
    r = NULL;
out:
    resizer_free(r);
    return e->code;
}

void resizer_free(struct resizer *r)
{
    if (r == NULL)
        return;
    free(r->x.first);
    free(r->x.count);
    free(r->x.weight);
    free(r->y.first);
    free(r->y.count);
    free(r->y.weight);
    free(r->quad);
    free(r->rows);
    free(r->out);
    free(r);
}

/* QUAD rows from row y on, pixel by pixel; rows past the end repeat the last one. */
static void interleave(uint8_t *quad, const struct resize_source *src, int y)
{
    const uint8_t *row[QUAD];
    size_t w = (size_t)src->w;

    for (int r = 0; r < QUAD; r++)
        row[r] = src->data + (size_t)(y + r < src->h ? y + r : src->h - 1) * src->stride;
    if (src->pixel_bytes == 4) {
        for (size_t x = 0; x < w; x++)
            for (size_t r = 0; r < QUAD; r++)
                memcpy(quad + x * LANES + r * 4, row[r] + x * 4, 4);
        return;
    }
    for (size_t x = 0; x < w; x++)
        for (size_t r = 0; r < QUAD; r++)
            memcpy(quad + x * LANES + r * 4, row[r] + x * 3, 3);
}

enum err_code resizer_begin(struct resizer *r, const struct resize_source *src, struct err *e)
{
    size_t w = (size_t)src->w, h = ((size_t)src->h + QUAD - 1) / QUAD * QUAD;
    size_t longest = (size_t)(src->w > src->h ? src->w : src->h);

    /* The quad doubles as the scratch of the weights: `longest` doubles fit its 16 bytes each. */
    TRY(mem_grow(&r->quad, &r->quad_cap, longest * LANES, 1, "resize rows", e));
    TRY(axis_make(&r->x, src->w, r->size, (double *)(void *)r->quad, e));
    TRY(axis_make(&r->y, src->h, r->size, (double *)(void *)r->quad, e));
    TRY(mem_grow(&r->rows, &r->rows_cap, h * r->row_bytes, 1, "resize rows", e));
    memset(r->quad, 0, w * LANES); /* the fourth bytes */
    for (int y = 0; y < src->h; y += QUAD) {
        interleave(r->quad, src, y);
        r->columns(&r->x, r->size, r->quad, r->rows + (size_t)y * r->row_bytes, r->row_bytes);
    }
out:
    return e->code;
}

const uint8_t *resizer_row(struct resizer *r, int y)
{
    const int32_t *weight = r->y.weight + (size_t)y * (size_t)r->y.taps;

    r->combine(weight, r->y.count[y], r->rows + (size_t)r->y.first[y] * r->row_bytes, r->row_bytes,
               r->out, r->row_bytes);
    return r->out;
}
