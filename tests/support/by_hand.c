/* SPDX-License-Identifier: MIT */
#include "tests/support/by_hand.h"

#include "tests/support/cmocka.h"

#include <math.h>

const char *const hand_task_names[HAND_TASKS] = {"two classes", "three classes",
                                                 "three modalities"};

void hand_config(struct config *c, const char *method)
{
    rig_config(c, "xor-pid", method, NULL);
    rig_shrink(c);
    c->encoder_width = HAND_WIDTH;
    c->head_width = c->trunk = 5;
    c->unimodal_weight = 0.7;
    c->select = SELECT_LAST;
}

void hand_open(struct step_rig *r, const struct method *m, const struct config *c, int task)
{
    static const int32_t mixed[HAND_ROWS] = {0, 1, 1, 0, 1, 0}; /* the task's are all alike */

    if (task == 1)
        rig_open_classes(r, m, c, HAND_ROWS);
    else
        rig_open(r, m, c, task == 0 ? "pid:0.2,0.2,0.2,0.4" : "spurious3:0.5", HAND_ROWS);
    if (task == 2)
        r->batch.aim.label = mixed;
}

void hand_forward(const struct step_rig *r, struct by_hand *f)
{
    static double x[REF_WIDTH_MAX];
    int modalities = data_modalities(r->data);

    for (int i = 0; i < HAND_ROWS; i++) {
        const double *z[MODALITIES_MAX] = {0};

        for (int m = 0; m < modalities; m++) {
            ref_row(r->batch.x[m], model_inputs(r->net.model, m), i, x);
            ref_encode(r, m, x, f->raw[m][i]);
            ref_fusion_input(r, m, f->raw[m][i], f->z[m][i]);
            ref_head(r, m, f->raw[m][i], f->u[m][i]);
            z[m] = f->z[m][i];
        }
        ref_fuse(r, z, f->g[i], NULL);
    }
}

double hand_nll(const struct step_rig *r, hand_rows prediction)
{
    double sum = 0;

    for (int i = 0; i < HAND_ROWS; i++)
        sum += ref_nll(r, prediction[i], i) / HAND_ROWS;
    return sum;
}

void assert_hand(const char *what, double got, double want)
{
    if (!(fabs(got - want) <= 2e-6 * (1 + fabs(want))))
        fail_msg("%s: %.9g, by hand %.9g", what, got, want);
}
