/* SPDX-License-Identifier: MIT */
#ifndef PREP_SCAN_H
#define PREP_SCAN_H

#include "common/base/atomic_file.h"
#include "common/base/cli.h"
#include "common/base/hash.h"
#include "common/data/dataset.h"
#include "prep/clip_name.h"
#include "prep/manifests.h"

#include <stdio.h>

struct contain;

/* synib-scan: ROOT/VideoFlash/NAME.flv and ROOT/AudioWAV/NAME.wav -> a clips manifest with a
 * verdict for every clip. The rules are listed in docs/scan.md. */

struct scan_options {
    struct cli cli;
    const char *root;
    const char *output;
    const char *media;  /* digest manifest; "none"; NULL = ROOT/media.tsv, else the official one */
    const char *issues; /* known-issues manifest; "none"; NULL = the shipped one */
    const char *manifests; /* folder, NULL = find it */
    bool no_verify;        /* a digest that differs is a flag */
    bool allow_silent;     /* silent or constant sound is a flag */
    FILE *out;             /* --json; stdout */
};
#define SCAN_OPTIONS_DEFAULT \
    {                        \
        .root = NULL         \
    }

NODISCARD enum err_code scan_options_parse(struct scan_options *opt, int argc, char **argv,
                                           struct err *e);

/* Errors: ERR_REJECTED when the manifest was written and some clips are rejected; otherwise nothing
 * is written: ERR_IO, ERR_DATA (no clip at all, a broken manifest), ERR_EXISTS. */
NODISCARD enum err_code scan_run(const struct scan_options *opt, struct err *e);

/* ---- one clip ---- */

enum scan_media { SCAN_VIDEO, SCAN_AUDIO, N_SCAN_MEDIA };
extern const char *const scan_media_names[N_SCAN_MEDIA];    /* "video" "audio" */
extern const char *const scan_media_folders[N_SCAN_MEDIA];  /* "VideoFlash" "AudioWAV" */
extern const char *const scan_media_suffixes[N_SCAN_MEDIA]; /* ".flv" ".wav" */

enum scan_checked { CHECKED_NONE, CHECKED_OFFICIAL, CHECKED_CORPUS, CHECKED_GIVEN };
extern const char *const scan_checked_names[]; /* "none" "official" "corpus" "given" */

/* What a clip is compared with, and who walks it. Read-only, shared by all threads. */
struct scan_rules {
    const struct scan_options *opt;
    char *folder[N_SCAN_MEDIA]; /* ROOT/VideoFlash, ROOT/AudioWAV */
    enum scan_checked checked;
    struct tsv *media; /* NULL with CHECKED_NONE */
    struct tsv_index media_index;
    struct tsv *issues; /* NULL with --issues none */
    struct tsv_index issues_index;
    struct contain *workers; /* one slot per thread */
};

struct scan_half {
    bool present; /* there is something of that name */
    bool read;    /* its bytes were read: bytes and sha256 hold */
    bool lfs_pointer;
    uint64_t bytes;
    char sha256[SHA256_HEX_SIZE];
};

enum { SCAN_REASON_SIZE = 1024 };

struct scan_clip {
    char *name; /* file name without suffix, as on disk; owned */
    bool named; /* parsed holds */
    struct clip_name parsed;
    struct scan_half half[N_SCAN_MEDIA];
    bool video_walked, audio_walked;
    int64_t frames, video_ms, audio_samples, audio_ms;
    bool rejected;
    uint32_t flags;                /* enum sample_flag */
    char reason[SCAN_REASON_SIZE]; /* "; "-joined; UTF-8 without control characters */
};

/* "VideoFlash/NAME.flv" */
enum { SCAN_PATH_SIZE = 512 };
void scan_clip_path(char out[SCAN_PATH_SIZE], const struct scan_clip *c, enum scan_media m);

/* Adds a reason, with control characters and bytes that are not ASCII escaped. */
void scan_clip_say(struct scan_clip *c, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Names that a warning tells: how many, and the first of them, escaped, ", ..." behind them when
 * there are more. */
struct scan_names {
    size_t count;
    char text[512];
};
void scan_names_add(struct scan_names *n, const char *name);

/* All clips of a corpus, sorted by name. */
struct scan_corpus {
    struct scan_clip *clip;
    size_t count, cap;
    struct scan_names absent; /* clips of the digest manifest that are not in the corpus */
    size_t ignored;           /* files that are named as no clip is */
};

/* Looks at both halves of clip number i, whose name and `present` are set, with worker `slot`, and
 * judges all but what needs other clips. Only the system's faults (memory) are errors. Threads:
 * any, on different clips with different slots. */
NODISCARD enum err_code scan_clip_judge(const struct scan_corpus *s, size_t i, int slot,
                                        const struct scan_rules *r, struct err *e);

/* Rejected, accepted with and without a flag. */
struct scan_sums {
    size_t accepted, flagged, rejected, lfs_pointers;
};
struct scan_sums scan_sum(const struct scan_corpus *s);

/* ---- reporting (scan_report.c) ---- */
/* Appends the whole clips manifest to f. */
NODISCARD enum err_code scan_write(struct atomic_file *f, const struct scan_corpus *s,
                                   const struct scan_rules *r, struct err *e);
void scan_log(const struct scan_corpus *s, const struct scan_rules *r);
NODISCARD enum err_code scan_print_json(const struct scan_corpus *s, const struct scan_rules *r,
                                        struct err *e);

#endif
