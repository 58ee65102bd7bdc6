/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_TOOLS_H
#define TESTS_SUPPORT_TOOLS_H

#include "common/base/err.h"

/* The command-line tools inside the test program, as their main() runs them but for printing the
 * error. `line` is "synib-xor spurious ... -o @/out": words parted by blanks; "@" is `dir`. What a
 * tool prints on stdout goes to /dev/null. */
NODISCARD enum err_code tool_run(const char *line, const char *dir, struct err *e);

/* Parsed once, run any number of times. */
struct tool;
NODISCARD enum err_code tool_parse(struct tool **t, const char *line, const char *dir,
                                   struct err *e);
NODISCARD enum err_code tool_again(struct tool *t, struct err *e);
void tool_free(struct tool *t);

#endif
