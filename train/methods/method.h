/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_METHODS_METHOD_H
#define TRAIN_METHODS_METHOD_H

#include "train/config.h"
#include "train/models/avmodel.h"

/* What distinguishes one training method from another. A method is one file that defines one
 * struct method, and one line in methods/registry.c. It sees encoded features and builds a loss;
 * the trainer owns data, model, optimiser, files and everything else.
 *
 * Methods are stateless: what they must remember between steps (running statistics) they declare as
 * buffers in the model's params, so that checkpoints and resuming need nothing from them. */

/* The parts that losses are made of, one column of epochs.csv each. A method fills those it has. */
enum loss_term {
    TERM_TOTAL,
    TERM_FUSED,        /* cross-entropy of the fused prediction */
    TERM_AUDIO,        /* cross-entropy of the audio head */
    TERM_VIDEO,        /* cross-entropy of the video head */
    TERM_MASKED_AUDIO, /* divergence of the prediction with audio masked, before lambda */
    TERM_MASKED_VIDEO,
    TERM_MASKED_CE, /* cross-entropies of both masked predictions, summed, before their weight */
    LOSS_TERMS
};
extern const char *const loss_term_name[LOSS_TERMS];

/* One step's view of the world. */
struct method_step {
    struct tape *tape;
    const struct avmodel *model;
    struct params *params;
    const struct config *config;
    struct av_features features; /* of this batch */
    const int32_t *label;        /* [B] */
    const uint32_t *sample;      /* [B]: rows of every noise_key */
    int64_t batch;               /* B */
    uint64_t seed;
    uint32_t step; /* steps done before this one: the `epoch` of every noise_key */
};

struct method {
    const char *name;
    const char *help;
    unsigned scopes;         /* settings that it depends on, enum config_scope */
    bool use[AV_MODALITIES]; /* encoders that it trains or needs */
    bool fusion;             /* has a trunk */
    bool trains;             /* false: only puts trained parts together */
    /* Declares buffers; before params_build. May be NULL. */
    enum err_code (*declare)(const struct config *c, const struct avmodel *m, struct params *ps,
                             struct err *e);
    /* Builds term[TERM_TOTAL], the scalar to be minimised, and leaves what it consists of in the
     * other terms (NULL = has none). Errors are the tape's. NULL when !trains. */
    void (*loss)(const struct method_step *s, struct tensor *term[LOSS_TERMS]);
    /* log_prob [B, N_LABELS]: the prediction, natural logarithm, in evaluation mode. Errors are the
     * tape's. */
    void (*predict)(const struct method_step *s, float *log_prob);
};

extern const struct method method_uni_audio, method_uni_video, method_ensemble, method_vanilla,
    method_synib;

/* NULL-terminated. */
extern const struct method *const methods[];

/* ERR_USAGE lists the names. */
NODISCARD enum err_code method_find(const struct method **m, const char *name, struct err *e);

/* ---- what several methods share (methods/shared.c) ---- */

/* out [rows, classes] = log softmax of each row, in double inside. */
void log_softmax_rows(int64_t rows, int64_t classes, const float *logits, float *out);
/* log_softmax_rows of a tensor; does nothing when it is NULL (an error on the tape). */
void predict_logits(const struct tensor *logits, float *log_prob);

/* The z pair that the trunk gets: layer-normed or raw features, by setting. */
struct tensor *fusion_input(const struct method_step *s, enum av_modality which);
/* Dropout draws of this step under a stream of its own. */
struct noise_key step_key(const struct method_step *s, const char *stream);

/* A loss under construction: at most LOSS_PARTS weighted scalars. */
enum { LOSS_PARTS = 8 };
struct loss_sum {
    int n;
    struct tensor *part[LOSS_PARTS];
    double weight[LOSS_PARTS];
};
void loss_add(struct loss_sum *sum, struct tensor *part, double weight);

/* Adds what all fusion methods train: fused cross-entropy (weight 1) and both unimodal heads'
 * (loss.unimodal), and fills their terms. R sections 3.3 and 3.4. */
void fusion_base_loss(const struct method_step *s, struct loss_sum *sum,
                      struct tensor *term[LOSS_TERMS]);
void fusion_predict(const struct method_step *s, float *log_prob);

#endif
