/* SPDX-License-Identifier: MIT */
#include "common/nn/optim.h"
#include "tests/support/cmocka.h"
#include "tests/support/kernel_ref.h"
#include "train/models/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The whole two-branch model and a SynIB step against PyTorch in float64: tests/golden/model.tsv,
 * made by tests/golden/make/model.py, whose sizes and formulas these are. */
enum {
    WIDTH = 16,
    BATCH = 4,
    FRAMES = 3,
    CLASSES = 7,
    TRUNK = 24,
    STEPS = 10,
    D = 8 * WIDTH,
    AUDIO = 40 * 33,
    VIDEO = 3 * 32 * 40,
    MODALITIES = 2,
    TERMS = 5,
    STATS = 6,
    VALUES_MAX = 64,
};

/* Largest difference, as a share of the largest value in a row of the table. PyTorch's own float32
 * run differs from its float64 run by 2.2e-6 (logits), 1.1e-5 (gradients), 1.8e-4 (losses), 5.1e-4
 * (after ten steps) and 8.8e-4 (logits in evaluation mode after them): Adam divides small gradients
 * by their own size and so enlarges rounding. These allow a few times as much. */
static const struct {
    const char *section;
    double tolerance;
} BARS[] = {{"logits", 1e-5}, {"grad", 6e-5}, {"loss", 6e-4}, {"final", 2e-3}, {"eval", 3e-3}};

struct row {
    char section[16];
    char name[PARAM_NAME_SIZE];
    int count;
    double value[VALUES_MAX];
    bool seen;
};

struct fixture {
    struct row *row;
    size_t rows;
    struct nn *nn;
    struct tape *tape;
    struct params *ps;
    struct model *model;
    float *input[MODALITIES];
    float *mask[MODALITIES], *fill[MODALITIES];
    int32_t label[BATCH];
};

/* u(name, i) of make/model.py. */
static double u(const char *name, int64_t i)
{
    uint32_t h = 2166136261u;

    for (const char *p = name; *p != '\0'; p++)
        h = (h ^ (uint8_t)*p) * 16777619u;
    h += (uint32_t)i * 0x9E3779B9u;
    h ^= h >> 16;
    h *= 0x7FEB352Du;
    h ^= h >> 15;
    h *= 0x846CA68Bu;
    h ^= h >> 16;
    return (double)(h >> 8) * 0x1p-23 - 1;
}

static float *array(const char *name, int64_t count)
{
    float *x = ref_floats(count);

    for (int64_t i = 0; i < count; i++)
        x[i] = (float)u(name, i);
    return x;
}

static void fill_weight(struct params *ps, struct param *p)
{
    bool linear = strstr(p->name, "head") != NULL || strstr(p->name, "trunk") != NULL;
    size_t length = strlen(p->name);
    double scale = 0.1, offset = 0;

    if (p->rank == 4) {
        scale = sqrt(6.0 / (double)(p->count / p->dim[0]));
    } else if (linear) {
        char weight[PARAM_NAME_SIZE];

        memcpy(weight, p->name, length + 1);
        strcpy(strrchr(weight, '.'), ".weight");
        scale = 1 / sqrt((double)params_find(ps, weight)->dim[1]);
    } else if (strcmp(p->name + length - 6, "weight") == 0) {
        offset = 1;
    }
    for (int64_t i = 0; i < p->count; i++)
        p->data[i] = (float)(offset + scale * u(p->name, i));
}

static void load_table(struct fixture *f)
{
    FILE *in = fopen(SOURCE_DIR "/tests/golden/model.tsv", "r");
    char line[4096];

    assert_non_null(in);
    while (fgets(line, sizeof line, in) != NULL) {
        struct row *r;
        char *at, *end;

        if (line[0] == '#')
            continue;
        f->row = realloc(f->row, (f->rows + 1) * sizeof *f->row);
        assert_non_null(f->row);
        r = &f->row[f->rows++];
        memset(r, 0, sizeof *r);
        assert_int_equal(sscanf(line, "%15[^\t]\t%95[^\t]", r->section, r->name), 2);
        at = strchr(strchr(line, '\t') + 1, '\t');
        for (; *at == '\t'; at = end) {
            assert_true(r->count < VALUES_MAX);
            r->value[r->count++] = strtod(at + 1, &end);
        }
    }
    fclose(in);
}

static int setup(void **state)
{
    struct model_options opt = model_options_paper;
    struct fixture *f = calloc(1, sizeof *f);
    struct err e = {0};

    assert_non_null(f);
    load_table(f);
    opt.resnet_width = WIDTH;
    opt.trunk.width = TRUNK;
    opt.dropout = 0;
    opt.modality[0].height = 40;
    opt.modality[0].width = 33;
    opt.modality[1].height = 32;
    opt.modality[1].width = 40;
    f->nn = ref_nn(1);
    assert_int_equal(tape_new(&f->tape, f->nn, &e), ERR_OK);
    assert_int_equal(params_new(&f->ps, &e), ERR_OK);
    assert_int_equal(model_new(&f->model, &opt, f->ps, &e), ERR_OK);
    assert_int_equal(params_build(f->ps, &e), ERR_OK);
    for (int i = 0; i < params_count(f->ps); i++) {
        if (params_at(f->ps, i)->kind == PARAM_WEIGHT)
            fill_weight(f->ps, params_at(f->ps, i));
    }
    f->input[0] = array("input.audio", BATCH * AUDIO);
    f->input[1] = array("input.video", BATCH * FRAMES * VIDEO);
    for (int m = 0; m < MODALITIES; m++) {
        char name[32];

        snprintf(name, sizeof name, "mask.%s", model_opt(f->model)->modality[m].name);
        f->mask[m] = array(name, BATCH * D);
        for (int i = 0; i < BATCH * D; i++)
            f->mask[m][i] = (double)f->mask[m][i] < -0.2 ? 1 : 0;
        snprintf(name, sizeof name, "fill.%s", model_opt(f->model)->modality[m].name);
        f->fill[m] = array(name, BATCH * D);
    }
    for (int i = 0; i < BATCH; i++)
        f->label[i] = 3 * i % CLASSES;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    for (int m = 0; m < MODALITIES; m++) {
        free(f->input[m]);
        free(f->mask[m]);
        free(f->fill[m]);
    }
    model_free(f->model);
    params_free(f->ps);
    tape_free(f->tape);
    nn_free(f->nn);
    free(f->row);
    free(f);
    return 0;
}

/* Compares with the table's row and returns the relative difference. */
static double compare(struct fixture *f, const char *section, const char *name, int count,
                      const double *got)
{
    double tolerance = 0, scale = 0, worst = 0;

    for (size_t i = 0; i < sizeof BARS / sizeof BARS[0]; i++) {
        if (strcmp(BARS[i].section, section) == 0)
            tolerance = BARS[i].tolerance;
    }
    for (size_t i = 0; i < f->rows; i++) {
        struct row *r = &f->row[i];

        if (strcmp(r->section, section) != 0 || strcmp(r->name, name) != 0)
            continue;
        r->seen = true;
        assert_int_equal(r->count, count);
        for (int k = 0; k < count; k++)
            scale = fmax(scale, fabs(r->value[k]));
        for (int k = 0; k < count; k++) {
            double difference = fabs(got[k] - r->value[k]);

            worst = difference <= worst ? worst : difference; /* a NaN becomes the worst */
            if (!(difference <= tolerance * scale))
                fail_msg("%s %s value %d: %.9g, PyTorch %.9g, allowed difference %.2g", section,
                         name, k, got[k], r->value[k], tolerance * scale);
        }
        return scale > 0 ? worst / scale : worst;
    }
    fail_msg("%s %s is not in the table", section, name);
    return 0;
}

static double compare_tensor(struct fixture *f, const char *section, const char *name,
                             const struct tensor *x)
{
    double got[VALUES_MAX];
    int count = (int)tensor_count(x);

    for (int i = 0; i < count; i++)
        got[i] = (double)x->data[i];
    return compare(f, section, name, count, got);
}

static double compare_stats(struct fixture *f, const char *section, const struct param *p,
                            const float *x)
{
    char probe[PARAM_NAME_SIZE + 8];
    double got[STATS] = {0};

    snprintf(probe, sizeof probe, "probe:%s", p->name);
    for (int64_t i = 0; i < p->count; i++) {
        got[0] += (double)x[i];
        got[1] += (double)x[i] * (double)x[i];
        got[2] += (double)x[i] * u(probe, i);
    }
    got[1] = sqrt(got[1]);
    got[3] = (double)x[0];
    got[4] = (double)x[p->count / 2];
    got[5] = (double)x[p->count - 1];
    return compare(f, section, p->name, STATS, got);
}

struct outputs {
    struct tensor *fused, *unimodal[MODALITIES];
    struct tensor *total, *term[TERMS];
};

/* One pass: cross-entropies, and KL of the masked passes to the unmasked modality's prediction. */
static struct outputs forward(struct fixture *f)
{
    static const double ONES[TERMS] = {1, 1, 1, 1, 1};
    const float *const input[MODALITIES_MAX] = {f->input[0], f->input[1]};
    struct tape *t = f->tape;
    struct features x = model_encode(f->model, t, BATCH, input, NULL);
    struct outputs o = {.unimodal = {x.unimodal[0], x.unimodal[1]}};

    o.fused = model_fuse(f->model, t, x.z, NULL).prediction;
    o.term[0] = op_cross_entropy(t, o.fused, f->label);
    for (int m = 0; m < MODALITIES; m++) {
        int64_t dim[] = {BATCH, D};
        struct tensor *z[MODALITIES_MAX] = {x.z[0], x.z[1]};
        struct tensor *masked;

        o.term[1 + m] = op_cross_entropy(t, x.unimodal[m], f->label);
        z[m] = op_mix(t, z[m], tape_constant(t, 2, dim, f->mask[m]),
                      tape_constant(t, 2, dim, f->fill[m]));
        masked = model_fuse(f->model, t, z, NULL).prediction;
        o.term[3 + m] = op_kl(t, masked, x.unimodal[1 - m], KL_MODEL_REFERENCE);
    }
    o.total = op_weighted_sum(t, TERMS, o.term, ONES);
    return o;
}

static void compare_losses(struct fixture *f, int step, const struct outputs *o, double *worst)
{
    double got[1 + TERMS] = {(double)tape_value(o->total)};
    char name[16];

    for (int i = 0; i < TERMS; i++)
        got[1 + i] = (double)tape_value(o->term[i]);
    snprintf(name, sizeof name, "%d", step);
    *worst = fmax(*worst, compare(f, "loss", name, 1 + TERMS, got));
}

static double compare_logits(struct fixture *f, const char *section, const struct outputs *o)
{
    return fmax(compare_tensor(f, section, "fused", o->fused),
                fmax(compare_tensor(f, section, "audio", o->unimodal[0]),
                     compare_tensor(f, section, "video", o->unimodal[1])));
}

static void compare_final(struct fixture *f, double *worst)
{
    for (int i = 0; i < params_count(f->ps); i++) {
        const struct param *p = params_at(f->ps, i);

        if (p->kind == PARAM_COUNTER)
            compare(f, "final", p->name, 1, &(double){(double)p->counter});
        else
            *worst = fmax(*worst, compare_stats(f, "final", p, p->data));
    }
}

static void test_model_equals_pytorch(void **state)
{
    struct fixture *f = *state;
    struct optim adam = {.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-7, .weight_decay = 1e-4};
    double loss = 0, logits = 0, grad = 0, final = 0, eval;
    struct outputs o;
    struct err e = {0};

    for (int step = 0; step < STEPS; step++) {
        tape_begin(f->tape, TAPE_TRAIN);
        o = forward(f);
        params_zero_grad(f->ps);
        if (tape_backward(f->tape, o.total, &e) != ERR_OK)
            fail_msg("step %d: %s", step, e.text);
        compare_losses(f, step, &o, &loss);
        if (step == 0) {
            logits = compare_logits(f, "logits", &o);
            for (int i = 0; i < params_count(f->ps); i++) {
                const struct param *p = params_at(f->ps, i);

                if (p->kind == PARAM_WEIGHT)
                    grad = fmax(grad, compare_stats(f, "grad", p, p->grad));
            }
        }
        assert_int_equal(optim_step(&adam, f->nn, f->ps, 1e-3, &e), ERR_OK);
    }
    tape_begin(f->tape, TAPE_TRAIN); /* the script's last forward pass moves the statistics too */
    o = forward(f);
    compare_losses(f, STEPS, &o, &loss);
    compare_final(f, &final);
    tape_begin(f->tape, 0);
    o = forward(f);
    eval = compare_logits(f, "eval", &o);
    assert_int_equal(tape_error(f->tape, &e), ERR_OK);
    for (size_t i = 0; i < f->rows; i++) {
        if (!f->row[i].seen)
            fail_msg("row %s %s of the table was not compared", f->row[i].section, f->row[i].name);
    }
    print_message("largest differences: logits %.1e, gradients %.1e, losses %.1e, after ten steps "
                  "%.1e, evaluation %.1e\n",
                  logits, grad, loss, final, eval);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_model_equals_pytorch, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
