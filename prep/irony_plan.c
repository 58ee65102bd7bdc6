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
        TRY(err_set(e, ERR_NOMEM, "irony plan: %zu clips are too many", n));
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

/* Base positions that have no donor, for one message. */
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

static enum err_code draw_donors(struct irony_plan *plan, const struct plan_clip *clips,
                                 struct pools *pools, const struct plan_options *opt, struct err *e)
{
    struct orphans orphans = {0};
    struct mt19937 g;

    for (size_t b = 0; b < plan->mutated; b++) {
        size_t i = plan->base[b];
        size_t m = candidates(pools, clips, i, opt->rule);

        if (m == 0 && opt->fallback && opt->rule != DONORS_REFERENCE) {
            m = candidates(pools, clips, i, DONORS_REFERENCE);
            plan->fell_back[i] = m > 0;
            plan->fallbacks += m > 0;
        }
        if (m == 0) {
            add_orphan(&orphans, i);
            continue;
        }
        /* As torch: a 64-bit seed of which MT19937 takes the low half. */
        mt19937_seed(&g, (uint32_t)(opt->seed + i));
        plan->donor[i] = pools->scratch[mt19937_u32(&g) % m];
    }
    if (orphans.count > 0)
        return err_set(e, ERR_DATA,
                       "irony: %zu of %zu base clips have no donor under '%s' (base positions%s%s)"
                       "%s",
                       orphans.count, plan->mutated, donor_rule_names[opt->rule], orphans.text,
                       orphans.count > 10 ? " ..." : "",
                       opt->rule == DONORS_REFERENCE ? ": lower --rate or add clips"
                                                     : ": pass --donor-fallback or lower --rate");
    return ERR_OK;
}

static enum err_code check_input(const struct plan_clip *clips, size_t n,
                                 const struct plan_options *opt, struct err *e)
{
    if (!isfinite(opt->rate) || opt->rate < 0.0)
        return err_set(e, ERR_USAGE, "--rate: %g is not a finite number >= 0", opt->rate);
    if (opt->seed > UINT32_MAX)
        return err_set(e, ERR_USAGE, "--seed: %llu is above 4294967295: MT19937 takes 32 bits",
                       (unsigned long long)opt->seed);
    if (n > UINT32_MAX)
        return err_set(e, ERR_DATA, "irony plan: %zu clips are more than 2^32 - 1", n);
    for (size_t i = 0; i < n; i++)
        if (clips[i].label < 0 || clips[i].label >= N_EMOTIONS)
            return err_set(e, ERR_DATA, "irony plan: label %d at position %zu is not 0 to 5",
                           clips[i].label, i);
    return ERR_OK;
}

enum err_code irony_plan_make(struct irony_plan *plan, const struct plan_clip *clips, size_t n,
                              const struct plan_options *opt, struct err *e)
{
    struct pools pools = {0};
    uint32_t *perm = NULL;
    struct mt19937 g;

    *plan = (struct irony_plan){.n = n};
    TRY(check_input(clips, n, opt, e));
    plan->mutated = count_mutated(clips, n, opt->rate);
    TRY(mem_array(&perm, n, sizeof *perm, "irony plan", e));
    TRY(mem_array(&plan->base, plan->mutated, sizeof *plan->base, "irony plan", e));
    TRY(mem_array(&plan->donor, n, sizeof *plan->donor, "irony plan", e));
    TRY(mem_array(&plan->fell_back, n, sizeof *plan->fell_back, "irony plan", e));
    TRY(pools_init(&pools, clips, n, &opt->map, e));
    for (size_t i = 0; i < n; i++)
        plan->donor[i] = -1;
    mt19937_seed(&g, (uint32_t)opt->seed);
    mt19937_randperm(&g, perm, n);
    for (size_t b = 0; b < plan->mutated; b++)
        plan->base[b] = perm[b];
    TRY(draw_donors(plan, clips, &pools, opt, e));
out:
    pools_free(&pools);
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
    *plan = (struct irony_plan){0};
}

int32_t irony_plan_label(const struct irony_plan *plan, const struct plan_clip *clips, size_t i)
{
    return plan->donor[i] >= 0 ? LABEL_IRONY : clips[i].label;
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
