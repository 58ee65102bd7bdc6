/* SPDX-License-Identifier: MIT */
#include "prep/irony.h"

#include "common/base/mem.h"
#include "common/data/json.h"
#include "prep/manifests.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* ---- --plan ---- */

struct drops {
    const struct irony_options *opt;
    bool *found; /* [opt->drops] */
};

static bool is_dropped(const struct split_row *row, void *ctx)
{
    struct drops *d = ctx;

    for (size_t i = 0; i < d->opt->drops; i++)
        if (strcmp(d->opt->drop[i], row->clip) == 0) {
            d->found[i] = true;
            return true;
        }
    return false;
}

/* A dropped clip that is in another part is fine: the same --drop serves all three. */
static enum err_code check_drops(const struct irony_options *opt, const struct split_table *t,
                                 struct err *e)
{
    for (size_t i = 0; i < opt->drops; i++) {
        bool known = false;

        for (size_t r = 0; r < t->count && !known; r++)
            known = strcmp(t->row[r].clip, opt->drop[i]) == 0;
        if (!known)
            return err_set(e, ERR_USAGE, "--drop: '%s' is not in the split", opt->drop[i]);
    }
    return ERR_OK;
}

static bool add_matched(json_t *root, const struct plan_options *plan)
{
    const char *rule = donor_rule_names[plan->matched_rule];

    return json_object_set_new(root, "matched_rate", json_real(plan->matched_rate)) == 0 &&
           json_object_set_new(root, "matched_donors", json_string(rule)) == 0;
}

static enum err_code print_plan(const struct irony_options *opt, const struct irony_part *p,
                                const struct plan_options *plan, struct err *e)
{
    json_t *root = NULL;
    char *text = NULL;
    size_t len = 0;
    bool good;

    json_begin();
    if (!opt->cli.json) {
        TRY(irony_part_lines(&text, &len, p, e));
        good = fwrite(text, 1, len, opt->out) == len;
    } else {
        root = irony_part_json(p, plan);
        good =
            root != NULL &&
            json_object_set_new(root, "seed", json_integer((json_int_t)plan->seed)) == 0 &&
            json_object_set_new(root, "rate", json_real(plan->rate)) == 0 &&
            json_object_set_new(root, "donors", json_string(donor_rule_names[plan->rule])) == 0 &&
            (plan->matched_rate == 0.0 || add_matched(root, plan));
        if (!good)
            FAIL(err_set(e, ERR_NOMEM, "plan: no memory for the JSON object"));
        TRY(json_print(json_incref(root), opt->out, JSON_INDENT(2) | JSON_REAL_PRECISION(15), e));
    }
    if (!good)
        FAIL(err_sys(e, "plan: cannot be written"));
out:
    json_decref(root);
    free(text);
    return e->code;
}

static enum err_code find_part(enum part *part, const char *name, const char *option, struct err *e)
{
    int index = 0;

    TRY(cli_choice(&index, name, part_names, option, e));
    *part = (enum part)index;
out:
    return e->code;
}

static enum err_code run_plan(const struct irony_options *opt, const struct split_table *t,
                              const struct plan_options *plan, struct err *e)
{
    struct irony_part p = {0};
    struct drops drops = {.opt = opt};
    enum part part = PART_TRAIN;

    TRY(find_part(&part, opt->scheme != NULL ? opt->split : opt->part,
                  opt->scheme != NULL ? "--split" : "--part", e));
    TRY(mem_array(&drops.found, opt->drops, sizeof *drops.found, "drops", e));
    TRY(irony_part_init(&p, t, part, is_dropped, &drops, e));
    TRY(irony_part_plan(&p, plan, e));
    for (size_t i = 0; i < opt->drops; i++)
        if (drops.found[i])
            log_note(&opt->cli.log, "dropped %s before mutation", opt->drop[i]);
    TRY(print_plan(opt, &p, plan, e));
out:
    free(drops.found);
    irony_part_free(&p);
    return e->code;
}

/* ---- the run ---- */

/* The seed: --seed, else that of the reference fold, else 0. */
static enum err_code choose_seed(uint64_t *seed, const struct irony_options *opt,
                                 const struct split_table *t, struct err *e)
{
    *seed = opt->cli.seed;
    if (opt->cli.seed_given || strcmp(t->scheme, "reference") != 0)
        return ERR_OK;
    return manifests_fold_seed(seed, opt->manifests, t->fold, e);
}

static enum err_code read_split(struct split_table *t, const struct irony_options *opt,
                                struct err *e)
{
    if (opt->plan && opt->scheme != NULL)
        return split_table_reference(t, opt->manifests, opt->fold < 0 ? 0 : opt->fold, e);
    TRY(split_table_read(t, opt->split, e));
    if (opt->fold >= 0 && opt->fold != t->fold)
        FAIL(
            err_set(e, ERR_DATA, "%s: is fold %d, --fold says %d", opt->split, t->fold, opt->fold));
out:
    return e->code;
}

enum err_code irony_run(const struct irony_options *opt, struct err *e)
{
    struct plan_options plan = {.rate = opt->rate,
                                .rule = (enum donor_rule)opt->donors,
                                .fallback = opt->donor_fallback,
                                .matched_rate = opt->matched,
                                .matched_rule = opt->matched_donors >= 0
                                                    ? (enum donor_rule)opt->matched_donors
                                                    : DONORS_SAME_ACTOR};
    struct split_table t = {0};

    TRY(contradiction_read(&plan.map, opt->manifests, e));
    TRY(read_split(&t, opt, e));
    TRY(check_drops(opt, &t, e));
    TRY(choose_seed(&plan.seed, opt, &t, e));
    if (opt->plan)
        TRY(run_plan(opt, &t, &plan, e));
    else
        TRY(irony_write(opt, &t, &plan, e));
out:
    split_table_free(&t);
    return e->code;
}
