/* SPDX-License-Identifier: MIT */
/* Log spectrograms of real CREMA-D clips against librosa's: tests/golden/spectrogram.tsv, made by
 * tests/golden/make/spectrogram.py. Needs the clips (not part of this project) in ../shared/clips.
 */
#include "common/base/file.h"
#include "common/data/tsv.h"
#include "prep/audio.h"
#include "prep/spectrogram.h"
#include "tests/support/cmocka.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLIPS SOURCE_DIR "/../shared/clips"

static const char *const columns[] = {"clip", "bin", "frame", "magnitude", "log", NULL};
static float spectrogram[SPECTROGRAM_BINS * SPECTROGRAM_FRAMES];

static size_t make(struct resampler *r, struct spectrogram *s, const char *clip)
{
    struct file_view file = {0};
    struct audio sound;
    char path[512];
    size_t count;
    struct err e = {0};

    snprintf(path, sizeof path, CLIPS "/%s", clip);
    if (file_read(&file, path, 1 << 26, &e) != ERR_OK ||
        audio_load(&sound, path, file.data, file.len, r, &e) != ERR_OK ||
        spectrogram_make(s, sound.pcm, sound.count, spectrogram, &e) != ERR_OK)
        fail_msg("%s", e.text);
    count = sound.count;
    assert_int_equal(sound.source_rate_hz, 16000);
    assert_false(sound.silent);
    audio_free(&sound);
    file_view_free(&file);
    return count;
}

static void check_row(const struct tsv *t, size_t row, size_t samples)
{
    long bin = atol(tsv_cell(t, row, 1)), frame = atol(tsv_cell(t, row, 2));
    double want, got = 0;

    if (bin < 0) {
        want = strtod(tsv_cell(t, row, 3), NULL);
        for (int i = 0; i < SPECTROGRAM_BINS * SPECTROGRAM_FRAMES; i++)
            got += spectrogram[i] / (double)(SPECTROGRAM_BINS * SPECTROGRAM_FRAMES);
        assert_int_equal(samples, frame);
        if (fabs(got - want) > 1e-5)
            fail_msg("%s: mean %.7f, not %.7f", tsv_cell(t, row, 0), got, want);
        return;
    }
    want = strtod(tsv_cell(t, row, 4), NULL);
    got = spectrogram[bin * SPECTROGRAM_FRAMES + frame];
    /* The bar is 1e-3 above magnitude 1e-4; below it the resampler's build may show more. */
    if (strtod(tsv_cell(t, row, 3), NULL) > 1e-4 && !(fabs(got - want) < 1e-3))
        fail_msg("%s bin %ld frame %ld: %.6f, not %.6f", tsv_cell(t, row, 0), bin, frame, got,
                 want);
}

static void test_against_librosa(void **state)
{
    struct tsv *t = NULL;
    struct resampler *r = NULL;
    struct spectrogram *s = NULL;
    size_t samples = 0;
    struct err e = {0};

    (void)state;
    if (access(CLIPS "/wav", R_OK) != 0) {
        print_message("skipped: no real clips in ../shared/clips\n");
        skip();
    }
    if (tsv_read(&t, SOURCE_DIR "/tests/golden/spectrogram.tsv", "golden-spectrogram", columns,
                 &e) != ERR_OK ||
        resampler_new(&r, &resampler_cremad, &e) != ERR_OK || spectrogram_new(&s, &e) != ERR_OK)
        fail_msg("%s", e.text);
    for (size_t row = 0; row < tsv_rows(t); row++) {
        if (row == 0 || strcmp(tsv_cell(t, row, 0), tsv_cell(t, row - 1, 0)) != 0)
            samples = make(r, s, tsv_cell(t, row, 0));
        check_row(t, row, samples);
    }
    assert_true(resampler_streams(r)); /* or it is not what the tool does */
    resampler_free(r);
    spectrogram_free(s);
    tsv_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_librosa)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
