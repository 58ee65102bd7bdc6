/* SPDX-License-Identifier: MIT */
#include "prep/stft.h"

#include "common/base/mem.h"
#include "prep/audio.h"
#include "prep/spectrogram.h"

#include <assert.h>
#include <stdio.h>

static_assert((int)AUDIO_RATE_HZ * 3 == (int)SPECTROGRAM_SAMPLES, "three seconds");

static enum err_code scratch_new(void **scratch, struct err *e)
{
    struct spectrogram *s;
    enum err_code rc = spectrogram_new(&s, e);

    *scratch = s;
    return rc;
}

static void scratch_free(void *scratch)
{
    spectrogram_free(scratch);
}

static enum err_code work(void *ctx, void *scratch, const struct clip_row *row, const void *data,
                          size_t len, struct base_sample *sample, struct err *e)
{
    const char *name = row->path;
    const size_t count = (size_t)SPECTROGRAM_BINS * SPECTROGRAM_FRAMES;
    struct audio sound;
    float *out;

    (void)ctx;
    TRY(audio_load(&sound, name, data, len, e));
    TRY(mem_array(&out, count, sizeof *out, "spectrogram", e));
    sample->owned[0] = out;
    sample->value[AUDIO_LOGSTFT] = (struct shard_value){out, count * sizeof *out};
    if (spectrogram_make(scratch, sound.pcm, sound.count, out, e) != ERR_OK) {
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
        .keep_flags = FLAG_DUPLICATE_AUDIO | FLAG_DIGEST_DIFFERS | FLAG_LENGTHS_DIFFER |
                      FLAG_KNOWN_ISSUE | FLAG_CLIPPED_AUDIO,
        .config = config,
        .libraries = libraries,
        .scratch_new = scratch_new,
        .scratch_free = scratch_free,
        .work = work,
    };

    fields_audio(tool.field, SPECTROGRAM_BINS, SPECTROGRAM_FRAMES);
    snprintf(config, sizeof config, "{\"fft\":%d,\"hop\":%d,\"rate_hz\":%d,\"samples\":%d}",
             SPECTROGRAM_FFT, SPECTROGRAM_HOP, AUDIO_RATE_HZ, SPECTROGRAM_SAMPLES);
    snprintf(libraries, sizeof libraries, "%s, %s", audio_libraries(), spectrogram_library());
    return base_set_run(opt, &tool, e);
}
