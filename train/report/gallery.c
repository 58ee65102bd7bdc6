/* SPDX-License-Identifier: MIT */
#include "train/report/report.h"

#include "common/base/mem.h"
#include "common/base/text_stream.h"
#include "common/data/canvas.h"
#include "common/data/dataset.h"
#include "common/data/jpeg.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The most confident mistakes of one row, with what the model saw and heard. */

enum { HEAT_W = 480, HEAT_H = 128, JPEG_QUALITY = 85, FEWEST_CANDIDATES = 64 };
/* 80 dB in natural-log magnitudes, as in contact sheets. */
static const float heat_range = 9.2f;

struct mistake {
    size_t run;
    int64_t sample;
    float p;
};

static int by_confidence(const void *a, const void *b)
{
    const struct mistake *x = a, *y = b;

    if (x->p < y->p || x->p > y->p)
        return x->p > y->p ? -1 : 1;
    if (x->run != y->run)
        return x->run < y->run ? -1 : 1;
    return (x->sample > y->sample) - (x->sample < y->sample);
}

static enum err_code find_mistakes(const struct report *r, int row, struct mistake **out, size_t *n,
                                   struct err *e)
{
    size_t cap = 0;

    for (size_t i = 0; i < r->n; i++) {
        const struct report_run *run = &r->run[i];

        if (run->row != row || run->data < 0)
            continue;
        for (int64_t k = 0; k < run->n; k++) {
            if (run->label[k] == run->guess[k])
                continue;
            if (*n == cap)
                TRY(mem_grow(out, &cap, *n + FEWEST_CANDIDATES, sizeof **out, "gallery", e));
            (*out)[(*n)++] = (struct mistake){i, k, run->p[k]};
        }
    }
    if (*n > 0)
        qsort(*out, *n, sizeof **out, by_confidence);
out:
    return e->code;
}

static void put_base64(FILE *f, const uint8_t *data, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < len; i += 3) {
        uint32_t v = (uint32_t)data[i] << 16 | (i + 1 < len ? (uint32_t)data[i + 1] << 8 : 0) |
                     (i + 2 < len ? data[i + 2] : 0);

        fputc(digits[v >> 18], f);
        fputc(digits[v >> 12 & 63], f);
        fputc(i + 1 < len ? digits[v >> 6 & 63] : '=', f);
        fputc(i + 2 < len ? digits[v & 63] : '=', f);
    }
}

static void put_image(FILE *f, const char *attributes, const uint8_t *jpeg, size_t len)
{
    fprintf(f, "<img %s src=\"data:image/jpeg;base64,", attributes);
    put_base64(f, jpeg, len);
    fputs("\">", f);
}

static enum err_code put_spectrogram(FILE *f, const struct dataset *data, const struct sample *s,
                                     struct err *e)
{
    struct canvas c = {0};
    uint8_t *jpeg = NULL;
    size_t len;
    int bins, frames;

    dataset_spectrogram_shape(data, &bins, &frames);
    TRY(canvas_init(&c, HEAT_W, HEAT_H, (struct rgb){0, 0, 0}, e));
    canvas_heat(&c, 0, 0, HEAT_W, HEAT_H, s->spectrogram, bins, frames, heat_range);
    TRY(jpeg_encode_rgb(c.pixel, c.w, c.h, 3 * (size_t)c.w, JPEG_QUALITY, &jpeg, &len, e));
    put_image(f, "class=\"heat\" alt=\"spectrogram\"", jpeg, len);
out:
    free(jpeg);
    canvas_free(&c);
    return e->code;
}

static enum err_code put_mistake(FILE *f, const struct report *r, const struct mistake *m,
                                 const struct dataset *data, const struct sample *s, struct err *e)
{
    const struct report_run *run = &r->run[m->run];
    char text[1024];

    fputs("<figure><div class=\"frames\">", f);
    for (int k = 0; k < FRAMES_PER_CLIP; k++)
        put_image(f, "alt=\"frame\"", s->jpeg[k], s->jpeg_len[k]);
    fputs("</div>", f);
    TRY(put_spectrogram(f, data, s, e));
    snprintf(text, sizeof text, "%s taken for %s (p = %.3f)",
             run->class_name[run->label[m->sample]], run->class_name[run->guess[m->sample]],
             (double)m->p);
    fputs("<figcaption><strong>", f);
    html_escape(f, text);
    fputs("</strong><br>", f);
    if (s->donor[0] != '\0')
        snprintf(text, sizeof text, "face %s (%s), voice %s (%s)", s->clip,
                 label_names[s->base_label], s->donor, label_names[s->donor_label]);
    else
        snprintf(text, sizeof text, "face and voice %s", s->clip);
    html_escape(f, text);
    fprintf(f, "<br>");
    html_escape(f, r->column[run->column].label);
    fputs(", ", f);
    html_escape(f, run->name);
    fputs("</figcaption></figure>\n", f);
out:
    return e->code;
}

struct shown {
    char clip[CLIP_NAME_SIZE], donor[CLIP_NAME_SIZE];
};

static bool was_shown(const struct shown *shown, int64_t n, const struct sample *s)
{
    for (int64_t i = 0; i < n; i++)
        if (strcmp(shown[i].clip, s->clip) == 0 && strcmp(shown[i].donor, s->donor) == 0)
            return true;
    return false;
}

/* The dataset of a run, opened when it is another than the last one's. */
static enum err_code open_data(struct dataset **data, int *opened, const struct report *r,
                               const struct report_run *run, struct err *e)
{
    const char *const *bases =
        r->opt->base[0] != NULL ? r->opt->base : (const char *const *)run->places.base;

    if (*opened == run->data)
        return ERR_OK;
    dataset_close(*data);
    *data = NULL;
    TRY(dataset_open(data, r->set[run->data].dir, "test", bases, e));
    *opened = run->data;
    if (dataset_count(*data) != run->n)
        err_set(e, ERR_DATA, "%s: has %lld samples, the predictions of %s %lld",
                r->set[run->data].dir, (long long)dataset_count(*data), run->path,
                (long long)run->n);
out:
    return e->code;
}

static enum err_code put_gallery(FILE *f, const struct report *r, const struct mistake *m, size_t n,
                                 int64_t *count, struct err *e)
{
    struct dataset *data = NULL;
    struct shown *shown = NULL;
    struct sample s;
    int opened = -1;

    *count = 0;
    TRY(mem_array(&shown, (size_t)r->opt->gallery_count, sizeof *shown, "gallery", e));
    fputs("<div class=\"row\">\n", f);
    for (size_t i = 0; i < n && *count < r->opt->gallery_count; i++) {
        const struct report_run *run = &r->run[m[i].run];

        if (open_data(&data, &opened, r, run, e) == ERR_DATA) {
            /* an overlay whose base sets are elsewhere */
            log_warn(&r->opt->cli.log, "%s: no gallery", e->text);
            err_clear(e);
            *count = 0;
            break;
        }
        if (e->code != ERR_OK)
            goto out;
        TRY(dataset_describe(data, m[i].sample, &s, e));
        if (s.label != run->label[m[i].sample])
            FAIL(err_set(e, ERR_DATA, "%s: clip %s has another label than in the predictions of %s",
                         r->set[run->data].dir, s.clip, run->path));
        if (was_shown(shown, *count, &s))
            continue;
        memcpy(shown[*count].clip, s.clip, sizeof s.clip);
        memcpy(shown[(*count)++].donor, s.donor, sizeof s.donor);
        TRY(dataset_get(data, m[i].sample, &s, e));
        TRY(put_mistake(f, r, &m[i], data, &s, e));
    }
    fputs("</div>\n", f);
out:
    dataset_close(data);
    free(shown);
    return e->code;
}

static enum err_code find_gallery_row(const struct report *r, int *row, struct err *e)
{
    if (r->opt->gallery == NULL) {
        *row = report_find_row(r, "synib");
        if (*row < 0)
            *row = r->rows - 1;
        return ERR_OK;
    }
    for (*row = 0; *row < r->rows; ++*row)
        if (strcmp(r->row[*row].label, r->opt->gallery) == 0)
            return ERR_OK;
    *row = report_find_row(r, r->opt->gallery);
    if (*row < 0)
        return err_set(e, ERR_USAGE, "--gallery: no row '%s' in this report", r->opt->gallery);
    return ERR_OK;
}

enum err_code report_add_gallery(const struct report *r, struct doc *d, struct err *e)
{
    struct mistake *mistake = NULL;
    size_t n = 0;
    char *html = NULL;
    int64_t count = 0;
    FILE *f = NULL;
    int row;

    TRY(find_gallery_row(r, &row, e));
    if (!r->irony || r->opt->gallery_count == 0)
        goto out;
    TRY(find_mistakes(r, row, &mistake, &n, e));
    f = text_stream_open(&html, "gallery", e);
    TRY(e->code);
    TRY(put_gallery(f, r, mistake, n, &count, e));
    doc_add(d, DOC_SECTION, "Most confident mistakes of %s", r->row[row].label);
    if (count == 0)
        doc_add(d, DOC_TEXT, "No mistakes, or their datasets are not at hand.");
    else
        doc_add(d, DOC_TEXT,
                "%lld wrong test predictions, most confident first; report.html shows them: three "
                "frames, and the spectrogram, low frequencies at the bottom.",
                (long long)count);
out:
    if (text_stream_close(f, &html, "gallery", e) == ERR_OK && count > 0)
        doc_add_html(d, html);
    else
        free(html);
    free(mistake);
    return e->code;
}
