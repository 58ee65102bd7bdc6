/* SPDX-License-Identifier: MIT */
#include "common/data/xor.h"

#include "common/base/cli.h"
#include "common/base/mem.h"
#include "common/base/rng.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const xor_task_name[] = {"spurious", "pid", "regression", NULL};
const char *const xor_split_name[] = {"train", "val", "test", NULL};

static const char *const pid_source_name[PID_SOURCES] = {"unique1", "unique2", "redundant",
                                                         "synergistic"};
static const char *const one_source_name[] = {"synergistic"};

/* X section 2. */
enum { SPURIOUS_DIM = 64, SIGNAL_DIM = 4, SHORTCUT_DIM = 6 };
static const double SIGNAL_MEAN = 2.2, SIGNAL_STD = 0.55, SHORTCUT_SCALE = 1.3;

/* X section 3: three blocks of BLOCK_DIM signal coordinates each, then noise. */
enum { PID_DIM = 32, BLOCK_DIM = 6, LATENT_DIM = 4, PID_MODALITIES = 2 };
static const double LATENT_SCALE = 3.0, PROJECTION_STD = 0.5, DEVIATION_FLOOR = 1e-7;

static_assert(SIGNAL_DIM + SHORTCUT_DIM <= SPURIOUS_DIM, "blocks fit");
static_assert(3 * BLOCK_DIM <= PID_DIM, "blocks fit");

static const double MIX_TOLERANCE = 1e-6;

enum { MOST_SAMPLES = 100000000 };
enum { SHOWN = 60 }; /* characters of a value in a message */

struct xor_options xor_defaults(enum xor_task task)
{
    struct xor_options o = {
        .task = task,
        .count = {300, 120, 30000},
        .modalities = 2,
        .mix = {0.45, 0, 0.45, 0.1}, /* of Figures 1, 8 and 9 */
        .projection = 999,
    };

    if (task == XOR_PID)
        memcpy(o.count, (int64_t[]){1800, 200, 4000}, sizeof o.count);
    if (task == XOR_REGRESSION) /* ours */
        memcpy(o.count, (int64_t[]){1000, 200, 4000}, sizeof o.count);
    return o;
}

static enum err_code check_mix(const double mix[PID_SOURCES], struct err *e)
{
    double sum = 0;

    for (int k = 0; k < PID_SOURCES; k++) {
        if (!(mix[k] >= 0 && mix[k] <= 1))
            return err_set(e, ERR_USAGE, "probability %g of %s: must be in 0..1", mix[k],
                           pid_source_name[k]);
        sum += mix[k];
    }
    if (fabs(sum - 1) > MIX_TOLERANCE)
        return err_set(e, ERR_USAGE,
                       "the probabilities of unique1, unique2, redundant and synergistic sum to "
                       "%.9g: must be 1",
                       sum);
    return ERR_OK;
}

enum err_code xor_check(const struct xor_options *o, struct err *e)
{
    for (int s = 0; s < XOR_SPLITS; s++)
        if (o->count[s] < 1 || o->count[s] > MOST_SAMPLES)
            return err_set(e, ERR_USAGE, "%s: %lld samples: must be 1 to %d", xor_split_name[s],
                           (long long)o->count[s], MOST_SAMPLES);
    if (o->task != XOR_PID && !(o->strength >= 0 && o->strength <= XOR_STRENGTH_MAX))
        return err_set(e, ERR_USAGE, "strength %g: must be 0 to %d", o->strength, XOR_STRENGTH_MAX);
    if (o->modalities < 2 || o->modalities > VECTORS_MODALITIES)
        return err_set(e, ERR_USAGE, "modalities %d: must be 2 to %d", o->modalities,
                       VECTORS_MODALITIES);
    if (o->task != XOR_SPURIOUS && o->modalities != 2)
        return err_set(e, ERR_USAGE, "modalities %d: task %s has 2", o->modalities,
                       xor_task_name[o->task]);
    if (o->projection > UINT32_MAX)
        return err_set(e, ERR_USAGE, "projection seed %llu: must be below 2^32",
                       (unsigned long long)o->projection);
    TRY(check_mix(o->mix, e));
out:
    return err_in(e, "mix");
}

/* what: the option or parameter that the text was given as. */
static enum err_code parse_mix(double mix[PID_SOURCES], const char *text, const char *what,
                               struct err *e)
{
    const char *at = text, *cut = strlen(text) > SHOWN ? "..." : "";
    char part[64];

    for (int k = 0; k < PID_SOURCES; k++) {
        size_t len = strcspn(at, ",");

        if (len >= sizeof part || (at[len] == ',') != (k + 1 < PID_SOURCES))
            return err_set(e, ERR_USAGE,
                           "%s: '%.*s%s' is not four probabilities pU1,pU2,pR,pS separated by "
                           "commas",
                           what, SHOWN, text, cut);
        memcpy(part, at, len);
        part[len] = '\0';
        TRY(cli_double(&mix[k], part, 0, 1, pid_source_name[k], e));
        at += len + (at[len] == ',');
    }
    TRY(check_mix(mix, e));
out:
    return err_in(e, "%s: '%.*s%s'", what, SHOWN, text, cut);
}

enum err_code xor_parse_mix(double mix[PID_SOURCES], const char *text, struct err *e)
{
    return parse_mix(mix, text, "--mix", e);
}

int xor_sources(enum xor_task task, const char *const **names)
{
    *names = task == XOR_PID ? pid_source_name : one_source_name;
    return task == XOR_PID ? PID_SOURCES : 1;
}

/* Over the defaults: the number of modalities behind "spurious", the projections' behind "pid@". */
static enum err_code parse_task(struct xor_options *o, const char *name, struct err *e)
{
    int task;

    if (strcmp(name, "spurious3") == 0 || strcmp(name, "spurious4") == 0) {
        *o = xor_defaults(XOR_SPURIOUS);
        o->modalities = name[8] - '0';
    } else if (strncmp(name, "pid@", 4) == 0) {
        *o = xor_defaults(XOR_PID);
        TRY(cli_u64(&o->projection, name + 4, "projection seed", e));
    } else {
        TRY(cli_choice(&task, name, xor_task_name, "task", e));
        *o = xor_defaults((enum xor_task)task);
    }
out:
    return e->code;
}

enum err_code xor_parse(struct xor_options *o, const char *text, struct err *e)
{
    size_t len = strcspn(text, ":");
    char name[32];

    if (len >= sizeof name || text[len] == '\0')
        return err_set(e, ERR_USAGE, "task '%.60s': is not of the form TASK:PARAMETERS", text);
    memcpy(name, text, len);
    name[len] = '\0';
    text += len + 1;
    TRY(parse_task(o, name, e));
    if (o->task == XOR_PID)
        TRY(parse_mix(o->mix, text, "mix", e));
    else
        TRY(cli_double(&o->strength, text, 0, XOR_STRENGTH_MAX, "strength", e));
    TRY(xor_check(o, e));
out:
    return e->code;
}

void xor_describe(const struct xor_options *o, char *out, size_t size)
{
    char number[PID_SOURCES][32];
    int n = snprintf(out, size, "{\"task\":\"%s\",\"train\":%lld,\"val\":%lld,\"test\":%lld",
                     xor_task_name[o->task], (long long)o->count[XOR_TRAIN],
                     (long long)o->count[XOR_VAL], (long long)o->count[XOR_TEST]);

    assert(n > 0 && (size_t)n < size);
    for (int k = 0; k < PID_SOURCES; k++)
        cli_format_double(number[k], sizeof number[k], o->mix[k]);
    if (o->task == XOR_PID) {
        snprintf(out + n, size - (size_t)n, ",\"mix\":[%s,%s,%s,%s],\"projection\":%llu}",
                 number[0], number[1], number[2], number[3], (unsigned long long)o->projection);
        return;
    }
    cli_format_double(number[0], sizeof number[0], o->strength);
    snprintf(out + n, size - (size_t)n, ",\"strength\":%s,\"modalities\":%d}", number[0],
             o->modalities);
}

/* ---- what all tasks share ---- */

static void name_modalities(struct vectors *v, int modalities, int dim)
{
    v->modalities = modalities;
    for (int m = 0; m < modalities; m++) {
        snprintf(v->modality[m].name, VECTORS_NAME_SIZE, "x%d", m + 1);
        v->modality[m].dim = dim;
    }
}

static void name_classes(struct vectors *v)
{
    v->classes = 2;
    for (int k = 0; k < v->classes; k++)
        snprintf(v->class_name[k], VECTORS_NAME_SIZE, "%d", k);
}

static void name_sources(struct vectors *v, enum xor_task task)
{
    const char *const *names;

    v->sources = xor_sources(task, &names);
    for (int k = 0; k < v->sources; k++)
        snprintf(v->source_name[k], VECTORS_NAME_SIZE, "%s", names[k]);
}

/* Standard normals into all coordinates of sample i. */
static void fill_noise(struct vectors *v, const struct xor_options *o, uint32_t stream, int64_t i)
{
    for (int m = 0; m < v->modalities; m++) {
        struct vector_modality *x = &v->modality[m];
        struct rng at = rng_at(o->seed, rng_stream_in(rng_stream_in(stream, ".noise."), x->name), 0,
                               (uint32_t)i);

        rng_normals(&at, x->x + i * x->dim, (size_t)x->dim);
    }
}

static double bit(struct rng *r)
{
    return rng_u32(r) >> 31;
}

/* ---- spurious and regression ---- */

/* Signal block: mean * value + std * noise; the noise is what fill_noise left there. */
static void write_signal(float *x, double value)
{
    for (int d = 0; d < SIGNAL_DIM; d++)
        x[d] = (float)(SIGNAL_MEAN * value + SIGNAL_STD * (double)x[d]);
}

/* Eq. 20, over the noise that is there. */
static void write_shortcut(float *x, double kappa, double value)
{
    double rest = kappa < 1 ? sqrt(1 - kappa * kappa) : 0;

    for (int d = SIGNAL_DIM; d < SIGNAL_DIM + SHORTCUT_DIM; d++)
        x[d] = (float)(SHORTCUT_SCALE * (kappa * value + rest * (double)x[d]));
}

static void mark_blocks(struct vectors *v)
{
    for (int m = 0; m < v->modalities; m++) {
        struct vector_modality *x = &v->modality[m];

        for (int64_t i = 0; i < v->count; i++) {
            memset(x->block + i * x->dim, BLOCK_SYNERGISTIC, SIGNAL_DIM);
            memset(x->oracle + i * x->dim, 1, SIGNAL_DIM);
            if (m == 0)
                memset(x->block + i * x->dim + SIGNAL_DIM, BLOCK_SPURIOUS, SHORTCUT_DIM);
        }
    }
}

static enum err_code make_spurious(struct vectors *v, const struct xor_options *o,
                                   enum xor_split split, struct err *e)
{
    double kappa = split == XOR_TEST ? 0 : o->strength;
    bool number = o->task == XOR_REGRESSION;
    uint32_t stream =
        rng_stream_in(rng_stream_in(rng_stream_in(rng_stream("xor."), xor_task_name[o->task]), "."),
                      xor_split_name[split]);

    name_modalities(v, o->modalities, SPURIOUS_DIM);
    name_sources(v, o->task);
    if (number)
        v->targets = 1;
    else
        name_classes(v);
    TRY(vectors_alloc(v, o->count[split], true, e));
    mark_blocks(v);
    for (int64_t i = 0; i < v->count; i++) {
        struct rng r = rng_at(o->seed, stream, 0, (uint32_t)i);
        double answer = 1; /* product of the signals: of -1 and 1, minus the parity's sign */

        fill_noise(v, o, stream, i);
        for (int m = 0; m < v->modalities; m++) {
            double value = number ? rng_normal(&r) : 2 * bit(&r) - 1;

            write_signal(v->modality[m].x + i * SPURIOUS_DIM, value);
            answer *= number ? value : -value;
        }
        if (!number) /* an odd number of ones: 2 y - 1 */
            answer = -answer;
        write_shortcut(v->modality[0].x + i * SPURIOUS_DIM, kappa, answer);
        if (number)
            v->target[i] = (float)answer;
        else
            v->label[i] = answer > 0;
    }
out:
    return e->code;
}

/* ---- pid ---- */

struct projections { /* [coordinate][latent]; X section 3 */
    float unique[PID_MODALITIES][PID_DIM][LATENT_DIM];
    float redundant[PID_MODALITIES][PID_DIM][LATENT_DIM];
    float synergistic[PID_MODALITIES][PID_DIM][LATENT_DIM];
};

/* A matrix of torch.randn(32, 4) * 0.5 of a CPU generator: uniforms of 24 bits, then Box-Muller
 * over halves of every 16. Equal to PyTorch's but for the last bits of its logarithms and cosines.
 */
static void torch_matrix(struct mt19937 *g, float out[PID_DIM][LATENT_DIM])
{
    enum { N = PID_DIM * LATENT_DIM, CHUNK = 16, HALF = CHUNK / 2 };
    double u[N];

    static_assert(N % CHUNK == 0, "torch treats a rest differently");
    for (int i = 0; i < N; i++)
        u[i] = (mt19937_u32(g) & 0xffffff) * 0x1p-24;
    for (int i = 0; i < N; i++) {
        int first = i / CHUNK * CHUNK + i % HALF;
        double radius = sqrt(-2 * log(1 - u[first])), angle = 2 * M_PI * u[first + HALF];
        double normal = radius * (i % CHUNK < HALF ? cos(angle) : sin(angle));

        out[i / LATENT_DIM][i % LATENT_DIM] = (float)(PROJECTION_STD * normal);
    }
}

static void make_projections(struct projections *p, uint64_t seed)
{
    struct mt19937 g;

    mt19937_seed(&g, (uint32_t)seed);
    for (int m = 0; m < PID_MODALITIES; m++)
        torch_matrix(&g, p->unique[m]);
    for (int m = 0; m < PID_MODALITIES; m++)
        torch_matrix(&g, p->redundant[m]);
    for (int m = 0; m < PID_MODALITIES; m++)
        torch_matrix(&g, p->synergistic[m]);
}

/* z = scale |N(0, I)| (2 b - 1). */
static void draw_latent(struct rng *r, double b, double z[LATENT_DIM])
{
    for (int k = 0; k < LATENT_DIM; k++)
        z[k] = LATENT_SCALE * fabs(rng_normal(r)) * (2 * b - 1);
}

static void write_block(struct vectors *v, int64_t i, int m, int first,
                        const float projection[PID_DIM][LATENT_DIM], const double z[LATENT_DIM])
{
    for (int d = first; d < first + BLOCK_DIM; d++) {
        double sum = 0;

        for (int k = 0; k < LATENT_DIM; k++)
            sum += (double)projection[d][k] * z[k];
        v->modality[m].x[i * PID_DIM + d] = (float)sum;
    }
}

static int draw_source(struct rng *r, const double mix[PID_SOURCES])
{
    double u = rng_double(r), sum = 0;
    int last = 0;

    for (int k = 0; k < PID_SOURCES; k++) {
        if (mix[k] > 0)
            last = k;
        sum += mix[k];
        if (u < sum)
            return k;
    }
    return last; /* u lies in what rounding left of the last interval */
}

/* Sample i of v and of its stream, not yet standardised. */
static void make_pid_sample(struct vectors *v, const struct xor_options *o,
                            const struct projections *p, uint32_t stream, int64_t i)
{
    struct rng r = rng_at(o->seed, stream, 0, (uint32_t)i);
    int source = draw_source(&r, o->mix);
    double y = bit(&r), z[LATENT_DIM];

    fill_noise(v, o, stream, i);
    v->label[i] = (int32_t)y;
    v->source[i] = source;
    switch (source) {
    case PID_UNIQUE1:
    case PID_UNIQUE2:
        draw_latent(&r, y, z);
        write_block(v, i, source - PID_UNIQUE1, 0, p->unique[source - PID_UNIQUE1], z);
        break;
    case PID_REDUNDANT:
        draw_latent(&r, y, z);
        for (int m = 0; m < PID_MODALITIES; m++)
            write_block(v, i, m, BLOCK_DIM, p->redundant[m], z);
        break;
    default: {
        double first = bit(&r);

        for (int m = 0; m < PID_MODALITIES; m++) {
            draw_latent(&r, m == 0 ? first : (double)(first != y), z);
            write_block(v, i, m, 2 * BLOCK_DIM, p->synergistic[m], z);
        }
    }
    }
}

static void mark_pid(struct vectors *v)
{
    for (int m = 0; m < v->modalities; m++) {
        struct vector_modality *x = &v->modality[m];

        for (int64_t i = 0; i < v->count; i++) {
            for (int d = 0; d < 3 * BLOCK_DIM; d++)
                x->block[i * PID_DIM + d] = (uint8_t)(BLOCK_UNIQUE + d / BLOCK_DIM);
            if (v->source[i] == PID_SYNERGISTIC)
                memset(x->oracle + i * PID_DIM + 2 * BLOCK_DIM, 1, BLOCK_DIM);
        }
    }
}

static enum err_code alloc_pid(struct vectors *v, int64_t count, struct err *e)
{
    name_modalities(v, PID_MODALITIES, PID_DIM);
    name_classes(v);
    name_sources(v, XOR_PID);
    return vectors_alloc(v, count, true, e);
}

struct moments { /* of every coordinate */
    double mean[PID_MODALITIES][PID_DIM], deviation[PID_MODALITIES][PID_DIM];
};

/* Deviation with n - 1, plus 1e-7. */
static void measure(struct moments *s, const struct vectors *v)
{
    for (int m = 0; m < PID_MODALITIES; m++) {
        const float *x = v->modality[m].x;

        for (int d = 0; d < PID_DIM; d++) {
            double mean = 0, square = 0, n = (double)v->count;

            for (int64_t i = 0; i < v->count; i++)
                mean += (double)x[i * PID_DIM + d] / n;
            for (int64_t i = 0; i < v->count; i++) {
                double off = (double)x[i * PID_DIM + d] - mean;

                square += off * off;
            }
            s->mean[m][d] = mean;
            s->deviation[m][d] = sqrt(square / (n - 1)) + DEVIATION_FLOOR;
        }
    }
}

static void standardise(struct vectors *v, const struct moments *s)
{
    for (int m = 0; m < PID_MODALITIES; m++)
        for (int64_t i = 0; i < v->count; i++)
            for (int d = 0; d < PID_DIM; d++) {
                float *x = &v->modality[m].x[i * PID_DIM + d];

                *x = (float)(((double)*x - s->mean[m][d]) / s->deviation[m][d]);
            }
}

/* Samples perm[first .. first + to->count) of `from`. */
static void take_samples(struct vectors *to, const struct vectors *from, const uint32_t *perm,
                         int64_t first)
{
    for (int64_t i = 0; i < to->count; i++) {
        int64_t k = perm[first + i];

        to->label[i] = from->label[k];
        to->source[i] = from->source[k];
        for (int m = 0; m < PID_MODALITIES; m++)
            memcpy(to->modality[m].x + i * PID_DIM, from->modality[m].x + k * PID_DIM,
                   PID_DIM * sizeof(float));
    }
}

/* A random split of a pool of train and val samples. */
static enum err_code split_pool(struct vectors out[XOR_SPLITS], const struct vectors *pool,
                                uint64_t seed, struct err *e)
{
    struct rng r = rng_at(seed, rng_stream("xor.pid.split"), 0, 0);
    uint32_t *perm = NULL;

    TRY(mem_array(&perm, (size_t)pool->count, sizeof *perm, "permutation", e));
    for (int64_t i = 0; i < pool->count; i++) {
        uint32_t j = rng_below(&r, (uint32_t)i + 1);

        perm[i] = perm[j];
        perm[j] = (uint32_t)i;
    }
    take_samples(&out[XOR_TRAIN], pool, perm, 0);
    take_samples(&out[XOR_VAL], pool, perm, out[XOR_TRAIN].count);
out:
    free(perm);
    return e->code;
}

static enum err_code make_pid(struct vectors out[XOR_SPLITS], const struct xor_options *o,
                              struct err *e)
{
    struct projections p;
    struct moments s;
    struct vectors pool = {0};

    make_projections(&p, o->projection);
    TRY(alloc_pid(&pool, o->count[XOR_TRAIN] + o->count[XOR_VAL], e));
    for (int split = 0; split < XOR_SPLITS; split++)
        TRY(alloc_pid(&out[split], o->count[split], e));
    for (int64_t i = 0; i < pool.count; i++)
        make_pid_sample(&pool, o, &p, rng_stream("xor.pid.pool"), i);
    for (int64_t i = 0; i < out[XOR_TEST].count; i++)
        make_pid_sample(&out[XOR_TEST], o, &p, rng_stream("xor.pid.test"), i);
    measure(&s, &pool);
    TRY(split_pool(out, &pool, o->seed, e));
    for (int split = 0; split < XOR_SPLITS; split++) {
        standardise(&out[split], &s);
        mark_pid(&out[split]);
    }
out:
    vectors_free(&pool);
    return e->code;
}

enum err_code xor_make(struct vectors out[XOR_SPLITS], const struct xor_options *o, struct err *e)
{
    memset(out, 0, XOR_SPLITS * sizeof *out);
    TRY(xor_check(o, e));
    if (o->task == XOR_PID) {
        TRY(make_pid(out, o, e));
        goto out;
    }
    for (int split = 0; split < XOR_SPLITS; split++)
        TRY(make_spurious(&out[split], o, (enum xor_split)split, e));
out:
    for (int split = 0; split < XOR_SPLITS && e->code != ERR_OK; split++)
        vectors_free(&out[split]);
    return e->code;
}
