/* SPDX-License-Identifier: MIT */
/* What no tool may be, for the test of tests/fault/oom: takes no notice of memory that is missing.
 * Like a tool it writes to the file named last. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARTS = 3 };

int main(int argc, char **argv)
{
    FILE *out = fopen(argv[argc - 1], "w");
    char *volatile part;

    if (out == NULL)
        return 1;
    for (int i = 0; i < PARTS; i++) {
        part = malloc(sizeof "part");
        if (part == NULL && i == 0)
            break;
        strcpy(part, "part");
        fputs(part, out);
        free(part);
    }
    return fclose(out) == 0 ? 0 : 1;
}
