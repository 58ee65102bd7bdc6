/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_METHODS_METHOD_H
#define TRAIN_METHODS_METHOD_H

#include "train/config.h"
#include "train/loader.h"
#include "train/models/model.h"
#include "train/objectives/objective.h"

/* What distinguishes one training method from another. A method is one file that defines one
 * struct method, and one line in methods/list.h. It sees encoded features and builds a loss;
 * the trainer owns data, model, optimiser, files and everything else.
 *
 * Methods are stateless: what they must remember between steps (running statistics) they declare as
 * buffers in the model's params, so that checkpoints and resuming need nothing from them. */

/* What a step reports beside its loss, one column of epochs.csv each. A method fills those it has.
 */
enum step_value {
    VALUE_LOSS,
    VALUE_FUSED,                                         /* of the fused prediction */
    VALUE_UNIMODAL,                                      /* + m: of modality m's head */
    VALUE_DIVERGENCE = VALUE_UNIMODAL + MODALITIES_MAX,  /* + m: of the prediction with m masked,
                                                            before lambda */
    VALUE_MASKED_CE = VALUE_DIVERGENCE + MODALITIES_MAX, /* of all masked predictions, summed,
                                                            before its weight */
    VALUE_MASK_SHARE, /* + m: share of m's values that are masked */
    VALUE_MASK_LOSS = VALUE_MASK_SHARE + MODALITIES_MAX, /* of the mask networks, summed */
    VALUE_COSINE, /* + m: of the fused and m's own loss gradient of m's encoder */
    VALUE_GAME = VALUE_COSINE + MODALITIES_MAX,      /* + m: divergence of the predictions with m
                                                        permuted from the intact one */
    VALUE_CONTRASTIVE = VALUE_GAME + MODALITIES_MAX, /* before its weight */
    STEP_VALUES
};
/* "loss", "ce_fused", "ce_audio", "kl_masked_x1", ... into `out`. */
const char *step_value_name(enum step_value value, const struct model_options *opt, char *out,
                            size_t size);
/* False for columns of modalities that the model does not have. */
bool step_value_exists(enum step_value value, const struct model_options *opt);

struct step_report {
    double value[STEP_VALUES]; /* NaN: has none */
    struct tensor *prediction; /* the fused one of intact inputs, or NULL */
};

/* One step's view of the world. */
struct method_step {
    struct tape *tape;
    struct tape
        *inner; /* for gradients inside a step; its passes end with the call that began them */
    struct nn *nn;
    const struct model *model;
    const struct objective *objective;
    struct params *params;
    float *const *spare; /* [method->spare_gradients][params_block_count], scratch of the step */
    const struct config *config;
    const struct batch *batch;
    struct features features; /* of this batch */
    uint64_t seed;
    uint32_t step; /* steps done before this one: the `epoch` of every noise_key */
    int64_t epoch; /* epochs done before this one */
};

/* The start of an epoch, of a method that alters weights there. */
struct epoch_start {
    struct network *net;
    const struct data *train, *val;
    struct loader *train_loader, *val_loader; /* whole splits, in order, without augmentation */
    int64_t epoch;                            /* epochs done */
    const float *initial; /* [params_block_count] weights that the run started from */
    const struct log *log;
};

/* What a batch's pass is like: flags of tape_begin. */
enum { PASS_TRAINING = TAPE_TRAIN, PASS_EVALUATION = 0 };

enum { METHOD_SPARES_MAX = 1 + MODALITIES_MAX };

struct method {
    const char *name;
    const char *help;
    unsigned scopes;           /* settings that it depends on, enum config_scope */
    const char *only;          /* the one modality that it uses; NULL: all */
    bool media_only;           /* for pictures and sound alone */
    bool classes_only;         /* not for numbers to predict */
    bool heads_reach_encoders; /* needs model.detach_heads = false */
    bool fusion;               /* predicts from all modalities (model.fusion) */
    bool trains;               /* false: only puts trained parts together */
    int spare_gradients;       /* blocks of method_step.spare; with `gradients` */
    /* Declares buffers and weights of its own; before params_build. May be NULL. */
    enum err_code (*declare)(const struct config *c, const struct model *m, struct params *ps,
                             struct err *e);
    /* Initial values of such weights, after params_build. May be NULL. */
    void (*init)(const struct config *c, const struct model *m, struct params *ps, uint64_t seed);
    /* Builds and returns the scalar to be minimised, and reports what it consists of. Errors are
     * the tape's. NULL when !trains, or with `gradients`. */
    struct tensor *(*loss)(const struct method_step *s, struct step_report *report);
    /* Instead of `loss`: leaves in the params what the optimiser is to take for the gradient, from
     * as many backward passes as it likes (step_backward_into). */
    enum err_code (*gradients)(const struct method_step *s, struct step_report *report,
                               struct err *e);
    /* Freezes the weights that do not learn in the epoch after `epoch` others, thaws the rest, and
     * returns PASS_TRAINING or PASS_EVALUATION. A function of its arguments: it is also asked when
     * a run goes on inside an epoch. NULL: everything learns in every epoch, in training mode. */
    unsigned (*stage)(const struct config *c, const struct model *m, struct params *ps,
                      int64_t epoch);
    /* Samples that train and val must have each, known before the run begins. NULL: one. */
    int64_t (*least_samples)(const struct config *c);
    /* Alters weights before the first step of an epoch, once. NULL: does not. */
    enum err_code (*renew)(const struct epoch_start *at, struct err *e);
    /* readout [B, width]: the prediction in evaluation mode, as the objective reads it out. Errors
     * are the tape's. */
    void (*predict)(const struct method_step *s, float *readout);
};

#define METHOD(name) extern const struct method method_##name;
#include "train/methods/list.h"
#undef METHOD

/* NULL-terminated. */
extern const struct method *const methods[];
/* Those of one modality of pictures and sound, by its number. */
extern const struct method *const unimodal_methods[MEDIA_MODALITIES];
/* Whether a run starts from finished runs of the unimodal methods. */
bool method_needs_unimodal(const struct method *m, const struct config *c);

enum { METHODS_MAX = 64 };
/* Their names, NULL-terminated. */
void method_names(const char *names[METHODS_MAX]);
/* ERR_USAGE lists the names. */
NODISCARD enum err_code method_find(const struct method **m, const char *name, struct err *e);

/* ---- what several methods share (methods/shared.c) ---- */

/* Adds a scalar to what a step reports under `value`. */
void report_add(struct step_report *report, enum step_value value, const struct tensor *scalar);

/* Reads a prediction out; does nothing when it is NULL (an error on the tape). */
void predict_readout(const struct method_step *s, const struct tensor *prediction, float *readout);

/* Dropout draws of this step under a stream of its own. */
struct noise_key step_key(const struct method_step *s, const char *stream);
/* The same for stream "PREFIX" + name of modality `which`. */
struct noise_key step_key_of(const struct method_step *s, const char *prefix, int which);

/* A loss under construction: at most LOSS_PARTS weighted scalars. */
enum { LOSS_PARTS = 8 };
struct loss_sum {
    int n;
    struct tensor *part[LOSS_PARTS];
    double weight[LOSS_PARTS];
};
/* Past LOSS_PARTS the parts so far are summed into one. */
void loss_add(const struct method_step *s, struct loss_sum *sum, struct tensor *part,
              double weight);
struct tensor *loss_total(const struct method_step *s, const struct loss_sum *sum,
                          struct step_report *report);

/* Adds what all fusion methods train: the fused loss (weight 1) and the unimodal heads'
 * (loss.unimodal), and reports them. R sections 3.3 and 3.4. */
void fusion_base_loss(const struct method_step *s, struct loss_sum *sum,
                      struct step_report *report);
/* The parts of it. */
struct tensor *fused_loss(const struct method_step *s, struct step_report *report);
struct tensor *head_loss(const struct method_step *s, int which, struct step_report *report);
/* Adds the label's loss on a masked prediction, and reports it without the weight. */
void add_masked_loss(const struct method_step *s, struct tensor *prediction, double weight,
                     struct loss_sum *sum, struct step_report *report);
/* The loss of plain fusion: fusion_base_loss alone. */
struct tensor *fusion_loss(const struct method_step *s, struct step_report *report);
void fusion_predict(const struct method_step *s, float *readout);

/* A prediction over classes as the logits of a softmax: [B, K]; of two classes, where the model has
 * one logit, [B, 2] with a zero before it. */
struct tensor *class_logits(const struct method_step *s, struct tensor *prediction);

/* The loss and prediction of a unimodal method. */
struct tensor *unimodal_loss(const struct method_step *s, int which, struct step_report *report);

#endif
