/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "tests/support/by_hand.h"
#include "tests/support/check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A training step of MCR by hand in double: R section 6.7. */

enum { PERMUTATIONS = 3, PAIRS_MAX = PERMUTATIONS * HAND_ROWS };

/* What a step depends on besides the weights. */
struct game {
    struct by_hand still; /* the same batch, as a constant */
    int pairs[MODALITIES_MAX];
    int row[MODALITIES_MAX][PAIRS_MAX], donor[MODALITIES_MAX][PAIRS_MAX];
    double js[MODALITIES_MAX]; /* out: towards the modality itself, or all together */
    double contrastive;        /* out */
};

/* Which rows of a permutation count. */
static bool counts(const struct step_rig *r, int row, int donor)
{
    const int32_t *label = r->batch.aim.label;

    switch (r->net.config.mcr_shuffle) {
    case SHUFFLE_OTHER_LABEL: return label[row] != label[donor];
    case SHUFFLE_OTHER_SAMPLE: return row != donor;
    default: return true;
    }
}

/* Fisher-Yates from the end, Philox (seed, "mcr.permute.NAME", step, permutation). */
static void permutations_by_hand(const struct step_rig *r, uint32_t step, struct game *game)
{
    for (int m = 0; m < data_modalities(r->data); m++) {
        char stream[64];

        snprintf(stream, sizeof stream, "mcr.permute.%s", data_modality(r->data, m));
        game->pairs[m] = 0;
        for (uint32_t k = 0; k < PERMUTATIONS; k++) {
            struct rng rng = rng_at(r->net.seed, rng_stream(stream), step, k);
            int order[HAND_ROWS];

            for (int i = 0; i < HAND_ROWS; i++)
                order[i] = i;
            for (int i = HAND_ROWS - 1; i > 0; i--) {
                int with = (int)rng_below(&rng, (uint32_t)i + 1), other = order[with];

                order[with] = order[i];
                order[i] = other;
            }
            for (int i = 0; i < HAND_ROWS; i++)
                if (counts(r, i, order[i])) {
                    game->row[m][game->pairs[m]] = i;
                    game->donor[m][game->pairs[m]++] = order[i];
                }
        }
    }
}

static double js_divergence(const struct step_rig *r, const double *a, const double *b)
{
    double p[REF_OUTPUTS_MAX], q[REF_OUTPUTS_MAX], js = 0;
    int n = ref_probabilities(r, a, p);

    (void)ref_probabilities(r, b, q);
    for (int k = 0; k < n; k++) {
        double mean = (p[k] + q[k]) / 2;

        js += (p[k] * log(p[k] / mean) + q[k] * log(q[k] / mean)) / 2;
    }
    return js;
}

/* Prediction of `row` with modality x of `donor`, in which everything but `towards` (-1: nothing)
 * is constant. */
static void permuted_by_hand(struct step_rig *r, const struct game *game, const struct by_hand *f,
                             int x, int towards, int row, int donor, double *g)
{
    const double *z[MODALITIES_MAX] = {0}, *live = r->weight;
    int outputs = model_opt(r->net.model)->outputs;
    double share[REF_OUTPUTS_MAX];

    memset(g, 0, (size_t)outputs * sizeof *g);
    for (int m = 0; m < data_modalities(r->data); m++) {
        bool moves = towards < 0 || m == towards;

        z[m] = (moves ? f : &game->still)->z[m][m == x ? donor : row];
        if (r->net.config.fuse == FUSION_TRUNK)
            continue;
        r->weight = moves ? live : NULL; /* weights of its own are constant too */
        ref_share(r, m, z[m], share);
        for (int k = 0; k < outputs; k++)
            g[k] += share[k];
        r->weight = live;
    }
    if (r->net.config.fuse == FUSION_TRUNK)
        ref_fuse(r, z, g, NULL);
}

/* J(x, towards). */
static double divergence(struct step_rig *r, const struct game *game, struct by_hand *f, int x,
                         int towards)
{
    double g[REF_OUTPUTS_MAX], sum = 0;

    for (int i = 0; i < game->pairs[x]; i++) {
        int row = game->row[x][i];

        permuted_by_hand(r, game, f, x, towards, row, game->donor[x][i], g);
        sum += js_divergence(r, g, f->g[row]) / game->pairs[x];
    }
    return sum;
}

static double similarity(const struct step_rig *r, const double *x, const double *y)
{
    double dot = 0, xx = 0, yy = 0;

    for (int d = 0; d < HAND_WIDTH; d++) {
        dot += x[d] * y[d];
        xx += x[d] * x[d];
        yy += y[d] * y[d];
    }
    return exp(dot / sqrt(xx * yy) / r->net.config.mcr_temperature);
}

/* Rows 0..B-1 are those of modality a, the others those of b. */
static double contrastive_by_hand(const struct step_rig *r, struct by_hand *f, int a, int b)
{
    const int32_t *label = r->batch.aim.label;
    double sum = 0;
    int pairs = 0;

    for (int i = 0; i < 2 * HAND_ROWS; i++) {
        const double *x = f->raw[i < HAND_ROWS ? a : b][i % HAND_ROWS];
        double others = 0;

        for (int n = 0; n < 2 * HAND_ROWS; n++)
            if (label[n % HAND_ROWS] != label[i % HAND_ROWS])
                others += similarity(r, x, f->raw[n < HAND_ROWS ? a : b][n % HAND_ROWS]);
        for (int j = 0; j < 2 * HAND_ROWS; j++) {
            double own;

            if (i == j || label[i % HAND_ROWS] != label[j % HAND_ROWS])
                continue;
            own = similarity(r, x, f->raw[j < HAND_ROWS ? a : b][j % HAND_ROWS]);
            sum -= log(own / (own + others));
            pairs++;
        }
    }
    return pairs > 0 ? sum / pairs : 0;
}

static double mcr_by_hand(struct step_rig *r, void *ctx)
{
    static struct by_hand f;
    const struct config *c = &r->net.config;
    int modalities = data_modalities(r->data);
    struct game *game = ctx;
    double sum;

    hand_forward(r, &f);
    sum = hand_nll(r, f.g);
    game->contrastive = 0;
    for (int x = 0; x < modalities; x++) {
        sum += c->unimodal_weight * hand_nll(r, f.u[x]);
        game->js[x] = divergence(r, game, &f, x, c->mcr_game == GAME_COLLABORATIVE ? -1 : x);
        sum -= c->mcr_weight * game->js[x];
        for (int w = 0; w < modalities && c->mcr_game == GAME_GREEDY; w++)
            if (w != x)
                sum += c->mcr_weight * divergence(r, game, &f, x, w);
        for (int b = x + 1; b < modalities; b++)
            game->contrastive += contrastive_by_hand(r, &f, x, b);
    }
    return sum + c->mcr_contrastive * game->contrastive;
}

static void mcr_config(struct config *c)
{
    hand_config(c, "mcr");
    c->mcr_permutations = PERMUTATIONS;
    c->mcr_weight = 3; /* its gradients are then as large as the others */
    c->mcr_contrastive = 0.4;
}

static void assert_step(struct step_rig *r, uint32_t step, const char *what)
{
    static struct game game;
    double *want;

    rig_step(r, step, 0);
    hand_forward(r, &game.still);
    permutations_by_hand(r, step, &game);
    assert_hand(what, r->report.value[VALUE_LOSS], mcr_by_hand(r, &game));
    for (int m = 0; m < data_modalities(r->data); m++)
        if (game.pairs[m] > 0)
            assert_hand(what, r->report.value[VALUE_GAME + m], game.js[m]);
        else
            assert_true(isnan(r->report.value[VALUE_GAME + m])); /* not played */
    assert_hand(what, r->report.value[VALUE_CONTRASTIVE], game.contrastive);
    want = ref_gradient(r, mcr_by_hand, &game);
    rig_assert_gradient(r, want, what);
    free(want);
}

/* Every game, shuffle and family, two and three modalities. */
static void test_games(void **state)
{
    static const char *const games[] = {"greedy", "independent", "collaborative"};
    static const char *const shuffles[] = {"all", "other label", "other sample"};

    (void)state;
    for (int i = 0; i < HAND_TASKS * 3 * 3; i++) {
        struct step_rig r;
        struct config c;
        char what[96];

        mcr_config(&c);
        c.mcr_game = i / HAND_TASKS % 3;
        c.mcr_shuffle = i / HAND_TASKS / 3;
        snprintf(what, sizeof what, "%s, %s, %s", hand_task_names[i % HAND_TASKS],
                 games[c.mcr_game], shuffles[c.mcr_shuffle]);
        hand_open(&r, &method_mcr, &c, i % HAND_TASKS);
        assert_step(&r, (uint32_t)i, what);
        rig_close(&r);
    }
}

/* A trunk is no modality's own and learns from every divergence; a sum has the heads for weights.
 */
static void test_other_fusions(void **state)
{
    static const enum fusion_kind fuse[] = {FUSION_TRUNK, FUSION_SUM};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct step_rig r;
        struct config c;

        mcr_config(&c);
        c.fuse = fuse[i];
        c.layernorm = fuse[i] == FUSION_TRUNK;
        hand_open(&r, &method_mcr, &c, i);
        assert_step(&r, 5, i == 0 ? "trunk" : "sum");
        rig_close(&r);
    }
}

/* How many rows count, as seen by the draws above: all of them, those of other labels (none in a
 * batch of one label), all that moved. */
static void test_pairs(void **state)
{
    static struct game game;
    struct step_rig r;
    struct config c;
    int fewer = 0;

    (void)state;
    mcr_config(&c);
    hand_open(&r, &method_mcr, &c, 1);
    for (uint32_t step = 0; step < 20; step++) {
        r.net.config.mcr_shuffle = SHUFFLE_ALL;
        permutations_by_hand(&r, step, &game);
        assert_int_equal(game.pairs[0], PERMUTATIONS * HAND_ROWS);
        r.net.config.mcr_shuffle = SHUFFLE_OTHER_SAMPLE;
        permutations_by_hand(&r, step, &game);
        for (int i = 0; i < game.pairs[1]; i++)
            assert_true(game.row[1][i] != game.donor[1][i]);
        fewer += game.pairs[1] < PERMUTATIONS * HAND_ROWS;
        r.net.config.mcr_shuffle = SHUFFLE_OTHER_LABEL;
        permutations_by_hand(&r, step, &game);
        for (int i = 0; i < game.pairs[0]; i++)
            assert_true(r.batch.aim.label[game.row[0][i]] != r.batch.aim.label[game.donor[0][i]]);
        assert_true(game.pairs[0] > 0 && game.pairs[0] < PERMUTATIONS * HAND_ROWS);
    }
    assert_true(fewer > 10);
    rig_close(&r);
}

/* With one label in the batch nothing is told apart: no game is played, and the step is that of the
 * other losses. */
static void test_one_label(void **state)
{
    double loss, gradient;
    struct step_rig r;
    struct config c;
    int32_t same[HAND_ROWS] = {0};

    (void)state;
    mcr_config(&c);
    c.mcr_shuffle = SHUFFLE_OTHER_LABEL;
    hand_open(&r, &method_mcr, &c, 0);
    r.batch.aim.label = same;
    rig_step(&r, 0, 0);
    loss = r.report.value[VALUE_LOSS];
    gradient = rig_gradient(&r, "x1.encoder");
    assert_true(isnan(r.report.value[VALUE_GAME]) && isnan(r.report.value[VALUE_GAME + 1]));
    r.net.config.mcr_weight = 0;
    rig_step(&r, 0, 0);
    assert_true(r.report.value[VALUE_LOSS] == loss);
    assert_true(rig_gradient(&r, "x1.encoder") == gradient);
    rig_close(&r);
}

/* One modality's permutations may set no row against another label while the other's do: that game
 * is played all the same. */
static void test_one_game(void **state)
{
    static struct game game;
    int32_t odd[HAND_ROWS] = {0, 0, 1};

    (void)state;
    for (int idle = 0; idle < 2; idle++) {
        uint32_t step = 0;
        struct step_rig r;
        struct config c;

        mcr_config(&c);
        c.mcr_shuffle = SHUFFLE_OTHER_LABEL;
        hand_open(&r, &method_mcr, &c, 0);
        r.batch.aim.label = odd;
        for (;; step++) { /* one in 216 */
            permutations_by_hand(&r, step, &game);
            if (game.pairs[idle] == 0 && game.pairs[!idle] > 0)
                break;
        }
        assert_step(&r, step, idle == 0 ? "the second alone" : "the first alone");
        rig_close(&r);
    }
}

/* With both weights 0 it is plain linear fusion to the bit; each of them alone changes the step. */
static void test_is_active(void **state)
{
    double loss[4], gradient[4];

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct step_rig r;
        struct config c;

        mcr_config(&c);
        c.mcr_weight = i == 2 ? 3 : 0;
        c.mcr_contrastive = i == 3 ? 0.4 : 0;
        hand_open(&r, i == 0 ? &method_vanilla : &method_mcr, &c, 1);
        rig_step(&r, 0, 0);
        loss[i] = r.report.value[VALUE_LOSS];
        gradient[i] = rig_gradient(&r, "x1.encoder");
        assert_true(isnan(r.report.value[VALUE_GAME]) == (i != 2));
        assert_true(isnan(r.report.value[VALUE_CONTRASTIVE]) == (i != 3));
        rig_close(&r);
    }
    assert_true(loss[1] == loss[0] && gradient[1] == gradient[0]);
    /* the terms of a greedy game cancel in the loss, not in its gradient */
    assert_float_equal(loss[2], loss[0], 1e-6);
    assert_true(fabs(gradient[2] / gradient[0] - 1) > 1e-3);
    assert_true(loss[3] > loss[0] + 0.01 && fabs(gradient[3] / gradient[0] - 1) > 0.01);
}

/* The permuted predictions are without dropout, the intact ones those of the training pass. */
static void test_second_pass_is_still(void **state)
{
    static struct game game;
    static struct by_hand f;
    struct step_rig r;
    struct config c;

    (void)state;
    mcr_config(&c);
    c.dropout = 0.5;
    hand_open(&r, &method_mcr, &c, 1);
    rig_step(&r, 4, 0);
    hand_forward(&r, &game.still);
    f = game.still;
    permutations_by_hand(&r, 4, &game);
    for (int i = 0; i < HAND_ROWS; i++)
        ref_row(r.report.prediction->data, 3, i, f.g[i]);
    assert_true(fabs(f.g[0][0] - game.still.g[0][0]) > 1e-3);
    for (int m = 0; m < 2; m++)
        assert_hand("with dropout", r.report.value[VALUE_GAME + m],
                    divergence(&r, &game, &f, m, m));
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_games),
        cmocka_unit_test(test_other_fusions),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_one_label),
        cmocka_unit_test(test_one_game),
        cmocka_unit_test(test_is_active),
        cmocka_unit_test(test_second_pass_is_still),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
