/* SPDX-License-Identifier: MIT */
/* Cold start: milliseconds that bench/start.sh tabulates.
 *
 *     bench-start make DIR GIB          writes a base set of spectrograms of about that size
 *     bench-start open DIR              opens it, reads the middle sample, prints both times in ms
 *     bench-start time RUNS COMMAND...  wall ms of a process from start to end, one line per run;
 *                                       its output goes nowhere */
#include "bench/lib/measure.h"
#include "common/base/cli.h"
#include "common/base/mem.h"
#include "common/data/fields.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { VALUES = SPECTROGRAM_BINS * SPECTROGRAM_FRAMES };

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

static enum err_code make(const char *dir, double gib, struct err *e)
{
    struct shard_options opt = {.prefix = "audio", .force = true};
    struct shard_field field[N_AUDIO_FIELDS];
    struct shard_writer *w = NULL, *done;
    float *values = NULL;
    int64_t n = (int64_t)(gib * (1 << 30) / (VALUES * sizeof *values)) + 1;

    fields_audio(field, SPECTROGRAM_BINS, SPECTROGRAM_FRAMES);
    TRY(mem_array(&values, VALUES, sizeof *values, "spectrogram", e));
    for (int64_t i = 0; i < VALUES; i++)
        values[i] = (float)(i % 1000) / 100 - 9;
    TRY(shard_writer_open(&w, dir, &opt, field, N_AUDIO_FIELDS, e));
    for (int64_t i = 0; i < n; i++)
        TRY(add_sample(w, i, values, e));
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
        (void)make(argv[2], atof(argv[3]), &e);
    else if (argc == 3 && strcmp(argv[1], "open") == 0)
        (void)open_and_read(argv[2], &e);
    else if (argc >= 4 && strcmp(argv[1], "time") == 0)
        (void)time_command(atoi(argv[2]), argv + 3, &e);
    else
        (void)err_set(&e, ERR_USAGE, "make DIR GIB | open DIR | time RUNS COMMAND...");
    return cli_finish("bench-start", &e);
}
