/* SPDX-License-Identifier: MIT */
#include "train/methods/dnr.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "train/kmeans.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Diagnosing & Re-learning (D&R; R section 6.4). Trains with the fused and the unimodal losses.
 * Every dnr.every epochs, at most dnr.times times, it looks how far each modality's features
 * cluster better by class on the training split than on validation, and resets the modality towards
 * its initial weights, the more the larger this gap is:
 *
 *   w_m = tanh(alpha |purity_m(train) - purity_m(val)|)
 *   theta_m = w_m theta_m,0 + (1 - w_m) theta_m
 *
 * Running statistics and Adam's moments stay. Both splits are encoded in evaluation mode without
 * augmentation (there the training split with it). Two faults of the released code are settings:
 * the audio gap taken from the video's validation features (dnr.val_features = last), and the epoch
 * after a reset trained in evaluation mode (dnr.eval_epoch). */

enum { STARTS = 10, MOST_ROUNDS = 300 }; /* scikit-learn's defaults, which the code uses */

static void scale_column(float *x, int64_t n, int64_t width)
{
    float low = x[0], high = x[0];

    for (int64_t i = 1; i < n; i++) {
        low = fminf(low, x[i * width]);
        high = fmaxf(high, x[i * width]);
    }
    for (int64_t i = 0; i < n; i++)
        x[i * width] = high > low ? 2 * (x[i * width] - low) / (high - low) - 1 : 0;
}

enum err_code dnr_purity(double *purity, struct collected *c, int which, int clusters, int classes,
                         uint64_t seed, int threads, struct err *e)
{
    struct kmeans_options opt = {clusters, STARTS, MOST_ROUNDS, seed, threads};
    int32_t *cluster = NULL;

    TRY(mem_array(&cluster, (size_t)c->n, sizeof *cluster, "clusters", e));
    for (int64_t d = 0; d < c->width[which]; d++)
        scale_column(c->raw[which] + d, c->n, c->width[which]);
    TRY(kmeans(cluster, NULL, c->n, c->width[which], c->raw[which], &opt, e));
    *purity = cluster_purity(c->n, clusters, cluster, classes, c->label);
out:
    free(cluster);
    return e->code;
}

static bool belongs(const struct param *p, const char *modality)
{
    char own[MODALITY_NAME_SIZE + 1], share[MODALITY_NAME_SIZE + 8];

    snprintf(own, sizeof own, "%s.", modality);
    snprintf(share, sizeof share, "fusion.%s.", modality);
    return p->kind == PARAM_WEIGHT &&
           (strncmp(p->name, own, strlen(own)) == 0 || strncmp(p->name, share, strlen(share)) == 0);
}

void dnr_reset(struct network *net, int which, double w, const float *initial)
{
    const char *modality = model_opt(net->model)->modality[which].name;

    for (int i = 0; i < params_count(net->params); i++) {
        struct param *p = params_at(net->params, i);

        if (!belongs(p, modality))
            continue;
        for (int64_t k = 0; k < p->count; k++)
            p->data[k] =
                (float)(w * (double)initial[p->offset + (size_t)k] + (1 - w) * (double)p->data[k]);
    }
}

static bool resets_before(const struct config *c, int64_t epoch)
{
    return epoch > 0 && epoch % c->dnr_every == 0 && epoch / c->dnr_every <= c->dnr_times;
}

/* Purities of all modalities on one split. */
static enum err_code purities(double out[MODALITIES_MAX], const struct epoch_start *at,
                              const struct data *data, struct loader *loader, struct err *e)
{
    struct network *net = at->net;
    struct collected c = {0};

    TRY(collect_features(&c, net, loader, data, e));
    for (int m = 0; m < c.modalities; m++)
        TRY(dnr_purity(&out[m], &c, m, (int)net->config.dnr_clusters, data_classes(data), net->seed,
                       nn_threads(net->nn), e));
out:
    collected_free(&c);
    return e->code;
}

static enum err_code dnr_renew(const struct epoch_start *at, struct err *e)
{
    const struct config *c = &at->net->config;
    double train[MODALITIES_MAX], val[MODALITIES_MAX];
    int modalities = model_opt(at->net->model)->modalities;

    if (!resets_before(c, at->epoch))
        return ERR_OK;
    TRY(purities(train, at, at->train, at->train_loader, e));
    TRY(purities(val, at, at->val, at->val_loader, e));
    for (int m = 0; m < modalities; m++) {
        double gap = fabs(train[m] - val[c->dnr_features == DNR_LAST ? modalities - 1 : m]);
        double w = tanh(c->dnr_alpha * gap);

        dnr_reset(at->net, m, w, at->initial);
        log_note(at->log,
                 "dnr: after epoch %lld: %s: purity %.4f on train, %.4f on validation, "
                 "reset by %.4f",
                 (long long)at->epoch, data_modality(at->train, m), train[m], val[m], w);
    }
out:
    return err_in(e, "dnr: after epoch %lld", (long long)at->epoch);
}

static unsigned dnr_stage(const struct config *c, const struct model *m, struct params *ps,
                          int64_t epoch)
{
    (void)m;
    (void)ps;
    return c->dnr_eval_epoch && resets_before(c, epoch) ? PASS_EVALUATION : PASS_TRAINING;
}

static int64_t dnr_least_samples(const struct config *c)
{
    return c->dnr_times > 0 ? c->dnr_clusters : 1;
}

const struct method method_dnr = {
    .name = "dnr",
    .help = "Diagnosing & Re-learning: resets modalities whose features overfit",
    .scopes = SCOPE_AUDIO | SCOPE_VIDEO | SCOPE_FUSED | SCOPE_DNR,
    .classes_only = true,
    .fusion = true,
    .trains = true,
    .loss = fusion_loss,
    .stage = dnr_stage,
    .least_samples = dnr_least_samples,
    .renew = dnr_renew,
    .predict = fusion_predict,
};
