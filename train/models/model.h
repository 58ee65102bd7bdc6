/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_MODELS_MODEL_H
#define TRAIN_MODELS_MODEL_H

#include "train/models/mlp.h"
#include "train/models/resnet.h"

/* How a prediction is made of all modalities (R sections 3.3 and 3.5). */
enum fusion_kind {
    FUSION_TRUNK,  /* g = linear(ReLU layers of [z_1, z_2, ...]) */
    FUSION_LINEAR, /* g = W_1 z_1 + W_2 z_2 + ... + b */
    FUSION_SUM,    /* g = the unimodal heads' predictions of z_1, z_2, ... added up */
};

/* The fusion model that every method trains, for any number of modalities m:
 *
 * - raw_m, [B, D]: the encoder of modality m, a ResNet18 (R section 3) or an MLP (X sections 2, 3)
 * - u_m, [B, P]: its unimodal head, an MLP on raw_m
 * - z_m, [B, D]: raw_m, or its layer norm (no affine part, eps model_layernorm_eps)
 * - g, [B, P]: the fused prediction of all z, by enum fusion_kind
 *
 * A prediction is the P parameters of a distribution over the target (train/objectives): K logits,
 * one logit, or K means and K log variances. Encoding and fusing are separate calls: masked passes
 * in latent space fuse altered z and never encode again. Any part can be left out (unimodal
 * training has one encoder and its head). */

enum { MODALITIES_MAX = 4, MODALITY_NAME_SIZE = 16 };

enum encoder_kind { ENCODER_RESNET, ENCODER_MLP };

struct modality {
    char name[MODALITY_NAME_SIZE]; /* "audio"; prefix of its parameters */
    bool use;                      /* its encoder and head exist */
    enum encoder_kind encoder;
    int channels, height, width; /* ENCODER_RESNET: of a picture (a spectrogram has one channel) */
    int frames;                  /* ENCODER_RESNET: pictures per sample */
    int inputs;                  /* ENCODER_MLP: length of the vector */
};

struct model_options {
    int modalities;
    struct modality modality[MODALITIES_MAX];
    bool fusion;           /* needs two used modalities or more */
    enum fusion_kind fuse; /* with fusion; FUSION_SUM is without layernorm */
    bool log_variance;     /* extra head on the trunk (FUSION_TRUNK), P wide: variances of Gaussian
                              logits */
    bool detach_heads;     /* unimodal losses do not reach the encoders */
    bool layernorm;        /* of z */
    int resnet_width;      /* of ResNet encoders: 64 in the paper, a multiple of 16 */
    struct mlp_shape encoder; /* of MLP encoders; depth >= 1 */
    struct mlp_shape head;    /* hidden layers of the unimodal heads; depth 0 = linear */
    struct mlp_shape trunk;   /* of FUSION_TRUNK; depth >= 1 */
    int outputs;              /* P */
    double dropout;           /* after the first layer of MLP encoders and of the trunk */
};

/* The paper's model of CREMA-D-Irony (R section 3): modality 0 "audio" of 257 x 188 spectrograms, 1
 * "video" of three 224 x 224 frames, ResNet18 encoders, a trunk of 64, seven classes. */
extern const struct model_options model_options_paper;

/* 1e-5: torch's default, R section 3.3. */
extern const double model_layernorm_eps;

struct model; /* keeps loans of the struct params it was declared in */

/* Declares NAME.* for every used modality (encoder as in resnet.h, or NAME.encoder.* of an MLP;
 * head NAME.head.*), then fusion.trunk.*, fusion.head.* and fusion.log_variance.*, or
 * fusion.NAME.weight [P, D] of every modality and fusion.bias [P]. ERR_USAGE names a bad option.
 * Free the model before the params. */
NODISCARD enum err_code model_new(struct model **m, const struct model_options *opt,
                                  struct params *ps, struct err *e);
void model_free(struct model *m);
const struct model_options *model_opt(const struct model *m);
/* D: length of a modality's features. */
int model_features(const struct model *m, int which);
/* Elements of one sample's input. */
int64_t model_inputs(const struct model *m, int which);
/* The unimodal head of a modality, for closed-form gradients; layers 0 where absent. */
const struct mlp *model_head(const struct model *m, int which);

/* Initial values (R section 3.1, X section 2), after params_build: every weight a function of its
 * name and the seed alone, so that parts shared by two models start alike. fusion.bias starts at 0,
 * as R section 3.5 has it for MCR. */
void model_init(struct model *m, uint64_t seed);

/* x as the encoder takes it, a constant: [B, inputs], or [B * frames, channels, height, width]. x
 * is borrowed until backward is done. */
struct tensor *model_input(const struct model *m, struct tape *t, int which, int64_t batch,
                           const float *x);

struct features {
    int64_t batch;                           /* B */
    struct tensor *input[MODALITIES_MAX];    /* what model_input made */
    struct tensor *raw[MODALITIES_MAX];      /* [B, D] */
    struct tensor *z[MODALITIES_MAX];        /* [B, D]; only with fusion */
    struct tensor *unimodal[MODALITIES_MAX]; /* [B, P], from raw */
};

/* Runs the encoders and unimodal heads over x[m]. `key` names the dropout draws of the encoders (a
 * stream each is derived from it) and may be NULL outside training. Members of absent parts, and
 * all of them after an error on the tape, are NULL. */
struct features model_encode(const struct model *m, struct tape *t, int64_t batch,
                             const float *const x[MODALITIES_MAX], const struct noise_key *key);
/* The parts of model_encode for one modality. */
struct tensor *model_encode_one(const struct model *m, struct tape *t, int which,
                                struct tensor *input, const struct noise_key *key);
/* True where the features of a row depend on its input alone, whatever else is in the batch and
 * however often it is encoded: no batch statistics, no dropout in this pass. */
bool model_encodes_rows_alone(const struct model *m, const struct tape *t, int which);
struct tensor *model_fusion_input(const struct model *m, struct tape *t, struct tensor *raw);
struct tensor *model_unimodal(const struct model *m, struct tape *t, int which, struct tensor *raw);

struct fused {
    struct tensor *prediction;   /* [B, P] */
    struct tensor *log_variance; /* [B, P], NULL without that head */
};
/* Fused prediction of any z, encoded or masked. `key` names the dropout draws; give each call in a
 * step its own stream. It may be NULL outside training. */
struct fused model_fuse(const struct model *m, struct tape *t,
                        struct tensor *const z[MODALITIES_MAX], const struct noise_key *key);
/* The same number, differentiated towards modality `which` alone: what the others contribute is a
 * constant, and where they contribute through weights of their own (FUSION_LINEAR, FUSION_SUM) so
 * are these; fusion.bias counts as the first modality's. */
struct tensor *model_fuse_towards(const struct model *m, struct tape *t, int which,
                                  struct tensor *const z[MODALITIES_MAX],
                                  const struct noise_key *key);

#endif
