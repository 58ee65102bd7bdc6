/* SPDX-License-Identifier: MIT */
#ifndef COMMON_BASE_TEXT_STREAM_H
#define COMMON_BASE_TEXT_STREAM_H

#include "common/base/err.h"

#include <stdio.h>

/* Text that grows in memory, written with stdio. Unlike open_memstream, which may lose what there
 * was no memory for, or all of it, while every call and fclose() succeed, it loses nothing
 * unnoticed. Threads: one per stream. */

/* *text is NULL until the stream is closed. The stream is NULL without memory: e names `what`. */
FILE *text_stream_open(char **text, const char *what, struct err *e);

/* Closes f (NULL: does nothing). *text is then NUL-terminated and the caller's to free; or NULL,
 * when memory ran out, ERR_NOMEM, or when e was set before. Returns e's code. */
enum err_code text_stream_close(FILE *f, char **text, const char *what, struct err *e);

#endif
