/* SPDX-License-Identifier: MIT */
#include "train/sweep/plan.h"

#include "common/base/cli.h"
#include "common/base/mem.h"
#include "train/config_effect.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

const char *const plan_columns[] = {"run",  "task",     "preset", "method",
                                    "mask", "settings", "seed",   NULL};

enum { NAME_MAX_SIZE = 64, MAX_FAULTS = 20 };
static const uint64_t LARGEST_SEED = ((uint64_t)1 << 53) - 1;

static enum err_code check_name(const char *name, struct err *e)
{
    size_t len = strlen(name);
    bool ok = len > 0 && len <= NAME_MAX_SIZE && name[0] != '.';

    for (size_t i = 0; ok && i < len; i++)
        ok = isalnum((unsigned char)name[i]) || strchr("._-", name[i]) != NULL;
    if (ok)
        return ERR_OK;
    return err_set(e, ERR_DATA,
                   "run '%s': a name has 1 to %d letters, digits, '.', '_' or '-', and no leading "
                   "dot",
                   name, NAME_MAX_SIZE);
}

/* Cuts the settings at their spaces into run->set. */
static enum err_code cut_settings(struct plan_run *run, struct err *e)
{
    int n = 0;

    TRY(mem_string(&run->text, run->cell[PLAN_SET], e));
    for (char *p = run->text; *p != '\0';) {
        char *end = strchrnul(p, ' ');
        bool last = *end == '\0';

        if (n == PLAN_SETTINGS)
            return err_set(e, ERR_DATA, "settings: more than %d", PLAN_SETTINGS);
        if (end == p || (!last && end[1] == '\0'))
            return err_set(e, ERR_DATA, "settings: one space between them, none at the ends");
        *end = '\0';
        run->set[n++] = p;
        p = end + !last;
    }
out:
    return e->code;
}

static bool same_key(const char *a, const char *b)
{
    size_t n = strcspn(a, "=");

    return n == strcspn(b, "=") && memcmp(a, b, n) == 0;
}

/* A key that a later one makes void. */
static enum err_code check_keys(const struct plan_run *run, struct err *e)
{
    for (int i = 0; run->set[i] != NULL; i++)
        for (int j = 0; j < i; j++)
            if (same_key(run->set[j], run->set[i]))
                return err_set(e, ERR_DATA, "settings: %s: %s stands before it", run->set[i],
                               run->set[j]);
    return ERR_OK;
}

const char *plan_run_mask(const struct plan_run *run)
{
    return run->cell[PLAN_MASK][0] != '\0' ? run->cell[PLAN_MASK] : NULL;
}

static enum config_targets targets_of(const struct plan_run *run)
{
    if (!run->synthetic)
        return TARGETS_UNKNOWN;
    return run->data.task == XOR_REGRESSION ? TARGETS_NUMBERS : TARGETS_CLASSES;
}

static enum err_code check_effect(const struct plan_run *run, const char *setting, struct err *e)
{
    const struct config_given given = {
        .preset = run->cell[PLAN_PRESET],
        .mask = plan_run_mask(run),
        .set = run->set,
        .method = run->method,
        .config = &run->config,
        .targets = targets_of(run),
    };
    const char *needs;

    TRY(config_given_needs(&needs, &given, setting, e));
    if (needs != NULL)
        err_set(e, ERR_DATA, "%s: has no effect without %s", setting, needs);
out:
    return e->code;
}

static enum err_code check_use(const struct plan_run *run, struct err *e)
{
    TRY(check_keys(run, e));
    for (int i = 0; run->set[i] != NULL; i++)
        if ((config_scopes(run->set[i]) & run->method->scopes) == 0)
            return err_set(e, ERR_DATA, "%s: method %s has no use for it", run->set[i],
                           run->method->name);
    if (run->cell[PLAN_MASK][0] != '\0' && (run->method->scopes & SCOPE_MASKS) == 0)
        return err_set(e, ERR_DATA, "mask %s: method %s has no use for it", run->cell[PLAN_MASK],
                       run->method->name);
out:
    return e->code;
}

enum err_code plan_seed(uint64_t *seed, const char *text, struct err *e)
{
    struct err why = {0};

    if (cli_u64(seed, text, "seed", &why) != ERR_OK || *seed > LARGEST_SEED)
        return err_set(e, ERR_DATA, "seed: '%s' is not a whole number from 0 to 2^53 - 1", text);
    return ERR_OK;
}

enum err_code plan_run_values(struct plan_run *run, struct err *e)
{
    TRY(check_name(run->cell[PLAN_RUN], e));
    TRY(plan_seed(&run->seed, run->cell[PLAN_SEED], e));
    run->synthetic = strchr(run->cell[PLAN_TASK], '/') == NULL;
    if (run->synthetic) {
        TRY(xor_parse(&run->data, run->cell[PLAN_TASK], e));
        run->data.seed = run->seed;
    }
    TRY(cut_settings(run, e));
    TRY(method_find(&run->method, run->cell[PLAN_METHOD], e));
    TRY(config_resolve(&run->config, run->cell[PLAN_PRESET], run->method->name, plan_run_mask(run),
                       run->set, e));
    TRY(check_use(run, e));
out:
    return e->code;
}

/* Rows that differ in a setting without effect would be one run, and --select would rank them. The
 * mask may go without, where nothing is masked: it says which comparison the row belongs to. */
enum err_code plan_run_read(struct plan_run *run, struct err *e)
{
    TRY(plan_run_values(run, e));
    for (int i = 0; run->set[i] != NULL; i++)
        TRY(check_effect(run, run->set[i], e));
out:
    return e->code;
}

void plan_run_free(struct plan_run *run)
{
    free(run->text);
    *run = (struct plan_run){.line = 0};
}

void plan_run_cells(struct plan_run *run, const struct tsv *t, size_t i)
{
    int group = tsv_column(t, "group");

    run->line = tsv_line(t, i);
    for (int c = 0; plan_columns[c] != NULL; c++)
        run->cell[c] = tsv_cell(t, i, tsv_column(t, plan_columns[c]));
    run->group = group >= 0 ? tsv_cell(t, i, group) : "";
    if (run->group[0] == '\0')
        run->group = run->cell[PLAN_TASK];
}

static int compare_names(const void *a, const void *b)
{
    const struct plan_run *const *x = a, *const *y = b;

    return strcmp((*x)->cell[PLAN_RUN], (*y)->cell[PLAN_RUN]);
}

static enum err_code sort_names(struct plan *p, struct err *e)
{
    TRY(mem_array(&p->by_name, p->n, sizeof(struct plan_run *), "plan", e));
    for (size_t i = 0; i < p->n; i++)
        p->by_name[i] = &p->run[i];
    qsort(p->by_name, p->n, sizeof *p->by_name, compare_names);
    for (size_t i = 1; i < p->n; i++) {
        const struct plan_run *a = p->by_name[i - 1], *b = p->by_name[i];

        if (compare_names(&a, &b) == 0)
            err_add_line(e, ERR_DATA, "%s: run '%s' stands in lines %zu and %zu", p->name,
                         a->cell[PLAN_RUN], a->line < b->line ? a->line : b->line,
                         a->line < b->line ? b->line : a->line);
    }
out:
    return e->code;
}

enum err_code plan_fault(const struct err *why)
{
    return why->code == ERR_IO || why->code == ERR_NOMEM ? why->code : ERR_DATA;
}

enum err_code plan_read(struct plan *p, const char *path, struct err *e)
{
    struct tsv *t = NULL;

    *p = (struct plan){.name = path};
    TRY(tsv_read(&t, path, "plan", plan_columns, e));
    TRY(plan_take(p, t, e));
out:
    return e->code;
}

enum err_code plan_take(struct plan *p, struct tsv *t, struct err *e)
{
    const char *path = tsv_name(t);
    int faults = 0;

    *p = (struct plan){.name = path, .tsv = t};
    p->n = tsv_rows(p->tsv);
    if (p->n == 0)
        FAIL(err_set(e, ERR_DATA, "%s: has no rows", path));
    TRY(mem_array(&p->run, p->n, sizeof *p->run, "plan", e));
    for (size_t i = 0; i < p->n && faults < MAX_FAULTS; i++) {
        struct plan_run *run = &p->run[i];
        struct err why = {0};

        plan_run_cells(run, p->tsv, i);
        if (plan_run_read(run, &why) == ERR_OK)
            continue;
        err_add_line(e, plan_fault(&why), "%s:%zu: %s", path, run->line, why.text);
        faults++;
    }
    TRY(e->code);
    TRY(sort_names(p, e));
out:
    return e->code;
}

void plan_free(struct plan *p)
{
    for (size_t i = 0; p->run != NULL && i < p->n; i++)
        plan_run_free(&p->run[i]);
    free(p->run);
    free(p->by_name);
    tsv_free(p->tsv);
    *p = (struct plan){.n = 0};
}

const struct plan_run *plan_find(const struct plan *p, const char *name)
{
    const struct plan_run key = {.cell = {[PLAN_RUN] = name}}, *wanted = &key, **found;

    found = bsearch(&wanted, p->by_name, p->n, sizeof *p->by_name, compare_names);
    return found != NULL ? *found : NULL;
}
