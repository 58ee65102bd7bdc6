/* SPDX-License-Identifier: MIT */
/* Preparation of real clips: CPU milliseconds per clip of synib-frames and synib-stft, everything
 * they do included (reading, digests, decoding, JPEG, spectrogram, shards). bench/prep.sh runs it
 * in turn with its peer.
 *
 *     bench-prep CLIPS.tsv ROOT SCRATCH JOBS
 *
 * prints "video_ms audio_ms peak_rss_mib". */
#include "prep/frames.h"
#include "prep/stft.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

/* Of the workers too, which have ended when a run has. */
static double cpu_ms(void)
{
    struct timespec t;
    struct rusage children;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    getrusage(RUSAGE_CHILDREN, &children);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6 +
           (double)(children.ru_utime.tv_sec + children.ru_stime.tv_sec) * 1e3 +
           (double)(children.ru_utime.tv_usec + children.ru_stime.tv_usec) * 1e-3;
}

int main(int argc, char **argv)
{
    struct frames_options frames = FRAMES_OPTIONS_DEFAULT;
    struct base_set_options stft = {.cli = {.log.level = LOG_QUIET, .force = true}, .out = stdout};
    struct clip_list list;
    char video[4096], audio[4096];
    struct rusage usage;
    struct err e = {0};
    double t0, t1, t2;

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
    t0 = cpu_ms();
    TRY(frames_run(&frames, &e));
    t1 = cpu_ms();
    TRY(stft_run(&stft, &e));
    t2 = cpu_ms();
    getrusage(RUSAGE_SELF, &usage);
    printf("%.3f %.3f %ld\n", (t1 - t0) / (double)list.usable, (t2 - t1) / (double)list.usable,
           usage.ru_maxrss / 1024);
    clip_list_free(&list);
out:
    return cli_finish("bench-prep", &e);
}
