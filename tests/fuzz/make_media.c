/* SPDX-License-Identifier: MIT */
/* make_media DIR: first inputs of the targets that read media, in DIR/NAME/. They are made when the
 * tests are built: the repository holds no media. */
#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "common/data/jpeg.h"
#include "tests/support/tiny_flv.h"
#include "tests/support/tiny_media.h"

#include <stdio.h>
#include <stdlib.h>

enum { SIDE = 32 };

static enum err_code put(const char *root, const char *target, const char *name, const void *data,
                         size_t len, struct err *e)
{
    char *dir = NULL, *path = NULL;

    TRY(path_join(&dir, root, target, e));
    TRY(dir_make(dir, e));
    TRY(path_join(&path, dir, name, e));
    TRY(atomic_file_put(path, data, len, true, e));
out:
    free(dir);
    free(path);
    return e->code;
}

static enum err_code put_jpeg(const char *root, struct err *e)
{
    static uint8_t rgb[SIDE * SIDE * 3];
    uint8_t *jpeg = NULL;
    size_t len;

    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)(i * 7);
    TRY(jpeg_encode_rgb(rgb, SIDE, SIDE, (size_t)SIDE * 3, 80, &jpeg, &len, e));
    TRY(put(root, "jpeg", "picture", jpeg, len, e));
out:
    free(jpeg);
    return e->code;
}

static enum err_code put_all(const char *root, struct err *e)
{
    static struct tiny tags, sound;
    struct buffer pictures = {0};

    tiny_flv(&tags, 4, 8);
    tiny_wav(&sound, 2, 16000, 600);
    moving_flv(&pictures, 64, 48, 4);
    TRY(dir_make(root, e));
    TRY(put(root, "flv", "tags", tags.data, tags.len, e));
    TRY(put(root, "flv", "pictures", pictures.data, pictures.len, e));
    TRY(put(root, "video", "pictures", pictures.data, pictures.len, e));
    TRY(put(root, "riff", "sound", sound.data, sound.len, e));
    TRY(put(root, "audio", "sound", sound.data, sound.len, e));
    TRY(put_jpeg(root, e));
out:
    buffer_free(&pictures);
    return e->code;
}

int main(int argc, char **argv)
{
    struct err e = {0};

    if (argc != 2)
        return 2;
    if (put_all(argv[1], &e) != ERR_OK)
        fprintf(stderr, "make_media: %s\n", e.text);
    return e.code == ERR_OK ? 0 : 1;
}
