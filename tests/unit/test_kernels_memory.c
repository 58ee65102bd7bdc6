/* SPDX-License-Identifier: MIT */
#include "tests/support/kernel_ref.h"

#include "tests/support/cmocka.h"

#include <stdlib.h>

/* "Nothing is allocated after the first call with a given shape": this program's own malloc stands
 * before the C library's and counts, for oneDNN too. oneDNN makes a small table of arguments per
 * execution, so only larger blocks count. Sanitizers bring their own malloc: nothing to count. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

enum { LARGE_BYTES = 1024 };
static uint64_t large_blocks; /* atomic */

#ifndef SANITIZED
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t align, size_t size);

static void count_block(size_t size)
{
    if (size >= LARGE_BYTES)
        __atomic_fetch_add(&large_blocks, 1, __ATOMIC_RELAXED);
}

void *malloc(size_t size)
{
    count_block(size);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    count_block(count * size);
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
    count_block(size);
    return __libc_realloc(old, size);
}

int posix_memalign(void **out, size_t align, size_t size)
{
    count_block(size);
    *out = __libc_memalign(align, size);
    return *out != NULL ? 0 : 12; /* ENOMEM */
}

void *aligned_alloc(size_t align, size_t size)
{
    count_block(size);
    return __libc_memalign(align, size);
}
#endif

/* One pass over every kernel, with the shapes of a small network. */
struct work {
    float *x, *y, *dy, *dx, *w, *dw, *c; /* c: per channel, 8 rows of 64 */
    uint8_t *argmax;
};

static enum err_code conv_passes(struct nn *nn, const struct conv_shape *s, struct work *k,
                                 struct err *e)
{
    TRY(k_conv_forward(nn, s, k->x, k->w, k->y, e));
    if (s->ic % nn_block(nn) == 0)
        TRY(k_conv_backward(nn, s, NULL, k->w, k->dy, &(struct conv_gradients){.x = k->dx}, e));
    TRY(k_conv_backward(nn, s, k->x, NULL, k->dy,
                        &(struct conv_gradients){.w = k->dw, .add_w = true}, e));
out:
    return e->code;
}

static enum err_code every_kernel(struct nn *nn, struct work *k, struct err *e)
{
    static const struct conv_shape STEM = {5, 3, 32, 32, 32, 7, 7, 2, 3};
    static const struct conv_shape SAME = {5, 32, 16, 16, 32, 3, 3, 1, 1};
    static const struct conv_shape HALF = {5, 32, 16, 16, 64, 3, 3, 2, 1};
    static const struct conv_shape SHORT = {5, 32, 16, 16, 64, 1, 1, 2, 0};
    static const struct bn_shape BN = {5, 32, 16, 16};
    float *c = k->c;
    const struct bn_layer layer = {c, c, c + 64, c + 128, 1e-5F, true};
    const struct bn_gradients to = {k->dx, c + 192, c + 256, NULL};
    struct adam_step adam = {1e-3, 0.9, 0.999, 1e-8, 0, 1};

    TRY(conv_passes(nn, &STEM, k, e));
    TRY(conv_passes(nn, &SAME, k, e));
    TRY(conv_passes(nn, &HALF, k, e));
    TRY(conv_passes(nn, &SHORT, k, e));
    TRY(k_batchnorm_train(nn, &BN, &layer, k->x, NULL, k->y, e));
    TRY(k_batchnorm_backward(nn, &BN, &layer, false, k->x, NULL, k->dy, &to, e));
    TRY(k_batchnorm_eval(nn, &BN, &layer, k->x, NULL, k->y, e));
    TRY(k_maxpool_forward(nn, &BN, 3, 2, 1, k->x, k->y, k->argmax, e));
    TRY(k_maxpool_backward(nn, &BN, 3, 2, 1, k->dy, k->argmax, k->dx, e));
    TRY(k_batchnorm_maxpool_train(nn, &BN, &layer, 3, 2, 1, k->x, k->y, k->argmax, e));
    TRY(k_batchnorm_maxpool_backward(nn, &BN, &layer, false, 3, 2, 1, k->x, k->dy, k->argmax, &to,
                                     e));
    TRY(k_batchnorm_maxpool_eval(nn, &BN, &layer, 3, 2, 1, k->x, k->y, k->argmax, e));
    TRY(k_meanpool_forward(nn, &BN, 5, k->x, k->y, e));
    TRY(k_meanpool_backward(nn, &BN, 5, k->dy, k->dx, e));
    TRY(k_gemm(nn, false, true, 16, 7, 512, 1, k->x, 512, k->w, 512, 0, k->y, 7, e));
    TRY(k_gemm(nn, false, true, 64, 64, 256, 1, k->x, 256, k->w, 256, 0, k->y, 64, e));
    TRY(k_add(nn, 1000, k->x, k->y, e));
    TRY(k_adam(nn, &adam, 256, c, k->dw, c + 64, c + 256, e));
out:
    return e->code;
}

static void test_second_step_allocates_nothing(void **state)
{
    enum { COUNT = 5 * 64 * 16 * 16 };
    struct nn *nn = ref_nn(2);
    struct work k = {.x = ref_random(COUNT, 1),
                     .y = ref_random(COUNT, 2),
                     .dy = ref_random(COUNT, 3),
                     .dx = ref_random(COUNT, 4),
                     .w = ref_random(COUNT, 5),
                     .dw = ref_random(COUNT, 6),
                     .c = ref_floats(512),
                     .argmax = malloc(COUNT)};
    uint64_t first, later;
    struct err e = {0};

    (void)state;
    if (every_kernel(nn, &k, &e) != ERR_OK)
        fail_msg("%s", e.text);
    first = __atomic_load_n(&large_blocks, __ATOMIC_RELAXED);
    for (int i = 0; i < 3; i++)
        if (every_kernel(nn, &k, &e) != ERR_OK)
            fail_msg("%s", e.text);
    later = __atomic_load_n(&large_blocks, __ATOMIC_RELAXED);
#ifndef SANITIZED
    assert_true(first > 10); /* the counter counts */
#endif
    assert_int_equal(later, first);
    free(k.x), free(k.y), free(k.dy), free(k.dx), free(k.w), free(k.dw), free(k.c);
    free(k.argmax);
    nn_free(nn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_second_step_allocates_nothing)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
