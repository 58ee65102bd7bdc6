/* SPDX-License-Identifier: MIT */
#include "common/base/cli.h"
#include "tests/fuzz/fuzz.h"
#include "train/config.h"
#include "train/sweep/dimension.h"

#include <stdlib.h>
#include <string.h>

/* One word: as a number, as --set KEY=VALUE, as a setting of a search. */

static void read_numbers(const char *text)
{
    struct err e = {0};
    int64_t whole;
    uint64_t seed;
    double v, again;
    char shown[32];

    if (cli_int(&whole, text, -1000, 1000, "x", &e) == ERR_OK)
        FUZZ_CHECK(whole >= -1000 && whole <= 1000);
    else
        fuzz_check_err(&e, 1);
    err_clear(&e);
    if (cli_u64(&seed, text, "x", &e) != ERR_OK)
        fuzz_check_err(&e, 1);
    err_clear(&e);
    if (cli_double(&v, text, -1e300, 1e300, "x", &e) != ERR_OK) {
        fuzz_check_err(&e, 1);
        return;
    }
    cli_format_double(shown, sizeof shown, v);
    if (cli_double(&again, shown, -1e300, 1e300, "x", &e) != ERR_OK)
        fuzz_fail(__FILE__, __LINE__, "a number that was written can be read", e.text);
    FUZZ_CHECK(v == again);
}

static void read_dimension(const char *word)
{
    static const double at[] = {0, 0.25, 0.5, 0.999999, 1};
    char buffer[DIMENSION_TEXT];
    struct dimension d;
    struct err e = {0};
    double v;

    if (dimension_read(&d, word, &e) != ERR_OK) {
        fuzz_check_err(&e, 1);
    } else {
        for (size_t i = 0; d.kind != DIM_VALUE && i < dimension_probes(&d); i++)
            FUZZ_CHECK(dimension_probe(&d, i, buffer)[0] != '\0');
        for (size_t i = 0; dimension_is_random(&d) && i < sizeof at / sizeof at[0]; i++) {
            const char *text = dimension_at(&d, at[i], buffer);

            FUZZ_CHECK(text[0] != '\0');
            if (d.kind == DIM_CHOICE)
                continue;
            FUZZ_CHECK(cli_double(&v, text, d.low, d.high, "x", &e) == ERR_OK);
        }
    }
    dimension_free(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *word = (char *)fuzz_copy(data, size);
    struct config c = {.kind = size % 2 == 0 ? KIND_MEDIA : KIND_VECTORS};
    struct err e = {0};

    read_numbers(word);
    read_dimension(word);
    (void)config_scopes(word);
    if (config_set(&c, word, &e) != ERR_OK)
        fuzz_check_err(&e, 1);
    free(word);
    return 0;
}
