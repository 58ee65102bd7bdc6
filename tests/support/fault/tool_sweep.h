/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_FAULT_TOOL_SWEEP_H
#define TESTS_SUPPORT_FAULT_TOOL_SWEEP_H

/* fault_sweep() over command lines of the tools (tests/support/tools.h), in the folder `dir`. */

/* Runs the line undisturbed; the test fails unless it ends well. */
void tool_make(const char *line, const char *dir);

/* Sweeps the line; `reset` brings dir back to where the line begins. */
void tool_sweep(const char *line, const char *dir, void (*reset)(const char *dir));

/* Sweeps every line of a list that ends with NULL; each begins without dir/out. */
void tool_sweep_all(const char *const *line, const char *dir);

#endif
