/* SPDX-License-Identifier: MIT */
#include "prep/synth.h"

#include "common/base/atomic_file.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "common/base/parallel.h"
#include "prep/ffmpeg.h"
#include "prep/synth_apart.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char video_dir[] = "VideoFlash", audio_dir[] = "AudioWAV";

/* What media.tsv says of one half. */
struct half {
    uint64_t bytes;
    char sha256[SHA256_HEX_SIZE];
};

struct entry {
    struct synth_clip clip;
    int defect; /* -1: healthy */
    bool listed;
    struct half flv, wav;
    uint64_t flv_written, wav_written;
};

struct corpus {
    const struct synth_options *opt;
    struct entry *entry;
    int count, actors;
    const struct entry **by_name; /* sorted */
    char *video, *audio;          /* folders */
    struct atomic_file *media;    /* media.tsv */
    struct clip_maker *maker;     /* each worker process has a copy */
    struct synth_workers workers;
    struct progress progress;
    atomic_bool stop;
    struct err failure; /* of the first worker that failed; guarded by `failed` */
    atomic_flag failed;
};

static int compare_names(const void *a, const void *b)
{
    const struct entry *const *x = a, *const *y = b;

    return strcmp((*x)->clip.name, (*y)->clip.name);
}

static enum err_code list_clips(struct corpus *c, struct err *e)
{
    const struct synth_options *opt = c->opt;
    int each = synth_clips_per_actor(opt->sentences);
    int broken = opt->defects ? defect_count() : 0, healthy = opt->actors * each;

    c->count = healthy + broken;
    c->actors = opt->actors + (opt->defects ? defect_actors() : 0);
    TRY(mem_array(&c->entry, (size_t)c->count, sizeof c->entry[0], "clips", e));
    TRY(mem_array(&c->by_name, (size_t)c->count, sizeof c->by_name[0], "clips", e));
    for (int i = 0; i < c->count; i++) {
        struct entry *en = &c->entry[i];

        en->defect = i < healthy ? -1 : i - healthy;
        if (i < healthy)
            en->clip = synth_clip_at(opt->cli.seed, SYNTH_FIRST_ACTOR + i / each, i % each);
        else
            defect_clip_of(en->defect, opt->cli.seed, SYNTH_FIRST_ACTOR + opt->actors, &en->clip);
        c->by_name[i] = en;
    }
    qsort(c->by_name, (size_t)c->count, sizeof c->by_name[0], compare_names);
out:
    return e->code;
}

static bool is_ours(const struct corpus *c, const char *file, const char *suffix)
{
    struct entry key = {0};
    const struct entry *p = &key;
    size_t len = strlen(file), cut = strlen(suffix);

    if (len < cut || len - cut >= sizeof key.clip.name || strcmp(file + len - cut, suffix) != 0)
        return false;
    memcpy(key.clip.name, file, len - cut);
    return bsearch(&p, c->by_name, (size_t)c->count, sizeof c->by_name[0], compare_names) != NULL;
}

/* A corpus is everything in its folders: what this run would not write must not be there. Names
 * that begin with '.' are what a killed run leaves behind, and are taken over. */
static enum err_code check_folder(const struct corpus *c, const char *dir, const char *suffix,
                                  struct err *e)
{
    struct name_list list = {0};
    struct stat st;

    if (stat(dir, &st) != 0 && errno == ENOENT)
        return ERR_OK;
    TRY(dir_list(&list, dir, "", e));
    for (size_t i = 0; i < list.count; i++)
        if (list.name[i][0] != '.' && !is_ours(c, list.name[i], suffix))
            FAIL(err_set(e, ERR_EXISTS,
                         "%s/%s: is not part of this corpus: choose another folder or remove it",
                         dir, list.name[i]));
out:
    name_list_free(&list);
    return e->code;
}

static enum err_code check_root(const struct corpus *c, struct err *e)
{
    char *media = NULL;
    struct stat st;

    TRY(path_join(&media, c->opt->root, "media.tsv", e));
    if (lstat(media, &st) == 0 && !c->opt->cli.force)
        FAIL(err_set(e, ERR_EXISTS, "%s: exists: use --force to make the corpus again", media));
    TRY(check_folder(c, c->video, ".flv", e));
    TRY(check_folder(c, c->audio, ".wav", e));
out:
    free(media);
    return e->code;
}

/* A corpus without media.tsv is incomplete: right before its clips are written, and no earlier. */
static enum err_code forget_media(const struct corpus *c, struct err *e)
{
    char *media = NULL;

    TRY(path_join(&media, c->opt->root, "media.tsv", e));
    if (unlink(media) != 0 && errno != ENOENT && errno != ENOTDIR)
        FAIL(err_sys(e, "%s: cannot remove", media));
out:
    free(media);
    return e->code;
}

/* Makes something that is not a file; fine when a former run has made it. */
static enum err_code put_object(enum disk_object as, const char *path, struct err *e)
{
    const char *target = as == DISK_LINK_OUT ? "/bin/sh" : path_base(path);
    mode_t want = as == DISK_FOLDER ? S_IFDIR : as == DISK_FIFO ? S_IFIFO : S_IFLNK;
    struct stat st;
    int rc;

    if (lstat(path, &st) == 0) {
        if (as == DISK_ABSENT || (st.st_mode & S_IFMT) != want)
            return err_set(e, ERR_EXISTS, "%s: is in the way: remove it", path);
        return ERR_OK;
    }
    if (as == DISK_ABSENT)
        return ERR_OK;
    rc = as == DISK_FOLDER ? mkdir(path, 0777)
         : as == DISK_FIFO ? mkfifo(path, 0666)
                           : symlink(target, path);
    return rc == 0 ? ERR_OK : err_sys(e, "%s: cannot make", path);
}

/* Writes one half of a clip and notes what media.tsv shall say of it. */
static enum err_code put_half(const char *dir, const char *name, const char *suffix,
                              enum disk_object as, const struct buffer *bytes,
                              const struct buffer *listed, struct half *half, uint64_t *written,
                              struct err *e)
{
    char file[SYNTH_NAME_SIZE + 8], *path = NULL;
    const struct buffer *known = listed->len > 0 ? listed : bytes;
    uint8_t digest[SHA256_SIZE];

    snprintf(file, sizeof file, "%s%s", name, suffix);
    TRY(path_join(&path, dir, file, e));
    if (as == DISK_FILE) {
        TRY(atomic_file_put(path, bytes->data, bytes->len, true, e));
        *written = bytes->len;
    } else {
        TRY(put_object(as, path, e));
        TRY(dir_sync(dir, e));
    }
    TRY(sha256_bytes(known->data, known->len, digest, e));
    half->bytes = known->len;
    sha256_hex(digest, half->sha256);
out:
    free(path);
    return e->code;
}

static enum err_code make_clip(void *ctx, int64_t i, struct defect_clip *d, struct err *e)
{
    const struct clip_change healthy = {0};
    struct corpus *c = ctx;
    const struct entry *en = &c->entry[i];
    const struct buffer *b;

    if (en->defect >= 0)
        return defect_make(en->defect, c->maker, &en->clip, d, e);
    TRY(clip_maker_make(c->maker, &en->clip, &healthy, e));
    b = clip_maker_flv(c->maker);
    TRY(buffer_add(&d->flv, b->data, b->len, e));
    b = clip_maker_wav(c->maker);
    TRY(buffer_add(&d->wav, b->data, b->len, e));
out:
    return e->code;
}

static enum err_code put_clip(struct corpus *c, int64_t i, int worker, struct err *e)
{
    struct entry *en = &c->entry[i];
    struct contain_result bytes = {0};
    const char *name = en->clip.name;
    char clip[SYNTH_NAME_SIZE + 8];
    struct defect_clip d;

    snprintf(clip, sizeof clip, "clip %s", name);
    TRY(synth_workers_make(&c->workers, worker, i, clip, &bytes, &d, e));
    TRY(put_half(c->video, name, ".flv", d.flv_as, &d.flv, &d.listed_flv, &en->flv,
                 &en->flv_written, e));
    TRY(put_half(c->audio, name, ".wav", d.wav_as, &d.wav, &d.listed_wav, &en->wav,
                 &en->wav_written, e));
    en->listed = !d.unlisted;
out:
    contain_result_free(&bytes);
    return e->code;
}

static void make_one(void *ctx, int64_t i, int worker)
{
    struct corpus *c = ctx;
    struct err e = {0};

    if (atomic_load(&c->stop))
        return;
    if (cli_stop_requested())
        err_set(&e, ERR_STOPPED, "stopped on request: the same command makes the corpus");
    else
        (void)put_clip(c, i, worker, &e);
    if (e.code != ERR_OK) {
        atomic_store(&c->stop, true);
        if (!atomic_flag_test_and_set(&c->failed))
            c->failure = e; /* read after all workers are done */
    }
    progress_step(&c->progress, 1);
}

static enum err_code make_all(struct corpus *c, struct err *e)
{
    int jobs = c->opt->cli.jobs < 1 ? 1 : c->opt->cli.jobs;

    jobs = jobs > c->count ? c->count : jobs;
    TRY(clip_maker_open(&c->maker, e));
    c->workers = (struct synth_workers){.make = make_clip, .ctx = c};
    TRY(synth_workers_open(&c->workers, jobs, e));
    progress_begin(&c->progress, &c->opt->cli.log, "clips", c->count);
    parallel_for(jobs, c->count, make_one, c);
    progress_end(&c->progress);
    *e = c->failure;
out:
    contain_close(c->workers.pool);
    clip_maker_close(c->maker);
    return e->code;
}

static enum err_code put_demographics(const struct corpus *c, struct err *e)
{
    struct atomic_file *f = NULL, *done;
    char *path = NULL;

    TRY(path_join(&path, c->opt->root, "VideoDemographics.csv", e));
    TRY(atomic_file_open(&f, path, true, e));
    TRY(atomic_file_printf(f, e, "\"ActorID\",\"Age\",\"Sex\",\"Race\",\"Ethnicity\"\n"));
    for (int i = 0; i < c->actors; i++) {
        int id = SYNTH_FIRST_ACTOR + i;
        struct synth_actor a = synth_actor_of(c->opt->cli.seed, id);

        TRY(atomic_file_printf(f, e, "%d,%d,\"%s\",\"Drawn\",\"Drawn\"\n", id, a.age,
                               a.female ? "Female" : "Male"));
    }
    done = f;
    f = NULL;
    TRY(atomic_file_commit(done, e));
out:
    atomic_file_abort(f);
    free(path);
    return e->code;
}

static enum err_code put_defects(const struct corpus *c, struct err *e)
{
    struct atomic_file *f = NULL, *done;
    char *path = NULL;

    TRY(path_join(&path, c->opt->root, "defects.tsv", e));
    TRY(atomic_file_open(&f, path, true, e));
    TRY(atomic_file_printf(f, e, "#synib-defects 1\nclip\tmedia\tdefect\tverdict\tnote\n"));
    for (int i = 0; i < c->count; i++) {
        const struct entry *en = c->by_name[i];
        const struct defect *d = en->defect >= 0 ? defect_at(en->defect) : NULL;

        if (d != NULL)
            TRY(atomic_file_printf(f, e, "%s\t%s\t%s\t%s\t%s\n", en->clip.name, d->media, d->name,
                                   d->verdict, d->note));
    }
    done = f;
    f = NULL;
    TRY(atomic_file_commit(done, e));
out:
    atomic_file_abort(f);
    free(path);
    return e->code;
}

/* The last file of a corpus: where it stands, everything else does. Opened before the first clip is
 * written: its lock keeps a second writer out of ROOT. */
static enum err_code open_media(struct corpus *c, struct err *e)
{
    char *path = NULL;

    TRY(path_join(&path, c->opt->root, "media.tsv", e));
    TRY(atomic_file_open(&c->media, path, c->opt->cli.force, e));
out:
    free(path);
    return e->code;
}

static enum err_code put_media(struct corpus *c, char sha256[SHA256_HEX_SIZE], struct err *e)
{
    struct atomic_file *f = c->media, *done;
    char *path = NULL;

    c->media = NULL;
    TRY(path_join(&path, c->opt->root, "media.tsv", e));
    TRY(atomic_file_printf(f, e,
                           "#synib-media 1\nclip\tflv_bytes\tflv_sha256\twav_bytes\twav_sha256\n"));
    for (int i = 0; i < c->count; i++) {
        const struct entry *en = c->by_name[i];

        if (en->listed)
            TRY(atomic_file_printf(f, e, "%s\t%" PRIu64 "\t%s\t%" PRIu64 "\t%s\n", en->clip.name,
                                   en->flv.bytes, en->flv.sha256, en->wav.bytes, en->wav.sha256));
    }
    done = f;
    f = NULL;
    TRY(atomic_file_commit(done, e));
    TRY(file_sha256(sha256, path, e));
out:
    atomic_file_abort(f);
    free(path);
    return e->code;
}

static void summarise(const struct corpus *c, struct synth_summary *s)
{
    s->actors = c->actors;
    s->clips = c->count;
    s->defects = c->opt->defects ? defect_count() : 0;
    for (int i = 0; i < c->count; i++) {
        s->flv_bytes += c->entry[i].flv_written;
        s->wav_bytes += c->entry[i].wav_written;
    }
}

void synth_summary_json(const struct synth_summary *s, FILE *out)
{
    fprintf(out,
            "{\"actors\": %d, \"clips\": %d, \"defects\": %d, \"flv_bytes\": %" PRIu64
            ", \"wav_bytes\": %" PRIu64 ", \"media_sha256\": \"%s\"}\n",
            s->actors, s->clips, s->defects, s->flv_bytes, s->wav_bytes, s->media_sha256);
}

enum err_code synth_run(const struct synth_options *opt, struct synth_summary *summary,
                        struct err *e)
{
    struct corpus c = {.opt = opt, .failed = ATOMIC_FLAG_INIT};
    struct synth_summary s = {0};

    TRY(list_clips(&c, e));
    TRY(path_join(&c.video, opt->root, video_dir, e));
    TRY(path_join(&c.audio, opt->root, audio_dir, e));
    TRY(check_root(&c, e));
    summarise(&c, &s);
    if (opt->cli.dry_run) {
        log_note(&opt->cli.log, "%s: would make %d clips of %d actors", opt->root, s.clips,
                 s.actors);
        goto out;
    }
    TRY(ffmpeg_load(e));
    TRY(dir_make(c.video, e));
    TRY(dir_make(c.audio, e));
    TRY(open_media(&c, e));
    TRY(forget_media(&c, e));
    TRY(make_all(&c, e));
    TRY(put_demographics(&c, e));
    if (opt->defects)
        TRY(put_defects(&c, e));
    TRY(put_media(&c, s.media_sha256, e));
    summarise(&c, &s);
    log_note(&opt->cli.log, "%s: %d clips of %d actors, %d of them defective, %.1f MB", opt->root,
             s.clips, s.actors, s.defects, (double)(s.flv_bytes + s.wav_bytes) / 1e6);
out:
    if (summary != NULL)
        *summary = s;
    atomic_file_abort(c.media);
    free(c.entry);
    free((void *)c.by_name);
    free(c.video);
    free(c.audio);
    return e->code;
}
