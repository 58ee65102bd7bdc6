/* SPDX-License-Identifier: MIT */
#ifndef COMMON_BASE_ATOMIC_FILE_H
#define COMMON_BASE_ATOMIC_FILE_H

#include "common/base/err.h"

#include <stddef.h>
#include <stdint.h>

/* An output file that appears whole or not at all.
 *
 * Bytes go to ".NAME.partial" beside the final name; commit does fsync, rename and fsync of the
 * folder. A kill at any instant leaves the old file, the new file or none, and at most one
 * .partial, which the next run takes over. Two writers of one name: the second gets ERR_EXISTS at
 * open; where the file system has no locks, everybody gets ERR_IO (file_lock.h). After commit
 * returns ERR_OK the file is on stable storage, and its name is where the file system can sync a
 * folder (dir_sync).
 *
 * Threads: one object, one thread. */
struct atomic_file;

/* ERR_EXISTS if NAME exists, unless `force` and it is a regular file: what atomic_file_open would
 * say, for a dry run or before long work. */
NODISCARD enum err_code atomic_file_check(const char *path, bool force, struct err *e);
/* Opens NAME for writing. If NAME exists: ERR_EXISTS, or with `force` it is replaced at commit by a
 * file of the same mode (a new file has what umask leaves). Only a regular file is replaced: a
 * symbolic link or anything else is ERR_EXISTS with `force` too. */
NODISCARD enum err_code atomic_file_open(struct atomic_file **f, const char *path, bool force,
                                         struct err *e);
/* One file of an output that has several: NAME may be there from a run that was killed between two
 * of them, and stays when it holds the same bytes. If it holds others: ERR_EXISTS at commit, or
 * with `force` it is replaced. The file that makes the output complete is published last, and a
 * tool refuses at its start when that one is there (atomic_file_check). */
NODISCARD enum err_code atomic_file_open_part(struct atomic_file **f, const char *path, bool force,
                                              struct err *e);
/* Appends; buffered. */
NODISCARD enum err_code atomic_file_write(struct atomic_file *f, const void *data, size_t len,
                                          struct err *e);
NODISCARD enum err_code atomic_file_printf(struct atomic_file *f, struct err *e, const char *fmt,
                                           ...) PRINTF_LIKE(3, 4);
/* Bytes written so far. */
uint64_t atomic_file_size(const struct atomic_file *f);
/* Publishes the file and frees f, on failure too. Then nothing is published, but for one case: when
 * the file has its name and only the folder cannot be synced or the file be closed (ERR_IO), it is
 * there, whole, and a crash of the machine may undo it. */
NODISCARD enum err_code atomic_file_commit(struct atomic_file *f, struct err *e);
/* Removes the partial file and frees f; NULL is fine. */
void atomic_file_abort(struct atomic_file *f);

/* Open, write all, commit. */
NODISCARD enum err_code atomic_file_put(const char *path, const void *data, size_t len, bool force,
                                        struct err *e);
NODISCARD enum err_code atomic_file_put_part(const char *path, const void *data, size_t len,
                                             bool force, struct err *e);

#endif
