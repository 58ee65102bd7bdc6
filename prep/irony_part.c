/* SPDX-License-Identifier: MIT */
#include "prep/irony.h"

#include "common/base/hash.h"
#include "common/base/mem.h"
#include "prep/clip_name.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Sentence of a clip: its index, or -1 for all clips whose name cannot be read. */
static int32_t sentence_of(const char *clip)
{
    struct clip_name name;

    return clip_name_parse(&name, clip, NULL) ? name.sentence : -1;
}

enum err_code irony_part_init(struct irony_part *p, const struct split_table *t, enum part part,
                              bool (*drop)(const struct split_row *row, void *ctx), void *ctx,
                              struct err *e)
{
    *p = (struct irony_part){.part = part};
    TRY(mem_array(&p->row, t->count, sizeof(void *), "irony", e));
    TRY(mem_array(&p->clip, t->count, sizeof *p->clip, "irony", e));
    for (size_t i = 0; i < t->count; i++) {
        const struct split_row *row = &t->row[i];

        if (row->part != part || (drop != NULL && drop(row, ctx)))
            continue;
        p->row[p->n] = row;
        p->clip[p->n++] = (struct plan_clip){row->label, row->actor, sentence_of(row->clip)};
    }
out:
    if (e->code != ERR_OK)
        irony_part_free(p);
    return e->code;
}

void irony_part_free(struct irony_part *p)
{
    irony_plan_free(&p->plan);
    free(p->row);
    free(p->clip);
    *p = (struct irony_part){0};
}

static const char matched_mark[] = " matched";
enum { LINE_SIZE = 2 * CLIP_NAME_SIZE + sizeof matched_mark };

enum err_code irony_part_lines(char **text, size_t *len, const struct irony_part *p, struct err *e)
{
    size_t size;

    *len = 0;
    if (!mem_size(p->plan.mutated + p->plan.matched, LINE_SIZE, &size))
        FAIL(err_set(e, ERR_NOMEM, "irony: plan is too large"));
    TRY(mem_array(text, size + 1, 1, "irony", e));
    for (size_t i = 0; i < p->n; i++)
        if (p->plan.donor[i] >= 0)
            *len += (size_t)snprintf(*text + *len, size + 1 - *len, "%s %s%s\n", p->row[i]->clip,
                                     p->row[p->plan.donor[i]]->clip,
                                     p->plan.is_matched[i] ? matched_mark : "");
out:
    return e->code;
}

enum err_code irony_part_plan(struct irony_part *p, const struct plan_options *opt, struct err *e)
{
    uint8_t digest[SHA256_SIZE];
    char *text = NULL;
    size_t len;

    TRY(irony_plan_make(&p->plan, p->clip, p->n, opt, e));
    TRY(irony_part_lines(&text, &len, p, e));
    TRY(sha256_bytes(text, len, digest, e));
    sha256_hex(digest, p->digest);
out:
    free(text);
    return err_in(e, "%s", part_names[p->part]);
}

enum { DIGEST_SHOWN = 16 };

json_t *irony_part_json(const struct irony_part *p, const struct plan_options *opt)
{
    json_int_t before[N_LABELS] = {0}, after[N_LABELS] = {0}, from[N_EMOTIONS] = {0};
    json_t *b = json_object(), *a = json_object(), *m = json_object(), *root;

    for (size_t i = 0; i < p->n; i++) {
        before[p->clip[i].label]++;
        after[irony_plan_label(&p->plan, p->clip, i)]++;
        from[p->clip[i].label] += p->plan.donor[i] >= 0 && !p->plan.is_matched[i];
    }
    for (int l = 0; l < N_EMOTIONS; l++) {
        json_object_set_new(b, emotion_codes[l], json_integer(before[l]));
        json_object_set_new(m, emotion_codes[l], json_integer(from[l]));
    }
    for (int l = 0; l < N_LABELS; l++)
        json_object_set_new(a, l < N_EMOTIONS ? emotion_codes[l] : label_names[l],
                            json_integer(after[l]));
    root = json_pack("{s:s, s:I, s:I, s:s%, s:o, s:o, s:o}", "split", part_names[p->part], "clips",
                     (json_int_t)p->n, "mutated", (json_int_t)p->plan.mutated, "digest", p->digest,
                     (size_t)DIGEST_SHOWN, "before", b, "mutated_from", m, "after", a);
    if (root != NULL && opt->rule != DONORS_REFERENCE)
        json_object_set_new(root, "donor_fallbacks", json_integer((json_int_t)p->plan.fallbacks));
    if (root != NULL && opt->matched_rate > 0.0) {
        json_object_set_new(root, "matched", json_integer((json_int_t)p->plan.matched));
        json_object_set_new(root, "matched_fallbacks",
                            json_integer((json_int_t)p->plan.matched_fallbacks));
    }
    return root;
}
