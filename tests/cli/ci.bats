#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# .ci/run tells what was skipped, and its last line counts the tests. Here `make` only leaves what ctest would.

bats_require_minimum_version 1.5.0

setup() {
    cd "$BATS_TEST_TMPDIR"
    mkdir -p .ci bin scripts build/Testing/Temporary
    cp "$SOURCE_DIR/.ci/run" "$SOURCE_DIR/.ci/skipped" .ci
    printf '#!/bin/sh\n' >scripts/install-packages
    echo 'ok 1 of yesterday # skip stale' >build/Testing/Temporary/LastTest.log
    cat >bin/make <<'END'
#!/bin/bash
case "$*" in *BUILD=build-clang*) build=build-clang ;; test*) build=build ;; asan*) build=build-asan ;; *) exit 0 ;; esac
mkdir -p $build
cd $build
cp ../CTestTestfile.cmake .
ctest --output-on-failure
END
    chmod +x bin/make scripts/install-packages
    # a test of every kind; a C program prints what it leaves out among more than ctest shows of a test that passed
    cat >whole.sh <<'END'
echo "skipped: a sanitizer owns the allocator"
exit 77
END
    cat >part.sh <<'END'
echo "[ RUN      ] test_a"
head -c 100000 /dev/zero | tr '\0' 'x' | fold
echo "skipped: no real clips"
echo "skipped: no real clips"
head -c 100000 /dev/zero | tr '\0' 'x' | fold
END
    # not as lines of their own, which bats would take for tests of this file
    printf '@test "%s" { %s; }\n' goes true cannot 'skip "no strace"' >tests.bats
    cat >CTestTestfile.cmake <<END
add_test(good true)
add_test(whole sh $PWD/whole.sh)
add_test(part sh $PWD/part.sh)
add_test(cli_some bats $PWD/tests.bats)
set_tests_properties(whole PROPERTIES SKIP_RETURN_CODE 77)
END
}

@test "what was skipped is listed and counted before the last lines; exit 0" {
    run -0 env PATH="$PWD/bin:$PATH" .ci/run
    printf '%s\n' "${lines[@]: -11}"
    [ "${lines[-1]}" = "9 passed, 0 failed" ]
    [ "${lines[-2]}" = "steps failed: 0" ]
    [ "${lines[-3]}" = "9 skipped" ]
    for build in build build-clang build-asan; do
        grep -qx "$build: whole: skipped: a sanitizer owns the allocator" <<<"$output"
        grep -qx "$build: part: skipped: no real clips" <<<"$output"
        grep -qx "$build: cli_some: cannot # skip no strace" <<<"$output"
    done
    if grep stale <<<"$output"; then false; fi
}

@test "a test that fails is counted, and so is none skipped" {
    printf 'add_test(good true)\nadd_test(bad false)\n' >CTestTestfile.cmake
    run -1 env PATH="$PWD/bin:$PATH" .ci/run
    [ "${lines[-1]}" = "3 passed, 3 failed" ]
    [ "${lines[-2]}" = "steps failed: 3" ]
    [ "${lines[-3]}" = "0 skipped" ]
}
