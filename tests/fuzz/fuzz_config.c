/* SPDX-License-Identifier: MIT */
/* Presets (train/config.h): what is accepted and written as text is read as the same. The first
 * byte chooses the method; '=' makes the rest one assignment of --set on the preset that was read
 * last. */
#include "tests/fuzz/fuzz.h"
#include "train/config.h"

#include <stdlib.h>
#include <string.h>

static const enum err_code refused[] = {ERR_USAGE, ERR_DATA, ERR_FORMAT, ERR_OK};
static struct config base;
static int have_base;

static void check_text(const char *text, size_t len, const char *method)
{
    struct config c = {0};
    struct err e = {0};
    char *written = NULL;
    enum err_code code = config_parse(&c, "a.conf", method, NULL, text, len, &e);

    if (code == ERR_OK) {
        fuzz_check(config_text(&written, &c, ~0u, &e) == ERR_OK, "it can be written");
        fuzz_check(config_compare(written, written, "x", &e) == ERR_OK, "it equals itself");
        base = c;
        have_base = 1;
        if (config_check(&c, &e) != ERR_OK)
            fuzz_check_err(e.code, &e, "", refused);
    }
    free(written);
    fuzz_check_err(code, &e, "a.conf", refused);
}

static void check_assignment(const char *text)
{
    struct config c = base;
    struct err e = {0};

    fuzz_check_err(config_set(&c, text, &e), &e, "", refused);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char *const methods[] = {"vanilla", "synib", "mcr", "reconboost"};
    char *copy;

    if (len < 1 || (data[0] == '=' && !have_base))
        return 0;
    copy = malloc(len);
    fuzz_check(copy != NULL, "memory");
    memcpy(copy, data + 1, len - 1);
    copy[len - 1] = '\0';
    if (data[0] == '=')
        check_assignment(copy);
    else
        check_text(copy, len - 1, methods[data[0] % 4]);
    free(copy);
    return 0;
}
