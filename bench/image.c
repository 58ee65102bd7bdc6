/* SPDX-License-Identifier: MIT */
/* JPEG -> random resized crop -> flip -> normalised tensor: pictures per CPU second on one core.
 * bench/image.sh runs it in turn with its peer.
 *
 *     bench-image PICTURE.jpg */
#include "common/data/image.h"
#include "bench/lib/measure.h"
#include "common/base/cli.h"
#include "common/base/file.h"
#include "common/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { SIZE = 224, COUNT = 1000 };

int main(int argc, char **argv)
{
    struct rng r = rng_at(1, rng_stream("bench.image"), 0, 0);
    struct image_loader *l = NULL;
    struct file_view file = {0};
    float *out = NULL;
    struct err e = {0};
    double start;
    int w, h;

    if (argc != 2) {
        fprintf(stderr, "usage: bench-image PICTURE.jpg\n");
        return 2;
    }
    TRY(file_read(&file, argv[1], 1 << 26, &e));
    TRY(image_loader_new(&l, SIZE, &image_norm_imagenet, &e));
    TRY(mem_aligned(&out, 3 * SIZE * SIZE, sizeof *out, "tensor", &e));
    start = seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < COUNT; i++) {
        struct image_crop crop;
        TRY(image_loader_size(l, file.data, file.len, &w, &h, &e));
        crop = image_crop_random(&r, w, h);
        TRY(image_load(l, file.data, file.len, &crop, out, &e));
    }
    printf("%.1f\n", COUNT / (seconds(CLOCK_PROCESS_CPUTIME_ID) - start));
out:
    free(out);
    image_loader_free(l);
    file_view_free(&file);
    return cli_finish("bench-image", &e);
}
