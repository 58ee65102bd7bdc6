/* SPDX-License-Identifier: MIT */
#include "train/report/boot.h"

#include "common/base/mem.h"
#include "common/base/parallel.h"
#include "common/base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The first eight bytes of the digest, so that a test set has its own numbers. */
static uint64_t set_key(const char *digest)
{
    char head[17] = "";

    memcpy(head, digest, strnlen(digest, 16));
    return strtoull(head, NULL, 16);
}

void boot_draw(uint32_t *weight, int64_t n, const char *digest, uint64_t seed, int replicate)
{
    struct rng r =
        rng_at(set_key(digest) ^ seed, rng_stream("report.bootstrap"), (uint32_t)replicate, 0);

    memset(weight, 0, (size_t)n * sizeof *weight);
    for (int64_t i = 0; i < n; i++)
        weight[rng_below(&r, (uint32_t)n)]++;
}

struct resampling {
    struct boot *boot;
    const struct report_run *const *run;
    size_t *first; /* of each run, the first run on the same test set */
    uint64_t seed;
    uint32_t *weight; /* [jobs][most] */
    size_t most;      /* clips of the largest test set */
    struct progress progress;
};

static void measure(const struct report_run *r, const uint32_t *weight, double *value)
{
    struct confusion c;
    double kappa;

    confusion_init(&c, r->classes);
    for (int64_t i = 0; i < r->n; i++)
        c.count[r->label[i]][r->guess[i]] += weight[i];
    kappa = confusion_kappa(&c);
    value[METRIC_IRONY_F1] = r->irony >= 0 ? confusion_f1(&c, r->irony) : 0;
    value[METRIC_MACRO_F1] = confusion_macro_f1(&c);
    value[METRIC_ACCURACY] = confusion_accuracy(&c);
    value[METRIC_KAPPA] = isnan(kappa) ? 0 : kappa;
}

static void one_replicate(void *ctx, int64_t b, int worker)
{
    struct resampling *s = ctx;
    uint32_t *weight = s->weight + (size_t)worker * s->most;
    size_t runs = s->boot->runs;

    for (size_t set = 0; set < runs; set++) {
        if (s->first[set] != set)
            continue;
        boot_draw(weight, s->run[set]->n, s->run[set]->test, s->seed, (int)b);
        for (size_t i = set; i < runs; i++)
            if (s->first[i] == set)
                measure(s->run[i], weight,
                        s->boot->value + ((size_t)b * runs + i) * METRIC_RESAMPLED);
    }
    progress_step(&s->progress, 1);
}

static enum err_code find_sets(struct resampling *s, struct err *e)
{
    for (size_t i = 0; i < s->boot->runs; i++) {
        const struct report_run *r = s->run[i], *f;

        while (strcmp(s->run[s->first[i]]->test, r->test) != 0)
            s->first[i]++;
        f = s->run[s->first[i]];
        if (f->n != r->n || memcmp(f->label, r->label, (size_t)r->n) != 0)
            return err_set(e, ERR_DATA,
                           "%s and %s: name the same test data, but their predictions.tsv have "
                           "other labels: run synib-eval again",
                           f->path, r->path);
        if ((size_t)r->n > s->most)
            s->most = (size_t)r->n;
    }
    return ERR_OK;
}

enum err_code boot_init(struct boot *b, const struct report_run *const *run, size_t n,
                        uint64_t seed, int jobs, const struct log *log, struct err *e)
{
    struct resampling s = {.boot = b, .run = run, .seed = seed};
    size_t values;

    *b = (struct boot){.runs = n};
    if (!mem_size(n, (size_t)BOOT_REPLICATES * METRIC_RESAMPLED, &values))
        return err_set(e, ERR_NOMEM, "bootstrap: too many runs");
    TRY(mem_array(&b->value, values, sizeof *b->value, "bootstrap", e));
    TRY(mem_array(&s.first, n, sizeof *s.first, "bootstrap", e));
    TRY(find_sets(&s, e));
    TRY(mem_array(&s.weight, (size_t)(jobs > 1 ? jobs : 1) * s.most, sizeof *s.weight, "bootstrap",
                  e));
    progress_begin(&s.progress, log, "replicates", BOOT_REPLICATES);
    parallel_for(jobs, BOOT_REPLICATES, one_replicate, &s);
    progress_end(&s.progress);
out:
    free(s.first);
    free(s.weight);
    return e->code;
}

void boot_free(struct boot *b)
{
    free(b->value);
    memset(b, 0, sizeof *b);
}

enum err_code boot_interval(const struct boot *b, struct summary *s, const size_t *plus,
                            const size_t *minus, size_t n, int metric, struct err *e)
{
    double *mean = NULL;

    TRY(mem_array(&mean, BOOT_REPLICATES, sizeof *mean, "bootstrap", e));
    for (size_t r = 0; r < BOOT_REPLICATES; r++) {
        const double *value = b->value + r * b->runs * METRIC_RESAMPLED + metric;

        for (size_t k = 0; k < n; k++) {
            mean[r] += value[plus[k] * METRIC_RESAMPLED];
            if (minus != NULL)
                mean[r] -= value[minus[k] * METRIC_RESAMPLED];
        }
        mean[r] /= (double)n;
    }
    stats_interval(s, mean, BOOT_REPLICATES);
out:
    free(mean);
    return e->code;
}
