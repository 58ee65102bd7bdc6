/* SPDX-License-Identifier: MIT */
#ifndef PREP_SPLIT_AUDIT_H
#define PREP_SPLIT_AUDIT_H

#include "prep/split.h"

/* synib-split --audit: reads splits of any origin and says who is where.
 *
 * A SPEC that is a folder is a dataset of pictures and sound (train, val, test), or a run
 * (run.json), whose dataset is audited and must be the one that its checkpoint names. Then every
 * fact comes from the shards: actors, donors, labels, source digests. Beside what is said below, it
 * is a fault when the sound of a sample is of no other clip of the same part, when it does not
 * contradict the picture, when an actor is not the one in the clip's name, when the number of irony
 * samples is not round(rate * clips / emotions), and when clips of two parts are one source file.
 *
 * Any other SPEC is one fold, or several if its file holds several:
 *   FILE                     a file that says the part of every clip itself; one that does not is
 *                            a part of its own, named as the file (train.csv and test.csv), and
 *                            all such files together are one fold
 *   PART=FILE[,PART=FILE...] every clip of FILE is in PART
 * Files, told apart by their content:
 *   - our split, folds or clips manifests ("#synib-..."; a folds manifest keyed by actor is audited
 *     over its actors);
 *   - JSON: {"train": [...], "test": [...]} or {"1": {"train": [...], ...}, ...} of strings that
 *     hold a clip name (the authors' split file is one);
 *   - text: CSV, TSV or one name per line; the clip is the first thing in a line that looks like a
 *     clip name, wherever it stands (a path, an extension or a label beside it do not matter). The
 *     first line may name one column of AUDIT_PART_COLUMNS, in any case. Cells between tabs,
 *     semicolons or commas may be quoted as in RFC 4180, but not hold a line end. A file without
 *     such a column that says two of train, val and test in cells of their own is refused.
 * A byte order mark (UTF-8) is skipped. A line without a clip name is an ERR_DATA, except the
 * first, which may be a header.
 *
 * Reports speakers and clips per part, speakers and clips in more than one part, how many clips are
 * listed again within a part, pairs of clips with byte-identical sound (by a digest manifest) on
 * both sides, each pair once, and the overlap of the test parts between folds. Errors: ERR_DATA
 * when a speaker is in more than one part of a fold, a dataset has a fault, or a fold has fewer
 * than two parts with clips, so that nothing in it was compared; the report comes first. */
NODISCARD enum err_code split_audit_run(const struct split_options *opt, struct err *e);

/* What the column that says the part may be called. */
#define AUDIT_PART_COLUMNS "part", "partition", "split", "subset", "set"
#define AUDIT_PART_COLUMNS_TEXT "part, partition, split, subset or set"

/* One clip (or actor) that a file puts in a part. Exposed for tests. */
struct audit_entry {
    char clip[CLIP_NAME_SIZE]; /* "" in a table of actors */
    int32_t actor;
    int fold; /* index into audit.fold */
    int part; /* index into audit.part */
};
enum { AUDIT_NAME_SIZE = 64, AUDIT_MAX_PARTS = 32, AUDIT_MAX_FOLDS = 128, AUDIT_FAULT_SIZE = 256 };
/* A broken rule of a dataset, in words. */
struct audit_fault {
    int fold;
    char text[AUDIT_FAULT_SIZE];
};
struct audit {
    struct audit_entry *entry;
    size_t count, cap;
    char part[AUDIT_MAX_PARTS][AUDIT_NAME_SIZE]; /* in the order of appearance */
    int parts;
    char fold[AUDIT_MAX_FOLDS][AUDIT_NAME_SIZE];
    const char *fold_spec[AUDIT_MAX_FOLDS]; /* the SPEC that made it; loans of the callers' */
    int folds;
    int plain_fold;  /* of the files that say no parts, */
    int plain_folds; /* once there is one (0 or 1) */
    struct audit_fault *fault;
    size_t faults, fault_cap;
    const char *manifests; /* as in manifests_find; a loan, set by the caller or NULL */
    /* Where base sets are, NULL-terminated; likewise. */
    const char *const *bases;
};
void audit_free(struct audit *a);
/* Adds what one SPEC says, which must live as long as the audit; so must `name` below. */
NODISCARD enum err_code audit_read(struct audit *a, const char *spec, struct err *e);
/* The same of a folder, as fold `fold`. */
NODISCARD enum err_code audit_read_sets(struct audit *a, const char *dir, int fold, struct err *e);
/* The same of a file in memory; data[len] is a NUL, as file_read() leaves it. `name` stands for its
 * path. */
NODISCARD enum err_code audit_read_mem(struct audit *a, const char *name, const void *data,
                                       size_t len, struct err *e);
/* Number of the part of that name, added when it is new; `path` for messages. */
NODISCARD enum err_code audit_part(struct audit *a, const char *name, const char *path, int *part,
                                   struct err *e);

#endif
