/* SPDX-License-Identifier: MIT */
/* The tools of train/ with every call to the system and the allocator failing, one at a time. */
#include "tests/support/cmocka.h"

#include "common/base/atomic_file.h"
#include "tests/support/check.h"
#include "tests/support/drawn_dataset.h"
#include "tests/support/fault/fault.h"
#include "tests/support/fault/tool_sweep.h"
#include "tests/support/runs.h"
#include "tests/support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SMALL                                                                        \
    " --preset xor-spurious --set optim.epochs=2 --set model.encoder_width=8 --set " \
    "model.head_width=8 --set diag.ntk=1 "

/* What the tools read: vectors, drawn clips, runs on both. Jobs write to out/. */
static void *dir;

static void put(const char *name, const char *text)
{
    char *path = scratch_path(dir, name);
    struct err e = {0};

    ASSERT_OK(atomic_file_put(path, text, strlen(text), true, &e), e);
    free(path);
}

static const char plan[] =
    "#synib-plan 1\nrun\ttask\tpreset\tmethod\tmask\tsettings\tseed\n"
    "a\tspurious:0.6\txor-spurious\tvanilla\t\toptim.epochs=1\t1\n"
    "b\tspurious:0.6\txor-spurious\tsynib\trandom\toptim.epochs=1 checkpoint.epochs=1\t1\n";

static const char search[] =
    "#synib-search 1\nrun\ttask\tpreset\tmethod\tmask\tsettings\tseed\n"
    "v\tspurious:0.6\txor-spurious\tvanilla\t\toptim.lr=log-uniform(1e-4,1e-1) "
    "optim.epochs=1\t0-1\n"
    "s\tspurious:0.6\txor-spurious\tsynib\trandom\tsynib.lambda={0.1,10} optim.epochs=1\t0\n";

static int setup(void **state)
{
    struct drawn_options few = drawn_options_default;
    struct err e = {0};
    char *preset;

    (void)state;
    setenv("SYNIB_MANIFESTS", SOURCE_DIR "/manifests", 1);
    if (scratch_setup(&dir) != 0)
        return -1;
    ASSERT_OK(drawn_dataset_make(dir, &few, &e), e);
    preset = scratch_path(dir, "demo.conf");
    ASSERT_OK(runs_write_preset(preset, SOURCE_DIR, &e), e);
    free(preset);
    put("plan.tsv", plan);
    put("search.tsv", search);
    tool_make("synib-xor -q spurious --strength 0.6 --train 40 --val 20 --test 20 -o @/sp", dir);
    tool_make("synib-train -q -j1 @/sp" SMALL "-m synib -o @/one", dir);
    tool_make("synib-train -q -j1 @/sp" SMALL "-m vanilla --seed 2 -o @/two", dir);
    tool_make("synib-eval -q @/one --split test -o @/one/test", dir);
    tool_make("synib-eval -q @/two --split test -o @/two/test", dir);
    tool_make("synib-train -q -j1 @/data -p @/demo.conf -m uni-audio --set optim.epochs=1 --set "
              "pretrain.epochs=1 -o @/media",
              dir);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return scratch_teardown(&dir);
}

#define JOBS(...) tool_sweep_all((const char *const[]){__VA_ARGS__, NULL}, dir)

static void test_train(void **state)
{
    (void)state;
    JOBS("synib-train -q -j1 @/sp" SMALL "-m synib -o @/out",
         "synib-train -q -j1 @/sp" SMALL "--print-config -m synib");
}

static void test_train_media(void **state)
{
    (void)state;
    JOBS("synib-train -q -j1 @/data -p @/demo.conf -m uni-audio --set optim.epochs=1 --set "
         "pretrain.epochs=1 -o @/out");
}

static void test_eval(void **state)
{
    (void)state;
    JOBS("synib-eval -q -j1 @/one --split test -o @/out",
         "synib-eval -q -j1 @/one --split val --json --checkpoint last",
         "synib-eval -q -j1 @/media --split test -o @/out");
}

static void test_report(void **state)
{
    (void)state;
    JOBS("synib-report -q -j1 @/one @/two -o @/out");
}

static void test_sweep(void **state)
{
    (void)state;
    JOBS("synib-sweep -q -j1 @/plan.tsv -o @/out",
         "synib-sweep -q --expand @/search.tsv --draws 2 -o @/out",
         "synib-sweep -q -j1 @/plan.tsv -o @/out --dry-run");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_train), cmocka_unit_test(test_train_media),
        cmocka_unit_test(test_eval),  cmocka_unit_test(test_report),
        cmocka_unit_test(test_sweep),
    };

    /* Not by cmocka's skip(), whose own leak ends a run under LeakSanitizer. */
    if (!fault_available()) {
        puts("skipped: a sanitizer owns the allocator");
        return SKIPPED;
    }
    return cmocka_run_group_tests(tests, setup, teardown);
}
