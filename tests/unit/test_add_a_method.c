/* SPDX-License-Identifier: MIT */
/* The example of docs/add-a-method.md. What the page adds to train/config.h, another method's names
 * stand in for here. */
#define SCOPE_OGM SCOPE_MMPARETO
#define ogm_alpha pareto_alpha
#include "docs/examples/ogm.c"

#include "common/base/file.h"
#include "common/data/xor.h"
#include "tests/support/check.h"
#include "tests/support/step_rig.h"
#include "train/step.h"
#include "train/trainer.h"

#include <stdlib.h>

static const char page[] = SOURCE_DIR "/docs/add-a-method.md";
static const char example[] = SOURCE_DIR "/docs/examples/ogm.c";

enum { N = 24 };
static const char *const TASKS[] = {"pid:0.2,0.2,0.2,0.4", "spurious3:0.5", "classes"};
enum { TASK_COUNT = sizeof TASKS / sizeof TASKS[0] };

/* As the page's preset section says. */
static void ogm_config(struct config *c, double alpha)
{
    rig_config(c, "xor-pid", "ogm", NULL);
    rig_shrink(c);
    c->fuse = FUSION_SUM;
    c->layernorm = c->detach_heads = false;
    c->ogm_alpha = alpha;
}

static void open_task(struct step_rig *r, const struct method *m, const struct config *c, int task)
{
    if (strcmp(TASKS[task], "classes") == 0)
        rig_open_classes(r, m, c, N);
    else
        rig_open(r, m, c, TASKS[task], N);
}

static void take_step(struct step_rig *r)
{
    struct err e = {0};

    ASSERT_OK(step_gradients(&r->step, &r->report, &r->net, &r->batch, 5, 0, true, &e), e);
}

/* k of every modality in double, from the batch's inputs and the weights. */
static void by_hand(struct step_rig *r, double alpha, double k[MODALITIES_MAX])
{
    static double x[REF_WIDTH_MAX], raw[512];
    int modalities = data_modalities(r->data);
    double sure[MODALITIES_MAX] = {0}, u[16], total = 0;

    for (int m = 0; m < modalities; m++) {
        for (int64_t i = 0; i < r->batch.n; i++) {
            ref_row(r->batch.x[m], model_inputs(r->net.model, m), i, x);
            ref_encode(r, m, x, raw);
            ref_head(r, m, raw, u);
            sure[m] += exp(-ref_nll(r, u, i));
        }
        total += sure[m];
    }
    for (int m = 0; m < modalities; m++) {
        double rho = sure[m] / ((total - sure[m]) / (modalities - 1));

        k[m] = rho > 1 ? 1 - tanh(alpha * rho) : 1;
    }
}

/* What the gradient of a weight is multiplied with. */
static double factor_of(const struct step_rig *r, const char *weight, const double *k)
{
    char own[MODALITY_NAME_SIZE + 16];

    for (int m = 0; m < data_modalities(r->data); m++) {
        snprintf(own, sizeof own, "%s.encoder.", model_opt(r->net.model)->modality[m].name);
        if (strncmp(weight, own, strlen(own)) == 0)
            return k[m];
    }
    return 1;
}

/* Every gradient is k times plain fusion's: of encoders by hand, of heads 1. Some encoder is slowed
 * and some is not, in every task. */
static void test_step_by_hand(void **state)
{
    const double alpha = 0.7;

    (void)state;
    for (int task = 0; task < TASK_COUNT; task++) {
        struct step_rig ogm, plain;
        double k[MODALITIES_MAX], least = 1, most = 0;
        struct config c;

        ogm_config(&c, alpha);
        open_task(&ogm, &method_ogm, &c, task);
        take_step(&ogm);
        c.unimodal_weight = 0;
        open_task(&plain, &method_vanilla, &c, task);
        take_step(&plain);
        assert_true(ogm.report.value[VALUE_LOSS] == plain.report.value[VALUE_LOSS]);
        by_hand(&ogm, alpha, k);
        for (int i = 0; i < params_count(ogm.net.params); i++) {
            const struct param *p = params_at(ogm.net.params, i),
                               *q = params_at(plain.net.params, i);
            double factor = factor_of(&ogm, p->name, k);

            for (int64_t j = 0; p->kind == PARAM_WEIGHT && j < p->count; j++)
                assert_float_equal(p->grad[j], factor * (double)q->grad[j],
                                   1e-7 + 1e-5 * fabs((double)q->grad[j]));
        }
        for (int m = 0; m < data_modalities(ogm.data); m++) {
            least = fmin(least, k[m]);
            most = fmax(most, k[m]);
        }
        assert_true(least < 0.6 && most == 1);
        rig_close(&ogm);
        rig_close(&plain);
    }
}

static void make_data(struct data *data[XOR_SPLITS])
{
    struct vectors v[XOR_SPLITS];
    struct xor_options o;
    struct err e = {0};

    ASSERT_OK(xor_parse(&o, "pid:0.3,0.3,0.3,0.1", &e), e);
    o.count[XOR_TRAIN] = 150;
    o.count[XOR_VAL] = 40;
    o.count[XOR_TEST] = 1;
    ASSERT_OK(xor_make(v, &o, &e), e);
    for (int s = 0; s < XOR_SPLITS; s++)
        ASSERT_OK(data_of_vectors(&data[s], &v[s], &e), e);
}

/* The run's epochs.csv; caller frees. */
static char *train(struct data *const data[XOR_SPLITS], double alpha, int jobs)
{
    struct trainer_options o = {.method = &method_ogm, .seed = 1, .jobs = jobs};
    struct trainer *t = NULL;
    struct err e = {0};
    char *csv;

    ogm_config(&o.config, alpha);
    o.config.epochs = 3;
    o.config.lr = 0.01;
    o.train = data[XOR_TRAIN];
    o.val = data[XOR_VAL];
    ASSERT_OK(trainer_open(&t, &o, &e), e);
    ASSERT_OK(trainer_train(t, &e), e);
    assert_int_equal(trainer_state(t)->epoch, 3);
    csv = strdup(trainer_epochs_csv(t));
    assert_non_null(csv);
    trainer_close(t);
    return csv;
}

/* Column `loss` of the epoch in row `row`, from 1. */
static double loss_in(const char *csv, int row)
{
    double loss = NAN;

    for (; row > 0; row--)
        csv = strchr(csv, '\n') + 1;
    assert_int_equal(sscanf(csv, "%*d,%*d,%*[^,],%lf", &loss), 1);
    return loss;
}

/* It learns, the same on any number of threads, and without its distinguishing part otherwise. */
static void test_trains(void **state)
{
    struct data *data[XOR_SPLITS];
    char *one, *two, *plain;

    (void)state;
    make_data(data);
    one = train(data, 0.7, 1);
    two = train(data, 0.7, 2);
    plain = train(data, 0, 1);
    assert_string_equal(one, two);
    assert_string_not_equal(one, plain);
    assert_true(loss_in(one, 3) < 0.9 * loss_in(one, 1));
    free(one);
    free(two);
    free(plain);
    for (int s = 0; s < XOR_SPLITS; s++)
        data_close(data[s]);
}

/* The page shows the very file that is compiled above. */
static void test_page(void **state)
{
    struct file_view text = {0}, code = {0};
    struct err e = {0};
    char *block;

    (void)state;
    ASSERT_OK(file_read(&text, page, 1 << 20, &e), e);
    ASSERT_OK(file_read(&code, example, 1 << 20, &e), e);
    block = malloc(code.len + 16);
    assert_non_null(block);
    sprintf(block, "```c\n%s```\n", (const char *)code.data);
    if (strstr((const char *)text.data, block) == NULL)
        fail_msg("docs/add-a-method.md does not show docs/examples/ogm.c as it is");
    free(block);
    file_view_free(&text);
    file_view_free(&code);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_step_by_hand),
        cmocka_unit_test(test_trains),
        cmocka_unit_test(test_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
