/* SPDX-License-Identifier: MIT */
#include "prep/audio.h"

#include "common/base/mem.h"
#include "prep/riff.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sndfile.h>

struct memory_file {
    const uint8_t *data;
    sf_count_t len, at;
};

static sf_count_t memory_len(void *p)
{
    return ((struct memory_file *)p)->len;
}

static sf_count_t memory_seek(sf_count_t offset, int whence, void *p)
{
    struct memory_file *f = p;
    sf_count_t base = whence == SEEK_CUR ? f->at : whence == SEEK_END ? f->len : 0;

    if (offset < -base || offset > f->len - base)
        return -1;
    return f->at = base + offset;
}

static sf_count_t memory_read(void *out, sf_count_t n, void *p)
{
    struct memory_file *f = p;

    if (n > f->len - f->at)
        n = f->len - f->at;
    memcpy(out, f->data + f->at, (size_t)n);
    f->at += n;
    return n;
}

static sf_count_t memory_write(const void *in, sf_count_t n, void *p)
{
    (void)in;
    (void)n;
    (void)p;
    return 0;
}

static sf_count_t memory_tell(void *p)
{
    return ((struct memory_file *)p)->at;
}

/* All samples, channels interleaved, into out[samples * channels]. */
static enum err_code read_samples(float *out, const char *name, const void *data, size_t len,
                                  const struct riff_info *riff, struct err *e)
{
    static SF_VIRTUAL_IO io = {memory_len, memory_seek, memory_read, memory_write, memory_tell};
    struct memory_file file = {data, (sf_count_t)len, 0};
    SF_INFO info = {0};
    SNDFILE *sound = sf_open_virtual(&io, SFM_READ, &info, &file);

    if (sound == NULL)
        return err_set(e, ERR_FORMAT, "%s: libsndfile: %s", name, sf_strerror(NULL));
    if (info.channels != riff->channels || info.samplerate != (int)riff->rate_hz ||
        info.frames != (sf_count_t)riff->samples)
        (void)err_set(e, ERR_FORMAT,
                      "%s: libsndfile sees %lld samples, %d channels, %d Hz; the RIFF chunks say "
                      "%lld, %d, %u",
                      name, (long long)info.frames, info.channels, info.samplerate,
                      (long long)riff->samples, riff->channels, riff->rate_hz);
    else if (sf_readf_float(sound, out, info.frames) != info.frames)
        (void)err_set(e, ERR_FORMAT, "%s: libsndfile: %s", name, sf_strerror(sound));
    sf_close(sound);
    return e->code;
}

/* In place: mean of the channels. */
static void to_mono(float *pcm, size_t samples, int channels)
{
    if (channels == 2)
        for (size_t i = 0; i < samples; i++)
            pcm[i] = (pcm[2 * i] + pcm[2 * i + 1]) / 2;
}

static bool all_zero(const float *pcm, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (pcm[i] != 0)
            return false;
    return true;
}

static enum err_code resample(struct audio *a, const char *name, const float *pcm, size_t n,
                              uint32_t rate, struct resampler *r, struct err *e)
{
    /* librosa's own arithmetic, double rounding included. What libsoxr leaves at the end stays
     * zero: librosa's fix_length. */
    double ratio = (double)AUDIO_RATE_HZ / rate;
    size_t wanted = (size_t)ceil((double)n * ratio);

    TRY(mem_array(&a->pcm, wanted, sizeof *a->pcm, "resampled sound", e));
    if (resampler_run(r, pcm, n, rate, a->pcm, wanted, e) != ERR_OK)
        (void)err_in(e, "%s", name);
    a->count = wanted;
out:
    return e->code;
}

enum err_code audio_load(struct audio *a, const char *name, const void *data, size_t len,
                         struct resampler *r, struct err *e)
{
    struct riff_info riff;
    float *pcm = NULL;

    *a = (struct audio){0};
    TRY(riff_walk(&riff, name, data, len, e));
    if (riff.samples > (uint64_t)AUDIO_MAX_SECONDS * riff.rate_hz) {
        (void)err_set(e, ERR_DATA, "%s: longer than %d s", name, AUDIO_MAX_SECONDS);
        goto out;
    }
    TRY(mem_array(&pcm, riff.samples, (size_t)riff.channels * sizeof *pcm, "sound", e));
    TRY(read_samples(pcm, name, data, len, &riff, e));
    a->silent = all_zero(pcm, riff.samples * (size_t)riff.channels);
    to_mono(pcm, riff.samples, riff.channels);
    a->source_samples = (int64_t)riff.samples;
    a->source_rate_hz = riff.rate_hz;
    if (riff.rate_hz == AUDIO_RATE_HZ) {
        a->pcm = pcm;
        a->count = riff.samples;
        pcm = NULL;
    } else {
        TRY(resample(a, name, pcm, riff.samples, riff.rate_hz, r, e));
    }
out:
    free(pcm);
    if (e->code != ERR_OK)
        audio_free(a);
    return e->code;
}

void audio_free(struct audio *a)
{
    free(a->pcm);
    *a = (struct audio){0};
}

static char libraries[64];

static void name_libraries(void)
{
    snprintf(libraries, sizeof libraries, "%s, %s", sf_version_string(), resampler_library());
}

const char *audio_libraries(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, name_libraries);
    return libraries;
}
