/* SPDX-License-Identifier: MIT */
#include "prep/stft.h"

#include "common/base/mem.h"
#include "prep/audio.h"
#include "prep/spectrogram.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static_assert((int)AUDIO_RATE_HZ * 3 == (int)SPECTROGRAM_SAMPLES, "three seconds");

enum { LOGSTFT_BYTES = SPECTROGRAM_BINS * SPECTROGRAM_FRAMES * sizeof(float) };

/* One per worker. */
struct scratch {
    struct resampler *resampler;
    struct spectrogram *spectrogram;
};

static void scratch_free(void *p)
{
    struct scratch *s = p;

    if (s == NULL)
        return;
    resampler_free(s->resampler);
    spectrogram_free(s->spectrogram);
    free(s);
}

static enum err_code scratch_new(void **scratch, struct err *e)
{
    struct scratch *s;

    *scratch = NULL;
    TRY(mem_array(&s, 1, sizeof *s, "scratch", e));
    *scratch = s;
    TRY(resampler_new(&s->resampler, &resampler_cremad, e));
    TRY(spectrogram_new(&s->spectrogram, e));
out:
    if (e->code != ERR_OK) {
        scratch_free(*scratch);
        *scratch = NULL;
    }
    return e->code;
}

static enum err_code work(void *ctx, void *p, const struct clip_row *row, const void *data,
                          size_t len, struct base_sample *sample, struct err *e)
{
    const char *name = row->path;
    struct scratch *s = p;
    struct audio sound;
    float *out;

    (void)ctx;
    TRY(audio_load(&sound, name, data, len, s->resampler, e));
    TRY(mem_array(&out, LOGSTFT_BYTES, 1, "spectrogram", e));
    sample->part[0] = out;
    sample->part_len[0] = LOGSTFT_BYTES;
    if (spectrogram_make(s->spectrogram, sound.pcm, sound.count, out, e) != ERR_OK) {
        (void)err_in(e, "%s", name);
        goto out;
    }
    if (sound.silent)
        sample->flags |= FLAG_SILENT_AUDIO;
    if (sound.count < SPECTROGRAM_SAMPLES)
        sample->flags |= FLAG_TILED_AUDIO;
out:
    audio_free(&sound);
    return e->code;
}

/* ln(1e-7) = -16.12 is silence, ln(256) = 5.55 full scale (the window sums to 256). */
static enum err_code check(const struct base_sample *sample, struct err *e)
{
    const float *v = sample->part[0];

    if (sample->part_len[0] != LOGSTFT_BYTES)
        return err_set(e, ERR_FORMAT, "its decoder gave %zu bytes", sample->part_len[0]);
    for (size_t i = 0; i < LOGSTFT_BYTES / sizeof *v; i++)
        if (!(v[i] >= -16.2F && v[i] <= 5.6F))
            return err_set(e, ERR_FORMAT, "its decoder gave %g as a logarithm", (double)v[i]);
    return ERR_OK;
}

enum err_code stft_run(const struct base_set_options *opt, struct err *e)
{
    char config[128], libraries[160];
    struct base_set_tool tool = {
        .name = "synib-stft",
        .step = "stft",
        .media = CLIP_AUDIO,
        .prefix = "audio",
        .fields = N_AUDIO_FIELDS,
        .sample_bytes = sizeof(float) * SPECTROGRAM_BINS * SPECTROGRAM_FRAMES,
        .clip_field = AUDIO_CLIP,
        .actor_field = AUDIO_ACTOR,
        .label_field = AUDIO_LABEL,
        .flags_field = AUDIO_FLAGS,
        .sha256_field = AUDIO_SRC_SHA256,
        .part_field = AUDIO_LOGSTFT,
        .parts = 1,
        .index_field = -1,
        .part_max = LOGSTFT_BYTES,
        .may_flag = FLAG_SILENT_AUDIO | FLAG_TILED_AUDIO,
        .limits = CONTAIN_LIMITS_DEFAULT,
        .keep_flags = FLAG_DUPLICATE_AUDIO | FLAG_DIGEST_DIFFERS | FLAG_LENGTHS_DIFFER |
                      FLAG_KNOWN_ISSUE | FLAG_CLIPPED_AUDIO,
        .config = config,
        .libraries = libraries,
        .scratch_new = scratch_new,
        .scratch_free = scratch_free,
        .work = work,
        .check = check,
    };

    fields_audio(tool.field, SPECTROGRAM_BINS, SPECTROGRAM_FRAMES);
    snprintf(config, sizeof config, "{\"fft\":%d,\"hop\":%d,\"rate_hz\":%d,\"samples\":%d}",
             SPECTROGRAM_FFT, SPECTROGRAM_HOP, AUDIO_RATE_HZ, SPECTROGRAM_SAMPLES);
    snprintf(libraries, sizeof libraries, "%s, %s", audio_libraries(), spectrogram_library());
    return base_set_run(opt, &tool, e);
}
