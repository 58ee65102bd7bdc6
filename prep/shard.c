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

static double number_at(enum dtype dtype, const uint8_t *p)
{
    int32_t i32;
    int64_t i64;
    float f32;

    switch (dtype) {
    case DTYPE_U8: return *p;
    case DTYPE_I32: memcpy(&i32, p, sizeof i32); return i32;
    case DTYPE_I64: memcpy(&i64, p, sizeof i64); return (double)i64;
    case DTYPE_F32: memcpy(&f32, p, sizeof f32); return (double)f32;
    }
    return 0;
}

struct number_summary summarise(enum dtype dtype, const void *data, size_t bytes)
{
    struct number_summary s = {0};
    const uint8_t *p = data;
    double sum = 0;

    for (size_t at = 0; at < bytes; at += dtype_size(dtype)) {
        double v = number_at(dtype, p + at);

        if (!isfinite(v)) {
            s.not_finite++;
            continue;
        }
        if (s.count == 0 || v < s.min)
            s.min = v;
        if (s.count == 0 || v > s.max)
            s.max = v;
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
    }
    return err_set(e, ERR_INTERNAL, "no such command");
}
