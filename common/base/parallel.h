/* SPDX-License-Identifier: MIT */
#ifndef COMMON_BASE_PARALLEL_H
#define COMMON_BASE_PARALLEL_H

#include <stddef.h>
#include <stdint.h>

/* Runs fn(ctx, i, worker) once for every i in 0..n-1 on up to `threads` threads and returns when
 * all are done. `worker` is in 0..threads-1 and two calls with the same worker never overlap: use
 * it to index per-thread scratch. Which worker gets which i is not fixed, so results must depend on
 * i alone; sums over i are made by the caller afterwards, in index order. threads <= 1 or n <= 1
 * runs on the caller. fn must not fail through other means than ctx. Nested calls run on their
 * caller as worker 0 of their own, so scratch indexed by worker must not be shared between levels.
 *
 * Inside fn, libraries that use OpenMP themselves (oneDNN) see one thread. */
typedef void parallel_fn(void *ctx, int64_t i, int worker);
void parallel_for(int threads, int64_t n, parallel_fn *fn, void *ctx);

/* For main(), first of all: makes waiting threads of the team sleep after some 30 us instead of
 * spinning on. libgomp reads its settings when it is loaded, so the program starts itself again
 * once, under its own name, with OMP_WAIT_POLICY=passive and GOMP_SPINCOUNT=2000; values that the
 * user has set are left alone. Spinning teams stop each other on shared cores: with three busy
 * processes on two cores a training epoch took 22 s instead of 0.9 s. Sleeping at once costs a
 * wake-up per kernel: 16 % of a training step of the PID task. */
void parallel_sleep_when_idle(char **argv);

/* Has the OpenMP library make its notes about the calling thread now: where it has no memory for
 * them it ends the process with exit 1, which had better not happen in the middle of an output. */
void parallel_prepare(void);

/* Cores this process may use (its affinity mask), at least 1. */
int parallel_cores(void);

#endif
