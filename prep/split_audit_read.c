/* SPDX-License-Identifier: MIT */
#include "prep/split_audit.h"

#include "common/base/file.h"
#include "common/base/mem.h"
#include "common/data/json.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { AUDIT_MAX_BYTES = 64 << 20, PART_FROM_FILE = -1, ACTOR_DIGITS = 4 };

/* Where the entries of the file that is being read go. */
struct target {
    struct audit *a;
    const char *spec; /* as the caller named it, a loan of his */
    const char *path;
    int fold;
    int part; /* of every entry, or PART_FROM_FILE */
};

void audit_free(struct audit *a)
{
    free(a->entry);
    free(a->fault);
    *a = (struct audit){0};
}

/* ---- names ---- */

static enum err_code intern(int *out, char names[][AUDIT_NAME_SIZE], int *count, int max,
                            const char *name, const char *path, const char *what, struct err *e)
{
    if (name[0] == '\0' || strlen(name) >= AUDIT_NAME_SIZE || !tsv_cell_ok(name))
        return err_set(e, ERR_DATA, "%s: %s name '%s' is not 1 to %d characters of text", path,
                       what, name, AUDIT_NAME_SIZE - 1);
    for (*out = 0; *out < *count; ++*out)
        if (strcmp(names[*out], name) == 0)
            return ERR_OK;
    if (*count == max)
        return err_set(e, ERR_DATA, "%s: more than %d %ss", path, max, what);
    snprintf(names[(*count)++], AUDIT_NAME_SIZE, "%s", name);
    return ERR_OK;
}

enum err_code audit_part(struct audit *a, const char *name, const char *path, int *part,
                         struct err *e)
{
    return intern(part, a->part, &a->parts, AUDIT_MAX_PARTS, name, path, "part", e);
}

static enum err_code part_named(const struct target *t, const char *name, int *part, struct err *e)
{
    return audit_part(t->a, name, t->path, part, e);
}

/* What cannot be shown (a report goes to a terminal) is shown as '?'. */
static void name_fold(struct audit *a, int fold, const char *name)
{
    snprintf(a->fold[fold], AUDIT_NAME_SIZE, "%.*s", AUDIT_NAME_SIZE - 1, name);
    for (char *p = a->fold[fold]; *p != '\0'; p++)
        if (*p < 0x20 || *p > 0x7e)
            *p = '?';
}

/* A new fold of that name; two files may have the same base name, so it is never looked up. */
static enum err_code new_fold(const struct target *t, const char *name, int *fold, struct err *e)
{
    struct audit *a = t->a;

    if (a->folds == AUDIT_MAX_FOLDS)
        return err_set(e, ERR_DATA, "%s: more than %d folds", t->path, AUDIT_MAX_FOLDS);
    *fold = a->folds++;
    a->fold_spec[*fold] = t->spec;
    name_fold(a, *fold, name);
    return ERR_OK;
}

/* A file that says no parts is one part, named as the file, of the fold that all such files make
 * up together: train.csv and test.csv. */
static enum err_code take_as_part(struct target *t, struct err *e)
{
    struct audit *a = t->a;
    char name[AUDIT_NAME_SIZE];

    snprintf(name, sizeof name, "%s", path_base(t->path));
    name[strcspn(name, ".")] = '\0';
    if (a->plain_folds == 0) {
        a->plain_fold = t->fold;
        name_fold(a, t->fold, "files");
    } else {
        a->folds--; /* the one just made for this file */
        t->fold = a->plain_fold;
    }
    a->plain_folds = 1;
    TRY(part_named(t, name, &t->part, e));
    for (size_t i = 0; i < a->count; i++)
        if (a->entry[i].fold == t->fold && a->entry[i].part == t->part)
            FAIL(err_set(e, ERR_DATA,
                         "%s: does not say parts, and part '%s' is taken: pass --audit "
                         "PART=FILE,...",
                         t->path, name));
out:
    return e->code;
}

static size_t run_of(const char *p, size_t max, int (*is)(int))
{
    size_t n = 0;

    while (n < max && is((unsigned char)p[n]))
        n++;
    return n;
}

/* Length of the clip name at p, 0 if there is none: NNNN_AAA_AAA_A or _AA (an old copy has the
 * level "X"). */
static size_t name_at(const char *p)
{
    size_t level;

    if (run_of(p, 5, isdigit) != ACTOR_DIGITS || p[4] != '_' || run_of(p + 5, 4, isupper) != 3 ||
        p[8] != '_' || run_of(p + 9, 4, isupper) != 3 || p[12] != '_')
        return 0;
    level = run_of(p + 13, 3, isalnum);
    return level >= 1 && level <= 2 ? 13 + level : 0;
}

static int32_t actor_at(const char *digits)
{
    int32_t actor = 0;

    for (int i = 0; i < ACTOR_DIGITS; i++)
        actor = actor * 10 + (digits[i] - '0');
    return actor;
}

static enum err_code add_entry(const struct target *t, const struct audit_entry *entry,
                               struct err *e)
{
    struct audit *a = t->a;

    TRY(mem_grow(&a->entry, &a->cap, a->count + 1, sizeof *a->entry, "audit", e));
    a->entry[a->count++] = *entry;
out:
    return e->code;
}

/* Adds the first clip named in `text`; *found says whether there was one. */
static enum err_code add_text(const struct target *t, const char *text, int fold, int part,
                              bool *found, struct err *e)
{
    *found = false;
    for (const char *p = text; *p != '\0'; p++) {
        size_t len = p == text || !isalnum((unsigned char)p[-1]) ? name_at(p) : 0;
        struct audit_entry entry = {.fold = fold, .part = part};

        if (len == 0)
            continue;
        memcpy(entry.clip, p, len);
        entry.actor = actor_at(p);
        *found = true;
        return add_entry(t, &entry, e);
    }
    return ERR_OK;
}

/* ---- our manifests ---- */

/* Which columns of a manifest say who a row is about; -1 = absent. */
struct who {
    int clip, actor;
};

static bool is_actor(const char *text)
{
    return run_of(text, ACTOR_DIGITS + 1, isdigit) == ACTOR_DIGITS && text[ACTOR_DIGITS] == '\0';
}

/* A row that names its actor may call its clip as it likes; otherwise the clip's name tells. */
static enum err_code add_cell(const struct target *t, const struct tsv *m, size_t row,
                              struct who who, int fold, int part, struct err *e)
{
    const char *clip = who.clip >= 0 ? tsv_cell(m, row, who.clip) : "";
    const char *actor = who.actor >= 0 ? tsv_cell(m, row, who.actor) : NULL;
    struct audit_entry entry = {.fold = fold, .part = part};
    bool found;

    if (actor == NULL) {
        TRY(add_text(t, clip, fold, part, &found, e));
        if (!found)
            FAIL(err_set(e, ERR_DATA, "%s:%zu: '%s' is not a clip name", t->path, tsv_line(m, row),
                         clip));
        goto out;
    }
    if (!is_actor(actor))
        FAIL(err_set(e, ERR_DATA, "%s:%zu: '%s' is not an actor (four digits)", t->path,
                     tsv_line(m, row), actor));
    if (strlen(clip) >= CLIP_NAME_SIZE)
        FAIL(err_set(e, ERR_DATA, "%s:%zu: clip name '%s' has more than %d characters", t->path,
                     tsv_line(m, row), clip, CLIP_NAME_SIZE - 1));
    entry.actor = actor_at(actor);
    memcpy(entry.clip, clip, strlen(clip));
    TRY(add_entry(t, &entry, e));
out:
    return e->code;
}

/* One column of parts (-1: all in t->part) as one fold. */
static enum err_code add_column(const struct target *t, const struct tsv *m, struct who who,
                                int column, int fold, struct err *e)
{
    int verdict = tsv_column(m, "verdict");

    for (size_t i = 0; i < tsv_rows(m); i++) {
        int part = t->part;

        if (verdict >= 0 && strcmp(tsv_cell(m, i, verdict), "rejected") == 0)
            continue;
        if (part == PART_FROM_FILE) {
            if (strcmp(tsv_cell(m, i, column), "-") == 0)
                continue;
            TRY(part_named(t, tsv_cell(m, i, column), &part, e));
        }
        TRY(add_cell(t, m, i, who, fold, part, e));
    }
out:
    return e->code;
}

static enum err_code read_manifest(struct target *t, const struct file_view *v, struct err *e)
{
    const char *text = (const char *)v->data + strlen("#synib-");
    char kind[32], name[AUDIT_NAME_SIZE];
    struct tsv *m = NULL;
    struct who who;
    int column, fold = t->fold;

    snprintf(kind, sizeof kind, "%.*s", (int)strspn(text, "abcdefghijklmnopqrstuvwxyz-"), text);
    TRY(tsv_parse(&m, t->path, kind, NULL, v->data, v->len, e));
    who = (struct who){tsv_column(m, "clip"), tsv_column(m, "actor")};
    column = tsv_column(m, "part");
    if (who.clip < 0 && who.actor < 0)
        FAIL(err_set(e, ERR_DATA, "%s: has neither a column 'clip' nor 'actor'", t->path));
    if (t->part == PART_FROM_FILE && column < 0 && tsv_column(m, "fold0") < 0)
        TRY(take_as_part(t, e));
    fold = t->fold;
    if (t->part != PART_FROM_FILE || column >= 0) {
        TRY(add_column(t, m, who, column, fold, e));
        goto out;
    }
    for (int k = 0; snprintf(name, sizeof name, "fold%d", k), (column = tsv_column(m, name)) >= 0;
         k++) {
        if (k > 0)
            TRY(new_fold(t, name, &fold, e));
        else
            name_fold(t->a, fold, name);
        TRY(add_column(t, m, who, column, fold, e));
    }
out:
    tsv_free(m);
    return e->code;
}

/* ---- JSON ---- */

static enum err_code add_list(const struct target *t, json_t *list, int fold, int part,
                              struct err *e)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i)); /* NULL: no string */
        bool found = false;

        if (text != NULL)
            TRY(add_text(t, text, fold, part, &found, e));
        if (!found)
            FAIL(err_set(e, ERR_DATA, "%s: item %zu of part '%s' holds no clip name", t->path, i,
                         t->a->part[part]));
    }
out:
    return e->code;
}

static enum err_code add_parts(const struct target *t, json_t *parts, int fold, struct err *e)
{
    for (void *at = json_object_iter(parts); at != NULL; at = json_object_iter_next(parts, at)) {
        const char *name = json_object_iter_key(at);
        json_t *list = json_object_iter_value(at);
        int part = t->part;

        if (!json_is_array(list))
            FAIL(
                err_set(e, ERR_DATA, "%s: JSON member '%s' is not a list of clips", t->path, name));
        if (part == PART_FROM_FILE)
            TRY(part_named(t, name, &part, e));
        TRY(add_list(t, list, fold, part, e));
    }
out:
    return e->code;
}

static enum err_code read_json(struct target *t, const struct file_view *v, struct err *e)
{
    json_error_t fault;
    bool no_memory;
    json_t *root;
    int fold = t->fold;
    bool first = true;

    root = json_parse((const char *)v->data, v->len, &fault, &no_memory);
    if (no_memory)
        FAIL(err_set(e, ERR_NOMEM, "%s: no memory to read it", t->path));
    if (root == NULL)
        FAIL(err_set(e, ERR_DATA, "%s:%d: is not JSON: %s", t->path, fault.line, fault.text));
    if (json_is_array(root) && t->part == PART_FROM_FILE)
        TRY(take_as_part(t, e));
    if (json_is_array(root)) {
        TRY(add_list(t, root, t->fold, t->part, e));
        goto out;
    }
    if (!json_is_object(json_object_iter_value(json_object_iter(root)))) {
        TRY(add_parts(t, root, fold, e));
        goto out;
    }
    for (void *at = json_object_iter(root); at != NULL; at = json_object_iter_next(root, at)) {
        const char *name = json_object_iter_key(at);

        if (!json_is_object(json_object_iter_value(at)))
            FAIL(err_set(e, ERR_DATA, "%s: JSON member '%s' is not an object of parts", t->path,
                         name));
        if (!first)
            TRY(new_fold(t, name, &fold, e));
        else
            name_fold(t->a, fold, name);
        first = false;
        TRY(add_parts(t, json_object_iter_value(at), fold, e));
    }
out:
    json_decref(root);
    return e->code;
}

/* ---- text ---- */

/* A cell that is cut is still too long for a name. */
enum { CELL_SIZE = AUDIT_NAME_SIZE + 1, MAX_COLUMNS = 256 };

struct text {
    char *copy; /* of the file, cut into lines */
    char *cell; /* room for a whole line */
    char delimiter;
    int column;       /* of the parts, -1 = none */
    const char *word; /* of a file that says no parts: the first word for a part in it */
};

/* The cell at p without its quotes (RFC 4180: "" is one of them; text behind them is kept), in
 * `cell`, which has room for the line. Returns what ends it, the delimiter or the NUL, or NULL when
 * the quotes do not end in this line. */
static const char *read_cell(char *cell, const char *p, char delimiter)
{
    size_t n = 0;

    p += strspn(p, " ");
    if (*p == '"')
        for (p++; *p != '"' || *++p == '"'; p++) {
            if (*p == '\0')
                return NULL;
            cell[n++] = *p;
        }
    for (; *p != delimiter && *p != '\0'; p++)
        cell[n++] = *p;
    cell[n] = '\0';
    return p;
}

/* Without blanks and single quotes around it, cut to CELL_SIZE - 1. */
static const char *trim(char *cell)
{
    char *begin = cell + strspn(cell, " '");
    size_t len = strlen(begin);

    while (len > 0 && strchr(" \r'", begin[len - 1]) != NULL)
        len--;
    begin[len < CELL_SIZE ? len : CELL_SIZE - 1] = '\0';
    return begin;
}

static bool names_parts(const char *cell)
{
    static const char *const names[] = {AUDIT_PART_COLUMNS};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcasecmp(cell, names[i]) == 0)
            return true;
    return false;
}

/* Finds the column that a header line names for the parts, under any delimiter. */
static enum err_code find_column(const struct target *t, struct text *x, const char *header,
                                 struct err *e)
{
    static const char delimiters[] = "\t;,";
    char first[CELL_SIZE] = "";

    for (const char *d = delimiters; *d != '\0' && x->column < 0; d++) {
        const char *p = header;

        for (int c = 0; c < MAX_COLUMNS; c++, p++) {
            const char *cell;

            if ((p = read_cell(x->cell, p, *d)) == NULL)
                break;
            cell = trim(x->cell);
            if (names_parts(cell) && x->column >= 0)
                return err_set(e, ERR_DATA,
                               "%s:1: columns '%s' and '%s' may both say the part: rename or "
                               "remove one",
                               t->path, first, cell);
            if (names_parts(cell)) {
                snprintf(first, sizeof first, "%s", cell);
                x->delimiter = *d;
                x->column = c;
            }
            if (*p == '\0')
                break;
        }
    }
    return ERR_OK;
}

/* Of a file that names no column. */
static char usual_delimiter(const char *line)
{
    return strchr(line, '\t') != NULL  ? '\t'
           : strchr(line, ';') != NULL ? ';'
           : strchr(line, ',') != NULL ? ','
                                       : ' ';
}

/* What a cell says of a part, whatever its column is called; NULL when it is none of these words.
 */
static const char *part_word(const char *cell)
{
    static const char *const words[][2] = {
        {"train", "train"},     {"training", "train"}, {"val", "val"},   {"valid", "val"},
        {"validation", "val"},  {"dev", "val"},        {"test", "test"}, {"testing", "test"},
        {"evaluation", "test"}, {"eval", "test"}};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(cell, words[i][0]) == 0)
            return words[i][1];
    return NULL;
}

/* A file that is taken as one part and tells its clips apart itself is not one part. */
static enum err_code check_word(const struct target *t, struct text *x, size_t number,
                                const char *cell, struct err *e)
{
    const char *word = part_word(cell);

    if (word == NULL)
        return ERR_OK;
    if (x->word == NULL)
        x->word = word;
    if (strcmp(word, x->word) == 0)
        return ERR_OK;
    return err_set(e, ERR_DATA,
                   "%s:%zu: says '%s' where '%s' stood before, but no column is called "
                   "%s: name it so, or pass --audit PART=FILE,...",
                   t->path, number, word, x->word, AUDIT_PART_COLUMNS_TEXT);
}

/* Looks at every cell of a line that is not blank; *part becomes what the column says. */
static enum err_code read_cells(const struct target *t, struct text *x, const char *line,
                                size_t number, bool plain, int *part, struct err *e)
{
    bool header = number == 1 && x->column >= 0;
    int n = 0;

    for (const char *p = line;; p++, n++) {
        const char *cell;

        if ((p = read_cell(x->cell, p, x->delimiter)) == NULL)
            FAIL(err_set(e, ERR_DATA,
                         "%s:%zu: a quoted cell does not end in its line: close the quotes, and "
                         "put no line end between them",
                         t->path, number));
        cell = trim(x->cell);
        if (plain)
            TRY(check_word(t, x, number, cell, e));
        else if (n == x->column && !header)
            TRY(part_named(t, cell, part, e));
        if (*p == '\0')
            break;
    }
    if (n < x->column)
        FAIL(err_set(e, ERR_DATA, "%s:%zu: has no column %d, which the first line names", t->path,
                     number, x->column + 1));
out:
    return e->code;
}

static enum err_code text_line(const struct target *t, struct text *x, const char *line,
                               size_t number, bool plain, struct err *e)
{
    bool found = false;
    int part = t->part;

    if (line[strspn(line, " \t\r")] == '\0')
        return ERR_OK;
    if (plain || x->column >= 0)
        TRY(read_cells(t, x, line, number, plain, &part, e));
    if (number == 1 && x->column >= 0)
        goto out;
    TRY(add_text(t, line, t->fold, part, &found, e));
    if (!found && number > 1)
        FAIL(err_set(e, ERR_DATA, "%s:%zu: holds no clip name (NNNN_SSS_EEE_LV)", t->path, number));
out:
    return e->code;
}

static enum err_code read_text(struct target *t, const struct file_view *v, struct err *e)
{
    struct text x = {.column = -1};
    bool plain = false;
    size_t number = 1;

    if (memchr(v->data, '\0', v->len) != NULL)
        FAIL(err_set(e, ERR_DATA, "%s: is not text (holds a NUL byte)", t->path));
    TRY(mem_array(&x.copy, v->len + 1, 1, t->path, e));
    TRY(mem_array(&x.cell, v->len + 1, 1, t->path, e));
    memcpy(x.copy, v->data, v->len);
    for (char *line = x.copy, *next; line != NULL; line = next, number++) {
        next = strchr(line, '\n');
        if (next != NULL)
            *next++ = '\0';
        if (number == 1) {
            x.delimiter = usual_delimiter(line);
            if (t->part == PART_FROM_FILE)
                TRY(find_column(t, &x, line, e));
            plain = t->part == PART_FROM_FILE && x.column < 0;
            if (plain)
                TRY(take_as_part(t, e));
        }
        TRY(text_line(t, &x, line, number, plain, e));
    }
out:
    free(x.copy);
    free(x.cell);
    return e->code;
}

/* ---- one SPEC ---- */

/* A byte order mark, which spreadsheets write, is no part of the text. */
static struct file_view without_mark(const struct file_view *v)
{
    static const char mark[] = "\xef\xbb\xbf";
    const size_t len = sizeof mark - 1;
    struct file_view text = *v;

    if (v->len >= len && memcmp(v->data, mark, len) == 0) {
        text.data += len;
        text.len -= len;
    }
    return text;
}

static enum err_code read_content(struct target *t, const struct file_view *whole, struct err *e)
{
    static const char ours[] = "#synib-";
    struct file_view text = without_mark(whole), *v = &text; /* a loan: never freed */
    size_t before = t->a->count, at = 0;

    while (at < v->len && isspace(v->data[at]))
        at++;
    if (v->len >= sizeof ours - 1 && memcmp(v->data, ours, sizeof ours - 1) == 0)
        TRY(read_manifest(t, v, e));
    else if (at < v->len && (v->data[at] == '{' || v->data[at] == '['))
        TRY(read_json(t, v, e));
    else if (at < v->len)
        TRY(read_text(t, v, e));
    if (t->a->count == before)
        FAIL(err_set(e, ERR_DATA, "%s: names no clip: nothing to audit", t->path));
out:
    return e->code;
}

static enum err_code read_file(struct target *t, struct err *e)
{
    struct file_view v = {0};

    TRY(file_read(&v, t->path, AUDIT_MAX_BYTES, e));
    TRY(read_content(t, &v, e));
out:
    file_view_free(&v);
    return e->code;
}

/* PART=FILE,PART=FILE,...; cuts the copy up. */
static enum err_code read_pairs(const struct target *whole, char *spec, struct err *e)
{
    for (char *item = spec, *next; item != NULL; item = next) {
        struct target t = *whole;
        char *equals = strchr(item, '=');

        next = strchr(item, ',');
        if (next != NULL)
            *next++ = '\0';
        if (equals == NULL || (next != NULL && equals > next) || equals == item ||
            equals[1] == '\0')
            return err_set(e, ERR_USAGE, "--audit: '%s' is not PART=FILE", item);
        *equals = '\0';
        t.path = equals + 1;
        TRY(part_named(&t, item, &t.part, e));
        TRY(read_file(&t, e));
    }
out:
    return e->code;
}

enum err_code audit_read(struct audit *a, const char *spec, struct err *e)
{
    struct target t = {.a = a, .spec = spec, .path = spec, .part = PART_FROM_FILE};
    struct stat st;
    char *copy = NULL;

    TRY(mem_string(&copy, spec, e));
    TRY(new_fold(&t, path_base(spec), &t.fold, e));
    if (stat(spec, &st) == 0 && S_ISDIR(st.st_mode)) {
        TRY(audit_read_sets(a, spec, t.fold, e));
        goto out;
    }
    /* A file whose own name holds '=' is still a file. */
    if (strchr(spec, '=') != NULL && access(spec, F_OK) != 0) {
        snprintf(a->fold[t.fold], AUDIT_NAME_SIZE, "%d", t.fold);
        TRY(read_pairs(&t, copy, e));
    } else {
        TRY(read_file(&t, e));
    }
out:
    free(copy);
    return e->code;
}

enum err_code audit_read_mem(struct audit *a, const char *name, const void *data, size_t len,
                             struct err *e)
{
    struct target t = {.a = a, .spec = name, .path = name, .part = PART_FROM_FILE};
    struct file_view v = {.data = data, .len = len};

    TRY(new_fold(&t, path_base(name), &t.fold, e));
    TRY(read_content(&t, &v, e));
out:
    return e->code;
}
