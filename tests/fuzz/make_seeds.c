/* SPDX-License-Identifier: MIT */
#include "common/base/atomic_file.h"
#include "common/base/bytes.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/data/jpeg.h"
#include "tests/support/hostile.h"
#include "tests/support/tiny_dataset.h"
#include "tests/support/tiny_flv.h"
#include "tests/support/tiny_media.h"
#include "train/checkpoint.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* make_seeds OUT SETS CORPUS: writes inputs of the binary formats into OUT/TARGET/ when the tests
 * are built, for the repository holds no media: the first ones, made by our own writers from
 * numbers alone (SETS holds the sets that they come from), and those that CORPUS/TARGET.hex lists
 * as text. */

enum { MAX_HEX_BYTES = 1 << 20 };

static enum err_code put(const char *out, const char *target, const char *name, const void *data,
                         size_t len, struct err *e)
{
    char *dir = NULL, *path = NULL;

    TRY(path_join(&dir, out, target, e));
    TRY(dir_make(dir, e));
    TRY(path_join(&path, dir, name, e));
    TRY(atomic_file_put(path, data, len, true, e));
out:
    free(dir);
    free(path);
    return e->code;
}

/* The input of fuzz_container() that gives this file. */
static enum err_code put_container(const char *out, const char *target, const char *name,
                                   const uint8_t *file, size_t len, struct err *e)
{
    size_t header = (size_t)load_le64(file), text = header, body = len - 8 - header - 64;
    uint8_t *input = malloc(header + 1 + body);

    if (input == NULL)
        return err_set(e, ERR_NOMEM, "seeds");
    while (text > 0 && file[8 + text - 1] == ' ')
        text--;
    memcpy(input, file + 8, text);
    input[text] = 0;
    memcpy(input + text + 1, file + 8 + header, body);
    (void)put(out, target, name, input, text + 1 + body, e);
    free(input);
    return e->code;
}

/* A file that exists, for the targets of containers or as it is. */
static enum err_code put_file(const char *out, const char *target, const char *name,
                              const char *path, size_t cut, bool container, struct err *e)
{
    struct file_view v = {0};

    TRY(file_map(&v, path, e));
    TRY(container ? put_container(out, target, name, v.data, v.len, e)
                  : put(out, target, name, v.data, v.len - cut, e));
out:
    file_view_free(&v);
    return e->code;
}

static enum err_code put_set(const char *out, const char *made, const char *set, struct err *e)
{
    char dir[1200], path[1600];
    struct name_list shards = {0};

    snprintf(dir, sizeof dir, "%s/%s", made, set);
    TRY(dir_list(&shards, dir, ".safetensors", e));
    for (size_t i = 0; i < shards.count; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, shards.name[i]);
        TRY(put_file(out, "shard", set, path, 0, true, e));
        TRY(put_file(out, "tensorfile", set, path, 0, true, e));
        TRY(put_file(out, "tensorfile_raw", set, path, 0, false, e));
    }
    snprintf(path, sizeof path, "%s/index.jsonl", dir);
    TRY(put_file(out, "index", set, path, 22, false, e));
out:
    name_list_free(&shards);
    return e->code;
}

static enum err_code sets(const char *out, const char *made, struct err *e)
{
    TRY(tiny_bases_write(made, 2, 8, e));
    TRY(tiny_split_write(made, "overlay", 0, 2, false, NULL, e));
    TRY(tiny_split_write(made, "materialised", 0, 1, true, NULL, e));
    TRY(put_set(out, made, "video", e));
    TRY(put_set(out, made, "audio", e));
    TRY(put_set(out, made, "overlay", e));
    TRY(put_set(out, made, "materialised", e));
out:
    return e->code;
}

static enum err_code hostile(const char *out, struct err *e)
{
    size_t len;
    uint8_t *file = hostile_build(HOSTILE_GOOD, HOSTILE_BUFFER, &len);

    TRY(put_container(out, "tensorfile", "smallest", file, len, e));
    TRY(put(out, "tensorfile_raw", "smallest", file, len, e));
out:
    free(file);
    return e->code;
}

static enum err_code checkpoint(const char *out, const char *made, struct err *e)
{
    const struct meta meta[] = {
        {"synib.tool", "synib-train 0.1.0"},
        {"synib.config", "method = synib\nseed = 3\ndata.val = 00\ninit.audio = 11\nlr = 0.001\n"},
    };
    struct run_state state = {.epoch = 3, .step = 120, .best_epoch = 2, .best_score = -0.25};
    struct params *ps = NULL;
    struct param *p;
    char path[1024];

    snprintf(path, sizeof path, "%s/checkpoint.safetensors", made);
    TRY(params_new(&ps, e));
    TRY(params_add(ps, &p, "net.weight", 2, (int64_t[]){3, 2}, e));
    TRY(params_counter(ps, &p, "net.batches", e));
    TRY(params_build(ps, e));
    TRY(checkpoint_save(path, ps, &state, meta, 2, false, e));
    TRY(put_file(out, "checkpoint", "run", path, 0, true, e));
    TRY(put_file(out, "tensorfile", "run", path, 0, true, e));
out:
    params_free(ps);
    return e->code;
}

static enum err_code sounds(const char *out, struct err *e)
{
    static const struct {
        int channels;
        uint32_t rate_hz;
        int samples;
    } kinds[] = {{1, 22050, 64}, {2, 44100, 40}, {1, 16000, 100}, {1, 48000, 1}};
    struct tiny t;
    char name[32];

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        tiny_wav(&t, kinds[i].channels, kinds[i].rate_hz, kinds[i].samples);
        snprintf(name, sizeof name, "sound%zu", i);
        TRY(put(out, "riff", name, t.data, t.len, e));
        TRY(put(out, "audio", name, t.data, t.len, e));
    }
    tiny_add(&t, "LIST\x0e\0\0\0INFOINAM\x02\0\0\0a\0", 22);
    tiny_wav_fix(&t);
    TRY(put(out, "riff", "list", t.data, t.len, e));
    TRY(put(out, "audio", "list", t.data, t.len, e));
out:
    return e->code;
}

static enum err_code films(const char *out, struct err *e)
{
    static const int sizes[][3] = {{16, 16, 3}, {32, 16, 5}, {64, 48, 2}};
    struct tiny t;
    char name[32];

    for (int codec = 2; codec <= 4; codec += 2) {
        tiny_flv(&t, codec, 3);
        snprintf(name, sizeof name, "codec%d", codec);
        TRY(put(out, "flv", name, t.data, t.len, e));
        TRY(put(out, "video", name, t.data, t.len, e));
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct buffer flv;

        moving_flv(&flv, sizes[i][0], sizes[i][1], (size_t)sizes[i][2]);
        snprintf(name, sizeof name, "moving%zu", i);
        (void)put(out, "video", name, flv.data, flv.len, e);
        if (i == 0)
            (void)put(out, "flv", name, flv.data, flv.len, e);
        buffer_free(&flv);
        TRY(e->code);
    }
out:
    return e->code;
}

static enum err_code pictures(const char *out, struct err *e)
{
    static const int kinds[][3] = {{8, 8, 50}, {40, 24, 90}, {17, 33, 75}, {1, 1, 100}};
    uint8_t rgb[40 * 33 * 3];
    char name[32];

    for (size_t i = 0; i < sizeof rgb; i++)
        rgb[i] = (uint8_t)(i * i / 7 + i % 3 * 40);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        uint8_t *jpeg;
        size_t len;

        TRY(jpeg_encode_rgb(rgb, kinds[i][0], kinds[i][1], 40 * 3, kinds[i][2], &jpeg, &len, e));
        snprintf(name, sizeof name, "picture%zu", i);
        (void)put(out, "jpeg", name, jpeg, len, e);
        free(jpeg);
        TRY(e->code);
    }
out:
    return e->code;
}

/* ---- what campaigns found ---- */

/* The bytes of a line of hexadecimal digits, up to the first character that is none; returns how
 * many. */
static size_t unhex(uint8_t *out, size_t room, const char *line)
{
    size_t n = 0;
    unsigned byte;

    while (n < room && isxdigit((unsigned char)line[2 * n]) &&
           sscanf(line + 2 * n, "%2x", &byte) == 1)
        out[n++] = (uint8_t)byte;
    return n;
}

/* Lines "NAME HEX"; '#' begins a comment. */
static enum err_code put_lines(const char *out, const char *target, char *text, struct err *e)
{
    uint8_t data[4096];
    char *rest = NULL;

    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        char *space = strchr(line, ' ');

        if (*line == '#' || space == NULL)
            continue;
        *space = '\0';
        TRY(put(out, target, line, data, unhex(data, sizeof data, space + 1), e));
    }
out:
    return e->code;
}

static enum err_code found(const char *out, const char *corpus, struct err *e)
{
    struct name_list names = {0};
    struct file_view v = {0};
    char *path = NULL, *text = NULL;

    TRY(dir_list(&names, corpus, ".hex", e));
    for (size_t i = 0; i < names.count; i++) {
        TRY(path_join(&path, corpus, names.name[i], e));
        TRY(file_read(&v, path, MAX_HEX_BYTES, e));
        TRY(mem_array(&text, v.len + 1, 1, path, e));
        memcpy(text, v.data, v.len);
        names.name[i][strlen(names.name[i]) - strlen(".hex")] = '\0';
        TRY(put_lines(out, names.name[i], text, e));
        file_view_free(&v);
        free(text);
        free(path);
        text = path = NULL;
    }
out:
    file_view_free(&v);
    free(text);
    free(path);
    name_list_free(&names);
    return e->code;
}

int main(int argc, char **argv)
{
    struct err e = {0};

    if (argc != 4) {
        fprintf(stderr, "usage: %s OUT SETS CORPUS\n", argv[0]);
        return 2;
    }
    TRY(dir_make(argv[1], &e));
    TRY(dir_make(argv[2], &e));
    TRY(sets(argv[1], argv[2], &e));
    TRY(hostile(argv[1], &e));
    TRY(checkpoint(argv[1], argv[2], &e));
    TRY(sounds(argv[1], &e));
    TRY(films(argv[1], &e));
    TRY(pictures(argv[1], &e));
    TRY(found(argv[1], argv[3], &e));
out:
    if (e.code != ERR_OK)
        fprintf(stderr, "%s: %s\n", argv[0], e.text);
    return e.code == ERR_OK ? 0 : 1;
}
