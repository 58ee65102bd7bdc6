/* SPDX-License-Identifier: MIT */
#include "train/report/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NUMBER = 32 };

/* A zero that rounding made has no sign. */
static void number(char out[NUMBER], double v, bool percent, bool sign)
{
    int decimals = percent ? 1 : 3;
    double scaled = percent ? 100 * v : v;
    char digits[NUMBER - 4];

    snprintf(digits, sizeof digits, "%.*f", decimals, fabs(scaled));
    if (strspn(digits, "0.") == strlen(digits))
        snprintf(out, NUMBER, "%s", digits);
    else
        snprintf(out, NUMBER, "%s%s", scaled < 0 ? "−" : sign ? "+" : "", digits);
}

static void score(char out[SCORE_TEXT], const struct summary *s, bool percent, bool sign)
{
    char mean[NUMBER], sd[NUMBER];

    if (s->n == 0) {
        snprintf(out, SCORE_TEXT, "—");
        return;
    }
    number(mean, s->mean, percent, sign);
    number(sd, s->sd, percent, false);
    if (isnan(s->sd))
        snprintf(out, SCORE_TEXT, "%s", mean);
    else
        snprintf(out, SCORE_TEXT, "%s ± %s", mean, sd);
}

void text_score_as(char out[SCORE_TEXT], const struct summary *s, bool percent)
{
    score(out, s, percent, false);
}

void text_score(char out[SCORE_TEXT], const struct summary *s)
{
    score(out, s, true, false);
}

void text_difference(char out[SCORE_TEXT], const struct summary *s)
{
    score(out, s, true, true);
}

void text_interval_as(char out[SCORE_TEXT], const struct summary *s, bool percent, bool sign)
{
    char low[NUMBER], high[NUMBER];

    out[0] = '\0';
    if (isnan(s->low))
        return;
    number(low, s->low, percent, sign);
    number(high, s->high, percent, sign);
    snprintf(out, SCORE_TEXT, "[%s, %s]", low, high);
}

void text_interval(char out[SCORE_TEXT], const struct summary *s, bool sign)
{
    text_interval_as(out, s, true, sign);
}
