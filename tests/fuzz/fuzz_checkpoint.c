/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/fuzz.h"
#include "train/checkpoint.h"
#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a run's checkpoint says of itself, in a container whose checksums are right: its state, and
 * the lines of synib.config. */

static void check_state(const struct run_state *s)
{
    FUZZ_CHECK(s->epoch >= 0 && s->batch >= 0 && s->step >= 0 && s->samples[0] >= 0);
    FUZZ_CHECK(isfinite(s->best_score) && isfinite(s->lowest_loss));
}

static void check_identity(const char *text)
{
    const char *value, *before = text, *end = text + strlen(text);
    char line[256];
    struct err e = {0};

    while (*text != '\0') {
        if (run_identity_line(&text, line, sizeof line, &value, &e) != ERR_OK) {
            fuzz_check_err(&e, 1);
            return;
        }
        FUZZ_CHECK(text > before && text <= end);
        FUZZ_CHECK(value >= line && value + strlen(value) < line + sizeof line);
        before = text;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t len;
    uint8_t *file = fuzz_container(data, size, &len);
    struct tensorfile *f = NULL;
    struct run_state state;
    const char *identity;
    struct err e = {0};

    if (tensorfile_open_mem(&f, "x", file, len, &e) != ERR_OK) {
        fuzz_check_err(&e, 1);
    } else if (checkpoint_meta(f, "synib.config", &identity, &e) != ERR_OK) {
        fuzz_check_err(&e, 1);
    } else {
        check_identity(identity);
        if (checkpoint_state(f, &state, &e) != ERR_OK)
            fuzz_check_err(&e, 1);
        else
            check_state(&state);
    }
    tensorfile_close(f);
    free(file);
    return 0;
}
