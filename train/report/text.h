/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_REPORT_TEXT_H
#define TRAIN_REPORT_TEXT_H

#include "train/report/stats.h"

/* Numbers as people read them, with one decimal of a per cent, or three decimals. UTF-8: "±", "−"
 * for minus, "—" for none. */

enum { SCORE_TEXT = 96 };

/* "41.2 ± 1.3"; of one run "41.2"; "—" of none. */
void text_score(char out[SCORE_TEXT], const struct summary *s);
/* The same with a sign, for differences: "+1.2 ± 0.4". */
void text_difference(char out[SCORE_TEXT], const struct summary *s);
/* "[38.0, 44.1]", "" when there is none. */
void text_interval(char out[SCORE_TEXT], const struct summary *s, bool sign);
/* The same, in per cent or as they are. */
void text_score_as(char out[SCORE_TEXT], const struct summary *s, bool percent);
void text_interval_as(char out[SCORE_TEXT], const struct summary *s, bool percent, bool sign);

#endif
