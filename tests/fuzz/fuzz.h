/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* What fuzz targets share. A target is one file fuzz_NAME.c with LLVMFuzzerTestOneInput; it is
 * linked with libFuzzer in a fuzz build (make fuzz) and with replay.c in every other build, where
 * it runs over tests/fuzz/corpus/NAME and what make_seeds makes. docs/reliability/fuzzing.md. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the program and says what did not hold. Unlike assert it is never compiled out. */
#define FUZZ_CHECK(condition)                              \
    do {                                                   \
        if (!(condition))                                  \
            fuzz_fail(__FILE__, __LINE__, #condition, ""); \
    } while (0)
_Noreturn void fuzz_fail(const char *file, int line, const char *condition, const char *text);

/* An error is set, and what it says can be shown to a person: 1 to `lines` lines, none empty, no
 * control characters. */
void fuzz_check_err(const struct err *e, int lines);

/* A copy of the bytes with one NUL behind them, so that a read past the end is seen; free() it. */
uint8_t *fuzz_copy(const void *data, size_t size);

/* A container made of the input: a header text, a NUL, and the bytes of its buffer without the
 * trailer. Length, padding and every checksum are put right, so that a mutation reaches the rule
 * that it breaks. free() it. */
uint8_t *fuzz_container(const uint8_t *data, size_t size, size_t *len);

#endif
