/* SPDX-License-Identifier: MIT */
#include "train/network.h"

#include "common/base/mem.h"
#include "train/masks/mask.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Evaluation batches of vectors: the work of a pass then dwarfs its overhead. */
enum { VECTOR_EVAL_BATCH = 512 };

static bool uses(const struct method *method, const struct data *data, int which)
{
    return method->only == NULL || strcmp(method->only, data_modality(data, which)) == 0;
}

enum err_code network_fits(const struct method *method, const struct config *c,
                           const struct data_traits *data, struct err *e)
{
    bool masks_used = (method->scopes & SCOPE_MASKS) != 0;

    if (data->media != (c->kind == KIND_MEDIA))
        return err_set(
            e, ERR_USAGE, "the settings are for data.kind = %s, the data hold %s: use preset %s",
            data->media ? "vectors" : "media", data->media ? "pictures and sound" : "vectors",
            data->media ? "paper, released or demo"
                        : "xor-spurious, xor-pid, xor-regression or one of your own");
    if (method->media_only && !data->media)
        return err_set(e, ERR_USAGE, "method %s: is for pictures and sound, the data hold vectors",
                       method->name);
    if (method->classes_only && !data->classes)
        return err_set(e, ERR_USAGE, "method %s: is for classes, the data have numbers to predict",
                       method->name);
    if (method->heads_reach_encoders && c->detach_heads)
        return err_set(e, ERR_USAGE,
                       "method %s: trains the encoders through their own heads: set "
                       "model.detach_heads = false",
                       method->name);
    if ((method->scopes & SCOPE_SYNIB) != 0 && c->divergence == DIVERGENCE_GAUSSIAN &&
        c->fuse != FUSION_TRUNK)
        return err_set(e, ERR_USAGE,
                       "synib.divergence: gaussian needs a head for variances on a trunk: set "
                       "model.fusion = trunk");
    if (!data->classes && (c->select == SELECT_ACCURACY || c->select == SELECT_SYNERGY))
        return err_set(e, ERR_USAGE,
                       "select.metric: accuracy is for classes, the data have numbers to predict: "
                       "use loss or last");
    if (masks_used && !data->oracle && masks[c->mask]->oracle != ORACLE_NONE)
        return err_set(e, ERR_DATA,
                       "mask.kind: an oracle mask needs data that say what it is: these have none");
    if (method_measures_ntk(method, c) && data->sources == 0)
        return err_set(e, ERR_DATA,
                       "diag.ntk: the data do not say which source of information made each label");
    return ERR_OK;
}

static void add_media(struct model_options *o, const struct config *c, const struct data *data)
{
    struct modality *audio = &o->modality[MEDIA_AUDIO], *video = &o->modality[MEDIA_VIDEO];

    *audio = model_options_paper.modality[MEDIA_AUDIO];
    if (c->audio_pool > 0) /* not there in the settings of a video run */
        loader_audio_shape(data_media(data), (int)c->audio_pool, &audio->height, &audio->width);
    *video = model_options_paper.modality[MEDIA_VIDEO];
    video->height = video->width = (int)c->video_size;
    video->frames = FRAMES_PER_CLIP;
    o->resnet_width = (int)c->width;
    o->trunk = (struct mlp_shape){1, (int)c->trunk};
}

static void add_vectors(struct model_options *o, const struct config *c, const struct data *data)
{
    const struct vectors *v = data_vectors(data);

    for (int m = 0; m < v->modalities; m++)
        o->modality[m] = (struct modality){.encoder = ENCODER_MLP, .inputs = v->modality[m].dim};
    o->encoder = (struct mlp_shape){(int)c->encoder_depth, (int)c->encoder_width};
    o->head = (struct mlp_shape){(int)c->head_depth, (int)c->head_width};
    o->trunk = (struct mlp_shape){(int)c->trunk_depth, (int)c->trunk};
}

static struct model_options model_options_of(const struct network *net, const struct data *data)
{
    const struct method *method = net->method;
    const struct config *c = &net->config;
    int numbers = data_classes(data) > 0 ? data_classes(data) : data_targets(data);
    struct model_options o = {
        .fusion = method->fusion,
        .fuse = (enum fusion_kind)c->fuse,
        .log_variance = method->fusion && (method->scopes & SCOPE_SYNIB) != 0 &&
                        c->divergence == DIVERGENCE_GAUSSIAN &&
                        net->objective != &objective_gaussian,
        /* alone, a head trains its encoder */
        .detach_heads = method->fusion && c->detach_heads,
        .layernorm = method->fusion && c->layernorm,
        .outputs = net->objective->outputs(numbers),
        .dropout = method->fusion ? c->dropout : 0,
    };

    if (data_media(data) != NULL)
        add_media(&o, c, data);
    else
        add_vectors(&o, c, data);
    o.modalities = data_modalities(data);
    for (int m = 0; m < o.modalities; m++) {
        snprintf(o.modality[m].name, MODALITY_NAME_SIZE, "%s", data_modality(data, m));
        o.modality[m].use = uses(method, data, m);
    }
    return o;
}

static enum err_code make_spares(struct network *net, struct err *e)
{
    assert(net->method->spare_gradients <= METHOD_SPARES_MAX);
    for (int i = 0; i < net->method->spare_gradients; i++)
        TRY(mem_aligned(&net->spare[i], params_block_count(net->params), sizeof(float), "gradients",
                        e));
out:
    return e->code;
}

enum err_code network_init(struct network *net, const struct method *method,
                           const struct config *config, uint64_t seed, const struct data *data,
                           int threads, struct err *e)
{
    struct data_traits traits = data_traits_of(data);
    struct model_options opt;
    int numbers = data_classes(data) > 0 ? data_classes(data) : data_targets(data);

    *net = (struct network){.method = method, .config = *config, .seed = seed};
    TRY(network_fits(method, config, &traits, e));
    net->objective = objective_for(data_classes(data));
    net->readout_width = net->objective->readout_width(numbers);
    opt = model_options_of(net, data);
    TRY(nn_new(&net->nn, threads, e));
    TRY(nn_set_precision(net->nn, (enum nn_precision)config->precision, e));
    TRY(tape_new(&net->tape, net->nn, e));
    TRY(tape_new(&net->inner, net->nn, e));
    TRY(params_new(&net->params, e));
    TRY(model_new(&net->model, &opt, net->params, e));
    if (method->declare != NULL)
        TRY(method->declare(config, net->model, net->params, e));
    TRY(params_build(net->params, e));
    TRY(make_spares(net, e));
    model_init(net->model, seed);
    if (method->init != NULL)
        method->init(config, net->model, net->params, seed);
out:
    if (e->code != ERR_OK)
        network_free(net);
    return e->code;
}

void network_free(struct network *net)
{
    for (int i = 0; i < METHOD_SPARES_MAX; i++)
        free(net->spare[i]);
    model_free(net->model);
    params_free(net->params);
    tape_free(net->inner);
    tape_free(net->tape);
    nn_free(net->nn);
    memset(net, 0, sizeof *net);
}

size_t network_activations(const struct network *net)
{
    return tape_bytes(net->tape) + tape_bytes(net->inner);
}

struct method_step network_encode(const struct network *net, const struct batch *b, uint32_t step,
                                  int64_t epoch)
{
    struct method_step s = {
        .tape = net->tape,
        .inner = net->inner,
        .nn = net->nn,
        .model = net->model,
        .objective = net->objective,
        .params = net->params,
        .spare = net->spare,
        .config = &net->config,
        .batch = b,
        .seed = net->seed,
        .step = step,
        .epoch = epoch,
    };
    struct noise_key key = step_key(&s, "dropout.encoder");

    s.features = model_encode(net->model, net->tape, b->n, b->x, &key);
    return s;
}

struct stage method_stage(const struct method *method, const struct config *c)
{
    if (method->fusion)
        return (struct stage){c->lr, c->weight_decay, c->batch, c->epochs, c->patience};
    return (struct stage){
        .lr = method == &method_uni_video ? c->pretrain_video_lr : c->pretrain_audio_lr,
        .weight_decay = c->pretrain_weight_decay,
        .batch = c->pretrain_batch,
        .epochs = c->pretrain_epochs,
        .patience = c->pretrain_patience,
    };
}

bool method_measures_ntk(const struct method *method, const struct config *c)
{
    return method->fusion && c->ntk_steps > 0;
}

bool method_measures_train(const struct method *method, const struct config *c)
{
    return method->fusion && c->train_pass;
}

bool method_reads_train_again(const struct method *method, const struct config *c)
{
    return method_measures_train(method, c) || method->renew != NULL;
}

/* What the method's masks need to be told about each sample. */
static enum oracle_kind oracle_of(const struct method *method, const struct config *c)
{
    enum oracle_kind kind = ORACLE_NONE;

    if ((method->scopes & SCOPE_MASKS) != 0)
        kind = masks[c->mask]->oracle;
    if (kind != ORACLE_NONE && (method->scopes & SCOPE_MASKING) != 0)
        kind = ORACLE_SHORTCUT;
    return kind;
}

struct loader_options method_loader(const struct method *method, const struct config *c,
                                    const struct data *data, bool training, uint64_t seed,
                                    int threads)
{
    bool media = data_media(data) != NULL;
    struct loader_options o = {
        .batch = method_stage(method, c).batch,
        .training = training,
        .oracle = training ? oracle_of(method, c) : ORACLE_NONE,
        .seed = seed,
        .threads = threads,
        .audio_pool = 1,
    };

    for (int m = 0; m < data_modalities(data); m++)
        o.use[m] = uses(method, data, m);
    if (method == &method_ensemble)
        o.batch = c->ensemble_batch;
    if (!media && !training && o.batch < VECTOR_EVAL_BATCH)
        o.batch = VECTOR_EVAL_BATCH;
    if (media && o.use[MEDIA_AUDIO])
        o.audio_pool = (int)c->audio_pool;
    if (media && o.use[MEDIA_VIDEO]) {
        o.video_size = (int)c->video_size;
        o.augment = training && c->augment;
        o.alike = c->crop_unit == CROP_CLIP;
        o.scale_min = c->scale_min;
    }
    return o;
}
