/* SPDX-License-Identifier: MIT */
#ifndef COMMON_BASE_FILE_LOCK_H
#define COMMON_BASE_FILE_LOCK_H

#include "common/base/err.h"

/* What the users of locked files share. */

/* Opens a regular file for reading and writing, by no link; makes it where there is none, and says
 * in *made whether it did. -1 and errno, as open(). */
int file_open_or_make(const char *path, bool *made);

/* Whether a lock that was refused with this errno means that nobody at all can lock a file there.
 */
bool file_lock_unknown(int error);

/* Puts errno of a lock that was refused, though nobody has it, into words: ERR_IO, and what to do
 * where the file system has no locks (ENOSYS, ENOTSUP; ENOLCK: of NFS without its lock daemon). */
enum err_code file_lock_refused(const char *path, struct err *e);

#endif
