/* SPDX-License-Identifier: MIT */
#ifndef TRAIN_RUN_DIR_H
#define TRAIN_RUN_DIR_H

#include "common/base/log.h"

#include <stddef.h>
#include <stdint.h>

/* The folder of one training run (docs/formats/run.md). */

extern const char run_last_name[], run_prev_name[], run_best_name[]; /* checkpoints */

/* ---- one process at a time ---- */
/* Takes the folder, making it if needed, by locking its file `name`; the lock ends with the
 * process, so a killed run never blocks the next one. When another process has it: ERR_EXISTS, or
 * with `wait` a note and patience. */
struct run_lock {
    int fd; /* -1 = none */
};
extern const char run_lock_name[]; /* of a training run */
NODISCARD enum err_code run_lock_take(struct run_lock *lock, const char *dir, const char *name,
                                      bool wait, const struct log *log, struct err *e);
void run_lock_release(struct run_lock *lock);
/* Whether another process has it, and nothing made: ERR_EXISTS when it does and !wait, as
 * run_lock_take. To see that it has a shared lock for a moment; run_lock_take tries again after
 * such a moment. */
NODISCARD enum err_code run_lock_look(bool *busy, const char *dir, const char *name, bool wait,
                                      struct err *e);
/* Fails where the folder could not be made, or no file in it; makes neither. */
NODISCARD enum err_code run_dir_look(const char *dir, struct err *e);

/* ---- append-only logs that a resumed run cuts back ---- */
struct run_log {
    int fd; /* -1 = closed, or in memory */
    char *path;
    char *text; /* in memory: all of it, NUL-terminated */
    size_t cap;
    int64_t bytes; /* written so far */
    int64_t crc;   /* CRC32C of them */
};

/* Opens DIR/NAME, checks that it begins with `bytes` bytes of this CRC and cuts off the rest.
 * ERR_CHECKSUM when it does not. bytes < 0: no check, append to what is there. */
NODISCARD enum err_code run_log_open(struct run_log *log, const char *dir, const char *name,
                                     int64_t bytes, int64_t crc, struct err *e);
/* The same check alone, before anything is written: nothing is made or cut. ERR_CHECKSUM also when
 * the file is missing. */
NODISCARD enum err_code run_log_check(const char *dir, const char *name, int64_t bytes, int64_t crc,
                                      struct err *e);
/* The first `bytes` bytes of DIR/NAME as a string, for who reads a log; free() it. ERR_CHECKSUM
 * when the file is shorter or they are not of this CRC: the log is damaged. */
NODISCARD enum err_code run_log_read(char **text, const char *dir, const char *name, int64_t bytes,
                                     int64_t crc, struct err *e);
/* A log that stays in memory, in `text`. */
NODISCARD enum err_code run_log_memory(struct run_log *log, struct err *e);
/* Appends text; on failure the file keeps its old length. */
NODISCARD enum err_code run_log_add(struct run_log *log, const char *text, struct err *e);
/* On stable storage. */
NODISCARD enum err_code run_log_sync(struct run_log *log, struct err *e);
void run_log_close(struct run_log *log);

/* ---- where things are: run.json, the only file that holds paths, all relative to the folder ----
 */
enum { RUN_MAX_BASES = 16 };
struct run_places {
    char *data;                    /* NULL = not known */
    char *base[RUN_MAX_BASES + 1]; /* NULL-terminated */
    char *unimodal[2];             /* run folders that its encoders came from, audio and video */
};
/* Paths as seen from the working directory; they are stored relative to dir. */
NODISCARD enum err_code run_places_save(const struct run_places *p, const char *dir, struct err *e);
/* Paths are returned as seen from the working directory. */
NODISCARD enum err_code run_places_load(struct run_places *p, const char *dir, struct err *e);
void run_places_free(struct run_places *p);

/* False when there is no DIR/NAME; true also when that cannot be told. */
bool run_has(const char *dir, const char *name);
/* Removes DIR/NAME; fine if it is not there. */
NODISCARD enum err_code run_remove(const char *dir, const char *name, struct err *e);
/* Removes the files of a run, not its folder and not pretrain/. */
NODISCARD enum err_code run_clear(const char *dir, struct err *e);

#endif
