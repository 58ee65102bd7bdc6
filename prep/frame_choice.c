/* SPDX-License-Identifier: MIT */
#include "prep/frame_choice.h"

#include "common/base/rng.h"

const char *const frame_grid_names[] = {"reference", "ffmpeg-fps", "uniform", NULL};

enum { MAX_FPS = 1000 };

/* 0, F, 2F, as far as the clip goes. */
static int reference_grid(int64_t *index, double fps, int64_t frames)
{
    int64_t step = (int64_t)fps;
    int n = 0;

    for (int64_t i = 0; n < FRAMES_PER_CLIP && i < frames; i += step)
        index[n++] = i;
    return n;
}

/* Milliseconds to whole seconds, halves away from zero: AV_ROUND_NEAR_INF. */
static int64_t near_second(int64_t ms)
{
    return ms < 0 ? -((500 - ms) / 1000) : (ms + 500) / 1000;
}

/* The filter holds each frame until the next one's rounded time and emits one per second from the
 * first frame's rounded time up to, but not including, the end's. A frame that would be emitted
 * twice is kept once. */
static int fps_filter_grid(int64_t *index, int64_t frames, const int64_t *time_ms)
{
    int64_t span = time_ms[frames - 1] - time_ms[0];
    int64_t end = near_second(time_ms[frames - 1] + (frames > 1 ? span / (frames - 1) : 0));
    int64_t i = 0;
    int n = 0;

    for (int64_t s = near_second(time_ms[0]); n < FRAMES_PER_CLIP && s < end; s++) {
        while (i + 1 < frames && near_second(time_ms[i + 1]) <= s)
            i++;
        if (n == 0 || index[n - 1] != i)
            index[n++] = i;
    }
    return n;
}

static bool taken(const int64_t *index, int n, int64_t i)
{
    for (int k = 0; k < n; k++)
        if (index[k] == i)
            return true;
    return false;
}

static void top_up(int64_t *index, int n, int64_t frames, uint64_t seed, const char *clip)
{
    struct rng r = rng_at(seed, rng_stream("frames.topup"), 0, rng_stream(clip));

    while (n < FRAMES_PER_CLIP) {
        int64_t i = rng_below(&r, (uint32_t)frames);
        int at = n;

        if (taken(index, n, i))
            continue;
        for (; at > 0 && index[at - 1] > i; at--)
            index[at] = index[at - 1];
        index[at] = i;
        n++;
    }
}

enum err_code frames_choose(struct frame_choice *choice, enum frame_grid grid, double fps,
                            int64_t frames, const int64_t *time_ms, uint64_t seed, const char *clip,
                            struct err *e)
{
    int n = 0;

    *choice = (struct frame_choice){0};
    if (frames < FRAMES_PER_CLIP || frames > INT32_MAX)
        return err_set(e, ERR_DATA, "%lld frame%s: need %d", (long long)frames,
                       frames == 1 ? "" : "s", FRAMES_PER_CLIP);
    if (!(fps >= 1.0 && fps <= MAX_FPS))
        return err_set(e, ERR_DATA, "%g frames per second: outside 1 to %d", fps, MAX_FPS);
    switch (grid) {
    case GRID_REFERENCE: n = reference_grid(choice->index, fps, frames); break;
    case GRID_FFMPEG_FPS: n = fps_filter_grid(choice->index, frames, time_ms); break;
    case GRID_UNIFORM:
        for (; n < FRAMES_PER_CLIP; n++)
            choice->index[n] = (2 * n + 1) * frames / (2 * FRAMES_PER_CLIP);
        break;
    }
    choice->topped_up = n < FRAMES_PER_CLIP;
    top_up(choice->index, n, frames, seed, clip);
    return ERR_OK;
}
