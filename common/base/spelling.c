/* SPDX-License-Identifier: MIT */
#include "common/base/spelling.h"

#include <stdint.h>
#include <string.h>

/* Row by row of Levenshtein's table. A cell is at least its distance from the diagonal, so only the
 * cells next to it count, and a row without a small one ends the search. */
size_t spelling_distance(const char *a, const char *b)
{
    enum { MOST = SPELLING_SLIPS, LONGEST = 63 };
    size_t n = strlen(a), m = strlen(b), row[LONGEST + 2], least;

    if (n > LONGEST || m > LONGEST || n > m + MOST || m > n + MOST)
        return SIZE_MAX;
    for (size_t j = 0; j <= m + 1; j++)
        row[j] = j <= MOST ? j : MOST + 1;
    for (size_t i = 1; i <= n; i++) {
        size_t from = i > MOST ? i - MOST : 1, to = i + MOST < m ? i + MOST : m;
        size_t diagonal = row[from - 1];

        row[from - 1] = from == 1 ? i : MOST + 1;
        least = row[from - 1];
        for (size_t j = from; j <= to; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);

            diagonal = row[j];
            if (diagonal + 1 < best)
                best = diagonal + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
            least = best < least ? best : least;
        }
        if (least > MOST)
            return SIZE_MAX;
    }
    return row[m] <= MOST ? row[m] : SIZE_MAX;
}
