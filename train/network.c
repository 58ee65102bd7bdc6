/* SPDX-License-Identifier: MIT */
#include "train/network.h"

#include <string.h>

enum err_code network_init(struct network *net, const struct method *method,
                           const struct config *config, uint64_t seed, int height, int width,
                           int threads, struct err *e)
{
    struct avmodel_options opt = avmodel_options_default;

    *net = (struct network){.method = method, .config = *config, .seed = seed};
    memcpy(opt.use, method->use, sizeof opt.use);
    opt.fusion = method->fusion;
    opt.detach_heads = method->fusion; /* R section 3.4; alone, the head trains its encoder */
    opt.width = (int)config->width;
    opt.classes = N_LABELS;
    opt.frames = FRAMES_PER_CLIP;
    opt.audio_height = height;
    opt.audio_width = width;
    if (method->use[AV_VIDEO])
        opt.video_height = opt.video_width = (int)config->video_size;
    if (method->fusion) {
        opt.trunk = (int)config->trunk;
        opt.dropout = config->dropout;
    }
    TRY(nn_new(&net->nn, threads, e));
    TRY(tape_new(&net->tape, net->nn, e));
    TRY(params_new(&net->params, e));
    TRY(avmodel_new(&net->model, &opt, net->params, e));
    if (method->declare != NULL)
        TRY(method->declare(config, net->model, net->params, e));
    TRY(params_build(net->params, e));
    avmodel_init(net->model, seed);
out:
    if (e->code != ERR_OK)
        network_free(net);
    return e->code;
}

void network_free(struct network *net)
{
    avmodel_free(net->model);
    params_free(net->params);
    tape_free(net->tape);
    nn_free(net->nn);
    memset(net, 0, sizeof *net);
}

struct method_step network_encode(const struct network *net, const struct batch *b, uint32_t step)
{
    struct av_input in = {.batch = b->n, .modality = {b->audio, b->video}};

    return (struct method_step){
        .tape = net->tape,
        .model = net->model,
        .params = net->params,
        .config = &net->config,
        .features = avmodel_encode(net->model, net->tape, &in),
        .label = b->label,
        .sample = b->sample,
        .batch = b->n,
        .seed = net->seed,
        .step = step,
    };
}

struct stage method_stage(const struct method *method, const struct config *c)
{
    if (method->fusion)
        return (struct stage){c->lr, c->weight_decay, c->batch, c->epochs, c->patience};
    return (struct stage){
        .lr = method->use[AV_AUDIO] ? c->pretrain_audio_lr : c->pretrain_video_lr,
        .weight_decay = c->pretrain_weight_decay,
        .batch = c->pretrain_batch,
        .epochs = c->pretrain_epochs,
        .patience = c->pretrain_patience,
    };
}

struct loader_options method_loader(const struct method *method, const struct config *config,
                                    bool training, uint64_t seed, int threads)
{
    return (struct loader_options){
        .batch = method_stage(method, config).batch,
        .training = training,
        .augment = training && config->augment && method->use[AV_VIDEO],
        .scale_min = config->scale_min,
        .audio = method->use[AV_AUDIO],
        .video = method->use[AV_VIDEO],
        .audio_pool = method->use[AV_AUDIO] ? (int)config->audio_pool : 1,
        .video_size = method->use[AV_VIDEO] ? (int)config->video_size : 0,
        .seed = seed,
        .threads = threads,
    };
}
