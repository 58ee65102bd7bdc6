/* SPDX-License-Identifier: MIT */
#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "common/data/fields.h"
#include "common/data/irony.h"
#include "prep/split_audit.h"
#include "tests/support/check.h"
#include "tests/support/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* synib-split --audit of datasets and runs: a sound one passes; one planted fault of each kind is
 * found, with actor and counts, and ends in ERR_DATA (exit 4). */

enum { ACTORS = 6, PER_ACTOR = 6, CLIPS = ACTORS * PER_ACTOR, BINS = 2, FRAMES = 2, NONE = -1 };

/* Clip c of actor a has label c, so each part, of two actors, has two clips of every label. */
struct base_clip {
    char name[CLIP_NAME_SIZE];
    int32_t actor, label;
    int32_t sound;  /* label in the audio set */
    uint8_t source; /* every byte of its digest */
};
struct world {
    struct base_clip clip[CLIPS];
    int32_t donor[CLIPS]; /* clip number, NONE */
    int32_t at[CLIPS];    /* donor.index; NONE: where the donor is */
    int32_t label[CLIPS]; /* of the sample */
    int part[CLIPS];
    const char *rate;
    bool materialise;
};

/* In each part the first clip, neutral, speaks with the voice of the eighth, happy; rate 0.5 of
 * twelve clips of six emotions is one. The second part has a matched swap, too. */
static void world_init(struct world *w)
{
    *w = (struct world){.rate = "0.5"};
    for (int i = 0; i < CLIPS; i++) {
        struct base_clip *c = &w->clip[i];

        c->actor = 1001 + i / PER_ACTOR;
        c->label = c->sound = i % PER_ACTOR;
        c->source = (uint8_t)i;
        snprintf(c->name, sizeof c->name, "%d_DFA_%s_XX", c->actor, emotion_codes[c->label]);
        w->part[i] = i / (2 * PER_ACTOR);
        w->donor[i] = i % (2 * PER_ACTOR) == 0 ? i + 7 : NONE;
        w->label[i] = w->donor[i] != NONE ? LABEL_IRONY : c->label;
        w->at[i] = NONE;
    }
    w->donor[14] = 20;
}

static void write_base(const struct world *w, const char *root, bool video)
{
    struct shard_options opt = {.prefix = video ? "video" : "audio"};
    struct shard_field vf[N_VIDEO_FIELDS], af[N_AUDIO_FIELDS];
    float logstft[BINS * FRAMES] = {0};
    const int32_t index[FRAMES_PER_CLIP] = {0}, flags = 0;
    struct shard_writer *s = NULL;
    char *dir = NULL;
    struct err e = {0};

    fields_video(vf);
    fields_audio(af, BINS, FRAMES);
    ASSERT_OK(path_join(&dir, root, opt.prefix, &e), e);
    ASSERT_OK(shard_writer_open(&s, dir, &opt, video ? vf : af,
                                video ? (int)N_VIDEO_FIELDS : (int)N_AUDIO_FIELDS, &e),
              e);
    for (int i = 0; i < CLIPS; i++) {
        const struct base_clip *c = &w->clip[i];
        uint8_t source[32], picture = (uint8_t)i;
        struct shard_value v[N_VIDEO_FIELDS] = {{0}};

        memset(source, c->source, sizeof source);
        v[0] = (struct shard_value){c->name, CLIP_NAME_SIZE};
        if (video) {
            v[VIDEO_FRAME_INDEX] = (struct shard_value){index, sizeof index};
            for (int f = 0; f < FRAMES_PER_CLIP; f++)
                v[VIDEO_JPEG0 + f] = (struct shard_value){&picture, 1};
        } else {
            v[AUDIO_LOGSTFT] = (struct shard_value){logstft, sizeof logstft};
        }
        v[video ? (int)VIDEO_ACTOR : (int)AUDIO_ACTOR] = (struct shard_value){&c->actor, 4};
        v[video ? (int)VIDEO_LABEL : (int)AUDIO_LABEL] =
            (struct shard_value){video ? &c->label : &c->sound, 4};
        v[video ? (int)VIDEO_FLAGS : (int)AUDIO_FLAGS] = (struct shard_value){&flags, 4};
        v[video ? (int)VIDEO_SRC_SHA256 : (int)AUDIO_SRC_SHA256] = (struct shard_value){source, 32};
        ASSERT_OK(shard_writer_add(s, v, &e), e);
    }
    ASSERT_OK(shard_writer_commit(s, &e), e);
    free(dir);
}

/* Where clip `donor` stands in a part; 0 when it does not. */
static int32_t position(const struct world *w, int part, int donor)
{
    int32_t at = 0;

    for (int i = 0; i < donor; i++)
        at += w->part[i] == part;
    return w->part[donor] == part ? at : 0;
}

static void write_part(const struct world *w, const char *root, int part,
                       const struct shard_set *video, const struct shard_set *audio)
{
    struct irony_writer_options opt = {.materialise = w->materialise};
    struct irony_writer *s = NULL;
    char *dir = NULL;
    struct err e = {0};

    ASSERT_OK(path_join(&dir, root, part_names[part], &e), e);
    ASSERT_OK(irony_writer_open(&s, dir, video, audio, &opt, &e), e);
    if (w->rate != NULL)
        ASSERT_OK(irony_writer_meta(s, "synib.rate", w->rate, &e), e);
    for (int i = 0; i < CLIPS; i++) {
        int32_t donor = w->donor[i];
        struct irony_row row = {.clip = w->clip[i].name,
                                .donor = donor != NONE ? w->clip[donor].name : NULL,
                                .donor_index = donor == NONE      ? NONE
                                               : w->at[i] != NONE ? w->at[i]
                                                                  : position(w, part, donor),
                                .label = w->label[i],
                                .base_label = w->clip[i].label,
                                .donor_label = donor != NONE ? w->clip[donor].sound : NONE,
                                .actor = w->clip[i].actor};

        if (donor != NONE && w->label[i] != LABEL_IRONY)
            row.flags = FLAG_MATCHED_DONOR;
        if (w->part[i] == part)
            ASSERT_OK(irony_writer_add(s, &row, &e), e);
    }
    ASSERT_OK(irony_writer_commit(s, NULL, &e), e);
    free(dir);
}

/* Bases and the three splits, all in `root`. */
static void write_world(const struct world *w, const char *root)
{
    struct shard_set *video = NULL, *audio = NULL;
    char *v = scratch_path(root, "video"), *a = scratch_path(root, "audio");
    struct err e = {0};

    write_base(w, root, true);
    write_base(w, root, false);
    ASSERT_OK(shard_set_open(&video, v, &e), e);
    ASSERT_OK(shard_set_open(&audio, a, &e), e);
    for (int p = 0; p < N_PARTS; p++)
        write_part(w, root, p, video, audio);
    shard_set_close(video);
    shard_set_close(audio);
    free(v);
    free(a);
}

/* Audits; the report is *text, the caller's. `base` is what --base names, or NULL. */
static enum err_code audit_with(const char *dir, const char *base, char **text, struct err *e)
{
    struct split_options opt = SPLIT_OPTIONS_DEFAULT;
    size_t len;
    enum err_code code;

    opt.manifests = SOURCE_DIR "/manifests";
    opt.media = "none";
    opt.audit[opt.audits++] = dir;
    opt.base[0] = base;
    opt.out = open_memstream(text, &len);
    assert_non_null(opt.out);
    code = split_run(&opt, e);
    assert_int_equal(fclose(opt.out), 0);
    return code;
}

static enum err_code audit(const char *dir, char **text, struct err *e)
{
    return audit_with(dir, NULL, text, e);
}

/* Without anger and disgust: one of twelve clips of four emotions is rate 0.25 (of six it would be
 * none). */
static void leave_four_emotions(struct world *w)
{
    for (int i = 0; i < CLIPS; i++)
        if (w->clip[i].label >= 4)
            w->clip[i].sound = w->label[i] = w->clip[i].label -= 2;
    w->rate = "0.25";
}

static void test_sound(void **state)
{
    static const char *const names[] = {"overlay", "whole", "four"};

    for (int i = 0; i < 3; i++) {
        char *root = scratch_path(*state, names[i]), *text = NULL;
        struct world w;
        struct err e = {0};

        world_init(&w);
        w.materialise = i == 1;
        if (i == 2)
            leave_four_emotions(&w);
        write_world(&w, root);
        ASSERT_OK(audit(root, &text, &e), e);
        assert_non_null(strstr(text, "train        12 clips    2 speakers\n"));
        assert_non_null(strstr(text, "test         12 clips    2 speakers\n"));
        assert_null(strstr(text, "fault:"));
        free(text);
        free(root);
    }
}

/* ---- planted faults ---- */

static void plant_speaker(struct world *w)
{
    w->part[5] = PART_TEST;
}

static void plant_foreign_donor(struct world *w)
{
    w->donor[0] = 25; /* happy, of test */
}

static void plant_wrong_index(struct world *w)
{
    w->at[0] = 3;
}

static void plant_own_sound(struct world *w)
{
    w->donor[14] = 14; /* the matched swap */
}

static void plant_other_label(struct world *w)
{
    w->clip[7].sound = 2; /* sad to hear, happy to see; its own sample */
    w->donor[7] = 1;      /* sounds like another happy clip */
}

static void plant_no_contradiction(struct world *w)
{
    w->donor[2] = 3; /* sad with fear, */
    w->label[2] = LABEL_IRONY;
    w->donor[0] = NONE; /* instead of the other */
    w->label[0] = 0;
}

static void plant_name(struct world *w)
{
    memcpy(w->clip[9].name, "1007", 4);
}

static void plant_one_too_many(struct world *w)
{
    w->donor[1] = 2;
    w->label[1] = LABEL_IRONY;
}

static void plant_no_rate(struct world *w)
{
    w->rate = NULL;
}

static void plant_twin(struct world *w)
{
    w->clip[30].source = w->clip[3].source;
}

static void plant_copies(struct world *w)
{
    static const int copies[] = {4, 14, 30, 31}; /* of 3: two in train, one in val, two in test */

    for (size_t i = 0; i < sizeof copies / sizeof *copies; i++)
        w->clip[copies[i]].source = w->clip[3].source;
}

static void test_planted(void **state)
{
    static const struct {
        void (*plant)(struct world *w);
        const char *report;
    } cases[] = {
        {plant_speaker, "    1001: 5 clips in train, 1 clips in test\n"},
        {plant_foreign_donor,
         "fault: train: 1 of 12 samples: the sound is of no clip of this part (first: "
         "1001_DFA_NEU_XX <- 1005_DFA_HAP_XX, actor 1001)\n"},
        {plant_wrong_index, "fault: train: 1 of 12 samples: the sound is of no clip of this part"},
        {plant_own_sound, "fault: val: 1 of 12 samples: the sound is its own (first: "
                          "1003_DFA_SAD_XX <- 1003_DFA_SAD_XX, actor 1003)\n"},
        {plant_other_label, "fault: train: 1 of 12 samples: the label of the donor is another"},
        {plant_no_contradiction,
         "fault: train: 1 of 12 samples: the emotions do not contradict each other (first: "
         "1001_DFA_SAD_XX <- 1001_DFA_FEA_XX, actor 1001)\n"},
        {plant_name, "fault: train: 1 of 12 samples: the actor is not the one in the clip's name "
                     "(first: 1007_DFA_FEA_XX <- its own sound, actor 1002)\n"},
        {plant_one_too_many, "fault: train: 2 samples of irony, rate 0.5 of 12 clips of 6 emotions "
                             "gives 1\n"},
        {plant_no_rate, "fault: val: says no rate"},
        {plant_twin, "fault: 1 pairs of clips of different parts are the same video file (first: "
                     "1001_DFA_FEA_XX in train and 1006_DFA_NEU_XX in test)\n"},
        {plant_copies, "fault: 8 pairs of clips of different parts are the same sound file (first: "
                       "1001_DFA_DIS_XX in train and 1003_DFA_SAD_XX in val)\n"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[16], *root, *text = NULL;
        struct world w;
        struct err e = {0};

        snprintf(name, sizeof name, "case%zu", i);
        root = scratch_path(*state, name);
        world_init(&w);
        cases[i].plant(&w);
        w.materialise = i % 2 == 1;
        write_world(&w, root);
        if (audit(root, &text, &e) != ERR_DATA || err_exit_status(e.code) != 4 ||
            strstr(text, cases[i].report) == NULL)
            fail_msg("case %zu: %d: %s\n%s", i, e.code, e.text, text);
        free(text);
        free(root);
    }
}

/* ---- runs ---- */

static const char *content_of(const char *root, const char *part, char hex[65])
{
    struct dataset *d = NULL;
    struct err e = {0};

    ASSERT_OK(dataset_open(&d, root, part, NULL, &e), e);
    snprintf(hex, 65, "%s", dataset_digest(d));
    dataset_close(d);
    return hex;
}

/* RUN/last.safetensors that says it was trained on these, and RUN/run.json. */
static void write_run(const char *run, const char *train, const char *val)
{
    static const char json[] = "{\"data\": \"../data\", \"bases\": [\"../data\"]}\n";
    char config[256], *path = scratch_path(run, "last.safetensors");
    struct tensorfile_writer *w = NULL;
    const int64_t dim = 1;
    const float one = 1.0f;
    struct err e = {0};

    ASSERT_OK(dir_make(run, &e), e);
    snprintf(config, sizeof config, "method = x\ndata.train = %s\ndata.val = %s\n", train, val);
    ASSERT_OK(tensorfile_writer_open(&w, path, "checkpoint", false, &e), e);
    ASSERT_OK(tensorfile_writer_meta(w, "synib.config", config, &e), e);
    ASSERT_OK(tensorfile_writer_declare(w, "x", DTYPE_F32, 1, &dim, &e), e);
    ASSERT_OK(tensorfile_writer_data(w, &one, sizeof one, &e), e);
    ASSERT_OK(tensorfile_writer_commit(w, NULL, &e), e);
    free(path);
    path = scratch_path(run, "run.json");
    ASSERT_OK(atomic_file_put(path, json, sizeof json - 1, false, &e), e);
    free(path);
}

static void test_runs(void **state)
{
    char *root = scratch_path(*state, "data"), *good = scratch_path(*state, "good");
    char *bad = scratch_path(*state, "bad"), *none = scratch_path(*state, "none"), *text = NULL;
    char train[65], val[65];
    struct world w;
    struct err e = {0};

    world_init(&w);
    write_world(&w, root);
    content_of(root, "train", train);
    content_of(root, "val", val);
    write_run(good, train, val);
    write_run(bad, train, train);
    ASSERT_OK(audit(good, &text, &e), e);
    assert_non_null(strstr(text, "fold good\n"));
    assert_null(strstr(text, "fault:"));
    free(text);
    ASSERT_FAILS(audit(bad, &text, &e), e, ERR_DATA,
                 "1 rules are broken: bad: was trained on another split val than that in");
    free(text);
    ASSERT_OK(dir_make(none, &e), e);
    ASSERT_FAILS(audit(none, &text, &e), e, ERR_DATA,
                 "is a folder without a split train, val or test");
    free(text);
    free(root);
    free(good);
    free(bad);
    free(none);
}

/* ---- bases elsewhere, and parts that are missing ---- */

static void move(const char *from_dir, const char *to_dir, const char *name)
{
    char *from = scratch_path(from_dir, name), *to = scratch_path(to_dir, name);

    assert_int_equal(rename(from, to), 0);
    free(from);
    free(to);
}

static void test_base(void **state)
{
    char *data = scratch_path(*state, "deep/a/b/c/data"), *far = scratch_path(*state, "far");
    char *run = scratch_path(*state, "deep/a/b/c/run"), *text = NULL;
    char train[65], val[65];
    struct world w;
    struct err e = {0};

    world_init(&w);
    write_world(&w, data);
    content_of(data, "train", train);
    content_of(data, "val", val);
    write_run(run, train, val);
    ASSERT_OK(dir_make(far, &e), e);
    move(data, far, "video");
    move(data, far, "audio");
    ASSERT_FAILS(audit(data, &text, &e), e, ERR_DATA, "name its folder with --base");
    free(text);
    ASSERT_OK(audit_with(data, far, &text, &e), e);
    assert_null(strstr(text, "fault:"));
    free(text);
    ASSERT_OK(audit_with(run, far, &text, &e), e);
    free(text);
    free(data);
    free(far);
    free(run);
}

static void test_one_split(void **state)
{
    char *data = scratch_path(*state, "data"), *away = scratch_path(*state, "away"), *text = NULL;
    struct world w;
    struct err e = {0};

    world_init(&w);
    w.materialise = true;
    write_world(&w, data);
    ASSERT_OK(dir_make(away, &e), e);
    move(data, away, "train");
    move(data, away, "val");
    ASSERT_FAILS(audit(data, &text, &e), e, ERR_DATA,
                 "/data: holds only the split 'test', so nothing was compared: audit the folder");
    assert_non_null(strstr(text, "speakers in more than one part: not compared"));
    free(text);
    free(data);
    free(away);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sound, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_planted, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_runs, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_base, scratch_setup, scratch_teardown),
        cmocka_unit_test_setup_teardown(test_one_split, scratch_setup, scratch_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
