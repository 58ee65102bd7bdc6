/* SPDX-License-Identifier: MIT */
#include "train/models/model.h"

#include "common/base/mem.h"
#include "common/base/rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const double model_layernorm_eps = 1e-5;

enum { SIZE_MAX_PIXELS = 4096, UNITS_MAX = 65536, FRAMES_MAX = 1024, INPUTS_MAX = 1 << 24 };

const struct model_options model_options_paper = {
    .modalities = 2,
    .modality = {{.name = "audio",
                  .use = true,
                  .encoder = ENCODER_RESNET,
                  .channels = 1,
                  .height = 257,
                  .width = 188,
                  .frames = 1},
                 {.name = "video",
                  .use = true,
                  .encoder = ENCODER_RESNET,
                  .channels = 3,
                  .height = 224,
                  .width = 224,
                  .frames = 3}},
    .fusion = true,
    .detach_heads = true,
    .layernorm = true,
    .resnet_width = 64,
    .trunk = {1, 64},
    .outputs = 7,
    .dropout = 0.1,
};

struct model {
    struct model_options opt;
    struct resnet resnet[MODALITIES_MAX];
    struct mlp encoder[MODALITIES_MAX];
    struct mlp head[MODALITIES_MAX];
    struct mlp trunk, fused_head, log_variance; /* FUSION_TRUNK */
    struct param *share[MODALITIES_MAX], *bias; /* FUSION_LINEAR */
};

static enum err_code in_range(const char *what, int value, int low, int high, struct err *e)
{
    if (value < low || value > high)
        return err_set(e, ERR_USAGE, "model: %s %d: must be in %d..%d", what, value, low, high);
    return ERR_OK;
}

static enum err_code check_shape(const char *what, const struct mlp_shape *s, int least,
                                 struct err *e)
{
    char name[64];

    snprintf(name, sizeof name, "layers of the %s", what);
    TRY(in_range(name, s->depth, least, MLP_HIDDEN_MAX, e));
    snprintf(name, sizeof name, "units of the %s", what);
    if (s->depth > 0)
        TRY(in_range(name, s->width, 1, UNITS_MAX, e));
out:
    return e->code;
}

static enum err_code check_modality(const struct model_options *o, const struct modality *x,
                                    struct err *e)
{
    if (x->encoder == ENCODER_MLP) {
        TRY(in_range("inputs", x->inputs, 1, INPUTS_MAX, e));
        TRY(check_shape("encoder", &o->encoder, 1, e));
        return ERR_OK;
    }
    TRY(in_range("frames", x->frames, 1, FRAMES_MAX, e));
    TRY(in_range("picture height", x->height, 1, SIZE_MAX_PIXELS, e));
    TRY(in_range("picture width", x->width, 1, SIZE_MAX_PIXELS, e));
out:
    return err_in(e, "%s", x->name);
}

static enum err_code check(const struct model_options *o, struct err *e)
{
    int used = 0;

    TRY(in_range("modalities", o->modalities, 1, MODALITIES_MAX, e));
    for (int i = 0; i < o->modalities; i++) {
        used += o->modality[i].use;
        if (o->modality[i].use)
            TRY(check_modality(o, &o->modality[i], e));
    }
    if (used == 0)
        return err_set(e, ERR_USAGE, "model: no modality is used");
    if (o->fusion && (used < 2 || used < o->modalities))
        return err_set(e, ERR_USAGE, "model: fusion needs all of at least two modalities");
    if (o->log_variance && !(o->fusion && o->fuse == FUSION_TRUNK))
        return err_set(e, ERR_USAGE, "model: the log-variance head needs a fusion trunk");
    if (o->fusion && o->fuse == FUSION_SUM && o->layernorm)
        return err_set(e, ERR_USAGE, "model: a sum of unimodal predictions is without layer norm");
    if (!(o->dropout >= 0 && o->dropout < 1))
        return err_set(e, ERR_USAGE, "model: dropout %g: must be in [0, 1)", o->dropout);
    TRY(in_range("outputs", o->outputs, 1, UNITS_MAX, e));
    TRY(check_shape("heads", &o->head, 0, e));
    if (o->fusion && o->fuse == FUSION_TRUNK)
        TRY(check_shape("trunk", &o->trunk, 1, e));
out:
    return e->code;
}

int model_features(const struct model *m, int which)
{
    if (m->opt.modality[which].encoder == ENCODER_MLP)
        return m->opt.encoder.width;
    return resnet_features(&(struct resnet_options){.width = m->opt.resnet_width});
}

int64_t model_inputs(const struct model *m, int which)
{
    const struct modality *x = &m->opt.modality[which];

    return x->encoder == ENCODER_MLP ? x->inputs
                                     : (int64_t)x->frames * x->channels * x->height * x->width;
}

static enum err_code declare_modality(struct model *m, struct params *ps, int i, struct err *e)
{
    const struct modality *x = &m->opt.modality[i];
    struct resnet_options net = {.channels = x->channels, .width = m->opt.resnet_width};
    char name[PARAM_NAME_SIZE];

    if (x->encoder == ENCODER_RESNET) {
        TRY(resnet_declare(&m->resnet[i], &net, ps, x->name, e));
    } else {
        snprintf(name, sizeof name, "%s.encoder", x->name);
        TRY(mlp_declare(&m->encoder[i], ps, name, x->inputs, m->opt.encoder, 0, e));
    }
    snprintf(name, sizeof name, "%s.head", x->name);
    TRY(mlp_declare(&m->head[i], ps, name, model_features(m, i), m->opt.head, m->opt.outputs, e));
out:
    return e->code;
}

static enum err_code declare_trunk(struct model *m, struct params *ps, struct err *e)
{
    const struct model_options *o = &m->opt;
    const struct mlp_shape linear = {0, 0};
    int width = 0;

    for (int i = 0; i < o->modalities; i++)
        width += model_features(m, i);
    TRY(mlp_declare(&m->trunk, ps, "fusion.trunk", width, o->trunk, 0, e));
    TRY(mlp_declare(&m->fused_head, ps, "fusion.head", o->trunk.width, linear, o->outputs, e));
    if (o->log_variance)
        TRY(mlp_declare(&m->log_variance, ps, "fusion.log_variance", o->trunk.width, linear,
                        o->outputs, e));
out:
    return e->code;
}

static enum err_code declare_linear(struct model *m, struct params *ps, struct err *e)
{
    int64_t outputs = m->opt.outputs;
    char name[PARAM_NAME_SIZE];

    for (int i = 0; i < m->opt.modalities; i++) {
        snprintf(name, sizeof name, "fusion.%s.weight", m->opt.modality[i].name);
        TRY(params_add(ps, &m->share[i], name, 2, (int64_t[]){outputs, model_features(m, i)}, e));
    }
    TRY(params_add(ps, &m->bias, "fusion.bias", 1, &outputs, e));
out:
    return e->code;
}

static enum err_code declare(struct model *m, struct params *ps, struct err *e)
{
    const struct model_options *o = &m->opt;

    for (int i = 0; i < o->modalities; i++)
        if (o->modality[i].use)
            TRY(declare_modality(m, ps, i, e));
    if (o->fusion && o->fuse == FUSION_TRUNK)
        TRY(declare_trunk(m, ps, e));
    if (o->fusion && o->fuse == FUSION_LINEAR)
        TRY(declare_linear(m, ps, e));
out:
    return e->code;
}

enum err_code model_new(struct model **out, const struct model_options *opt, struct params *ps,
                        struct err *e)
{
    struct model *m = NULL;

    TRY(check(opt, e));
    TRY(mem_array(&m, 1, sizeof *m, "model", e));
    m->opt = *opt;
    TRY(declare(m, ps, e));
    *out = m;
    m = NULL;
out:
    model_free(m);
    return e->code;
}

void model_free(struct model *m)
{
    free(m);
}

const struct model_options *model_opt(const struct model *m)
{
    return &m->opt;
}

const struct mlp *model_head(const struct model *m, int which)
{
    return &m->head[which];
}

void model_init(struct model *m, uint64_t seed)
{
    for (int i = 0; i < m->opt.modalities; i++) {
        if (m->opt.modality[i].use && m->opt.modality[i].encoder == ENCODER_RESNET)
            resnet_init(&m->resnet[i], seed);
        mlp_init(&m->encoder[i], seed);
        mlp_init(&m->head[i], seed);
    }
    mlp_init(&m->trunk, seed);
    mlp_init(&m->fused_head, seed);
    mlp_init(&m->log_variance, seed);
    for (int i = 0; i < m->opt.modalities && m->bias != NULL; i++) {
        double bound = 1 / sqrt((double)m->share[i]->dim[1]);

        param_init_uniform(m->share[i], seed, -bound, bound);
    }
}

struct tensor *model_input(const struct model *m, struct tape *t, int which, int64_t batch,
                           const float *x)
{
    const struct modality *o = &m->opt.modality[which];

    if (o->encoder == ENCODER_MLP)
        return tape_constant(t, 2, (int64_t[]){batch, o->inputs}, x);
    return tape_constant(t, 4, (int64_t[]){batch * o->frames, o->channels, o->height, o->width}, x);
}

struct tensor *model_encode_one(const struct model *m, struct tape *t, int which,
                                struct tensor *input, const struct noise_key *key)
{
    const struct modality *x = &m->opt.modality[which];
    struct noise_key own;

    if (x->encoder == ENCODER_RESNET)
        return resnet_forward(&m->resnet[which], t, input, x->frames);
    if (key != NULL) {
        own = *key;
        own.stream = rng_stream_in(rng_stream_in(key->stream, "."), x->name);
    }
    return mlp_features(&m->encoder[which], t, input, (float)m->opt.dropout,
                        key != NULL ? &own : NULL);
}

bool model_encodes_rows_alone(const struct model *m, const struct tape *t, int which)
{
    return m->opt.modality[which].encoder == ENCODER_MLP &&
           (m->opt.dropout == 0 || !tape_training(t));
}

struct tensor *model_fusion_input(const struct model *m, struct tape *t, struct tensor *raw)
{
    return m->opt.layernorm ? op_layernorm(t, raw, NULL, NULL, (float)model_layernorm_eps) : raw;
}

struct tensor *model_unimodal(const struct model *m, struct tape *t, int which, struct tensor *raw)
{
    return mlp_forward(&m->head[which], t, raw);
}

struct features model_encode(const struct model *m, struct tape *t, int64_t batch,
                             const float *const x[MODALITIES_MAX], const struct noise_key *key)
{
    struct features f = {.batch = batch};

    for (int i = 0; i < m->opt.modalities; i++) {
        if (!m->opt.modality[i].use)
            continue;
        f.input[i] = model_input(m, t, i, batch, x[i]);
        f.raw[i] = model_encode_one(m, t, i, f.input[i], key);
        f.unimodal[i] =
            model_unimodal(m, t, i, m->opt.detach_heads ? op_detach(t, f.raw[i]) : f.raw[i]);
        if (m->opt.fusion)
            f.z[i] = model_fusion_input(m, t, f.raw[i]);
    }
    if (tape_failed(t))
        f = (struct features){.batch = batch};
    return f;
}

static struct fused fuse_trunk(const struct model *m, struct tape *t,
                               struct tensor *const z[MODALITIES_MAX], const struct noise_key *key)
{
    struct fused out = {0};
    struct tensor *h =
        mlp_features(&m->trunk, t, op_concat(t, m->opt.modalities, z), (float)m->opt.dropout, key);

    out.prediction = mlp_forward(&m->fused_head, t, h);
    if (m->opt.log_variance)
        out.log_variance = mlp_forward(&m->log_variance, t, h);
    return out;
}

/* What modality `which` adds to the prediction; the bias comes with the first. */
static struct tensor *contribution(const struct model *m, struct tape *t, int which,
                                   struct tensor *z)
{
    if (m->opt.fuse == FUSION_SUM)
        return mlp_forward(&m->head[which], t, z);
    return op_linear(t, z, tape_param(t, m->share[which]),
                     which == 0 ? tape_param(t, m->bias) : NULL);
}

struct fused model_fuse(const struct model *m, struct tape *t,
                        struct tensor *const z[MODALITIES_MAX], const struct noise_key *key)
{
    struct fused out = {0};

    if (m->opt.fuse == FUSION_TRUNK)
        return fuse_trunk(m, t, z, key);
    out.prediction = contribution(m, t, 0, z[0]);
    for (int i = 1; i < m->opt.modalities; i++)
        out.prediction = op_add(t, out.prediction, contribution(m, t, i, z[i]));
    return out;
}

struct tensor *model_fuse_towards(const struct model *m, struct tape *t, int which,
                                  struct tensor *const z[MODALITIES_MAX],
                                  const struct noise_key *key)
{
    struct tensor *part[MODALITIES_MAX] = {0}, *sum;

    for (int i = 0; i < m->opt.modalities; i++) {
        part[i] = m->opt.fuse == FUSION_TRUNK ? z[i] : contribution(m, t, i, z[i]);
        if (i != which)
            part[i] = op_detach(t, part[i]);
    }
    if (m->opt.fuse == FUSION_TRUNK)
        return fuse_trunk(m, t, part, key).prediction;
    sum = part[0];
    for (int i = 1; i < m->opt.modalities; i++)
        sum = op_add(t, sum, part[i]);
    return sum;
}
