/* SPDX-License-Identifier: MIT */
#include "train/step.h"

#include <math.h>
#include <string.h>

enum err_code step_gradients(struct method_step *s, struct step_report *report, struct network *net,
                             const struct batch *b, uint32_t step, int64_t epoch, bool keep,
                             struct err *e)
{
    const struct method *method = net->method;
    unsigned pass = PASS_TRAINING;
    struct tensor *loss;

    for (int i = 0; i < STEP_VALUES; i++)
        report->value[i] = NAN;
    report->prediction = NULL;
    if (method->stage != NULL)
        pass = method->stage(&net->config, net->model, net->params, epoch);
    if (keep || method->gradients != NULL)
        pass |= TAPE_KEEP;
    tape_begin(net->tape, pass);
    *s = network_encode(net, b, step, epoch);
    if (method->gradients != NULL) {
        TRY(method->gradients(s, report, e));
    } else {
        loss = method->loss(s, report);
        TRY(tape_gradients(net->tape, loss, net->params, e));
    }
    TRY(params_check_gradients(net->params, net->nn, e));
out:
    return e->code;
}

enum err_code step_backward_into(const struct method_step *s, struct tensor *loss, float *out,
                                 struct err *e)
{
    TRY(tape_gradients(s->tape, loss, s->params, e));
    memcpy(out, params_grad_block(s->params), params_block_count(s->params) * sizeof *out);
out:
    return e->code;
}
