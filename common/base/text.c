/* SPDX-License-Identifier: MIT */
#include "common/base/text.h"

#include <string.h>

/* The next control character, or what may begin one, or the end. */
static const char *next_odd(const char *p)
{
    static const char odd[] = "\1\2\3\4\5\6\7\10\11\12\13\14\15\16\17\20\21\22\23\24\25\26\27"
                              "\30\31\32\33\34\35\36\37\177\302";

    return p + strcspn(p, odd);
}

/* Bytes of the control character that next_odd() found; 0: it is none. */
static size_t control_bytes(const char *p)
{
    if (*p != '\302')
        return 1;
    return (p[1] & 0xe0) == 0x80 ? 2 : 0;
}

void text_mask_controls(char *text, const char *keep)
{
    char *p = text;

    while (*(p += next_odd(p) - p) != '\0') {
        size_t n = strchr(keep, *p) != NULL ? 0 : control_bytes(p);

        memset(p, '?', n);
        p += n > 0 ? n : 1;
    }
}

void text_print(FILE *out, const char *text)
{
    for (const char *p = text; *p != '\0';) {
        const char *odd = next_odd(p);
        size_t n = *odd != '\0' ? control_bytes(odd) : 0;

        fwrite(p, 1, (size_t)(odd - p), out);
        fwrite("??", 1, n, out);
        p = odd + n;
        if (n == 0 && *odd != '\0') /* looked like one */
            fputc(*p++, out);
    }
}
