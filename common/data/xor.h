/* SPDX-License-Identifier: MIT */
#ifndef COMMON_DATA_XOR_H
#define COMMON_DATA_XOR_H

#include "common/data/vectors.h"

/* The synthetic tasks of the paper's Section 4.2 and App. F, and two of our own that exercise what
 * they leave out. X sections 2 and 3 hold every constant and where it comes from.
 *
 * - spurious: the label is the XOR of one bit per modality; modality 1 also carries a shortcut that
 *   is there in train and val only (App. F.1). With three or four modalities the label is the
 *   parity of their bits (ours).
 * - pid: each sample's label comes from one source: unique to a modality, redundant or synergistic
 *   (App. F.2).
 * - regression: the number to predict is the product of one latent number per modality; modality 1
 *   also carries a shortcut, as in `spurious` (ours, for the Gaussian family of App. C.1).
 *
 * A sample of `spurious` or `regression` is a function of (options, split, its number): Philox
 * stream "xor.TASK.SPLIT", epoch 0, and "xor.TASK.SPLIT.noise.x1" for the noise of modality 1.
 * Those of `pid` likewise come from "xor.pid.test" and, for train and val together, "xor.pid.pool",
 * which "xor.pid.split" deals out; as all are standardised with the mean and deviation of the pool,
 * they depend on the number of its samples, too. Random bits of the authors' generators are not
 * followed, but for the projections of `pid`. */

enum xor_task { XOR_SPURIOUS, XOR_PID, XOR_REGRESSION };
extern const char *const xor_task_name[]; /* by enum xor_task, then NULL */

enum xor_split { XOR_TRAIN, XOR_VAL, XOR_TEST };
enum { XOR_SPLITS = 3 };
extern const char *const xor_split_name[]; /* "train", "val", "test", NULL */

/* Far above any use, far below what a float cannot hold: products of normals, times this. */
enum { XOR_STRENGTH_MAX = 1000000 };

enum { PID_UNIQUE1, PID_UNIQUE2, PID_REDUNDANT, PID_SYNERGISTIC, PID_SOURCES };

struct xor_options {
    enum xor_task task;
    uint64_t seed;
    int64_t count[XOR_SPLITS]; /* samples */
    double strength; /* spurious, regression: kappa, 0 to XOR_STRENGTH_MAX, of the shortcut in
                        train and val (Eq. 20) */
    int modalities;  /* spurious: 2 to 4 */
    double mix[PID_SOURCES]; /* pid: probabilities of the sources */
    uint64_t projection;     /* pid: seed of the projections; 0 to 2^32 - 1 */
};
/* The published sizes and constants: 300 / 120 / 30000 or 1800 / 200 / 4000, projection seed 999.
 */
struct xor_options xor_defaults(enum xor_task task);

/* ERR_USAGE: a strength out of range, probabilities that are negative or do not sum to one within
 * 1e-6, a number of modalities or samples out of range. */
NODISCARD enum err_code xor_check(const struct xor_options *opt, struct err *e);

/* Names of the task's sources of information, in order; returns how many. */
int xor_sources(enum xor_task task, const char *const **names);

/* Reads "spurious:0.6", "spurious3:0.6" (three modalities), "pid:0.45,0,0.45,0.1", "pid@7:..."
 * (projections of seed 7) or "regression:1" over the defaults. */
NODISCARD enum err_code xor_parse(struct xor_options *opt, const char *text, struct err *e);
/* The value of --mix: four probabilities "pU1,pU2,pR,pS", which sum to one within 1e-6. */
NODISCARD enum err_code xor_parse_mix(double mix[PID_SOURCES], const char *text, struct err *e);
/* The options as canonical JSON, for provenance; without the seed. */
void xor_describe(const struct xor_options *opt, char *out, size_t size);

/* All three splits (pid standardises every one with the mean and deviation of train and val). The
 * caller frees each. Threads: any. */
NODISCARD enum err_code xor_make(struct vectors out[XOR_SPLITS], const struct xor_options *opt,
                                 struct err *e);

#endif
