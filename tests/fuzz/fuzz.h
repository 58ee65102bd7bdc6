/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* A fuzz target is one tests/fuzz/fuzz_NAME.c that defines this function: it gives the bytes to a
 * parser and aborts when the parser breaks a promise. `make fuzz` links it with libFuzzer; every
 * other build links it with replay.c, which runs it over corpus/NAME and small changes of it.
 * Returns 0 always. One thread. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Aborts, naming the promise, when `ok` is false. */
void fuzz_check(int ok, const char *promise);
/* What every parser promises of its answer: ERR_OK with a clean err, or a code of `allowed` (an
 * array that ends with ERR_OK) and a text that names the file. (Control characters in it are
 * escaped where it is printed: common/base/log.) Leaves the err clean. */
void fuzz_check_err(enum err_code code, struct err *e, const char *name,
                    const enum err_code *allowed);
/* ERR_DATA, ERR_FORMAT, ERR_TRUNCATED, ERR_CHECKSUM. */
extern const enum err_code fuzz_bad_file[];

/* Reads all bytes, so that a sanitizer sees those that are not there. */
void fuzz_touch(const void *data, size_t len);

/* The bytes as a file for a reader that takes a path: one file in memory, overwritten by the next
 * call. The path is valid until the process ends. */
const char *fuzz_file(const uint8_t *data, size_t len);

#endif
