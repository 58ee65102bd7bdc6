/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_NAIVE_JSON_H
#define TESTS_SUPPORT_NAIVE_JSON_H

#include <stddef.h>

/* Just enough JSON for naive_reader.c: objects, lists, strings, whole numbers, true. */
struct naive_node {
    char kind;        /* '{' '[' '"' '0' 't' */
    char *key;        /* in an object */
    char *text;       /* of a string */
    long long number; /* of a number */
    struct naive_node *child, *next;
};

/* Reads one value at *p, which ends at `end`, and moves *p past it. NULL when it is not JSON. */
struct naive_node *naive_json(const char **p, const char *end, int depth);
void naive_json_free(struct naive_node *n);
/* Member of an object, NULL if absent. */
struct naive_node *naive_get(const struct naive_node *n, const char *key);
/* Its text or number; NULL or -1 when it is absent or of another kind. */
const char *naive_text(const struct naive_node *n, const char *key);
long long naive_number(const struct naive_node *n, const char *key);

/* Takes the place of malloc and free, before the first value is read. `release` takes NULL too. */
void naive_json_memory(void *(*take)(size_t), void (*release)(void *));

#endif
