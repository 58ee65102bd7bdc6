/* SPDX-License-Identifier: MIT */
/* Cold start: milliseconds that bench/start.sh tabulates.
 *
 *     bench-start make DIR GIB          writes a base set of spectrograms of about that size
 *     bench-start make-video DIR GIB    one of pictures instead, of 40 to 120 kB each
 *     bench-start open DIR              opens it, reads the middle sample, prints both times in ms
 *     bench-start time RUNS COMMAND...  wall ms of a process from start to end, one line per run;
 *                                       its output goes nowhere */
#include "bench/lib/measure.h"
#include "common/base/cli.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/data/fields.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { VALUES = SPECTROGRAM_BINS * SPECTROGRAM_FRAMES, LEAST_JPEG = 40000, MOST_JPEG = 120000 };

static_assert(MOST_JPEG <= VALUES * sizeof(float), "pictures are made of the same bytes");

static double now_ms(void)
{
    return seconds(CLOCK_MONOTONIC) * 1e3;
}

static enum err_code add_sample(struct shard_writer *w, int64_t i, float *values, struct err *e)
{
    uint8_t clip[CLIP_NAME_SIZE], sha256[32] = {0};
    int32_t actor = 1001, label = 0, flags = 0;
    struct shard_value value[N_AUDIO_FIELDS] = {
        [AUDIO_CLIP] = {clip, sizeof clip},     [AUDIO_LOGSTFT] = {values, VALUES * sizeof *values},
        [AUDIO_ACTOR] = {&actor, sizeof actor}, [AUDIO_LABEL] = {&label, sizeof label},
        [AUDIO_FLAGS] = {&flags, sizeof flags}, [AUDIO_SRC_SHA256] = {sha256, sizeof sha256},
    };
    char name[CLIP_NAME_SIZE];

    snprintf(name, sizeof name, "clip%08lld", (long long)i);
    TRY(clip_name_pack(clip, name, e));
    values[i % VALUES] = (float)i; /* no two alike */
    TRY(shard_writer_add(w, value, e));
out:
    return e->code;
}

/* Verifying looks at no picture: any bytes will do. */
static enum err_code add_pictures(struct shard_writer *w, int64_t i, const void *bytes,
                                  struct err *e)
{
    struct rng r = rng_at(1, rng_stream("bench.start"), 0, (uint32_t)i);
    uint8_t clip[CLIP_NAME_SIZE], sha256[32] = {0};
    int32_t actor = 1001, label = 0, flags = 0, index[3] = {0, 1, 2};
    struct shard_value value[N_VIDEO_FIELDS] = {
        [VIDEO_CLIP] = {clip, sizeof clip},     [VIDEO_FRAME_INDEX] = {index, sizeof index},
        [VIDEO_ACTOR] = {&actor, sizeof actor}, [VIDEO_LABEL] = {&label, sizeof label},
        [VIDEO_FLAGS] = {&flags, sizeof flags}, [VIDEO_SRC_SHA256] = {sha256, sizeof sha256},
    };
    char name[CLIP_NAME_SIZE];

    snprintf(name, sizeof name, "clip%08lld", (long long)i);
    TRY(clip_name_pack(clip, name, e));
    for (int f = 0; f < 3; f++)
        value[VIDEO_JPEG0 + f] =
            (struct shard_value){bytes, LEAST_JPEG + rng_below(&r, MOST_JPEG - LEAST_JPEG)};
    TRY(shard_writer_add(w, value, e));
out:
    return e->code;
}

static enum err_code make(const char *dir, double gib, bool video, struct err *e)
{
    struct shard_options opt = {.prefix = video ? "video" : "audio", .force = true};
    const size_t bytes = video ? 3 * (LEAST_JPEG + MOST_JPEG) / 2 : VALUES * sizeof(float);
    int64_t n = (int64_t)(gib * (1 << 30) / (double)bytes) + 1;
    struct shard_field field[SHARD_MAX_FIELDS];
    struct shard_writer *w = NULL, *done;
    float *values = NULL;

    if (video)
        fields_video(field);
    else
        fields_audio(field, SPECTROGRAM_BINS, SPECTROGRAM_FRAMES);
    TRY(mem_array(&values, VALUES, sizeof *values, "values", e));
    for (int64_t i = 0; i < VALUES; i++)
        values[i] = (float)(i % 1000) / 100 - 9;
    TRY(shard_writer_open(&w, dir, &opt, field, video ? N_VIDEO_FIELDS : N_AUDIO_FIELDS, e));
    for (int64_t i = 0; i < n; i++)
        TRY(video ? add_pictures(w, i, values, e) : add_sample(w, i, values, e));
    done = w;
    w = NULL;
    TRY(shard_writer_commit(done, e));
out:
    shard_writer_abort(w);
    free(values);
    return e->code;
}

static enum err_code open_and_read(const char *dir, struct err *e)
{
    struct shard_set *s = NULL;
    struct shard_value v;
    double start = now_ms(), opened;

    TRY(shard_set_open(&s, dir, e));
    opened = now_ms();
    TRY(shard_set_get(s, shard_set_count(s) / 2, AUDIO_LOGSTFT, &v, e));
    printf("%.3f %.3f\n", opened - start, now_ms() - opened);
out:
    shard_set_close(s);
    return e->code;
}

static enum err_code time_command(int runs, char **command, struct err *e)
{
    posix_spawn_file_actions_t quiet;

    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    for (int i = 0; i < runs; i++) {
        double start = now_ms();
        int status = 0;
        pid_t pid;

        errno = posix_spawn(&pid, command[0], &quiet, NULL, command, environ);
        if (errno != 0)
            FAIL(err_sys(e, "%s: cannot start", command[0]));
        if (waitpid(pid, &status, 0) != pid || status != 0)
            FAIL(err_set(e, ERR_IO, "%s: failed", command[0]));
        printf("%.3f\n", now_ms() - start);
    }
out:
    posix_spawn_file_actions_destroy(&quiet);
    return e->code;
}

int main(int argc, char **argv)
{
    struct err e = {0};

    if (argc == 4 && strcmp(argv[1], "make") == 0)
        (void)make(argv[2], atof(argv[3]), false, &e);
    else if (argc == 4 && strcmp(argv[1], "make-video") == 0)
        (void)make(argv[2], atof(argv[3]), true, &e);
    else if (argc == 3 && strcmp(argv[1], "open") == 0)
        (void)open_and_read(argv[2], &e);
    else if (argc >= 4 && strcmp(argv[1], "time") == 0)
        (void)time_command(atoi(argv[2]), argv + 3, &e);
    else
        (void)err_set(&e, ERR_USAGE,
                      "make DIR GIB | make-video DIR GIB | open DIR | time RUNS COMMAND...");
    return cli_finish("bench-start", &e);
}
