/* SPDX-License-Identifier: MIT */
#include "prep/irony_plan.h"

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "prep/clip_name.h"
#include "prep/manifests.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const donor_rule_names[] = {"reference", "same-actor", "same-sentence", NULL};

/* Candidate lists by base label: ascending positions. A restricted rule filters its list. */
struct pools {
    uint32_t *position; /* [N_EMOTIONS][n] */
    size_t count[N_EMOTIONS];
    size_t n;
    uint32_t *scratch; /* [n] */
};

static enum err_code pools_init(struct pools *p, const struct plan_clip *clips, size_t n,
                                const struct contradiction *map, struct err *e)
{
    size_t cells;

    *p = (struct pools){.n = n};
    if (!mem_size(n, N_EMOTIONS, &cells))
        FAIL(err_set(e, ERR_NOMEM, "irony plan: %zu clips are too many", n));
    TRY(mem_array(&p->position, cells, sizeof *p->position, "irony plan", e));
    TRY(mem_array(&p->scratch, n, sizeof *p->scratch, "irony plan", e));
    for (int b = 0; b < N_EMOTIONS; b++)
        for (size_t i = 0; i < n; i++)
            if (map->allowed[b][clips[i].label])
                p->position[(size_t)b * n + p->count[b]++] = (uint32_t)i;
out:
    return e->code;
}

static void pools_free(struct pools *p)
{
    free(p->position);
    free(p->scratch);
}

static bool fits(enum donor_rule rule, const struct plan_clip *base, const struct plan_clip *donor)
{
    switch (rule) {
    case DONORS_REFERENCE: return true;
    case DONORS_SAME_ACTOR: return base->actor == donor->actor;
    case DONORS_SAME_SENTENCE: return base->sentence == donor->sentence;
    }
    return false;
}

/* The candidates of base i under `rule`, in scratch. */
static size_t candidates(struct pools *p, const struct plan_clip *clips, size_t i,
                         enum donor_rule rule)
{
    const uint32_t *pool = p->position + (size_t)clips[i].label * p->n;
    size_t m = 0;

    for (size_t c = 0; c < p->count[clips[i].label]; c++)
        if (pool[c] != i && fits(rule, &clips[i], &clips[pool[c]]))
            p->scratch[m++] = pool[c];
    return m;
}

static size_t count_labels(const struct plan_clip *clips, size_t n)
{
    bool seen[N_EMOTIONS] = {false};
    size_t distinct = 0;

    for (size_t i = 0; i < n; i++) {
        distinct += !seen[clips[i].label];
        seen[clips[i].label] = true;
    }
    return distinct;
}

/* round(rate * (n / C)) as Python does it: binary64 throughout, halves to even. */
static size_t count_mutated(const struct plan_clip *clips, size_t n, double rate)
{
    double target = n > 0 ? (double)n / (double)count_labels(clips, n) : 0.0;
    double k = rint(rate * target);

    return k < (double)n ? (size_t)k : n;
}

/* Positions that have no donor, for one message. */
struct orphans {
    char text[160];
    size_t count;
};

static void add_orphan(struct orphans *o, size_t position)
{
    size_t at = strlen(o->text);

    if (o->count++ < 10)
        snprintf(o->text + at, sizeof o->text - at, " %zu", position);
}

/* Fails when there are any of the `of` clips that were to get a donor. */
static enum err_code report_orphans(const struct orphans *o, size_t of, const char *what,
                                    enum donor_rule rule, bool fallback, const char *rate,
                                    struct err *e)
{
    bool fell = fallback && rule != DONORS_REFERENCE;
    bool last = fell || rule == DONORS_REFERENCE; /* no option would find a donor */

    if (o->count == 0)
        return ERR_OK;
    return err_set(e, ERR_DATA,
                   "irony: %zu of %zu %s clips have no donor under '%s'%s (%s positions%s%s): "
                   "%slower %s%s",
                   o->count, of, what, donor_rule_names[rule], fell ? " nor any other" : "", what,
                   o->text, o->count > 10 ? " ..." : "", last ? "" : "pass --donor-fallback or ",
                   rate, last ? " or add clips" : "");
}

/* The candidates of clip i in scratch; where the rule leaves none and it may fall back, those of
 * the reference rule, which is noted. */
static size_t find_candidates(struct irony_plan *plan, const struct plan_clip *clips,
                              struct pools *pools, size_t i, enum donor_rule rule, bool fallback,
                              size_t *fallbacks)
{
    size_t m = candidates(pools, clips, i, rule);

    if (m == 0 && fallback && rule != DONORS_REFERENCE) {
        m = candidates(pools, clips, i, DONORS_REFERENCE);
        plan->fell_back[i] = m > 0;
        *fallbacks += m > 0;
    }
    return m;
}

static enum err_code draw_donors(struct irony_plan *plan, const struct plan_clip *clips,
                                 const struct plan_options *opt, struct err *e)
{
    struct orphans orphans = {0};
    struct pools pools = {0};
    struct mt19937 g;

    TRY(pools_init(&pools, clips, plan->n, &opt->map, e));
    for (size_t b = 0; b < plan->mutated; b++) {
        size_t i = plan->base[b];
        size_t m =
            find_candidates(plan, clips, &pools, i, opt->rule, opt->fallback, &plan->fallbacks);

        if (m == 0) {
            add_orphan(&orphans, i);
            continue;
        }
        /* As torch: a 64-bit seed of which MT19937 takes the low half. */
        mt19937_seed(&g, (uint32_t)(opt->seed + i));
        plan->donor[i] = pools.scratch[mt19937_u32(&g) % m];
    }
    TRY(report_orphans(&orphans, plan->mutated, "base", opt->rule, opt->fallback, "--rate", e));
out:
    pools_free(&pools);
    return e->code;
}

/* ---- matched swaps ---- */

enum { EPOCH_KEY, EPOCH_DONOR }; /* of the stream "irony.matched" */

static struct rng matched_rng(const struct plan_options *opt, uint32_t epoch, size_t i)
{
    return rng_at(opt->seed, rng_stream("irony.matched"), epoch, (uint32_t)i);
}

struct keyed {
    uint64_t key;
    size_t position;
};

static int by_key(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;

    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->position < y->position ? -1 : x->position > y->position;
}

/* Marks the clips that get a matched sound: those with the smallest keys that are not irony. */
static enum err_code choose_matched(struct irony_plan *plan, const struct plan_clip *clips,
                                    const struct plan_options *opt, struct err *e)
{
    size_t wanted = count_mutated(clips, plan->n, opt->matched_rate), left = 0;
    struct keyed *order = NULL;

    TRY(mem_array(&order, plan->n, sizeof *order, "irony plan", e));
    for (size_t i = 0; i < plan->n; i++) {
        struct rng r = matched_rng(opt, EPOCH_KEY, i);
        uint64_t high = rng_u32(&r);

        if (plan->donor[i] < 0)
            order[left++] = (struct keyed){high << 32 | rng_u32(&r), i};
    }
    qsort(order, left, sizeof *order, by_key);
    plan->matched = wanted < left ? wanted : left;
    for (size_t k = 0; k < plan->matched; k++)
        plan->is_matched[order[k].position] = true;
out:
    free(order);
    return e->code;
}

static enum err_code draw_matched(struct irony_plan *plan, const struct plan_clip *clips,
                                  const struct plan_options *opt, struct err *e)
{
    struct contradiction same = {0};
    struct orphans orphans = {0};
    struct pools pools = {0};

    for (int l = 0; l < N_EMOTIONS; l++)
        same.allowed[l][l] = true;
    TRY(pools_init(&pools, clips, plan->n, &same, e));
    for (size_t i = 0; i < plan->n; i++) {
        struct rng r = matched_rng(opt, EPOCH_DONOR, i);
        size_t m;

        if (!plan->is_matched[i])
            continue;
        m = find_candidates(plan, clips, &pools, i, opt->matched_rule, opt->fallback,
                            &plan->matched_fallbacks);
        if (m == 0)
            add_orphan(&orphans, i);
        else
            plan->donor[i] = pools.scratch[rng_below(&r, (uint32_t)m)];
    }
    TRY(report_orphans(&orphans, plan->matched, "matched", opt->matched_rule, opt->fallback,
                       "--matched", e));
out:
    pools_free(&pools);
    return e->code;
}

/* ---- the plan ---- */

static enum err_code check_rate(double rate, const char *option, struct err *e)
{
    if (!isfinite(rate) || rate < 0.0)
        return err_set(e, ERR_USAGE, "%s: %g is not a finite number >= 0", option, rate);
    return ERR_OK;
}

static enum err_code check_input(const struct plan_clip *clips, size_t n,
                                 const struct plan_options *opt, struct err *e)
{
    TRY(check_rate(opt->rate, "--rate", e));
    TRY(check_rate(opt->matched_rate, "--matched", e));
    if (opt->seed > UINT32_MAX)
        return err_set(e, ERR_USAGE, "--seed: %llu is above 4294967295: MT19937 takes 32 bits",
                       (unsigned long long)opt->seed);
    if (n > UINT32_MAX)
        return err_set(e, ERR_DATA, "irony plan: %zu clips are more than 2^32 - 1", n);
    for (size_t i = 0; i < n; i++)
        if (clips[i].label < 0 || clips[i].label >= N_EMOTIONS)
            return err_set(e, ERR_DATA, "irony plan: label %d at position %zu is not 0 to 5",
                           clips[i].label, i);
out:
    return e->code;
}

enum err_code irony_plan_make(struct irony_plan *plan, const struct plan_clip *clips, size_t n,
                              const struct plan_options *opt, struct err *e)
{
    uint32_t *perm = NULL;
    struct mt19937 g;

    *plan = (struct irony_plan){.n = n};
    TRY(check_input(clips, n, opt, e));
    plan->mutated = count_mutated(clips, n, opt->rate);
    TRY(mem_array(&perm, n, sizeof *perm, "irony plan", e));
    TRY(mem_array(&plan->base, plan->mutated, sizeof *plan->base, "irony plan", e));
    TRY(mem_array(&plan->donor, n, sizeof *plan->donor, "irony plan", e));
    TRY(mem_array(&plan->fell_back, n, sizeof *plan->fell_back, "irony plan", e));
    TRY(mem_array(&plan->is_matched, n, sizeof *plan->is_matched, "irony plan", e));
    for (size_t i = 0; i < n; i++)
        plan->donor[i] = -1;
    mt19937_seed(&g, (uint32_t)opt->seed);
    mt19937_randperm(&g, perm, n);
    for (size_t b = 0; b < plan->mutated; b++)
        plan->base[b] = perm[b];
    TRY(draw_donors(plan, clips, opt, e));
    if (opt->matched_rate > 0.0) {
        TRY(choose_matched(plan, clips, opt, e));
        TRY(draw_matched(plan, clips, opt, e));
    }
out:
    free(perm);
    if (e->code != ERR_OK)
        irony_plan_free(plan);
    return e->code;
}

void irony_plan_free(struct irony_plan *plan)
{
    free(plan->base);
    free(plan->donor);
    free(plan->fell_back);
    free(plan->is_matched);
    *plan = (struct irony_plan){0};
}

int32_t irony_plan_label(const struct irony_plan *plan, const struct plan_clip *clips, size_t i)
{
    return plan->donor[i] >= 0 && !plan->is_matched[i] ? LABEL_IRONY : clips[i].label;
}

enum err_code contradiction_read(struct contradiction *map, const char *manifests, struct err *e)
{
    static const char *const columns[] = {"base", "donor", NULL};
    struct tsv *t = NULL;

    *map = (struct contradiction){0};
    TRY(manifests_read(&t, manifests, "contradiction.tsv", "contradiction", columns, e));
    for (size_t i = 0; i < tsv_rows(t); i++) {
        const char *base = tsv_cell(t, i, tsv_column(t, "base"));
        const char *donor = tsv_cell(t, i, tsv_column(t, "donor"));
        int b = emotion_index(base), d = emotion_index(donor);

        if (b < 0 || d < 0)
            (void)err_add_line(e, ERR_DATA, "%s:%zu: '%s' is not an emotion code", tsv_name(t),
                               tsv_line(t, i), b < 0 ? base : donor);
        else if (b == d || map->allowed[b][d])
            (void)err_add_line(e, ERR_DATA, "%s:%zu: pair %s %s %s", tsv_name(t), tsv_line(t, i),
                               base, donor, b == d ? "is no contradiction" : "stands twice");
        else
            map->allowed[b][d] = true;
    }
out:
    tsv_free(t);
    return e->code;
}
