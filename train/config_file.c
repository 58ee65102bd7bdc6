/* SPDX-License-Identifier: MIT */
#include "common/base/cli.h"
#include "common/base/file.h"
#include "train/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Folders, relative to the running program's, that may hold manifests/presets. */
static const char *const beside_program[] = {"../../manifests/presets",
                                             "../share/synib/manifests/presets"};

static const char *const shipped_presets[] = {
    "paper", "released", "demo", "xor-spurious", "xor-pid", "xor-regression", NULL,
};

static bool preset_here(char *path, size_t size, const char *dir, const char *below,
                        const char *name)
{
    int n = snprintf(path, size, "%s/%s/%s.conf", dir, below, name);

    return (size_t)n < size && access(path, F_OK) == 0;
}

static enum err_code find_preset(char *path, size_t size, const char *name, struct err *e)
{
    const char *manifests = getenv("SYNIB_MANIFESTS");
    size_t len = strlen(name);
    char self[1024];
    int shipped;
    ssize_t n;

    if (strchr(name, '/') != NULL || (len > 5 && strcmp(name + len - 5, ".conf") == 0)) {
        if (len >= size)
            return err_set(e, ERR_USAGE, "--preset: the path is too long");
        memcpy(path, name, len + 1);
        return ERR_OK;
    }
    if (manifests != NULL && preset_here(path, size, manifests, "presets", name))
        return ERR_OK;
    n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n > 0) {
        self[n] = '\0';
        *strrchr(self, '/') = '\0';
        for (size_t i = 0; i < sizeof beside_program / sizeof beside_program[0]; i++)
            if (preset_here(path, size, self, beside_program[i], name))
                return ERR_OK;
    }
    TRY(cli_choice(&shipped, name, shipped_presets, "--preset", e));
    err_set(e, ERR_USAGE,
            "--preset: %s.conf is not in the manifests folder: give a path, or set SYNIB_MANIFESTS",
            name);
out:
    return e->code;
}

enum err_code config_load(struct config *c, const char *name, const char *method, const char *mask,
                          struct err *e)
{
    struct file_view text = {0};
    char path[4096];

    TRY(find_preset(path, sizeof path, name, e));
    TRY(file_read(&text, path, 1 << 20, e));
    TRY(config_parse(c, path, method, mask, (const char *)text.data, text.len, e));
out:
    file_view_free(&text);
    return e->code;
}
