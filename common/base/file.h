/* SPDX-License-Identifier: MIT */
#ifndef COMMON_BASE_FILE_H
#define COMMON_BASE_FILE_H

#include "common/base/err.h"
#include "common/base/hash.h"

#include <stddef.h>
#include <stdint.h>

/* Whole files and folders. Errors name the path. Only regular files are opened: a FIFO, device or
 * folder is an ERR_FORMAT, and opening never blocks. */

/* A read-only view of a file; zeroed = empty. `mapped` views must not outlive a change of the file.
 */
struct file_view {
    const uint8_t *data;
    size_t len;
    bool mapped;
};

/* Reads the whole file into memory; ERR_DATA when it is larger than `limit` bytes. */
NODISCARD enum err_code file_read(struct file_view *v, const char *path, size_t limit,
                                  struct err *e);
/* The same for a file of a corpus from elsewhere: root/name, whose links must end in root or in
 * root/X, X the first part of name (which may itself be a link to another disk). ERR_FORMAT when
 * they do not. */
NODISCARD enum err_code file_read_beneath(struct file_view *v, const char *root, const char *name,
                                          size_t limit, struct err *e);
/* Maps the file read-only. An empty file gives len 0. When the file shrinks later, reading what is
 * gone raises SIGBUS: see lost_mapping.h. */
NODISCARD enum err_code file_map(struct file_view *v, const char *path, struct err *e);
void file_view_free(struct file_view *v);

/* SHA-256 of a file's bytes, hex. */
NODISCARD enum err_code file_sha256(char hex[SHA256_HEX_SIZE], const char *path, struct err *e);

/* Makes one folder (and its parents); fine if it exists. After ERR_OK those that were made are on
 * stable storage (dir_sync). */
NODISCARD enum err_code dir_make(const char *path, struct err *e);
/* Brings the names in a folder to stable storage. Fine where that cannot be asked for: of a file
 * system that does not sync folders (EINVAL, ENOSYS, ENOTSUP), of a folder in which one may write
 * but not read; a failure (EIO) is ERR_IO. */
NODISCARD enum err_code dir_sync(const char *path, struct err *e);
/* ERR_IO when the file system that is to hold `path`, which need not exist yet, has less than
 * `bytes` free: known before hours of work, not after them. Where nobody can tell, it is fine. */
NODISCARD enum err_code dir_room(const char *path, uint64_t bytes, struct err *e);

/* "dir/name" in a fresh string. */
NODISCARD enum err_code path_join(char **out, const char *dir, const char *name, struct err *e);

/* The last part of a path; a loan of the argument. */
const char *path_base(const char *path);

/* Names in a folder (not "." and ".."), sorted by strcmp, so that file order never depends on the
 * file system. Only names that end in `suffix` ("" = all). */
struct name_list {
    char **name;
    size_t count;
    size_t cap;
};
NODISCARD enum err_code dir_list(struct name_list *list, const char *path, const char *suffix,
                                 struct err *e);
void name_list_free(struct name_list *list);

#endif
