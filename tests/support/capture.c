/* SPDX-License-Identifier: MIT */
#include "tests/support/capture.h"

#include "tests/support/cmocka.h"

#include <stdio.h>
#include <unistd.h>

void capture(char text[4096], void (*fn)(void *ctx), void *ctx)
{
    FILE *f = tmpfile();
    int saved = dup(STDERR_FILENO);
    size_t n;

    assert_true(f != NULL && saved >= 0);
    fflush(stderr);
    assert_true(dup2(fileno(f), STDERR_FILENO) >= 0);
    fn(ctx);
    fflush(stderr);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    rewind(f);
    n = fread(text, 1, 4095, f);
    text[n] = '\0';
    fclose(f);
}
