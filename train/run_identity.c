/* SPDX-License-Identifier: MIT */
#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/base/text_stream.h"
#include "train/record.h"
#include "train/trainer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* SHA-256 of a unimodal run's best checkpoint, hex. */
static enum err_code best_digest(const char *dir, char hex[SHA256_HEX_SIZE], struct err *e)
{
    char *path = NULL;

    TRY(path_join(&path, dir, run_best_name, e));
    TRY(file_sha256(hex, path, e));
out:
    free(path);
    return e->code;
}

enum err_code run_identity(char **out, const struct trainer_options *opt, struct err *e)
{
    char *settings = NULL, hex[SHA256_HEX_SIZE];
    int bins, frames;
    FILE *f = NULL;

    *out = NULL;
    TRY(config_text(&settings, &opt->config, opt->method->scopes, e));
    f = text_stream_open(out, "run", e);
    TRY(e->code);
    fprintf(f, "method = %s\nseed = %llu\n", opt->method->name, (unsigned long long)opt->seed);
    fprintf(f, "data.train = %s\ndata.val = %s\n", data_digest(opt->train), data_digest(opt->val));
    if (data_media(opt->train) != NULL && opt->method != &method_uni_video) {
        dataset_spectrogram_shape(data_media(opt->train), &bins, &frames);
        fprintf(f, "data.spectrogram = %dx%d\n", bins, frames);
    }
    for (int m = 0; m < data_modalities(opt->train); m++) {
        if (opt->unimodal[m] == NULL)
            continue;
        TRY(best_digest(opt->unimodal[m], hex, e));
        fprintf(f, "init.%s = %s\n", data_modality(opt->train, m), hex);
    }
    fputs(settings, f);
out:
    free(settings);
    return text_stream_close(f, out, "run", e);
}

enum err_code run_identity_line(const char **text, char *line, size_t size, const char **value,
                                struct err *e)
{
    size_t len = strcspn(*text, "\n");
    char *equals;

    if (len >= size)
        return err_set(e, ERR_FORMAT, "synib.config: a line is too long");
    memcpy(line, *text, len);
    line[len] = '\0';
    equals = strstr(line, " = ");
    if (equals == NULL)
        return err_set(e, ERR_FORMAT, "synib.config: '%s' is not of the form key = value", line);
    *equals = '\0';
    *value = equals + 3;
    *text += len + ((*text)[len] == '\n');
    return ERR_OK;
}

enum err_code run_matches(const char *dir, const struct trainer_options *opt,
                          struct run_state *state, struct err *e)
{
    struct tensorfile *f = NULL;
    char *path = NULL, *identity = NULL;
    const char *recorded;

    TRY(path_join(&path, dir, run_last_name, e));
    TRY(run_identity(&identity, opt, e));
    TRY(record_open_last(&f, dir, NULL, e));
    TRY(checkpoint_meta(f, "synib.config", &recorded, e));
    TRY(config_compare(recorded, identity, path, e));
    TRY(checkpoint_state(f, state, e));
out:
    tensorfile_close(f);
    free(path);
    free(identity);
    return e->code;
}

/* Leaves out the lines that begin with "init.". */
static void drop_init(char *text)
{
    char *to = text;

    for (const char *p = text, *end; *p != '\0'; p = end) {
        end = strchrnul(p, '\n');
        end += *end == '\n';
        if (strncmp(p, "init.", 5) == 0 && strncmp(p, "init.encoders", 13) != 0)
            continue;
        memmove(to, p, (size_t)(end - p));
        to += end - p;
    }
    *to = '\0';
}

enum err_code run_may_match(const char *dir, const struct trainer_options *opt, struct err *e)
{
    char *path = NULL, *identity = NULL, *known = NULL;
    struct tensorfile *f = NULL;
    const char *recorded;

    TRY(path_join(&path, dir, run_last_name, e));
    if (!run_has(dir, run_last_name))
        goto out;
    TRY(run_identity(&identity, opt, e));
    TRY(record_open_last(&f, dir, NULL, e));
    TRY(checkpoint_meta(f, "synib.config", &recorded, e));
    TRY(mem_string(&known, recorded, e));
    drop_init(known);
    drop_init(identity);
    if (config_compare(known, identity, path, e) != ERR_OK)
        FAIL(err_in(e, "%s: holds another run: give another -o, or --force to replace it", dir));
out:
    tensorfile_close(f);
    free(path);
    free(identity);
    free(known);
    return e->code;
}
