/* SPDX-License-Identifier: MIT */
#include "train/train.h"

#include "common/base/mem.h"
#include "train/config_effect.h"
#include "train/dry_run.h"
#include "train/unimodal.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BASE = 0x100, KEY_PRETRAINED, KEY_RESUME, KEY_PRINT, KEY_MAX_STEPS, KEY_MASK };

static const struct argp_option option_table[] = {
    {"preset", 'p', "NAME|FILE", 0,
     "Settings to start from: paper (default), released, demo; xor-spurious, xor-pid, "
     "xor-regression",
     0},
    {"method", 'm', "NAME", 0,
     "uni-audio, uni-video, ensemble, vanilla, synib, masking-only, dnr, mmpareto, reconboost, mcr",
     0},
    {"mask", KEY_MASK, "KIND", 0,
     "How masks are made: random, learned, learned-mlp, oracle, oracle-literal, all or none; short "
     "for --set mask.kind=KIND",
     0},
    {"set", 's', "KEY=VALUE", 0,
     "Change one setting; again for more (--print-config lists them). What has no effect as the "
     "others stand is warned of",
     0},
    {"output", 'o', "RUN", 0, "Folder of this run", 0},
    {"base", KEY_BASE, "DIR", 0, "Where to look for the base sets of an overlay; again for more",
     0},
    {"pretrained", KEY_PRETRAINED, "DIR", 0,
     "Folder of the unimodal runs uni-audio and uni-video, trained there when missing (default: "
     "those beside RUN if they fit, else RUN/pretrain)",
     0},
    {"resume", KEY_RESUME, NULL, 0,
     "Go on with an unfinished run, or begin it; wait for a process that is at it", 0},
    {"max-steps", KEY_MAX_STEPS, "N", 0,
     "Stop after N steps of this call, pretraining included, with exit code 75", 0},
    {"print-config", KEY_PRINT, NULL, 0, "Print every setting and what it means, and stop", 0},
    {0},
};

static const char doc[] =
    "Trains a method on DATA (its splits train and val; test is never opened)."
    "\vExamples:\n"
    "  synib-train irony/fold0-r1.0 --method synib -o runs/synib\n"
    "  synib-train irony/fold0-r1.0 --preset demo -m synib --set synib.lambda=0.5 -o runs/half\n"
    "  synib-train xor/pid --preset xor-pid -m synib --mask random --set mask.p=0.8 -o runs/p08\n"
    "\n"
    "RUN then holds best.safetensors, last.safetensors, metrics.jsonl, epochs.csv and run.json. A "
    "finished run is left alone; SIGINT, SIGTERM and SIGUSR1 finish the step and save.\n"
    "\n"
    "Exit codes: 0 done; 1 failed; 2 bad command line; 4 damaged data, or a run of other settings "
    "is in RUN; 75 stopped on request, --resume goes on.";

static error_t add_text(const char **list, int max, const char *text, const char *what,
                        struct err *e)
{
    int n = 0;

    while (list[n] != NULL)
        n++;
    if (n == max) {
        err_set(e, ERR_USAGE, "%s: more than %d times", what, max);
        return EINVAL;
    }
    list[n] = text;
    return 0;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct train_options *opt = state->input;

    switch (key) {
    case ARGP_KEY_INIT: state->child_inputs[0] = &opt->cli; return 0;
    case 'p': opt->preset = arg; return 0;
    case 'm': opt->method = arg; return 0;
    case 'o': opt->out = arg; return 0;
    case 's': return add_text(opt->set, TRAIN_MAX_SETS, arg, "--set", opt->cli.err);
    case KEY_MASK: opt->mask = arg; return 0;
    case KEY_BASE: return add_text(opt->base, RUN_MAX_BASES, arg, "--base", opt->cli.err);
    case KEY_PRETRAINED: opt->pretrained = arg; return 0;
    case KEY_RESUME: opt->resume = true; return 0;
    case KEY_PRINT: opt->print_config = true; return 0;
    case KEY_MAX_STEPS:
        return cli_int(&opt->max_steps, arg, 0, INT64_MAX, "--max-steps", opt->cli.err) == ERR_OK
                   ? 0
                   : EINVAL;
    case ARGP_KEY_ARG:
        if (opt->data != NULL) {
            err_set(opt->cli.err, ERR_USAGE, "'%s': one DATA only", arg);
            return EINVAL;
        }
        opt->data = arg;
        return 0;
    default: return ARGP_ERR_UNKNOWN;
    }
}

static enum err_code method_missing(struct err *e)
{
    const char *names[METHODS_MAX];
    char list[ERR_TEXT_SIZE / 2] = "";

    method_names(names);
    for (int i = 0; names[i] != NULL; i++) {
        size_t len = strlen(list);

        snprintf(list + len, sizeof list - len, "%s%s", i > 0 ? ", " : "", names[i]);
    }
    return err_set(e, ERR_USAGE, "--method is missing: one of %s", list);
}

enum err_code train_options_parse(struct train_options *opt, int argc, char **argv, struct err *e)
{
    static const struct argp_child children[] = {CLI_CHILD, {0}};
    static const struct argp argp = {option_table, parse_option, "DATA", doc, children, NULL, NULL};

    *opt = (struct train_options){.preset = "paper", .max_steps = -1};
    TRY(cli_parse(&argp, argc, argv, "synib-train", &opt->cli, opt, e));
    if (opt->print_config)
        return ERR_OK;
    if (opt->data == NULL)
        return err_set(e, ERR_USAGE,
                       "DATA is missing: the dataset folder that synib-irony or synib-xor made");
    if (opt->method == NULL)
        return method_missing(e);
    if (opt->out == NULL)
        return err_set(e, ERR_USAGE, "-o RUN is missing: the folder of this run");
    if (opt->resume && opt->cli.force)
        return err_set(e, ERR_USAGE, "--resume and --force exclude each other");
out:
    return e->code;
}

static enum err_code resolve(struct config *c, const struct train_options *opt, const char *method,
                             struct err *e)
{
    return config_resolve(c, opt->preset, method, opt->mask, opt->set, e);
}

static enum err_code print_config(const struct train_options *opt, struct err *e)
{
    const struct method *method;
    struct config config;
    char *text = NULL;

    TRY(method_find(&method, opt->method != NULL ? opt->method : method_synib.name, e));
    TRY(resolve(&config, opt, method->name, e));
    TRY(config_describe(&text, &config, e));
    printf("# preset %s, method %s\n%s", opt->preset, method->name, text);
out:
    free(text);
    return e->code;
}

/* A setting that the method never looks at is legal (scripts pass one list to all methods), but not
 * passed over in silence. */
static void note_unused(const struct train_options *opt, const struct method *method)
{
    unsigned used = method->scopes;

    for (int i = 0; opt->set[i] != NULL; i++)
        if ((config_scopes(opt->set[i]) & used) == 0)
            log_note(&opt->cli.log, "--set %s: method %s has no use for it", opt->set[i],
                     method->name);
    if (opt->mask != NULL && (used & SCOPE_MASKS) == 0)
        log_note(&opt->cli.log, "--mask %s: method %s has no use for it", opt->mask, method->name);
}

/* "--set KEY=VALUE" or "--mask KIND": used by the method, but not as the other settings stand.
 * Values of the preset are nobody's mistake. */
static enum err_code warn_unused(const struct train_options *opt, const struct trainer_options *o,
                                 struct err *e)
{
    const struct config_given given = {
        .preset = opt->preset,
        .mask = opt->mask,
        .set = opt->set,
        .method = o->method,
        .config = &o->config,
        .targets = data_classes(o->train) > 0 ? TARGETS_CLASSES : TARGETS_NUMBERS,
    };
    const char *needs;

    for (int i = 0; opt->set[i] != NULL; i++) {
        if ((config_scopes(opt->set[i]) & o->method->scopes) == 0)
            continue; /* note_unused */
        TRY(config_given_needs(&needs, &given, opt->set[i], e));
        if (needs != NULL)
            log_warn(&opt->cli.log, "--set %s: has no effect without %s", opt->set[i], needs);
    }
    if (opt->mask == NULL || (o->method->scopes & SCOPE_MASKS) == 0)
        goto out;
    TRY(config_given_needs(&needs, &given, "mask.kind", e));
    if (needs != NULL)
        log_warn(&opt->cli.log, "--mask %s: has no effect without %s", opt->mask, needs);
out:
    return e->code;
}

static enum err_code fill_places(struct run_places *p, const struct train_options *opt,
                                 struct err *e)
{
    TRY(mem_string(&p->data, opt->data, e));
    for (int i = 0; opt->base[i] != NULL; i++)
        TRY(mem_string(&p->base[i], opt->base[i], e));
out:
    return e->code;
}

static enum err_code make_request(struct unimodal_request *r, const struct trainer_options *o,
                                  const struct train_options *opt, struct err *e)
{
    *r = (struct unimodal_request){.base = *o, .pretrained = opt->pretrained};
    for (int i = 0; i < MEDIA_MODALITIES && method_needs_unimodal(o->method, &o->config); i++)
        TRY(resolve(&r->config[i], opt, unimodal_methods[i]->name, e));
out:
    return e->code;
}

static enum err_code get_unimodal(struct trainer_options *o, struct run_places *places,
                                  const struct train_options *opt, struct err *e)
{
    struct unimodal_request request;

    TRY(make_request(&request, o, opt, e));
    for (int i = 0; i < MEDIA_MODALITIES; i++) {
        TRY(unimodal_get(&places->unimodal[i], &request, i, e));
        o->unimodal[i] = places->unimodal[i];
    }
out:
    return e->code;
}

static void report(const struct train_options *opt, const struct trainer_options *o,
                   const struct run_summary *s)
{
    double score = s->state.best_accuracy;
    char number[32] = "null"; /* JSON has none that is not finite */

    if (isfinite(score))
        snprintf(number, sizeof number, "%.9g", score);
    if (opt->cli.json)
        printf("{\"method\": \"%s\", \"epochs\": %lld, \"steps\": %lld, \"best_epoch\": %lld, "
               "\"%s\": %s, \"was_done\": %s}\n",
               opt->method, (long long)s->state.epoch, (long long)s->state.step,
               (long long)s->state.best_epoch, data_classes(o->val) > 0 ? "val_accuracy" : "val_r2",
               number, s->was_done ? "true" : "false");
    log_note(&opt->cli.log,
             "%s: %s: %lld epochs, %lld steps, best validation %s %.4f after epoch %lld", opt->out,
             s->was_done ? "was finished already" : "finished", (long long)s->state.epoch,
             (long long)s->state.step, trainer_score_name(o->val), score,
             (long long)s->state.best_epoch);
}

/* With data open and the folder locked. */
static enum err_code train_locked(const struct train_options *opt, struct trainer_options *o,
                                  struct err *e)
{
    struct run_places places = {0};
    struct run_summary summary;

    TRY(fill_places(&places, opt, e));
    o->places = &places;
    if (!o->force)
        TRY(run_may_match(o->dir, o, e));
    if (method_needs_unimodal(o->method, &o->config))
        TRY(get_unimodal(o, &places, opt, e));
    TRY(trainer_run(o, &summary, e));
    report(opt, o, &summary);
out:
    run_places_free(&places);
    return e->code;
}

enum err_code train_run(const struct train_options *opt, struct err *e)
{
    int64_t steps_left = opt->max_steps;
    struct data *train = NULL, *val = NULL;
    struct run_lock lock = {.fd = -1};
    struct unimodal_request request;
    struct data_traits traits;
    struct trainer_options o = {
        .seed = opt->cli.seed,
        .jobs = opt->cli.jobs,
        .dir = opt->out,
        .resume = opt->resume,
        .force = opt->cli.force,
        .steps_left = opt->max_steps >= 0 ? &steps_left : NULL,
        .log = &opt->cli.log,
    };

    if (opt->print_config)
        return print_config(opt, e);
    TRY(method_find(&o.method, opt->method, e));
    TRY(resolve(&o.config, opt, o.method->name, e));
    if (!opt->settings_checked)
        note_unused(opt, o.method);
    TRY(data_open(&train, opt->data, "train", opt->base, e));
    TRY(data_open(&val, opt->data, "val", opt->base, e));
    traits = data_traits_of(train);
    TRY(network_fits(o.method, &o.config, &traits, e));
    o.train = train;
    o.val = val;
    if (!opt->settings_checked)
        TRY(warn_unused(opt, &o, e));
    log_note(&opt->cli.log, "%s: %lld training and %lld validation samples, method %s, seed %llu",
             opt->data, (long long)data_count(train), (long long)data_count(val), o.method->name,
             (unsigned long long)o.seed);
    if (opt->cli.dry_run) {
        TRY(make_request(&request, &o, opt, e));
        TRY(train_dry_run(&request, e));
        goto out;
    }
    /* --resume makes sure that the run gets done, by whom ever: `make -j` starts it from two sides
     */
    TRY(run_lock_take(&lock, opt->out, run_lock_name, opt->resume, &opt->cli.log, e));
    TRY(train_locked(opt, &o, e));
out:
    run_lock_release(&lock);
    data_close(val);
    data_close(train);
    return e->code;
}
