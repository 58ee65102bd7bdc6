/* SPDX-License-Identifier: MIT */
#include "common/base/hash.h"
#include "prep/flv.h"
#include "prep/riff.h"
#include "prep/synth_apart.h"
#include "prep/synth_face.h"
#include "prep/synth_math.h"
#include "prep/synth_voice.h"
#include "tests/support/check.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NEU, HAP, SAD, FEA, DIS, ANG, CASTS = 6 };

static void test_elementary_functions(void **state)
{
    (void)state;
    for (double x = -40; x <= 40; x += 0.37) {
        assert_true(fabs(synth_sin(x) - sin(x)) < 1e-12);
        assert_true(fabs(synth_cos(x) - cos(x)) < 1e-12);
        assert_true(fabs(synth_exp2(x) / exp2(x) - 1) < 1e-13);
        assert_true(fabs(synth_db(x) / pow(10, x / 20) - 1) < 1e-12);
    }
}

static void test_normal_draws(void **state)
{
    struct rng r = rng_at(1, rng_stream("test"), 0, 0);
    double sum = 0, squares = 0;
    const int n = 20000;

    (void)state;
    for (int i = 0; i < n; i++) {
        double v = synth_normal(&r);

        sum += v;
        squares += v * v;
    }
    assert_true(fabs(sum / n) < 0.03);
    assert_true(fabs(squares / n - 1) < 0.05);
}

static void test_clip_names(void **state)
{
    struct synth_clip clip;

    (void)state;
    assert_int_equal(synth_clips_per_actor(1), 16);
    assert_int_equal(synth_clips_per_actor(12), 82); /* as in CREMA-D */
    clip = synth_clip_at(1, 1001, 0);
    assert_string_equal(clip.name, "1001_IEO_NEU_XX");
    clip = synth_clip_at(1, 1002, 3);
    assert_string_equal(clip.name, "1002_IEO_HAP_HI");
    clip = synth_clip_at(1, 1091, 81);
    assert_string_equal(clip.name, "1091_WSI_ANG_XX");
}

/* Coverage of a polygon whose area is known, in luma and chroma. */
static void test_polygon_area(void **state)
{
    struct picture *pic = calloc(1, sizeof *pic);
    struct raster *r = malloc(sizeof *r);
    const struct point quad[] = {
        {10.25f, 20.5f}, {110.75f, 20.5f}, {110.75f, 60.25f}, {10.25f, 60.25f}};
    double luma = 0, chroma = 0;

    (void)state;
    assert_non_null(pic);
    assert_non_null(r);
    draw_polygon(pic, r, quad, 4, (struct colour){200, 200, 200}, 1);
    for (int y = 0; y < DRAW_HEIGHT; y++)
        for (int x = 0; x < DRAW_WIDTH; x++) {
            luma += pic->y[y][x] / 200.0;
            chroma += pic->u[y / 2][x / 2] / 200.0;
        }
    assert_true(fabs(luma / (100.5 * 39.75) - 1) < 0.01);
    assert_true(fabs(chroma / (100.5 * 39.75) - 1) < 0.01);
    assert_int_equal(pic->y[40][60], 200);
    assert_int_equal(pic->y[40][9], 0);
    assert_int_equal(pic->y[19][60], 0);

    /* outside the picture on every side: no crash, and only what is inside is drawn */
    memset(pic, 0, sizeof *pic);
    draw_polygon(pic, r, (const struct point[]){{-50, -50}, {600, -50}, {600, 500}, {-50, 500}}, 4,
                 (struct colour){100, 100, 100}, 1);
    assert_int_equal(pic->y[0][0], 100);
    assert_int_equal(pic->y[DRAW_HEIGHT - 1][DRAW_WIDTH - 1], 100);
    free(r);
    free(pic);
}

/* Mean over casts, at full strength, of what an emotion does to the voice that is heard. */
struct heard {
    double level_db, bright, seconds;
};

static struct heard hear(int emotion)
{
    static struct voice_plan plan;
    static float work[VOICE_MAX_SAMPLES];
    static int16_t pcm[VOICE_MAX_SAMPLES];
    struct heard h = {0};

    for (int actor = 0; actor < CASTS; actor++) {
        struct synth_clip clip = {
            .seed = 9, .actor = 1001 + actor, .sentence = 1, .emotion = emotion};
        double power = 0, slope = 0;

        voice_plan_make(&plan, &clip);
        voice_render(&plan, &clip, pcm, work);
        for (int i = 1; i < plan.samples; i++) {
            power += (double)pcm[i] * pcm[i];
            slope += (double)(pcm[i] - pcm[i - 1]) * (pcm[i] - pcm[i - 1]);
        }
        h.level_db += 10 * log10(power / plan.samples) / CASTS;
        h.bright += sqrt(slope / power) / CASTS;
        h.seconds += (plan.last_step - plan.first_step) * 0.005 / CASTS;
    }
    return h;
}

static void test_voices_carry_the_emotion(void **state)
{
    struct heard h[SYNTH_EMOTIONS];

    (void)state;
    for (int i = 0; i < SYNTH_EMOTIONS; i++)
        h[i] = hear(i);
    assert_true(h[ANG].level_db > h[NEU].level_db + 4);
    assert_true(h[SAD].level_db < h[NEU].level_db - 4);
    assert_true(h[ANG].bright > h[SAD].bright);
    assert_true(h[FEA].seconds < h[SAD].seconds);
    assert_true(h[SAD].seconds > h[NEU].seconds);
}

/* The pitch of a steady stretch, from the strongest correlation at lags of 60 to 500 Hz. */
static double pitch_of(const int16_t *pcm, int n)
{
    int best_lag = 0;
    double best = -1;

    for (int lag = VOICE_RATE_HZ / 500; lag <= VOICE_RATE_HZ / 60; lag++) {
        double xy = 0, xx = 1, yy = 1;

        for (int i = 0; i + lag < n; i++) {
            xy += (double)pcm[i] * pcm[i + lag];
            xx += (double)pcm[i] * pcm[i];
            yy += (double)pcm[i + lag] * pcm[i + lag];
        }
        if (xy / sqrt(xx * yy) > best + 0.02) {
            best = xy / sqrt(xx * yy);
            best_lag = lag;
        }
    }
    return (double)VOICE_RATE_HZ / best_lag;
}

static void test_fear_is_pitched_above_sadness(void **state)
{
    static struct voice_plan plan;
    static float work[VOICE_MAX_SAMPLES];
    static int16_t pcm[VOICE_MAX_SAMPLES];
    double octaves[2] = {0};

    (void)state;
    for (int actor = 0; actor < 2 * CASTS; actor++)
        for (int k = 0; k < 2; k++) {
            struct synth_clip clip = {
                .seed = 9, .actor = 1001 + actor, .sentence = 10, .emotion = k == 0 ? SAD : FEA};
            int vowel = 0;

            voice_plan_make(&plan, &clip);
            voice_render(&plan, &clip, pcm, work);
            for (int i = plan.first_step; i < plan.last_step; i++) /* its most open vowel */
                if (plan.step[i].open * plan.step[i].voicing >
                    plan.step[vowel].open * plan.step[vowel].voicing)
                    vowel = i;
            octaves[k] += log2(pitch_of(pcm + (vowel - 4) * VOICE_STEP_SAMPLES, 640));
        }
    assert_true(octaves[1] - octaves[0] > 2 * CASTS * 2.0 / 12); /* 2 semitones on average */
}

static void test_upsampler_keeps_a_tone(void **state)
{
    struct upsampler *u = malloc(sizeof *u);
    enum { N = 1600 };
    int16_t in[N], out[N * 3];

    (void)state;
    assert_non_null(u);
    upsampler_init(u);
    for (int i = 0; i < N; i++)
        in[i] = (int16_t)lrint(10000 * sin(2 * M_PI * 1000 * i / 16000.0));
    assert_int_equal(upsampled_count(N), 4410);
    upsample(u, in, N, out);
    for (int i = 200; i < 4200; i++)
        assert_true(abs(out[i] - (int)lrint(10000 * sin(2 * M_PI * 1000 * i / 44100.0))) < 40);
    free(u);
}

/* Mean squared difference of the face's box between two clips at one frame. */
static double unlike(const struct studio *s, const struct picture *other)
{
    double sum = 0;

    for (int y = s->top; y < s->bottom; y++)
        for (int x = s->left; x < s->right; x++) {
            double d = s->out.y[y][x] - other->y[y][x];

            sum += d * d;
        }
    return sum / ((s->bottom - s->top) * (s->right - s->left));
}

static void test_faces_move_and_stay_inside_their_box(void **state)
{
    static struct voice_plan plan;
    struct studio *s = malloc(sizeof *s);
    struct picture *first = malloc(sizeof *first);

    (void)state;
    assert_non_null(s);
    assert_non_null(first);
    for (int actor = 0; actor < CASTS; actor++) {
        struct synth_clip clip = {
            .seed = 3, .actor = 1001 + actor, .sentence = 1, .emotion = actor % SYNTH_EMOTIONS};

        voice_plan_make(&plan, &clip);
        studio_begin(s, &clip);
        studio_frame(s, &plan, 0);
        *first = s->out;
        studio_frame(s, &plan, plan.frames * 2 / 3);
        assert_true(unlike(s, first) > 3); /* the three pictures of a clip differ */
        for (int x = 0; x < DRAW_WIDTH; x++)
            assert_int_equal(s->out.y[0][x], first->y[0][x]);
    }
    free(first);
    free(s);
}

/* The same picture from every compiler, at any level of optimisation. */
static void test_pictures_are_the_same_everywhere(void **state)
{
    static const uint32_t want[CASTS] = {0x3c86a62e, 0x760f9e9e, 0x35fea87b,
                                         0x36c3ce55, 0x3de85992, 0x7fa3a4a0};
    static struct voice_plan plan;
    struct studio *s = malloc(sizeof *s);

    (void)state;
    assert_non_null(s);
    for (int actor = 0; actor < CASTS; actor++) {
        struct synth_clip clip = {
            .seed = 3, .actor = 1001 + actor, .sentence = 1, .emotion = actor};

        voice_plan_make(&plan, &clip);
        studio_begin(s, &clip);
        studio_frame(s, &plan, plan.frames / 2);
        assert_int_equal(hash_crc32c(0, &s->out, sizeof s->out), want[actor]);
    }
    free(s);
}

/* At their apex, moves of the emotions are further apart than the clips of one emotion. */
static void test_emotions_differ_more_than_clips_do(void **state)
{
    double mean[SYNTH_EMOTIONS][FACE_MOVES] = {0}, within = 0, between = 0;
    enum { N = 40 };

    (void)state;
    for (int e = 0; e < SYNTH_EMOTIONS; e++)
        for (int pass = 0; pass < 2; pass++)
            for (int i = 0; i < N; i++) {
                struct synth_clip clip = {
                    .seed = 5, .actor = 1001 + i, .sentence = 2, .emotion = e};
                double move[FACE_MOVES];

                synth_face_moves(&clip, move);
                for (int m = 0; m < FACE_MOVES; m++) {
                    if (pass == 0)
                        mean[e][m] += move[m] / N;
                    else
                        within += (move[m] - mean[e][m]) * (move[m] - mean[e][m]) / N;
                }
            }
    for (int a = 0; a < SYNTH_EMOTIONS; a++)
        for (int b = 0; b < a; b++)
            for (int m = 0; m < FACE_MOVES; m++)
                between += (mean[a][m] - mean[b][m]) * (mean[a][m] - mean[b][m]) / 15;
    assert_true(between > 2 * within / SYNTH_EMOTIONS);
}

/* A clip's files pass the strict walkers, agree in length, and making it again gives the same
 * bytes. */
static void test_files_are_what_they_say(void **state)
{
    struct clip_maker *m = NULL;
    struct synth_clip clip = synth_clip_at(11, 1004, 1);
    const struct clip_change healthy = {0};
    struct flv_info flv;
    struct riff_info wav;
    struct riff_stats stats;
    struct err e = {0};

    (void)state;
    ASSERT_OK(clip_maker_open(&m, &e), e);
    for (int round = 0; round < 2; round++) { /* scratch that was used changes nothing */
        uint32_t crc[2];

        for (int i = 0; i < 2; i++) {
            ASSERT_OK(clip_maker_make(m, &clip, &healthy, &e), e);
            crc[i] = 0;
            for (size_t k = 0; k < clip_maker_flv(m)->len; k++)
                crc[i] = crc[i] * 31 + clip_maker_flv(m)->data[k];
        }
        assert_int_equal(crc[0], crc[1]);
    }
    ASSERT_OK(flv_walk(&flv, "f", clip_maker_flv(m)->data, clip_maker_flv(m)->len, &e), e);
    ASSERT_OK(riff_walk(&wav, "w", clip_maker_wav(m)->data, clip_maker_wav(m)->len, &e), e);
    riff_measure(&stats, &wav);
    assert_int_equal(flv.video_codec, FLV_VIDEO_H263);
    assert_int_equal(flv.audio_codec, 2);
    assert_int_equal(flv.key_frames, 1);
    assert_int_equal(flv.data_tags, 2);
    assert_int_equal(flv.first_video_ms, FLV_VIDEO_START_MS);
    assert_int_equal(wav.rate_hz, 16000);
    assert_int_equal(wav.channels, 1);
    assert_int_equal(wav.pcm_offset, 44);
    assert_false(stats.constant);
    assert_true(stats.clipped_part < 0.001);
    assert_true(llabs((long long)wav.samples * 1000 / 16000 - flv.video_ms) < 34);
    assert_int_equal(wav.samples, voice_samples_of_frames((int)flv.frames, 16000));
    clip_maker_close(m);
}

static void test_frame_times(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2000; i++) {
        double want = FLV_VIDEO_START_MS + (double)i * 1001 / 30;

        assert_true(fabs(flv_video_ms(i) - want) <= 0.5001);
    }
}

static void test_defects_have_clips_of_their_own(void **state)
{
    (void)state;
    for (int i = 0; i < defect_count(); i++) {
        struct synth_clip a, b;

        defect_clip_of(i, 1, 1050, &a);
        assert_in_range(a.actor, 1050, 1050 + defect_actors() - 1);
        for (int k = 0; k < i; k++) {
            defect_clip_of(k, 1, 1050, &b);
            assert_string_not_equal(a.name, b.name);
        }
    }
}

enum { WHOLE, ENDS, LACKS };

static enum err_code make_or_not(void *ctx, int64_t i, struct defect_clip *d, struct err *e)
{
    (void)ctx;
    if (i == ENDS)
        _exit(7);
    if (i == LACKS)
        TRY(err_set(e, ERR_NOMEM, "no memory"));
    d->flv_as = DISK_FIFO;
    d->unlisted = true;
    TRY(buffer_add(&d->wav, "sound", 5, e));
    TRY(buffer_add(&d->listed_flv, "picture", 7, e));
out:
    return e->code;
}

static void not_made(struct synth_workers *w, int64_t i, const char *reason)
{
    struct contain_result bytes = {0};
    struct defect_clip d;
    struct err e = {0};

    assert_int_equal(synth_workers_make(w, 0, i, "clip", &bytes, &d, &e), ERR_NOMEM);
    assert_non_null(strstr(e.text, reason));
    assert_non_null(strstr(e.text, "memory"));
    contain_result_free(&bytes);
}

/* An encoder that ends its process is an error, and the next clip is made. */
static void test_clips_are_made_apart(void **state)
{
    struct synth_workers w = {.make = make_or_not};
    struct contain_result bytes = {0};
    struct defect_clip d;
    struct err e = {0};

    (void)state;
    ASSERT_OK(synth_workers_open(&w, 1, &e), e);
    not_made(&w, ENDS, "clip: encoding it ended the process with status 7");
    not_made(&w, LACKS, "clip: encoding it takes more than");
    ASSERT_OK(synth_workers_make(&w, 0, WHOLE, "clip", &bytes, &d, &e), e);
    assert_int_equal(d.flv_as, DISK_FIFO);
    assert_true(d.unlisted);
    assert_int_equal(d.flv.len + d.listed_wav.len, 0);
    assert_int_equal(d.wav.len, 5);
    assert_memory_equal(d.wav.data, "sound", 5);
    assert_int_equal(d.listed_flv.len, 7);
    assert_memory_equal(d.listed_flv.data, "picture", 7);
    contain_result_free(&bytes);
    contain_close(w.pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_elementary_functions),
        cmocka_unit_test(test_normal_draws),
        cmocka_unit_test(test_clip_names),
        cmocka_unit_test(test_polygon_area),
        cmocka_unit_test(test_voices_carry_the_emotion),
        cmocka_unit_test(test_fear_is_pitched_above_sadness),
        cmocka_unit_test(test_upsampler_keeps_a_tone),
        cmocka_unit_test(test_faces_move_and_stay_inside_their_box),
        cmocka_unit_test(test_pictures_are_the_same_everywhere),
        cmocka_unit_test(test_emotions_differ_more_than_clips_do),
        cmocka_unit_test(test_files_are_what_they_say),
        cmocka_unit_test(test_frame_times),
        cmocka_unit_test(test_defects_have_clips_of_their_own),
        cmocka_unit_test(test_clips_are_made_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
