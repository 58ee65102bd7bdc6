/* SPDX-License-Identifier: MIT */
#include "prep/shard_commands.h"

#include "common/base/atomic_file.h"
#include "common/base/mem.h"
#include "common/data/canvas.h"
#include "common/data/jpeg.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* One tile: two lines of text, the frames side by side, the spectrogram under them. Pixels. */
enum {
    FRAME_W = 160,
    FRAME_H = 120,
    HEAT_H = 96,
    MARGIN = 10,
    TEXT_SCALE = 2,
    LINE_H = GLYPH_HEIGHT * TEXT_SCALE + 4,
    TEXT_H = 2 * LINE_H,
    TILE_W = FRAMES_PER_CLIP * FRAME_W,
    TILE_H = TEXT_H + FRAME_H + HEAT_H,
    JPEG_QUALITY = 92,
};

/* 80 dB in natural-log magnitudes: below that, a spectrogram of speech shows only the recorder. */
static const float heat_range = 9.2f;

static const struct rgb paper = {250, 250, 248}, ink = {30, 30, 34}, empty = {225, 225, 222};
static const struct rgb label_colour[N_LABELS] = {
    {90, 90, 96},  {196, 128, 0}, {36, 92, 170}, {122, 62, 158},
    {62, 126, 52}, {190, 44, 40}, {0, 128, 128},
};

struct sheet {
    const struct view *view;
    struct jpeg_decoder *decoder;
    struct canvas canvas;
    int jpeg, logstft; /* fields; jpeg + f is frame f; -1 = absent */
};

/* Line 1 what it is, line 2 whose it is. */
static void draw_text(struct sheet *s, int x, int y, const char *clip, const char *donor,
                      int32_t label, int32_t base, int32_t voice)
{
    struct rgb colour = label >= 0 && label < N_LABELS ? label_colour[label] : ink;
    char what[128], whose[128];

    snprintf(what, sizeof what, "%s", label_text(label));
    snprintf(whose, sizeof whose, "%s", clip);
    if (donor[0] != '\0') {
        snprintf(what, sizeof what, "%s: %s face, %s voice", label_text(label), label_text(base),
                 label_text(voice));
        snprintf(whose, sizeof whose, "%s, voice %s", clip, donor);
    }
    canvas_text(&s->canvas, x, y, TEXT_SCALE, colour, what);
    canvas_text(&s->canvas, x, y + LINE_H, TEXT_SCALE, ink, whose);
}

static enum err_code draw_frames(struct sheet *s, int x, int y, int64_t i, struct err *e)
{
    for (int f = 0; f < FRAMES_PER_CLIP; f++) {
        struct shard_value v;
        struct jpeg_rect all = {0};
        const uint8_t *rgb;
        size_t stride;

        TRY(view_get(s->view, i, s->jpeg + f, &v, e));
        TRY(jpeg_decoder_size(s->decoder, v.data, v.len, &all.w, &all.h, e));
        TRY(jpeg_decoder_rect(s->decoder, v.data, v.len, all, &rgb, &stride, e));
        canvas_picture(&s->canvas, x + f * FRAME_W, y, FRAME_W, FRAME_H, rgb, all.w, all.h, stride);
    }
out:
    return err_in(e, "sample %" PRId64, i);
}

static enum err_code draw_tile(struct sheet *s, int x, int y, int64_t i, struct err *e)
{
    char clip[CLIP_NAME_SIZE], donor[CLIP_NAME_SIZE];
    int32_t label, base, voice;
    struct shard_value v;

    TRY(view_clip(s->view, i, "clip", clip, e));
    TRY(view_clip(s->view, i, "donor", donor, e));
    TRY(view_i32(s->view, i, "label", -1, &label, e));
    TRY(view_i32(s->view, i, "base_label", -1, &base, e));
    TRY(view_i32(s->view, i, "donor_label", -1, &voice, e));
    draw_text(s, x, y, clip, donor, label, base, voice);
    y += TEXT_H;
    canvas_fill(&s->canvas, x, y, TILE_W, FRAME_H + HEAT_H, empty);
    if (s->jpeg >= 0)
        TRY(draw_frames(s, x, y, i, e));
    if (s->logstft >= 0) {
        const struct shard_field *f = &s->view->field[s->logstft];

        TRY(view_get(s->view, i, s->logstft, &v, e));
        canvas_heat(&s->canvas, x, y + FRAME_H, TILE_W, HEAT_H, v.data, (int)f->dim[0],
                    (int)f->dim[1], heat_range);
    }
out:
    return e->code;
}

/* Which samples: evenly through the split; where there are mutated ones, every second is one. */
static enum err_code choose(const struct view *v, int count, int64_t *chosen, struct err *e)
{
    int64_t *group[2] = {NULL, NULL}, n[2] = {0, 0}, used[2] = {0, 0};
    int want[2];

    for (int g = 0; g < 2; g++)
        TRY(mem_array(&group[g], (size_t)v->count, sizeof *group[g], "samples", e));
    for (int64_t i = 0; i < v->count; i++) {
        int32_t label;
        int g;

        TRY(view_i32(v, i, "label", -1, &label, e));
        g = label == LABEL_IRONY;
        group[g][n[g]++] = i;
    }
    want[1] = n[1] < count / 2 ? (int)n[1] : count / 2;
    want[0] = n[0] < count - want[1] ? (int)n[0] : count - want[1];
    want[1] = count - want[0];
    for (int k = 0; k < count; k++) {
        int g = k % 2 == 1 ? used[1] < want[1] : used[0] >= want[0];

        chosen[k] = group[g][used[g] * n[g] / want[g]];
        used[g]++;
    }
out:
    free(group[0]);
    free(group[1]);
    return e->code;
}

static enum err_code write_jpeg(const struct inspect_options *opt, const struct canvas *c,
                                struct err *e)
{
    uint8_t *jpeg = NULL;
    size_t len = 0;

    TRY(jpeg_encode_rgb(c->pixel, c->w, c->h, 3 * (size_t)c->w, JPEG_QUALITY, &jpeg, &len, e));
    TRY(atomic_file_put(opt->output, jpeg, len, opt->cli.force, e));
out:
    free(jpeg);
    return e->code;
}

static enum err_code draw_sheet(const struct inspect_options *opt, struct sheet *s, struct err *e)
{
    int count = s->view->count < opt->count ? (int)s->view->count : opt->count;
    int columns = count < opt->columns ? count : opt->columns;
    int rows = (count + columns - 1) / columns;
    const int max_columns = (JPEG_MAX_SIDE - MARGIN) / (TILE_W + MARGIN);
    const int max_rows = (JPEG_MAX_SIDE - MARGIN) / (TILE_H + MARGIN);
    int64_t *chosen = NULL;

    if (columns > max_columns || rows > max_rows)
        FAIL(err_set(e, ERR_USAGE,
                     "--count %d, --columns %d: %d rows of %d samples do not fit into one picture, "
                     "which holds %d rows of %d",
                     opt->count, opt->columns, rows, columns, max_rows, max_columns));
    TRY(mem_array(&chosen, (size_t)count, sizeof *chosen, "samples", e));
    TRY(choose(s->view, count, chosen, e));
    TRY(jpeg_decoder_new(&s->decoder, e));
    TRY(canvas_init(&s->canvas, MARGIN + columns * (TILE_W + MARGIN),
                    MARGIN + rows * (TILE_H + MARGIN), paper, e));
    for (int k = 0; k < count; k++)
        TRY(draw_tile(s, MARGIN + k % columns * (TILE_W + MARGIN),
                      MARGIN + k / columns * (TILE_H + MARGIN), chosen[k], e));
    TRY(write_jpeg(opt, &s->canvas, e));
    log_note(&opt->cli.log, "%s: %d samples", opt->output, count);
out:
    free(chosen);
    return e->code;
}

enum err_code inspect_contact_sheet(const struct inspect_options *opt, struct err *e)
{
    struct sheet s = {0};
    struct target t = {0};

    TRY(target_open(&t, opt->target[0], opt->split, opt->base, e));
    if (t.file != NULL)
        FAIL(err_set(e, ERR_DATA, "%s: is a checkpoint: it has no samples to draw", t.path));
    s.view = &t.view[0];
    s.jpeg = view_find(s.view, "video.jpeg0");
    s.logstft = view_find(s.view, "audio.logstft");
    if (s.jpeg < 0 && s.logstft < 0)
        FAIL(err_set(e, ERR_DATA, "%s: has neither frames nor spectrograms to draw", t.path));
    TRY(atomic_file_check(opt->output, opt->cli.force, e));
    if (opt->cli.dry_run) {
        log_note(&opt->cli.log, "%s: would be drawn to %s", t.path, opt->output);
        goto out;
    }
    TRY(draw_sheet(opt, &s, e));
out:
    jpeg_decoder_free(s.decoder);
    canvas_free(&s.canvas);
    target_close(&t);
    return e->code;
}
