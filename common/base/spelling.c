/* SPDX-License-Identifier: MIT */
#include "common/base/spelling.h"

#include <stdint.h>
#include <string.h>

size_t spelling_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), row[64], diag, best;

    if (n > 63 || m > 63 || n > m + 2 || m > n + 2)
        return SIZE_MAX;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        diag = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            best = diag + (a[i - 1] != b[j - 1]);
            diag = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[m];
}
