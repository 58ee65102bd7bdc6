/* SPDX-License-Identifier: MIT */
#include "prep/synth_encode.h"

#include "common/base/mem.h"
#include "prep/synth_face.h"
#include "prep/synth_voice.h"

#include <stdlib.h>
#include <string.h>

/* Real clips have 256 kbit/s of sound and about 800 of picture; quantiser 6 gives about half of
 * that for drawn pictures. */
enum { MP3_BIT_RATE = 256000, QUANTISER = 6 };

struct clip_maker {
    struct studio studio;
    struct voice_plan plan;
    struct upsampler upsampler;
    float work[VOICE_MAX_SAMPLES];
    int16_t *pcm;  /* 16 kHz */
    int16_t *fine; /* 44.1 kHz */
    size_t pcm_cap, fine_cap;
    int samples;
    struct packets video, audio;
    struct buffer flv, wav;
};

enum err_code clip_maker_open(struct clip_maker **m, struct err *e)
{
    TRY(mem_array(m, 1, sizeof **m, "clip maker", e));
    upsampler_init(&(*m)->upsampler);
out:
    return e->code;
}

void clip_maker_close(struct clip_maker *m)
{
    if (m == NULL)
        return;
    free(m->pcm);
    free(m->fine);
    packets_free(&m->video);
    packets_free(&m->audio);
    buffer_free(&m->flv);
    buffer_free(&m->wav);
    free(m);
}

const struct buffer *clip_maker_flv(const struct clip_maker *m)
{
    return &m->flv;
}

const struct buffer *clip_maker_wav(const struct clip_maker *m)
{
    return &m->wav;
}

const int16_t *clip_maker_pcm(const struct clip_maker *m, int *samples)
{
    *samples = m->samples;
    return m->pcm;
}

static enum err_code make_sound(struct clip_maker *m, const struct synth_clip *clip, int frames,
                                struct err *e)
{
    size_t need;

    m->samples = voice_samples_of_frames(frames, VOICE_RATE_HZ);
    need = (size_t)(m->samples > VOICE_MAX_SAMPLES ? m->samples : VOICE_MAX_SAMPLES);
    TRY(mem_grow(&m->pcm, &m->pcm_cap, need, sizeof m->pcm[0], "sound", e));
    TRY(mem_grow(&m->fine, &m->fine_cap, (size_t)upsampled_count((int)need), sizeof m->fine[0],
                 "sound", e));
    voice_render(&m->plan, clip, m->pcm, m->work);
    if (m->samples > m->plan.samples)
        memset(m->pcm + m->plan.samples, 0,
               (size_t)(m->samples - m->plan.samples) * sizeof m->pcm[0]);
    upsample(&m->upsampler, m->pcm, m->samples, m->fine);
    packets_clear(&m->audio);
    TRY(mp3_encode(m->fine, (size_t)upsampled_count(m->samples), FLV_AUDIO_RATE_HZ, MP3_BIT_RATE,
                   &m->audio, e));
out:
    return e->code;
}

static enum err_code make_pictures(struct clip_maker *m, const struct synth_clip *clip, int frames,
                                   bool black, struct err *e)
{
    const struct video_options opt = {DRAW_WIDTH, DRAW_HEIGHT, QUANTISER};
    struct video_encoder *encoder = NULL;
    struct studio *s = &m->studio;

    packets_clear(&m->video);
    TRY(video_encoder_open(&encoder, &opt, e));
    studio_begin(s, clip);
    if (black)
        picture_fill(&s->out, (struct colour){16, 128, 128});
    for (int i = 0; i < frames; i++) {
        if (!black && i < m->plan.frames)
            studio_frame(s, &m->plan, i);
        TRY(video_encoder_add(encoder, s->out.y[0], s->out.u[0], s->out.v[0], &m->video, e));
    }
out:
    video_encoder_close(encoder);
    return e->code;
}

enum err_code clip_maker_make(struct clip_maker *m, const struct synth_clip *clip,
                              const struct clip_change *change, struct err *e)
{
    int frames, pictures;
    struct flv_content content = {
        .width = DRAW_WIDTH, .height = DRAW_HEIGHT, .audio_kbit = MP3_BIT_RATE / 1000.0};

    voice_plan_make(&m->plan, clip);
    frames = change->total_frames > 0 ? change->total_frames : m->plan.frames;
    pictures = change->video_frames > 0 ? change->video_frames : frames;
    TRY(make_sound(m, clip, frames, e));
    TRY(make_pictures(m, clip, change->no_video ? 0 : pictures, change->black, e));
    content.seconds = (frames > pictures ? frames : pictures) * 1001.0 / 30000;
    content.video = change->no_video ? NULL : &m->video;
    content.video_count = change->no_pictures ? 0 : m->video.count;
    content.audio = change->no_audio ? NULL : &m->audio;
    m->flv.len = 0;
    m->wav.len = 0;
    TRY(flv_write(&m->flv, &content, e));
    TRY(wav_write(&m->wav, m->pcm, (size_t)m->samples, 1, VOICE_RATE_HZ, e));
out:
    return err_in(e, "clip %s", clip->name);
}
