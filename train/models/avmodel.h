/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_MODELS_AVMODEL_H
#define TRAIN_MODELS_AVMODEL_H

#include "common/nn/ops.h"
#include "train/models/resnet.h"

/* The two-branch model of CREMA-D-Irony (R section 3): an audio and a video ResNet18, one linear
 * head on each pooled feature, and a fusion trunk
 *
 *     z_m = layer norm of the pooled feature of modality m, no affine part, eps 1e-5
 *     h   = dropout(relu(W [z_audio, z_video] + b))            trunk, T wide
 *     g   = W' h + b'                                          fused logits, K classes
 *
 * Encoding and fusing are separate calls: masked passes fuse altered z and never encode again.
 * Any part can be left out (unimodal training has one encoder and its head). */

enum av_modality { AV_AUDIO, AV_VIDEO, AV_MODALITIES };
extern const char *const av_modality_name[AV_MODALITIES]; /* "audio", "video": name prefixes too */

struct avmodel_options {
    bool use[AV_MODALITIES];       /* which encoders, with their heads, exist */
    bool fusion;                   /* needs both */
    bool log_variance;             /* extra head on the trunk, for a Gaussian regulariser */
    bool detach_heads;             /* unimodal losses do not reach the encoders (R section
 3.4); false for unimodal training */
    int width;                     /* of the encoders: 64 in the paper, a multiple of 16 */
    int trunk;                     /* T: 64 */
    int classes;                   /* K: 7 */
    int frames;                    /* of a video sample: 3 */
    double dropout;                /* 0.1 */
    int audio_height, audio_width; /* 257 x 188 */
    int video_height, video_width; /* 224 x 224 */
};
/* The paper's sizes, both encoders and fusion. */
extern const struct avmodel_options avmodel_options_default;

struct linear_layer {
    struct param *weight, *bias;
};

struct avmodel; /* keeps loans of the struct params it was declared in */

/* Declares audio.*, video.* (encoders as in resnet.h, heads PREFIX.head.weight/bias) and
 * fusion.trunk.*, fusion.head.*, fusion.log_variance.*. ERR_USAGE names a bad option. Free the
 * model before the params. */
NODISCARD enum err_code avmodel_new(struct avmodel **m, const struct avmodel_options *opt,
                                    struct params *ps, struct err *e);
void avmodel_free(struct avmodel *m);
const struct avmodel_options *avmodel_opt(const struct avmodel *m);
/* D: length of a pooled feature. */
int avmodel_features(const struct avmodel *m);
/* The unimodal head of a modality, for closed-form gradients and readout; NULLs where absent. */
struct linear_layer avmodel_head(const struct avmodel *m, enum av_modality which);

/* Initial values of R section 3.1, after params_build: every weight a function of its name and the
 * seed alone, so that parts shared by two models start alike. */
void avmodel_init(struct avmodel *m, uint64_t seed);

struct av_input {
    int64_t batch; /* B >= 1 */
    const float *modality[AV_MODALITIES];
    /* audio [B, 1, audio_height, audio_width]; video [B, frames, 3, video_height, video_width];
     * NULL for a modality that the model does not use */
};

struct av_features {
    struct tensor *raw[AV_MODALITIES];    /* pooled features [B, D] */
    struct tensor *z[AV_MODALITIES];      /* layer-normed [B, D]; only with fusion */
    struct tensor *logits[AV_MODALITIES]; /* unimodal logits [B, K], from raw */
};

/* Runs the encoders and unimodal heads. Members of absent parts, and all of them after an error on
 * the tape, are NULL. The input is borrowed until backward is done. */
struct av_features avmodel_encode(const struct avmodel *m, struct tape *t,
                                  const struct av_input *in);

struct av_fused {
    struct tensor *logits;       /* [B, K] */
    struct tensor *log_variance; /* [B, K], NULL without that head */
};
/* Fused logits of any z pair, encoded or masked. `key` names the dropout draws; give each call in a
 * step its own stream. It may be NULL outside training. */
struct av_fused avmodel_fuse(const struct avmodel *m, struct tape *t, struct tensor *z_audio,
                             struct tensor *z_video, const struct noise_key *key);

#endif
