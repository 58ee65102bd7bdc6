/* SPDX-License-Identifier: MIT */
#include "prep/shard_commands.h"

#include "common/data/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum err_code inspect_json(FILE *out, json_t *object, struct err *e)
{
    return json_print(object, out, JSON_INDENT(2) | JSON_REAL_PRECISION(9), e);
}

static int64_t whole_at(enum dtype dtype, const uint8_t *p)
{
    int64_t i64 = *p;
    int32_t i32;

    if (dtype == DTYPE_I64)
        memcpy(&i64, p, sizeof i64);
    if (dtype != DTYPE_I32)
        return i64;
    memcpy(&i32, p, sizeof i32);
    return i32;
}

static double real_at(const uint8_t *p)
{
    float f32;

    memcpy(&f32, p, sizeof f32);
    return (double)f32;
}

struct number_summary summarise(enum dtype dtype, const void *data, size_t bytes)
{
    struct number_summary s = {0};
    const uint8_t *p = data;
    double sum = 0;

    for (size_t at = 0; at < bytes; at += dtype_size(dtype)) {
        int64_t whole = dtype != DTYPE_F32 ? whole_at(dtype, p + at) : 0;
        double v = dtype != DTYPE_F32 ? (double)whole : real_at(p + at);

        if (!isfinite(v)) {
            s.not_finite++;
            continue;
        }
        if (s.count == 0 || v < s.min)
            s.min = v;
        if (s.count == 0 || v > s.max)
            s.max = v;
        s.least = s.count == 0 || whole < s.least ? whole : s.least;
        s.most = s.count == 0 || whole > s.most ? whole : s.most;
        sum += v;
        s.count++;
    }
    s.mean = s.count > 0 ? sum / (double)s.count : 0;
    return s;
}

enum err_code inspect_run(const struct inspect_options *opt, struct err *e)
{
    json_begin();
    switch ((enum inspect_command)opt->command) {
    case INSPECT_LS: return inspect_ls(opt, e);
    case INSPECT_DUMP: return inspect_dump(opt, e);
    case INSPECT_VERIFY: return inspect_verify(opt, e);
    case INSPECT_STAT: return inspect_stat(opt, e);
    case INSPECT_DIFF: return inspect_diff(opt, e);
    case INSPECT_EXPORT: return inspect_export(opt, e);
    case INSPECT_CONTACT_SHEET: return inspect_contact_sheet(opt, e);
    case N_INSPECT_COMMANDS: break;
    }
    return err_set(e, ERR_INTERNAL, "no such command");
}
