/* SPDX-License-Identifier: MIT */
#include "train/loader_media.h"

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/data/image.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Batch number b is made in slot b % MEDIA_SLOTS once the batch before it in that slot has been
 * given back. Work is handed out sample by sample, in order. */
struct slot {
    float *audio, *video;
    int32_t *label;
    uint32_t *sample;
    int64_t n, done;
    int64_t failed; /* position of the first sample that failed, -1 = none */
    struct err err;
};

struct worker {
    struct media_loader *loader;
    struct image_loader *image;
    pthread_t thread;
    bool running;
};

struct media_loader {
    const struct dataset *data;
    struct loader_options opt;
    int64_t count, batches;
    int bins, frames, height, width; /* of a spectrogram, before and after pooling */
    const uint32_t *order;           /* [count] of this epoch; the caller's */
    uint32_t epoch;
    uint32_t crop_stream;
    struct slot slot[MEDIA_SLOTS];
    struct worker *worker;

    pthread_mutex_t lock; /* guards what follows and the slots' done, failed, err */
    pthread_cond_t work, ready, idle;
    bool sync_ready; /* lock and conditions exist */
    bool quit;
    int64_t fill_batch, fill_item; /* next sample to be handed out */
    int64_t held;                  /* batch that the caller has or will get next */
    bool given;                    /* the caller has it */
    int64_t in_flight;             /* samples being made */
};

static int64_t batch_size(const struct media_loader *l, int64_t b)
{
    int64_t left = l->count - b * l->opt.batch;

    return left < l->opt.batch ? left : l->opt.batch;
}

static void pool_spectrogram(const struct media_loader *l, const float *in, float *out)
{
    int p = l->opt.audio_pool;

    if (p == 1) {
        memcpy(out, in, (size_t)l->bins * (size_t)l->frames * sizeof *out);
        return;
    }
    for (int y = 0; y < l->height; y++) {
        for (int x = 0; x < l->width; x++) {
            double sum = 0;

            for (int i = 0; i < p; i++)
                for (int j = 0; j < p; j++)
                    sum += in[(size_t)(y * p + i) * (size_t)l->frames + (size_t)(x * p + j)];
            out[(size_t)y * (size_t)l->width + (size_t)x] = (float)(sum / (p * p));
        }
    }
}

static enum err_code load_frames(const struct media_loader *l, struct image_loader *image,
                                 const struct sample *s, uint32_t index, float *out, struct err *e)
{
    const struct rng start = rng_at(l->opt.seed, l->crop_stream, l->epoch, index);
    struct rng r = start;
    size_t frame = 3 * (size_t)l->opt.video_size * (size_t)l->opt.video_size;

    for (int i = 0; i < FRAMES_PER_CLIP; i++) {
        struct image_crop crop;
        int w, h;

        TRY(image_loader_size(image, s->jpeg[i], s->jpeg_len[i], &w, &h, e));
        if (l->opt.alike)
            r = start;
        crop =
            l->opt.augment ? image_crop_from(&r, w, h, l->opt.scale_min) : image_crop_whole(w, h);
        TRY(image_load(image, s->jpeg[i], s->jpeg_len[i], &crop, out + (size_t)i * frame, e));
    }
out:
    return e->code;
}

static enum err_code load_sample(struct worker *w, struct slot *slot, int64_t item, struct err *e)
{
    struct media_loader *l = w->loader;
    size_t plane = 3 * (size_t)l->opt.video_size * (size_t)l->opt.video_size;
    uint32_t index = slot->sample[item];
    struct sample s = {0};

    TRY(dataset_get(l->data, index, &s, e));
    slot->label[item] = s.label;
    if (l->opt.use[MEDIA_AUDIO])
        pool_spectrogram(l, s.spectrogram,
                         slot->audio + (size_t)item * (size_t)l->height * (size_t)l->width);
    if (l->opt.use[MEDIA_VIDEO])
        TRY(load_frames(l, w->image, &s, index,
                        slot->video + (size_t)item * FRAMES_PER_CLIP * plane, e));
out:
    return err_in(e, "sample %lu (%s)", (unsigned long)index, s.clip);
}

static bool work_left(const struct media_loader *l)
{
    return l->fill_batch < l->batches && l->fill_batch < l->held + MEDIA_SLOTS;
}

/* Prepares the slot of batch l->fill_batch; called with the lock, before its first sample. */
static void open_slot(struct media_loader *l)
{
    struct slot *slot = &l->slot[l->fill_batch % MEDIA_SLOTS];

    slot->n = batch_size(l, l->fill_batch);
    slot->done = 0;
    slot->failed = -1;
    err_clear(&slot->err);
    memcpy(slot->sample, l->order + l->fill_batch * l->opt.batch,
           (size_t)slot->n * sizeof *slot->sample);
}

static void *worker_run(void *arg)
{
    struct worker *w = arg;
    struct media_loader *l = w->loader;

    pthread_mutex_lock(&l->lock);
    for (;;) {
        struct err e = {0};
        struct slot *slot;
        int64_t item;

        while (!l->quit && !work_left(l))
            pthread_cond_wait(&l->work, &l->lock);
        if (l->quit)
            break;
        if (l->fill_item == 0)
            open_slot(l);
        slot = &l->slot[l->fill_batch % MEDIA_SLOTS];
        item = l->fill_item++;
        if (l->fill_item == slot->n) {
            l->fill_item = 0;
            l->fill_batch++;
        }
        l->in_flight++;
        pthread_mutex_unlock(&l->lock);
        (void)load_sample(w, slot, item, &e);
        pthread_mutex_lock(&l->lock);
        l->in_flight--;
        slot->done++;
        if (e.code != ERR_OK && (slot->failed < 0 || item < slot->failed)) {
            slot->failed = item;
            slot->err = e;
        }
        if (slot->done == slot->n)
            pthread_cond_signal(&l->ready);
        if (l->in_flight == 0)
            pthread_cond_signal(&l->idle);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static enum err_code alloc_slots(struct media_loader *l, struct err *e)
{
    size_t b = (size_t)l->opt.batch;
    size_t audio = (size_t)l->height * (size_t)l->width * sizeof(float);
    size_t side = (size_t)l->opt.video_size;
    size_t video = FRAMES_PER_CLIP * 3 * side * side * sizeof(float);

    for (int i = 0; i < MEDIA_SLOTS; i++) {
        struct slot *slot = &l->slot[i];

        if (l->opt.use[MEDIA_AUDIO])
            TRY(mem_aligned(&slot->audio, b, audio, "audio batch", e));
        if (l->opt.use[MEDIA_VIDEO])
            TRY(mem_aligned(&slot->video, b, video, "video batch", e));
        TRY(mem_array(&slot->label, b, sizeof *slot->label, "batch", e));
        TRY(mem_array(&slot->sample, b, sizeof *slot->sample, "batch", e));
    }
out:
    return e->code;
}

static enum err_code start_workers(struct media_loader *l, struct err *e)
{
    TRY(mem_array(&l->worker, (size_t)l->opt.threads, sizeof *l->worker, "loader threads", e));
    for (int i = 0; i < l->opt.threads; i++) {
        struct worker *w = &l->worker[i];
        int rc;

        w->loader = l;
        if (l->opt.use[MEDIA_VIDEO])
            TRY(image_loader_new(&w->image, l->opt.video_size, &image_norm_imagenet, e));
        rc = pthread_create(&w->thread, NULL, worker_run, w);
        if (rc != 0)
            return err_set(e, ERR_IO, "loader: cannot start a thread: %s", strerror(rc));
        w->running = true;
    }
out:
    return e->code;
}

static enum err_code check_data(struct media_loader *l, struct err *e)
{
    l->count = dataset_count(l->data);
    dataset_spectrogram_shape(l->data, &l->bins, &l->frames);
    loader_audio_shape(l->data, l->opt.audio_pool, &l->height, &l->width);
    if (l->height < 1 || l->width < 1)
        return err_set(e, ERR_DATA, "audio.pool: %d is more than the spectrogram's %d x %d",
                       l->opt.audio_pool, l->bins, l->frames);
    l->batches = (l->count + l->opt.batch - 1) / l->opt.batch;
    return ERR_OK;
}

enum err_code media_loader_new(struct media_loader **out, const struct dataset *data,
                               const struct loader_options *opt, const uint32_t *order,
                               struct err *e)
{
    struct media_loader *l = NULL;

    assert(opt->audio_pool >= 1);
    *out = NULL;
    TRY(mem_array(&l, 1, sizeof *l, "loader", e));
    l->data = data;
    l->opt = *opt;
    l->order = order;
    l->crop_stream = rng_stream("loader.crop");
    TRY(check_data(l, e));
    TRY(alloc_slots(l, e));
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->work, NULL);
    pthread_cond_init(&l->ready, NULL);
    pthread_cond_init(&l->idle, NULL);
    l->sync_ready = true;
    l->fill_batch = l->batches; /* nothing to do until media_loader_start */
    l->held = l->batches;
    TRY(start_workers(l, e));
    *out = l;
    l = NULL;
out:
    media_loader_free(l);
    return e->code;
}

void media_loader_free(struct media_loader *l)
{
    if (l == NULL)
        return;
    if (l->sync_ready) {
        pthread_mutex_lock(&l->lock);
        l->quit = true;
        pthread_cond_broadcast(&l->work);
        pthread_mutex_unlock(&l->lock);
    }
    for (int i = 0; l->worker != NULL && i < l->opt.threads; i++) {
        if (l->worker[i].running)
            pthread_join(l->worker[i].thread, NULL);
        image_loader_free(l->worker[i].image);
    }
    if (l->sync_ready) {
        pthread_cond_destroy(&l->idle);
        pthread_cond_destroy(&l->ready);
        pthread_cond_destroy(&l->work);
        pthread_mutex_destroy(&l->lock);
    }
    for (int i = 0; i < MEDIA_SLOTS; i++) {
        free(l->slot[i].audio);
        free(l->slot[i].video);
        free(l->slot[i].label);
        free(l->slot[i].sample);
    }
    free(l->worker);
    free(l);
}

void media_loader_start(struct media_loader *l, uint32_t epoch, int64_t first,
                        void (*reorder)(void *ctx), void *ctx)
{
    pthread_mutex_lock(&l->lock);
    l->fill_batch = l->batches; /* hand out nothing more of the old epoch */
    while (l->in_flight > 0)
        pthread_cond_wait(&l->idle, &l->lock);
    l->epoch = epoch;
    reorder(ctx);
    l->fill_batch = first;
    l->fill_item = 0;
    l->held = first;
    for (int i = 0; i < MEDIA_SLOTS; i++)
        l->slot[i].n = l->slot[i].done = 0;
    l->given = false;
    pthread_cond_broadcast(&l->work);
    pthread_mutex_unlock(&l->lock);
}

enum err_code media_loader_next(struct media_loader *l, struct batch *b, struct err *e)
{
    struct slot *slot;

    pthread_mutex_lock(&l->lock);
    if (l->given) { /* the caller is done with the last one: its slot is free */
        l->held++;
        l->given = false;
        pthread_cond_broadcast(&l->work);
    }
    if (l->held >= l->batches) {
        pthread_mutex_unlock(&l->lock);
        return ERR_OK;
    }
    slot = &l->slot[l->held % MEDIA_SLOTS];
    while (l->fill_batch <= l->held || slot->done < slot->n)
        pthread_cond_wait(&l->ready, &l->lock);
    l->given = true;
    pthread_mutex_unlock(&l->lock);
    if (slot->failed >= 0)
        return err_copy(e, &slot->err);
    *b = (struct batch){
        .n = slot->n,
        .x = {[MEDIA_AUDIO] = slot->audio, [MEDIA_VIDEO] = slot->video},
        .aim = {.label = slot->label},
        .sample = slot->sample,
    };
    return ERR_OK;
}
