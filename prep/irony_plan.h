/* SPDX-License-Identifier: MIT */
#ifndef PREP_IRONY_PLAN_H
#define PREP_IRONY_PLAN_H

#include "common/base/err.h"
#include "common/data/dataset.h"

#include <stddef.h>
#include <stdint.h>

/* Which clips of one split become irony, and whose sound each gets. Pure: no I/O, no media.
 *
 * n clips, C distinct labels among them: k = round_half_even(rate * (n / C)), at most n. The bases
 * are the first k of a permutation of 0..n-1 by MT19937(seed), so those of a smaller rate are a
 * prefix of those of a larger one. The donor of base i is candidates[u mod m], where candidates are
 * the m clips of the split, in ascending position and without i, whose label contradicts that of i,
 * and u is the first output of MT19937(seed + i). Donors are drawn with replacement, and a donor
 * may itself be a base. Source: R section 2; equal to the authors' data, clip for clip.
 *
 * Matched swaps are controls of our own: of the clips that are not irony, min(round_half_even(
 * matched_rate * (n / C)), all of them) get the sound of another clip of the *same* label and keep
 * theirs. They are those with the smallest 64-bit keys, so those of a smaller rate are among those
 * of a larger one; key and donor of clip i come from the stream "irony.matched" of the seed (epoch
 * 0 and 1, sample i), so that they never touch the draws above. */

struct plan_clip {
    int32_t label; /* 0..5 */
    int32_t actor;
    int32_t sentence; /* any number that tells sentences apart */
};

/* The donor label d contradicts the base label b where allowed[b][d]. */
struct contradiction {
    bool allowed[N_EMOTIONS][N_EMOTIONS];
};

enum donor_rule { DONORS_REFERENCE, DONORS_SAME_ACTOR, DONORS_SAME_SENTENCE };
extern const char *const donor_rule_names[]; /* "reference" "same-actor" "same-sentence" NULL */

struct plan_options {
    double rate;          /* finite, >= 0 */
    uint64_t seed;        /* below 2^32: MT19937 is seeded with 32 bits */
    enum donor_rule rule; /* which of the reference candidates remain */
    bool fallback;        /* an empty restricted pool falls back to the reference pool */
    struct contradiction map;
    double matched_rate;          /* finite, >= 0; 0 = no matched swaps */
    enum donor_rule matched_rule; /* which clips of the same label remain */
};

struct irony_plan {
    size_t n;         /* clips */
    size_t mutated;   /* k */
    size_t *base;     /* [k] positions in the order in which they were drawn */
    int64_t *donor;   /* [n] position of the donor, -1 = its own sound */
    bool *fell_back;  /* [n] the donor lies outside the restricted pool */
    size_t fallbacks; /* how many of the bases */
    bool *is_matched; /* [n] the donor is of the same label: no irony */
    size_t matched;   /* how many */
    size_t matched_fallbacks;
};

/* Errors: ERR_USAGE for a rate or seed out of range; ERR_DATA when a base or a matched clip has no
 * donor ("positions ..." up to 10, and how many in all). The plan is zeroed on failure. Threads:
 * any. */
NODISCARD enum err_code irony_plan_make(struct irony_plan *plan, const struct plan_clip *clips,
                                        size_t n, const struct plan_options *opt, struct err *e);
void irony_plan_free(struct irony_plan *plan);

/* Label of position i after mutation: a matched swap keeps its own. */
int32_t irony_plan_label(const struct irony_plan *plan, const struct plan_clip *clips, size_t i);

/* The map of manifests/contradiction.tsv; `manifests` as in manifests_find. */
NODISCARD enum err_code contradiction_read(struct contradiction *map, const char *manifests,
                                           struct err *e);

#endif
