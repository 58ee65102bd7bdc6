/* SPDX-License-Identifier: MIT */
#include "common/base/rng.h"
#include "train/masks/mask.h"

static const char *const stream_name[AV_MODALITIES] = {"mask.audio", "mask.video"};

/* Each feature of each sample with probability mask.p. R section 4.1. */
static void random_make(const struct method_step *s, enum av_modality which, const struct tensor *z,
                        float *mask)
{
    uint32_t stream = rng_stream(stream_name[which]);

    for (int64_t b = 0; b < s->batch; b++) {
        struct rng r = rng_at(s->seed, stream, s->step, s->sample[b]);

        for (int64_t d = 0; d < z->dim[1]; d++)
            *mask++ = rng_double(&r) < s->config->mask_p ? 1.0f : 0.0f;
    }
}

const struct mask mask_random = {.make = random_make};
