/* SPDX-License-Identifier: MIT */
/* Preparation of real clips, CPU milliseconds per clip; bench/prep.sh runs it in turn with its
 * peers.
 *
 *     bench-prep CLIPS.tsv ROOT SCRATCH JOBS
 *
 * prints "video audio compute video_wall audio_wall peak": CPU ms per clip of synib-frames and of
 * synib-stft with everything they do (reading, digests, decoding in workers, JPEG, spectrogram,
 * shards on disk), of reading a WAV and computing its spectrogram alone, the wall ms per clip of
 * both tools, the peak memory in MiB of the largest process. */
#include "bench/lib/measure.h"
#include "common/base/file.h"
#include "common/base/mem.h"
#include "prep/audio.h"
#include "prep/frames.h"
#include "prep/spectrogram.h"
#include "prep/stft.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { MAX_WAV_BYTES = 1 << 24 };

static double time_ms(clockid_t clock)
{
    return seconds(clock) * 1e3;
}

/* Of the workers too, which have ended when a run has. */
static double cpu_ms(void)
{
    struct rusage children;

    getrusage(RUSAGE_CHILDREN, &children);
    return time_ms(CLOCK_PROCESS_CPUTIME_ID) +
           (double)(children.ru_utime.tv_sec + children.ru_stime.tv_sec) * 1e3 +
           (double)(children.ru_utime.tv_usec + children.ru_stime.tv_usec) * 1e-3;
}

static long peak_mib(void)
{
    struct rusage own, children;

    getrusage(RUSAGE_SELF, &own);
    getrusage(RUSAGE_CHILDREN, &children);
    return (own.ru_maxrss > children.ru_maxrss ? own.ru_maxrss : children.ru_maxrss) / 1024;
}

static enum err_code spectrum_of(struct resampler *r, struct spectrogram *s, const char *root,
                                 const char *name, float *out, struct err *e)
{
    struct file_view file = {0};
    struct audio sound = {0};
    char *path = NULL;

    TRY(path_join(&path, root, name, e));
    TRY(file_read(&file, path, MAX_WAV_BYTES, e));
    TRY(audio_load(&sound, name, file.data, file.len, r, e));
    TRY(spectrogram_make(s, sound.pcm, sound.count, out, e));
out:
    audio_free(&sound);
    file_view_free(&file);
    free(path);
    return e->code;
}

/* CPU ms per WAV after a first one, which makes the plan. */
static enum err_code compute_alone(double *ms, const char *clips, const char *root, struct err *e)
{
    struct resampler *r = NULL;
    struct spectrogram *s = NULL;
    struct clip_list list = {0};
    float *out = NULL;
    double start = 0;
    size_t done = 0;

    TRY(clip_list_read(&list, clips, CLIP_AUDIO, e));
    TRY(resampler_new(&r, &resampler_cremad, e));
    TRY(spectrogram_new(&s, e));
    TRY(mem_array(&out, SPECTROGRAM_BINS * SPECTROGRAM_FRAMES, sizeof *out, "spectrogram", e));
    for (size_t i = 0; i < list.count; i++) {
        if (list.row[i].rejected)
            continue;
        if (done++ == 0) {
            TRY(spectrum_of(r, s, root, list.row[i].path, out, e));
            start = time_ms(CLOCK_PROCESS_CPUTIME_ID);
        }
        TRY(spectrum_of(r, s, root, list.row[i].path, out, e));
    }
    *ms = (time_ms(CLOCK_PROCESS_CPUTIME_ID) - start) / (double)done;
out:
    free(out);
    resampler_free(r);
    spectrogram_free(s);
    clip_list_free(&list);
    return e->code;
}

int main(int argc, char **argv)
{
    struct frames_options frames = FRAMES_OPTIONS_DEFAULT;
    struct base_set_options stft = {.cli = {.log.level = LOG_QUIET, .force = true}, .out = stdout};
    struct clip_list list = {0};
    char video[4096], audio[4096];
    struct err e = {0};
    double cpu[3], wall[3], compute = 0, n;

    if (argc != 5) {
        fprintf(stderr, "usage: bench-prep CLIPS.tsv ROOT SCRATCH JOBS\n");
        return 2;
    }
    snprintf(video, sizeof video, "%s/video", argv[3]);
    snprintf(audio, sizeof audio, "%s/audio", argv[3]);
    stft.clips = argv[1];
    stft.root = argv[2];
    stft.cli.jobs = atoi(argv[4]);
    frames.base = stft;
    frames.base.output = video;
    stft.output = audio;
    TRY(clip_list_read(&list, argv[1], CLIP_VIDEO, &e));
    cpu[0] = cpu_ms();
    wall[0] = time_ms(CLOCK_MONOTONIC);
    TRY(frames_run(&frames, &e));
    cpu[1] = cpu_ms();
    wall[1] = time_ms(CLOCK_MONOTONIC);
    TRY(stft_run(&stft, &e));
    cpu[2] = cpu_ms();
    wall[2] = time_ms(CLOCK_MONOTONIC);
    TRY(compute_alone(&compute, argv[1], argv[2], &e));
    n = (double)list.usable;
    printf("%.3f %.3f %.3f %.3f %.3f %ld\n", (cpu[1] - cpu[0]) / n, (cpu[2] - cpu[1]) / n, compute,
           (wall[1] - wall[0]) / n, (wall[2] - wall[1]) / n, peak_mib());
out:
    clip_list_free(&list);
    return cli_finish("bench-prep", &e);
}
