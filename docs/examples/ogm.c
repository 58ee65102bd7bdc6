/* SPDX-License-Identifier: MIT */
#include "common/nn/ops.h"
#include "train/methods/method.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* OGM, on-the-fly gradient modulation [Peng22], without its noise (GE). The prediction is the sum
 * of the unimodal heads' (model.fusion = sum), its loss the only one. An encoder whose head is
 * surer of the labels than the others' are is slowed down:
 *
 *   s_m = sum over the batch of p_m(y),   rho_m = s_m / mean over the other modalities of s
 *   gradient of encoder m times k_m,      k_m = 1 - tanh(ogm.alpha rho_m) if rho_m > 1, else 1 */

/* s_m; 0 on an error of the tape. */
static double sureness(const struct method_step *s, int which)
{
    struct tensor *logits = class_logits(s, s->features.unimodal[which]), *p;
    double sum = 0;

    if (logits == NULL || (p = tape_scratch(s->tape, 2, logits->dim)) == NULL)
        return 0;
    softmax_rows(logits->dim[0], logits->dim[1], logits->data, p->data);
    for (int64_t i = 0; i < logits->dim[0]; i++)
        sum += (double)p->data[i * logits->dim[1] + s->batch->aim.label[i]];
    return sum;
}

/* k_m from all s; `total` is their sum. */
static double slowness(const struct method_step *s, double sure, double total)
{
    double rho = sure * (model_opt(s->model)->modalities - 1) / (total - sure);

    return rho > 1 ? 1 - tanh(s->config->ogm_alpha * rho) : 1;
}

/* Multiplies the gradient of an encoder; that of its head stays. */
static void scale_encoder(const struct method_step *s, int which, float k)
{
    const char *name = model_opt(s->model)->modality[which].name;
    char own[MODALITY_NAME_SIZE + 1], head[MODALITY_NAME_SIZE + 8];

    snprintf(own, sizeof own, "%s.", name);
    snprintf(head, sizeof head, "%s.head.", name);
    for (int i = 0; i < params_count(s->params); i++) {
        struct param *p = params_at(s->params, i);

        if (p->kind != PARAM_WEIGHT || strncmp(p->name, own, strlen(own)) != 0 ||
            strncmp(p->name, head, strlen(head)) == 0)
            continue;
        for (int64_t j = 0; j < p->count; j++)
            p->grad[j] *= k;
    }
}

static enum err_code ogm_gradients(const struct method_step *s, struct step_report *report,
                                   struct err *e)
{
    struct tensor *loss = fused_loss(s, report);
    int modalities = model_opt(s->model)->modalities;
    double sure[MODALITIES_MAX], total = 0;

    report->value[VALUE_LOSS] = report->value[VALUE_FUSED];
    tape_no_grad_begin(s->tape);
    for (int m = 0; m < modalities; m++) {
        (void)head_loss(s, m, report); /* reported, not trained */
        total += sure[m] = sureness(s, m);
    }
    tape_no_grad_end(s->tape);
    TRY(tape_gradients(s->tape, loss, s->params, e)); /* and errors of the passes above */
    for (int m = 0; m < modalities; m++)
        scale_encoder(s, m, (float)slowness(s, sure[m], total));
out:
    return e->code;
}

const struct method method_ogm = {
    .name = "ogm",
    .help = "OGM: slows encoders that run ahead of the others",
    .scopes = SCOPE_AUDIO | SCOPE_VIDEO | SCOPE_FUSED | SCOPE_OGM,
    .classes_only = true,
    .heads_reach_encoders = true,
    .fusion = true,
    .trains = true,
    .gradients = ogm_gradients,
    .predict = fusion_predict,
};
