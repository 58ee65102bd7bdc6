/* SPDX-License-Identifier: MIT */
#include "train/sweep/dimension.h"

#include "common/base/cli.h"
#include "common/base/mem.h"
#include "common/base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const distributions[] = {"choice", "uniform", "log-uniform", "integer", NULL};
static const enum dimension_kind kind_of[] = {DIM_CHOICE, DIM_UNIFORM, DIM_LOG_UNIFORM,
                                              DIM_INTEGER};
/* Whole numbers that a double holds exactly, and beyond any setting. */
static const double LARGEST = 1e15;

bool dimension_is_random(const struct dimension *d)
{
    return d->kind != DIM_VALUE && d->kind != DIM_GRID;
}

static bool is_list(const struct dimension *d)
{
    return d->kind <= DIM_CHOICE;
}

/* ---- reading ---- */

/* Cuts text at its commas into d->value. */
static enum err_code cut_values(struct dimension *d, char *text, struct err *e)
{
    size_t n = 1;

    for (const char *p = text; *p != '\0'; p++)
        n += *p == ',';
    TRY(mem_array(&d->value, n, sizeof *d->value, "search", e));
    for (char *p = text; d->values < n;) {
        size_t len = strcspn(p, ",");

        p[len] = '\0';
        if (len == 0)
            return err_set(e, ERR_DATA, "an empty value");
        for (size_t i = 0; i < d->values; i++)
            if (strcmp(d->value[i], p) == 0)
                return err_set(e, ERR_DATA, "value %s stands twice", p);
        d->value[d->values++] = p;
        p += len + 1;
    }
out:
    return e->code;
}

/* The two ends of a distribution. */
static enum err_code read_ends(struct dimension *d, struct err *e)
{
    int64_t low, high;

    if (d->values != 2)
        return err_set(e, ERR_DATA, "is not of two ends (a,b)");
    if (d->kind == DIM_INTEGER) {
        TRY(cli_int(&low, d->value[0], -(int64_t)LARGEST, (int64_t)LARGEST, "its lower end", e));
        TRY(cli_int(&high, d->value[1], -(int64_t)LARGEST, (int64_t)LARGEST, "its upper end", e));
        d->low = (double)low;
        d->high = (double)high;
    } else {
        TRY(cli_double(&d->low, d->value[0], -LARGEST, LARGEST, "its lower end", e));
        TRY(cli_double(&d->high, d->value[1], -LARGEST, LARGEST, "its upper end", e));
    }
    if (d->low >= d->high)
        return err_set(e, ERR_DATA, "its lower end is not below its upper end");
    if (d->kind == DIM_LOG_UNIFORM && d->low <= 0)
        return err_set(e, ERR_DATA, "its lower end is not above 0");
out:
    return e->code;
}

/* NAME(...): the name ends at `open`. */
static enum err_code read_distribution(struct dimension *d, char *text, char *open, struct err *e)
{
    size_t len = strlen(open);
    int which;

    if (len < 2 || open[len - 1] != ')')
        return err_set(e, ERR_DATA, "does not end in ')'");
    open[len - 1] = *open = '\0';
    TRY(cli_choice(&which, text, distributions, "distribution", e));
    d->kind = kind_of[which];
    TRY(cut_values(d, open + 1, e));
    if (!is_list(d))
        TRY(read_ends(d, e));
out:
    return e->code;
}

static enum err_code read_value(struct dimension *d, char *text, struct err *e)
{
    size_t len = strlen(text);
    char *open = strchr(text, '(');

    if (text[0] == '{') {
        if (len < 2 || text[len - 1] != '}')
            return err_set(e, ERR_DATA, "does not end in '}'");
        text[len - 1] = '\0';
        d->kind = DIM_GRID;
        return cut_values(d, text + 1, e);
    }
    if (open != NULL)
        return read_distribution(d, text, open, e);
    if (strpbrk(text, "{})") != NULL)
        return err_set(e, ERR_DATA, "is no value, {list} or distribution");
    d->kind = DIM_VALUE;
    TRY(mem_array(&d->value, 1, sizeof *d->value, "search", e));
    d->value[d->values++] = text;
out:
    return e->code;
}

enum err_code dimension_read(struct dimension *d, const char *word, struct err *e)
{
    char *equals;

    *d = (struct dimension){.kind = DIM_VALUE};
    TRY(mem_string(&d->key, word, e));
    equals = strchr(d->key, '=');
    if (equals == NULL)
        FAIL(err_set(e, ERR_DATA, "is not of the form key=value"));
    *equals = '\0';
    TRY(read_value(d, equals + 1, e));
out:
    if (e->code == ERR_USAGE)
        e->code = ERR_DATA; /* the file's mistake, not the command line's */
    return err_in(e, "%s", word);
}

void dimension_free(struct dimension *d)
{
    free(d->value);
    free(d->key);
    *d = (struct dimension){.kind = DIM_VALUE};
}

/* ---- values ---- */

static size_t list_index(size_t values, double u)
{
    size_t i = (size_t)(u * (double)values);

    return i < values ? i : values - 1;
}

const char *dimension_at(const struct dimension *d, double u, char buffer[DIMENSION_TEXT])
{
    char digits[DIMENSION_TEXT];
    double v;

    if (is_list(d))
        return d->value[list_index(d->values, u)];
    if (d->kind == DIM_INTEGER) {
        v = fmin(d->high, d->low + floor(u * (d->high - d->low + 1)));
    } else {
        v = d->kind == DIM_UNIFORM ? d->low + u * (d->high - d->low)
                                   : d->low * exp(u * log(d->high / d->low));
        snprintf(digits, sizeof digits, "%.4g", v);
        v = fmax(d->low, fmin(d->high, strtod(digits, NULL)));
    }
    if (v == floor(v)) /* its ends are at most LARGEST */
        snprintf(buffer, DIMENSION_TEXT, "%lld", (long long)v);
    else
        cli_format_double(buffer, DIMENSION_TEXT, v);
    return buffer;
}

const char *dimension_draw(const struct dimension *d, uint64_t seed, uint32_t draw,
                           char buffer[DIMENSION_TEXT])
{
    struct rng r = rng_at(seed, rng_stream_in(rng_stream("search."), d->key), 0, draw);

    return dimension_at(d, rng_double(&r), buffer);
}

size_t dimension_probes(const struct dimension *d)
{
    return is_list(d) ? d->values : 2;
}

const char *dimension_probe(const struct dimension *d, size_t i, char buffer[DIMENSION_TEXT])
{
    return is_list(d) ? d->value[i] : dimension_at(d, (double)i, buffer);
}
