/* SPDX-License-Identifier: MIT */
#include "train/models/avmodel.h"

#include "common/base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const float LAYERNORM_EPS = 1e-5f; /* torch's default, R section 3.3 */

enum { SIZE_MAX_PIXELS = 4096, TRUNK_MAX = 65536, CLASSES_MAX = 65536, FRAMES_MAX = 1024 };

const char *const av_modality_name[AV_MODALITIES] = {"audio", "video"};

static const int channels_of[AV_MODALITIES] = {1, 3};

const struct avmodel_options avmodel_options_default = {
    .use = {true, true},
    .fusion = true,
    .detach_heads = true,
    .width = 64,
    .trunk = 64,
    .classes = 7,
    .frames = 3,
    .dropout = 0.1,
    .audio_height = 257,
    .audio_width = 188,
    .video_height = 224,
    .video_width = 224,
};

struct avmodel {
    struct avmodel_options opt;
    struct resnet encoder[AV_MODALITIES];
    struct linear_layer head[AV_MODALITIES];
    struct linear_layer trunk, fused_head, log_variance;
};

static enum err_code in_range(const char *what, int value, int low, int high, struct err *e)
{
    if (value < low || value > high)
        return err_set(e, ERR_USAGE, "model: %s %d: must be in %d..%d", what, value, low, high);
    return ERR_OK;
}

static enum err_code check(const struct avmodel_options *o, struct err *e)
{
    if (!o->use[AV_AUDIO] && !o->use[AV_VIDEO])
        return err_set(e, ERR_USAGE, "model: neither audio nor video is used");
    if (o->fusion && !(o->use[AV_AUDIO] && o->use[AV_VIDEO]))
        return err_set(e, ERR_USAGE, "model: fusion needs both audio and video");
    if (o->log_variance && !o->fusion)
        return err_set(e, ERR_USAGE, "model: the log-variance head needs fusion");
    if (!(o->dropout >= 0 && o->dropout < 1))
        return err_set(e, ERR_USAGE, "model: dropout %g: must be in [0, 1)", o->dropout);
    TRY(in_range("trunk", o->trunk, 1, TRUNK_MAX, e));
    TRY(in_range("classes", o->classes, 2, CLASSES_MAX, e));
    TRY(in_range("frames", o->frames, 1, FRAMES_MAX, e));
    TRY(in_range("audio height", o->audio_height, 1, SIZE_MAX_PIXELS, e));
    TRY(in_range("audio width", o->audio_width, 1, SIZE_MAX_PIXELS, e));
    TRY(in_range("video height", o->video_height, 1, SIZE_MAX_PIXELS, e));
    TRY(in_range("video width", o->video_width, 1, SIZE_MAX_PIXELS, e));
    return ERR_OK;
out:
    return e->code;
}

static enum err_code linear_declare(struct linear_layer *l, struct params *ps, const char *name,
                                    int in, int out, struct err *e)
{
    char full[PARAM_NAME_SIZE];

    snprintf(full, sizeof full, "%s.weight", name);
    TRY(params_add(ps, &l->weight, full, 2, (int64_t[]){out, in}, e));
    snprintf(full, sizeof full, "%s.bias", name);
    TRY(params_add(ps, &l->bias, full, 1, (int64_t[]){out}, e));
    return ERR_OK;
out:
    return e->code;
}

static enum err_code declare(struct avmodel *m, struct params *ps, struct err *e)
{
    const struct avmodel_options *o = &m->opt;
    int features = avmodel_features(m);
    char name[PARAM_NAME_SIZE];

    for (int i = 0; i < AV_MODALITIES; i++) {
        struct resnet_options net = {.channels = channels_of[i], .width = o->width};

        if (!o->use[i])
            continue;
        TRY(resnet_declare(&m->encoder[i], &net, ps, av_modality_name[i], e));
        snprintf(name, sizeof name, "%s.head", av_modality_name[i]);
        TRY(linear_declare(&m->head[i], ps, name, features, o->classes, e));
    }
    if (o->fusion) {
        TRY(linear_declare(&m->trunk, ps, "fusion.trunk", 2 * features, o->trunk, e));
        TRY(linear_declare(&m->fused_head, ps, "fusion.head", o->trunk, o->classes, e));
    }
    if (o->log_variance)
        TRY(linear_declare(&m->log_variance, ps, "fusion.log_variance", o->trunk, o->classes, e));
    return ERR_OK;
out:
    return e->code;
}

enum err_code avmodel_new(struct avmodel **out, const struct avmodel_options *opt,
                          struct params *ps, struct err *e)
{
    struct avmodel *m = NULL;

    TRY(check(opt, e));
    TRY(mem_array(&m, 1, sizeof *m, "model", e));
    m->opt = *opt;
    TRY(declare(m, ps, e));
    *out = m;
    m = NULL;
out:
    avmodel_free(m);
    return e->code;
}

void avmodel_free(struct avmodel *m)
{
    free(m);
}

const struct avmodel_options *avmodel_opt(const struct avmodel *m)
{
    return &m->opt;
}

int avmodel_features(const struct avmodel *m)
{
    return resnet_features(&(struct resnet_options){.width = m->opt.width});
}

struct linear_layer avmodel_head(const struct avmodel *m, enum av_modality which)
{
    return m->head[which];
}

/* torch.nn.Linear's default: both uniform in +-1 / sqrt(fan in). */
static void linear_init(struct linear_layer *l, uint64_t seed)
{
    double bound;

    if (l->weight == NULL)
        return;
    bound = 1 / sqrt((double)l->weight->dim[1]);
    param_init_uniform(l->weight, seed, -bound, bound);
    param_init_uniform(l->bias, seed, -bound, bound);
}

void avmodel_init(struct avmodel *m, uint64_t seed)
{
    for (int i = 0; i < AV_MODALITIES; i++) {
        if (m->opt.use[i])
            resnet_init(&m->encoder[i], seed);
        linear_init(&m->head[i], seed);
    }
    linear_init(&m->trunk, seed);
    linear_init(&m->fused_head, seed);
    linear_init(&m->log_variance, seed);
}

static struct tensor *linear_forward(struct tape *t, const struct linear_layer *l, struct tensor *x)
{
    return op_linear(t, x, tape_param(t, l->weight), tape_param(t, l->bias));
}

static struct tensor *input_tensor(const struct avmodel *m, struct tape *t,
                                   const struct av_input *in, int which)
{
    const struct avmodel_options *o = &m->opt;
    bool audio = which == AV_AUDIO;
    int64_t dim[] = {audio ? in->batch : in->batch * o->frames, channels_of[which],
                     audio ? o->audio_height : o->video_height,
                     audio ? o->audio_width : o->video_width};

    return tape_constant(t, 4, dim, in->modality[which]);
}

struct av_features avmodel_encode(const struct avmodel *m, struct tape *t,
                                  const struct av_input *in)
{
    struct av_features f = {0};

    for (int i = 0; i < AV_MODALITIES; i++) {
        struct tensor *seen;

        if (!m->opt.use[i])
            continue;
        f.raw[i] = resnet_forward(&m->encoder[i], t, input_tensor(m, t, in, i),
                                  i == AV_AUDIO ? 1 : m->opt.frames);
        seen = m->opt.detach_heads ? op_detach(t, f.raw[i]) : f.raw[i];
        f.logits[i] = linear_forward(t, &m->head[i], seen);
        if (m->opt.fusion)
            f.z[i] = op_layernorm(t, f.raw[i], NULL, NULL, LAYERNORM_EPS);
    }
    if (f.logits[AV_AUDIO] == NULL && f.logits[AV_VIDEO] == NULL)
        f = (struct av_features){0};
    return f;
}

struct av_fused avmodel_fuse(const struct avmodel *m, struct tape *t, struct tensor *z_audio,
                             struct tensor *z_video, const struct noise_key *key)
{
    struct av_fused out = {0};
    struct tensor *h =
        linear_forward(t, &m->trunk, op_concat(t, 2, (struct tensor *[]){z_audio, z_video}));

    h = op_dropout(t, op_relu(t, h), (float)m->opt.dropout, key);
    out.logits = linear_forward(t, &m->fused_head, h);
    if (m->opt.log_variance)
        out.log_variance = linear_forward(t, &m->log_variance, h);
    return out;
}
