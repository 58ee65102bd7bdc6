/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/fuzz.h"
#include "tests/support/naive_json.h"

#include <jansson.h>
#include <sanitizer/asan_interface.h>

/* Memory for the values of jansson and of naive_json.c while a fuzzer runs: an input has hundreds
 * of them, and AddressSanitizer's allocator took half of the time. What it sees, this heap sees
 * too: bytes outside of a block and freed blocks are poisoned, and no block is used again before
 * all are free. One thread. Built without AddressSanitizer. Not part of replay.c, which runs on
 * AddressSanitizer's own.
 *
 * Blocks lie one behind the other: BEFORE bytes, of which the first hold the size, the block, at
 * least BEFORE bytes more. All that is not a block in use is poisoned. */
enum { HEAP = 16 << 20, BEFORE = 16 };

static _Alignas(BEFORE) unsigned char heap[HEAP];
static size_t used, blocks;

static size_t *size_of(void *block)
{
    return (size_t *)(void *)((unsigned char *)block - BEFORE);
}

static void *take(size_t size)
{
    size_t room = BEFORE + (size + BEFORE - 1) / BEFORE * BEFORE;
    unsigned char *block = heap + used + BEFORE;

    FUZZ_CHECK(room < HEAP - BEFORE - used); /* more than a few times the input */
    used += room;
    blocks++;
    *size_of(block) = size;
    __asan_unpoison_memory_region(block, size);
    return block;
}

static void release(void *block)
{
    if (block == NULL)
        return;
    FUZZ_CHECK(!__asan_address_is_poisoned(block)); /* otherwise: freed twice */
    __asan_poison_memory_region(block, *size_of(block));
    if (--blocks == 0)
        used = 0;
}

/* libFuzzer calls it first. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    __asan_poison_memory_region(heap, HEAP);
    json_set_alloc_funcs(take, release);
    naive_json_memory(take, release);
    return 0;
}

/* The linker puts it around every target (--wrap). */
int __real_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __wrap_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int status = __real_LLVMFuzzerTestOneInput(data, size);

    FUZZ_CHECK(blocks == 0); /* otherwise: a value is lost */
    return status;
}
