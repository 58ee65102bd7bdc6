/* SPDX-License-Identifier: MIT */
/* seed_flv TAGS PICTURES: writes two small FLV files: one whole in structure only, one that
 * decodes. */
#include "tests/support/tiny_flv.h"
#include "tests/support/tiny_media.h"

#include <stdio.h>

static int put(const char *path, const void *data, size_t len)
{
    FILE *f = fopen(path, "wb");
    int ok = f != NULL && fwrite(data, 1, len, f) == len;

    if (f != NULL)
        ok = fclose(f) == 0 && ok;
    return ok;
}

int main(int argc, char **argv)
{
    struct buffer pictures = {0};
    static struct tiny tags, sound;
    int ok;

    if (argc != 4)
        return 2;
    tiny_flv(&tags, 4, 8);
    tiny_wav(&sound, 2, 16000, 600);
    moving_flv(&pictures, 64, 48, 4);
    ok = put(argv[1], tags.data, tags.len) && put(argv[2], pictures.data, pictures.len) &&
         put(argv[3], sound.data, sound.len);
    buffer_free(&pictures);
    return ok ? 0 : 1;
}
