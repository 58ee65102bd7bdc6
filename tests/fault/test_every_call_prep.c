/* SPDX-License-Identifier: MIT */
/* The tools of prep/ with every call to the system and the allocator failing, one at a time. */
#include "tests/support/cmocka.h"

#include "tests/support/check.h"
#include "tests/support/fault/fault.h"
#include "tests/support/fault/tool_sweep.h"
#include "tests/support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the tools read: a corpus, all that is made of it, and few.tsv of its first clips. Jobs write
 * to out/. */
static void *dir;

/* few.tsv: the first clips of clips.tsv. */
static void write_few(int clips)
{
    char *from = scratch_path(dir, "clips.tsv"), *to = scratch_path(dir, "few.tsv"), line[4096];
    FILE *in = fopen(from, "r"), *out = fopen(to, "w");

    assert_true(in != NULL && out != NULL);
    for (int i = 0; i < clips + 2 && fgets(line, sizeof line, in) != NULL; i++)
        fputs(line, out);
    assert_int_equal(fclose(in) | fclose(out), 0);
    free(from);
    free(to);
}

static int setup(void **state)
{
    (void)state;
    setenv("SYNIB_MANIFESTS", SOURCE_DIR "/manifests", 1);
    if (scratch_setup(&dir) != 0)
        return -1;
    tool_make("synib-synth -q -o @/raw --actors 3 --sentences 1 --seed 3", dir);
    tool_make("synib-synth -q -o @/small --actors 1 --sentences 1 --seed 3", dir);
    tool_make("synib-scan -q @/raw -o @/clips.tsv", dir);
    tool_make("synib-split -q @/clips.tsv --scheme kfold --folds 3 --fold 1 -o @/split.tsv", dir);
    tool_make("synib-frames -q @/clips.tsv --root @/raw -o @/video", dir);
    tool_make("synib-stft -q @/clips.tsv --root @/raw -o @/audio", dir);
    tool_make(
        "synib-irony -q --video @/video --audio @/audio --split @/split.tsv --rate 1 -o @/data",
        dir);
    tool_make("synib-irony -q --video @/video --audio @/audio --split @/split.tsv --rate 1 "
              "--materialise -o @/whole",
              dir);
    tool_make("synib-xor -q pid --mix 0.25,0.25,0.25,0.25 --train 30 --val 10 --test 10 -o @/pid",
              dir);
    write_few(2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return scratch_teardown(&dir);
}

/* The corpus small/ but for the list of digests and one clip. */
static void lose_a_clip(const char *at)
{
    static const char *const name[] = {"small/media.tsv", "small/VideoFlash/1001_IEO_ANG_HI.flv",
                                       "small/AudioWAV/1001_IEO_ANG_HI.wav"};

    for (size_t i = 0; i < sizeof name / sizeof name[0]; i++) {
        char *path = scratch_path(at, name[i]);

        (void)unlink(path);
        free(path);
    }
}

#define JOBS(...) tool_sweep_all((const char *const[]){__VA_ARGS__, NULL}, dir)

static void test_corpus(void **state)
{
    (void)state;
    tool_sweep("synib-synth -q -j1 -o @/small --actors 1 --sentences 1 --seed 3", dir, lose_a_clip);
    JOBS("synib-scan -q -j1 @/small -o @/out --json",
         "synib-scan -q -j1 @/small -o @/out --media @/small/media.tsv --force");
}

static void test_splits(void **state)
{
    (void)state;
    JOBS("synib-split -q @/clips.tsv --scheme kfold --folds 3 --fold 2 -o @/out --json",
         "synib-split -q --scheme reference --fold 0 -o @/out",
         "synib-split -q --audit @/split.tsv --json");
}

static void test_bases(void **state)
{
    (void)state;
    JOBS("synib-frames -q -j1 @/few.tsv --root @/raw -o @/out --json",
         "synib-stft -q -j1 @/few.tsv --root @/raw -o @/out");
}

static void test_irony(void **state)
{
    (void)state;
    JOBS("synib-irony -q -j1 --video @/video --audio @/audio --split @/split.tsv --rate 1 -o @/out "
         "--json",
         "synib-irony -q -j1 --video @/video --audio @/audio --split @/split.tsv --rate 1 -o @/out "
         "--materialise --drop 1001_IEO_ANG_HI",
         "synib-irony -q --plan --split @/split.tsv --part train --rate 1");
}

static void test_vectors(void **state)
{
    (void)state;
    JOBS("synib-xor -q spurious --strength 0.6 --train 20 --val 10 --test 10 -o @/out",
         "synib-xor -q regression --strength 0.6 --train 20 --val 10 --test 10 -o @/out");
}

static void test_looks(void **state)
{
    (void)state;
    JOBS("synib-shard ls @/data @/pid", "synib-shard ls --json @/data @/pid @/video",
         "synib-shard dump @/data --split train --sample 3",
         "synib-shard dump --json @/pid --split val --sample 1",
         "synib-shard verify @/data @/pid -j1", "synib-shard stat @/data -j1",
         "synib-shard stat --json @/pid", "synib-shard diff @/data @/data",
         "synib-shard diff --json @/pid @/pid", "synib-shard export @/video -o @/out",
         "synib-shard export @/pid -o @/out",
         "synib-shard contact-sheet @/data -o @/out --count 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_corpus), cmocka_unit_test(test_splits),  cmocka_unit_test(test_bases),
        cmocka_unit_test(test_irony),  cmocka_unit_test(test_vectors), cmocka_unit_test(test_looks),
    };

    /* Not by cmocka's skip(), whose own leak ends a run under LeakSanitizer. */
    if (!fault_available()) {
        puts("skipped: a sanitizer owns the allocator");
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, setup, teardown);
}
