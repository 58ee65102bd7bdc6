/* SPDX-License-Identifier: MIT */
#ifndef PREP_CONFINE_H
#define PREP_CONFINE_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* Takes away from the calling process what decoding does not need: docs/security.md lists it. There
 * is no way back. The only file that includes libseccomp.
 *
 * Afterwards the process can compute, use `memory` bytes more than it has now, and send and receive
 * on the descriptors that it holds. It cannot open, create or lengthen a file, make a socket, start
 * a program or a process or a thread, get executable memory, signal others, or be looked into by
 * other processes of the same user. A system call that is not on the list ends it with SIGSYS.
 *
 * Errors: ERR_IO when the system refuses a measure; the caller must then not go on. */
NODISCARD enum err_code confine_this_process(size_t memory, struct err *e);

/* Which measures are in force: all, or not the filter of system calls (this kernel has none), or
 * neither filter nor memory limit (a build with sanitizers or coverage, whose run-time library
 * needs both). The text is static and fits "decoding is confined: %s". */
enum confine_level { CONFINE_FULL, CONFINE_NO_FILTER, CONFINE_BUILD };
enum confine_level confine_level(void);
const char *confine_describe(enum confine_level level);

#endif
