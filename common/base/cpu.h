/* SPDX-License-Identifier: MIT */
#ifndef COMMON_BASE_CPU_H
#define COMMON_BASE_CPU_H

#include "common/base/err.h"

/* Instruction sets: a program built for the machine it was built on (SYNIB_NATIVE) says so in one
 * line on a machine that lacks some, where it would end with SIGILL. */

/* The sets that the parts built for this machine may use, by the compiler's names ("avx2"); ends
 * with NULL. None for other processors than x86. */
extern const char *const cpu_needed[];

/* Whether this processor, under this system, has the set. False for names it does not know. */
bool cpu_has(const char *name);

/* ERR_IO (exit 1) that names those of `needed` that are not there by has(). */
NODISCARD enum err_code cpu_check(const char *const *needed, bool (*has)(const char *name),
                                  struct err *e);

#endif
