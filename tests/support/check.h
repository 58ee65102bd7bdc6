/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SUPPORT_CHECK_H
#define TESTS_SUPPORT_CHECK_H

#include "common/base/err.h"
#include "tests/support/cmocka.h"

/* For calls that must succeed: the test fails with the error's text. `e` is the struct err that the
 * call fills. */
#define ASSERT_OK(call, e)                                     \
    do {                                                       \
        if ((call) != ERR_OK)                                  \
            fail_msg("%s: %d: %s", #call, (e).code, (e).text); \
    } while (0)

/* For calls that must fail: code and a part of the text are as said; the err is clean again. */
#define ASSERT_FAILS(call, e, want, part)                                                        \
    do {                                                                                         \
        if ((call) != (want) || strstr((e).text, part) == NULL)                                  \
            fail_msg("%s: %d: '%s' instead of %d: '%s'", #call, (e).code, (e).text, want, part); \
        err_clear(&(e));                                                                         \
    } while (0)

#endif
