/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/fuzz.h"
#include "train/config.h"

#include <stdlib.h>
#include <string.h>

/* Presets. What is read is written and read again: the same settings. */

static void read_again(const struct config *c)
{
    struct config again;
    struct err e = {0};
    char *text;

    FUZZ_CHECK(config_text(&text, c, ~0u, &e) == ERR_OK);
    if (config_parse(&again, "x", "synib", NULL, text, strlen(text), &e) != ERR_OK)
        fuzz_fail(__FILE__, __LINE__, "what is written can be read", e.text);
    FUZZ_CHECK(memcmp(&again, c, sizeof again) == 0);
    FUZZ_CHECK(config_compare(text, text, "x", &e) == ERR_OK);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const methods[] = {"synib", "vanilla"}, *const masks[] = {NULL, "learned"};
    char *text = (char *)fuzz_copy(data, size);

    for (int i = 0; i < 2; i++) {
        struct config c;
        struct err e = {0};

        if (config_parse(&c, "x", methods[i], masks[i], text, size, &e) != ERR_OK) {
            fuzz_check_err(&e, 20);
            continue;
        }
        read_again(&c);
        if (config_check(&c, &e) != ERR_OK)
            fuzz_check_err(&e, 1);
    }
    free(text);
    return 0;
}
