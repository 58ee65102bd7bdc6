/* SPDX-License-Identifier: MIT */
#include "common/base/cpu.h"

#include <stdio.h>
#include <string.h>

/* The names of cpu_needed.c; compilers want literals. */
#define SETS(X)          \
    X("sse3")            \
    X("ssse3")           \
    X("sse4.1")          \
    X("sse4.2")          \
    X("popcnt")          \
    X("avx")             \
    X("avx2")            \
    X("fma")             \
    X("bmi")             \
    X("bmi2")            \
    X("avx512f")         \
    X("avx512bw")        \
    X("avx512cd")        \
    X("avx512dq")        \
    X("avx512vl")        \
    X("avx512ifma")      \
    X("avx512vbmi")      \
    X("avx512vbmi2")     \
    X("avx512vnni")      \
    X("avx512bitalg")    \
    X("avx512vpopcntdq") \
    X("avx512bf16")      \
    X("gfni")            \
    X("vpclmulqdq")

bool cpu_has(const char *name)
{
#if defined(__x86_64__) || defined(__i386__)
#define HAS(set)                \
    if (strcmp(name, set) == 0) \
        return __builtin_cpu_supports(set) != 0;
    SETS(HAS)
#undef HAS
#else
    (void)name;
#endif
    return false;
}

enum err_code cpu_check(const char *const *needed, bool (*has)(const char *name), struct err *e)
{
    char list[512] = "";
    size_t len = 0;

    for (; *needed != NULL; needed++)
        if (!has(*needed) && len < sizeof list)
            len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", len > 0 ? ", " : "",
                                    *needed);
    if (len == 0)
        return ERR_OK;
    return err_set(e, ERR_IO,
                   "this program was built for a processor with %s, which this one lacks: build "
                   "it here, or for any with make CMAKE_ARGS=-DSYNIB_NATIVE=OFF BUILD=build-any",
                   list);
}
