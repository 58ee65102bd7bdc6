/* SPDX-License-Identifier: MIT */
#include "train/config.h"

#include "common/base/cli.h"
#include "common/base/file.h"
#include "common/base/mem.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const config_sections[] = {"uni-audio", "uni-video", "ensemble",
                                       "vanilla",   "synib",     NULL};

static const char *const bool_names[] = {"false", "true", NULL};
static const char *const init_names[] = {"pretrained", "scratch", NULL};
static const char *const schedule_names[] = {"constant", "linear-warmup", "restarts", NULL};
static const char *const stop_names[] = {"accuracy", "any", NULL};
static const char *const reference_names[] = {"unimodal-unmasked", "unimodal-masked", "uniform",
                                              NULL};
static const char *const mask_names[] = {"random", NULL};
static const char *const fill_names[] = {"ema", "shuffle", "zeros", NULL};

enum value_type { VALUE_INT, VALUE_REAL, VALUE_CHOICE };

/* Integers and choices are int64_t fields, reals are doubles. */
struct setting {
    const char *key;
    enum value_type type;
    size_t offset;
    unsigned scopes;
    double min, max;
    const char *const *choices;
    const char *help;
};

enum {
    UNIMODAL = SCOPE_AUDIO | SCOPE_VIDEO,
    TRAINED = UNIMODAL | SCOPE_FUSED,
};

#define INT(key, field, scopes, min, max, help)                                      \
    {                                                                                \
        key, VALUE_INT, offsetof(struct config, field), scopes, min, max, NULL, help \
    }
#define REAL(key, field, scopes, min, max, help)                                      \
    {                                                                                 \
        key, VALUE_REAL, offsetof(struct config, field), scopes, min, max, NULL, help \
    }
#define CHOICE(key, field, scopes, names, help)                                      \
    {                                                                                \
        key, VALUE_CHOICE, offsetof(struct config, field), scopes, 0, 0, names, help \
    }

static const struct setting settings[] = {
    INT("audio.pool", audio_pool, SCOPE_AUDIO, 1, 16,
        "average the spectrogram over squares of this many bins and frames"),
    INT("video.size", video_size, SCOPE_VIDEO, 32, 1024, "side of a frame, in pixels"),
    CHOICE("augment.train", augment, SCOPE_VIDEO, bool_names,
           "crop and flip training frames at random, each frame on its own"),
    REAL("augment.scale_min", scale_min, SCOPE_VIDEO, 0.01, 1,
         "smallest random crop, as a share of the picture's area"),
    INT("model.width", width, UNIMODAL, 16, 256,
        "channels of the first ResNet18 stage; a multiple of 16"),
    INT("model.trunk", trunk, SCOPE_FUSED, 1, 4096, "units of the fusion trunk"),
    REAL("model.dropout", dropout, SCOPE_FUSED, 0, 0.95, "dropout after the fusion trunk"),
    CHOICE("model.layernorm", layernorm, SCOPE_FUSED, bool_names,
           "normalise each modality's features before the trunk"),
    CHOICE("init.encoders", init, SCOPE_FUSED, init_names,
           "start from the unimodal runs' best encoders, or from random weights"),
    REAL("optim.lr", lr, SCOPE_FUSED, 0, 10, "learning rate of joint training"),
    REAL("optim.weight_decay", weight_decay, SCOPE_FUSED, 0, 10,
         "coupled L2 of joint training: added to the gradient of every parameter"),
    REAL("optim.beta1", beta1, TRAINED, 0, 0.99999, "Adam's first decay"),
    REAL("optim.beta2", beta2, TRAINED, 0, 0.99999, "Adam's second decay"),
    REAL("optim.eps", eps, TRAINED, 1e-16, 1, "Adam's epsilon"),
    INT("optim.batch", batch, SCOPE_FUSED, 2, 4096, "clips per step of joint training"),
    INT("optim.epochs", epochs, SCOPE_FUSED, 1, 100000, "most epochs of joint training"),
    INT("optim.patience", patience, SCOPE_FUSED, 1, 100000,
        "stop joint training after this many epochs without improvement"),
    CHOICE("schedule.kind", schedule, TRAINED, schedule_names,
           "learning rate over the steps: constant, a linear ramp then constant, or constant then "
           "cosine restarts driven by the global step"),
    INT("schedule.warmup_steps", warmup_steps, TRAINED, 0, 10000000,
        "steps of the ramp, or before the restarts"),
    INT("schedule.t0_steps", t0_steps, TRAINED, 1, 1000000,
        "length of the first cosine cycle; each next one is twice as long"),
    CHOICE("stop.rule", stop_rule, TRAINED, stop_names,
           "what counts as improvement: validation accuracy, or any of accuracy and loss (and then "
           "one epoch less of patience, as the authors' code does)"),
    REAL("pretrain.audio.lr", pretrain_audio_lr, SCOPE_AUDIO, 0, 10,
         "learning rate of the audio encoder alone"),
    REAL("pretrain.video.lr", pretrain_video_lr, SCOPE_VIDEO, 0, 10,
         "learning rate of the video encoder alone"),
    REAL("pretrain.weight_decay", pretrain_weight_decay, UNIMODAL, 0, 10,
         "coupled L2 of unimodal training"),
    INT("pretrain.batch", pretrain_batch, UNIMODAL, 2, 4096, "clips per step of unimodal training"),
    INT("pretrain.epochs", pretrain_epochs, UNIMODAL, 1, 100000,
        "most epochs of unimodal training"),
    INT("pretrain.patience", pretrain_patience, UNIMODAL, 1, 100000,
        "stop unimodal training after this many epochs without improvement"),
    REAL("loss.unimodal", unimodal_weight, SCOPE_FUSED, 0, 1000,
         "weight of the unimodal heads' cross-entropy on detached features"),
    REAL("synib.lambda", lambda, SCOPE_SYNIB, 0, 100000, "weight of the two divergences"),
    CHOICE("synib.reference", reference, SCOPE_SYNIB, reference_names,
           "what the masked prediction is pulled to"),
    CHOICE("synib.reverse", reverse, SCOPE_SYNIB, bool_names,
           "KL(reference || model) instead of KL(model || reference)"),
    CHOICE("synib.detach", detach, SCOPE_SYNIB, bool_names,
           "keep the divergences' gradient from the encoders"),
    REAL("synib.masked_ce", masked_ce, SCOPE_SYNIB, 0, 1000,
         "weight of the cross-entropy of the two masked predictions"),
    CHOICE("mask.kind", mask, SCOPE_SYNIB, mask_names, "how masks are made"),
    REAL("mask.p", mask_p, SCOPE_SYNIB, 0, 1, "probability that a feature is masked"),
    CHOICE("mask.fill", fill, SCOPE_SYNIB, fill_names,
           "what replaces masked features: noise with running mean and variance, another clip's "
           "features, or zeros"),
    REAL("mask.ema_momentum", ema_momentum, SCOPE_SYNIB, 0, 0.999999,
         "momentum of the running mean and second moment"),
    REAL("mask.ema_var_floor", ema_var_floor, SCOPE_SYNIB, 1e-12, 1, "smallest running variance"),
    INT("checkpoint.steps", checkpoint_steps, SCOPE_NONE, 0, 1000000000,
        "save every this many steps besides the end of each epoch; 0 = at epochs only"),
};

enum { N_SETTINGS = sizeof settings / sizeof settings[0], MAX_LINE = 512 };

static int64_t *int_field(struct config *c, const struct setting *s)
{
    return (int64_t *)(void *)((char *)c + s->offset);
}

static double *real_field(struct config *c, const struct setting *s)
{
    return (double *)(void *)((char *)c + s->offset);
}

/* Index of a key; ERR_USAGE names the nearest. */
static enum err_code find_key(int *index, const char *key, struct err *e)
{
    const char *keys[N_SETTINGS + 1] = {0};

    for (int i = 0; i < N_SETTINGS; i++)
        keys[i] = settings[i].key;
    return cli_choice(index, key, keys, "setting", e);
}

static enum err_code set_value(struct config *c, const struct setting *s, const char *text,
                               struct err *e)
{
    int choice;

    switch (s->type) {
    case VALUE_INT:
        return cli_int(int_field(c, s), text, (int64_t)s->min, (int64_t)s->max, s->key, e);
    case VALUE_REAL: return cli_double(real_field(c, s), text, s->min, s->max, s->key, e);
    case VALUE_CHOICE:
        TRY(cli_choice(&choice, text, s->choices, s->key, e));
        *int_field(c, s) = choice;
        return ERR_OK;
    }
out:
    return e->code;
}

static char *trim(char *text)
{
    size_t len;

    text += strspn(text, " \t");
    len = strlen(text);
    while (len > 0 && (text[len - 1] == ' ' || text[len - 1] == '\t'))
        text[--len] = '\0';
    return text;
}

enum err_code config_set(struct config *c, const char *assignment, struct err *e)
{
    char buffer[MAX_LINE];
    char *equals;
    int index;

    if (strlen(assignment) >= sizeof buffer)
        return err_set(e, ERR_USAGE, "--set: '%.40s...' is too long", assignment);
    strcpy(buffer, assignment);
    equals = strchr(buffer, '=');
    if (equals == NULL)
        return err_set(e, ERR_USAGE, "--set: '%s' is not of the form key=value", assignment);
    *equals = '\0';
    TRY(find_key(&index, trim(buffer), e));
    TRY(set_value(c, &settings[index], trim(equals + 1), e));
out:
    return err_in(e, "--set %s", assignment);
}

unsigned config_scopes(const char *assignment)
{
    size_t len = strcspn(assignment, " \t=");

    for (int i = 0; i < N_SETTINGS; i++)
        if (strncmp(settings[i].key, assignment, len) == 0 && settings[i].key[len] == '\0')
            return settings[i].scopes != SCOPE_NONE ? settings[i].scopes : ~0u;
    return ~0u;
}

/* State of a preset while its lines are read. */
struct preset_reader {
    struct config *config;
    const char *method;
    bool skipping;          /* in another method's section */
    bool in_section;        /* in this method's section */
    int seen[N_SETTINGS];   /* line of the general value, 0 = none yet */
    int seen_m[N_SETTINGS]; /* line of this section's value */
};

static enum err_code section_line(struct preset_reader *r, char *line, struct err *e)
{
    size_t len = strlen(line);
    int index;

    if (line[len - 1] != ']')
        return err_set(e, ERR_USAGE, "a section is one line of the form [METHOD]");
    line[len - 1] = '\0';
    TRY(cli_choice(&index, line + 1, config_sections, "section", e));
    r->skipping = strcmp(config_sections[index], r->method) != 0;
    r->in_section = true;
    memset(r->seen_m, 0, sizeof r->seen_m);
out:
    return e->code;
}

static enum err_code preset_line(struct preset_reader *r, int number, char *line, struct err *e)
{
    struct config scratch;
    char *equals, *comment = strchr(line, '#');
    int index, *seen;

    if (comment != NULL)
        *comment = '\0';
    line = trim(line);
    if (line[0] == '\0')
        return ERR_OK;
    if (line[0] == '[')
        return section_line(r, line, e);
    equals = strchr(line, '=');
    if (equals == NULL)
        return err_set(e, ERR_USAGE, "'%s' is not of the form key = value", line);
    *equals = '\0';
    TRY(find_key(&index, trim(line), e));
    seen = r->in_section ? &r->seen_m[index] : &r->seen[index];
    if (*seen != 0)
        return err_set(e, ERR_USAGE, "%s is set twice (first in line %d)", settings[index].key,
                       *seen);
    *seen = number;
    TRY(set_value(r->skipping ? &scratch : r->config, &settings[index], trim(equals + 1), e));
out:
    return e->code;
}

enum err_code config_parse(struct config *c, const char *name, const char *method, const char *text,
                           size_t len, struct err *e)
{
    struct preset_reader r = {.config = c, .method = method};
    const char *p = text, *end = text + len;

    memset(c, 0, sizeof *c);
    for (int number = 1; p < end; number++) {
        char line[MAX_LINE];
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((stop != NULL ? stop : end) - p);

        if (n >= sizeof line || memchr(p, '\0', n) != NULL) {
            err_set(e, ERR_USAGE, "%s:%d: not a line of text", name, number);
            goto out;
        }
        memcpy(line, p, n);
        line[n] = '\0';
        if (preset_line(&r, number, line, e) != ERR_OK) {
            err_in(e, "%s:%d", name, number);
            goto out;
        }
        p += n + 1;
    }
    for (int i = 0; i < N_SETTINGS; i++)
        if (r.seen[i] == 0)
            err_add_line(e, ERR_USAGE,
                         "%s: %s is missing: a preset sets every key once before its "
                         "sections",
                         name, settings[i].key);
out:
    return e->code;
}

/* Folders, relative to the running program's, that may hold manifests/presets. */
static const char *const beside_program[] = {"../../manifests/presets",
                                             "../share/synib/manifests/presets"};

static bool preset_here(char *path, size_t size, const char *dir, const char *name)
{
    int n = snprintf(path, size, "%s/%s.conf", dir, name);

    return n > 0 && (size_t)n < size && access(path, F_OK) == 0;
}

static enum err_code find_preset(char *path, size_t size, const char *name, struct err *e)
{
    const char *manifests = getenv("SYNIB_MANIFESTS");
    size_t len = strlen(name);
    char dir[2048], self[1024];
    ssize_t n;

    if (strchr(name, '/') != NULL || (len > 5 && strcmp(name + len - 5, ".conf") == 0)) {
        if (len >= size)
            return err_set(e, ERR_USAGE, "--preset: the path is too long");
        memcpy(path, name, len + 1);
        return ERR_OK;
    }
    if (manifests != NULL) {
        snprintf(dir, sizeof dir, "%s/presets", manifests);
        if (preset_here(path, size, dir, name))
            return ERR_OK;
    }
    n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0) {
        self[n] = '\0';
        *strrchr(self, '/') = '\0';
        for (size_t i = 0; i < sizeof beside_program / sizeof beside_program[0]; i++) {
            snprintf(dir, sizeof dir, "%s/%s", self, beside_program[i]);
            if (preset_here(path, size, dir, name))
                return ERR_OK;
        }
    }
    return err_set(
        e, ERR_USAGE,
        "--preset: no preset '%s' in the manifests folder: give one of its names (paper, "
        "released, demo), a path, or set SYNIB_MANIFESTS",
        name);
}

enum err_code config_load(struct config *c, const char *name, const char *method, struct err *e)
{
    struct file_view text = {0};
    char path[4096];

    TRY(find_preset(path, sizeof path, name, e));
    TRY(file_read(&text, path, 1 << 20, e));
    TRY(config_parse(c, path, method, (const char *)text.data, text.len, e));
out:
    file_view_free(&text);
    return e->code;
}

enum err_code config_check(const struct config *c, struct err *e)
{
    if (c->width % 16 != 0)
        return err_set(e, ERR_USAGE, "model.width: %lld is not a multiple of 16",
                       (long long)c->width);
    if (c->schedule == SCHEDULE_LINEAR_WARMUP && c->warmup_steps == 0)
        return err_set(e, ERR_USAGE,
                       "schedule.warmup_steps: a linear ramp needs at least one step");
    if (c->stop_rule == STOP_ANY && (c->patience < 2 || c->pretrain_patience < 2))
        return err_set(e, ERR_USAGE,
                       "stop.rule: 'any' uses one epoch less than the patience: optim.patience and "
                       "pretrain.patience must be at least 2");
    return ERR_OK;
}

static void format_value(char *text, size_t size, const struct config *c, const struct setting *s)
{
    const char *field = (const char *)c + s->offset;
    int64_t i;
    double v;

    if (s->type == VALUE_REAL) {
        memcpy(&v, field, sizeof v);
        cli_format_double(text, size, v);
        return;
    }
    memcpy(&i, field, sizeof i);
    if (s->type == VALUE_INT)
        snprintf(text, size, "%lld", (long long)i);
    else
        snprintf(text, size, "%s", s->choices[i]);
}

static void describe(FILE *f, const struct setting *s)
{
    fprintf(f, "\n# %s", s->help);
    if (s->type == VALUE_CHOICE) {
        fprintf(f, "\n# one of");
        for (int i = 0; s->choices[i] != NULL; i++)
            fprintf(f, "%s %s", i > 0 ? "," : "", s->choices[i]);
        fprintf(f, "\n");
    } else {
        fprintf(f, "\n# %s from %.10g to %.10g\n",
                s->type == VALUE_INT ? "a whole number" : "a number", s->min, s->max);
    }
}

static enum err_code write_settings(char **out, const struct config *c, unsigned scopes,
                                    bool described, struct err *e)
{
    size_t len = 0;
    FILE *f;

    *out = NULL;
    f = open_memstream(out, &len);
    if (f == NULL)
        return err_sys(e, "configuration");
    for (int i = 0; i < N_SETTINGS; i++) {
        char value[64];

        if (scopes != ~0u && (settings[i].scopes & scopes) == 0)
            continue;
        if (described)
            describe(f, &settings[i]);
        format_value(value, sizeof value, c, &settings[i]);
        fprintf(f, "%s = %s\n", settings[i].key, value);
    }
    if (fclose(f) != 0) {
        free(*out);
        *out = NULL;
        return err_set(e, ERR_NOMEM, "configuration: no memory");
    }
    return ERR_OK;
}

enum err_code config_text(char **out, const struct config *c, unsigned scopes, struct err *e)
{
    return write_settings(out, c, scopes, false, e);
}

enum err_code config_describe(char **out, const struct config *c, struct err *e)
{
    return write_settings(out, c, ~0u, true, e);
}

/* The line "KEY = VALUE" of a key in a text of such lines; false if absent. */
static bool find_line(const char *text, const char *key, size_t key_len, const char **value,
                      size_t *value_len)
{
    for (const char *p = text; *p != '\0';) {
        const char *end = strchrnul(p, '\n');

        if (strncmp(p, key, key_len) == 0 && strncmp(p + key_len, " = ", 3) == 0) {
            *value = p + key_len + 3;
            *value_len = (size_t)(end - *value);
            return true;
        }
        p = *end == '\n' ? end + 1 : end;
    }
    *value = "";
    *value_len = 0;
    return false;
}

enum err_code config_compare(const char *recorded, const char *wanted, const char *what,
                             struct err *e)
{
    const char *texts[2] = {recorded, wanted};

    for (int side = 0; side < 2; side++) {
        for (const char *p = texts[side]; *p != '\0';) {
            const char *end = strchrnul(p, '\n'), *equals = strstr(p, " = ");
            size_t key_len =
                equals != NULL && equals < end ? (size_t)(equals - p) : (size_t)(end - p);
            const char *was, *now;
            size_t was_len, now_len;
            bool known = find_line(recorded, p, key_len, &was, &was_len);

            (void)find_line(wanted, p, key_len, &now, &now_len);
            /* keys of both sides are compared when the first side is walked */
            if ((side == 0 || !known) && (was_len != now_len || memcmp(was, now, was_len) != 0))
                err_add_line(e, ERR_DATA, "%s: %.*s differs: recorded '%.*s', now '%.*s'", what,
                             (int)key_len, p, (int)was_len, was, (int)now_len, now);
            p = *end == '\n' ? end + 1 : end;
        }
    }
    return e->code;
}
