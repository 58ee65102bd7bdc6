/* SPDX-License-Identifier: MIT */
#include "prep/frames.h"

#include "common/data/jpeg.h"
#include "prep/ffmpeg.h"
#include "prep/flv.h"
#include "prep/video.h"

#include <stdio.h>
#include <string.h>

/* Three pictures of CREMA-D's take about 100 kB, of the drawn corpus 54 kB. */
enum { LEAST_BYTES = 40000 };

static enum err_code scratch_new(void **scratch, struct err *e)
{
    struct video *v;
    enum err_code rc = video_new(&v, e);

    *scratch = v;
    return rc;
}

static void scratch_free(void *scratch)
{
    video_free(scratch);
}

/* Picture k of the clip -> JPEG k of the sample. */
static enum err_code encode(void *ctx, int k, const struct video_picture *p, struct err *e)
{
    struct base_sample *sample = ctx;
    uint8_t *jpeg;
    size_t len;

    TRY(jpeg_encode_rgb(p->rgb, p->w, p->h, p->rgb_stride, FRAMES_JPEG_QUALITY, &jpeg, &len, e));
    sample->part[k] = jpeg;
    sample->part_len[k] = len;
out:
    return e->code;
}

static enum err_code work(void *ctx, void *scratch, const struct clip_row *row, const void *data,
                          size_t len, struct base_sample *sample, struct err *e)
{
    const char *name = row->path;
    const struct frames_options *opt = ctx;
    struct video_info info;
    struct frame_choice choice;
    struct flv_info walk;
    bool odd = (row->flags & FLAG_ODD_STRUCTURE) != 0; /* accepted by the scan as it is */

    /* FFmpeg decodes cut and damaged files without a word: the tags are walked first. */
    if (!odd)
        TRY(flv_walk(&walk, name, data, len, e));
    TRY(video_open(scratch, name, data, len, &info, e));
    if (!odd && walk.frames != info.frames) {
        (void)err_set(e, ERR_FORMAT, "%s: %lld pictures in the FLV tags, libavformat gives %lld",
                      name, (long long)walk.frames, (long long)info.frames);
        goto out;
    }
    if (frames_choose(&choice, opt->grid, info.fps, info.frames, info.time_ms, opt->base.cli.seed,
                      row->clip, e) != ERR_OK) {
        (void)err_in(e, "%s", name);
        goto out;
    }
    TRY(video_decode(scratch, choice.index, FRAMES_PER_CLIP, encode, sample, e));
    for (int k = 0; k < FRAMES_PER_CLIP; k++)
        sample->index[k] = (int32_t)choice.index[k];
    if (choice.topped_up)
        sample->flags |= FLAG_SHORT_VIDEO;
out:
    return e->code;
}

static enum err_code check(const struct base_sample *sample, struct err *e)
{
    for (int k = 0; k < FRAMES_PER_CLIP; k++) {
        const uint8_t *jpeg = sample->part[k];
        size_t len = sample->part_len[k];

        if (len < 4 || jpeg[0] != 0xff || jpeg[1] != 0xd8 || jpeg[len - 2] != 0xff ||
            jpeg[len - 1] != 0xd9)
            return err_set(e, ERR_FORMAT, "its decoder gave what is no JPEG");
        if (sample->index[k] < 0 || sample->index[k] >= VIDEO_MAX_FRAMES)
            return err_set(e, ERR_FORMAT, "its decoder gave frame %d", (int)sample->index[k]);
    }
    return ERR_OK;
}

enum err_code frames_run(const struct frames_options *opt, struct err *e)
{
    char config[128];
    struct frames_options mine = *opt;
    struct base_set_tool tool = {
        .name = "synib-frames",
        .step = "frames",
        .media = CLIP_VIDEO,
        .prefix = "video",
        .fields = N_VIDEO_FIELDS,
        .sample_bytes = LEAST_BYTES,
        .clip_field = VIDEO_CLIP,
        .actor_field = VIDEO_ACTOR,
        .label_field = VIDEO_LABEL,
        .flags_field = VIDEO_FLAGS,
        .sha256_field = VIDEO_SRC_SHA256,
        .part_field = VIDEO_JPEG0,
        .parts = FRAMES_PER_CLIP,
        .index_field = VIDEO_FRAME_INDEX,
        .part_max = FRAMES_JPEG_MAX_BYTES,
        .may_flag = FLAG_SHORT_VIDEO,
        .limits = CONTAIN_LIMITS_DEFAULT,
        .keep_flags = FLAG_DIGEST_DIFFERS | FLAG_LENGTHS_DIFFER | FLAG_KNOWN_ISSUE |
                      FLAG_REENCODED | FLAG_ODD_STRUCTURE,
        .config = config,
        .libraries = video_libraries(),
        .scratch_new = scratch_new,
        .scratch_free = scratch_free,
        .work = work,
        .check = check,
        .ctx = &mine,
    };

    fields_video(tool.field);
    snprintf(config, sizeof config, "{\"grid\":\"%s\",\"jpeg_quality\":%d}",
             frame_grid_names[opt->grid], FRAMES_JPEG_QUALITY);
    TRY(ffmpeg_load(e)); /* before anything is written */
    TRY(base_set_run(&opt->base, &tool, e));
out:
    return e->code;
}
