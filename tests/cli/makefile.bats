#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The front door: what the Makefile's targets start is there.

bats_require_minimum_version 1.5.0

@test "every script that a target runs exists" {
    cd "$SOURCE_DIR"
    targets=$(sed -n 's/^\([a-z0-9-]*\):.*/\1/p' Makefile | sort -u)
    [ "$(wc -l <<<"$targets")" -gt 15 ]
    for target in $targets; do
        run -0 env MAKEFLAGS= make -n MAKE=true "$target"
        # the first word of a command, behind settings of its environment
        programs=$(sed -E 's/^([A-Z_]+=("[^"]*"|[^ ]*) +)*//; s/ .*//' <<<"$output" | grep / | grep -v '^build' || true)
        for program in $programs; do
            [ -x "$program" ] || { echo "make $target: no $program"; false; }
        done
    done
}

# A checkout with the front door alone, and a cmake that notes its arguments in `calls` and makes no build.
stub_checkout() {
    cd "$BATS_TEST_TMPDIR"
    unset MAKEFLAGS MFLAGS MAKELEVEL # of the `make test` that runs this
    cp -r "$SOURCE_DIR/Makefile" "$SOURCE_DIR/scripts" .
    printf '#!/bin/sh\n' >scripts/install-packages
    mkdir bin
    cat >bin/cmake <<'END'
#!/bin/sh
echo "$*" >>calls
[ ! -e broken ] || exit 1
while [ $# -gt 0 ] && [ "$1" != -B ]; do shift; done
[ $# -eq 0 ] || { mkdir -p "$2" && touch "$2/CTestTestfile.cmake"; }
END
    chmod +x bin/cmake
    PATH=$PWD/bin:$PATH
}

# calls ARGS...: what cmake was called with for `make configure ARGS`.
calls() {
    : >calls
    make -s configure "$@" 2>err || return
    cat calls
}

@test "configure: other arguments hold in a build folder that is there, and stay until others are given" {
    stub_checkout
    [ "$(calls)" = "--fresh --preset release -B build" ]
    [ -z "$(calls)" ]
    [ "$(calls CMAKE_ARGS="-DA=1 -DB='x y'")" = "--fresh --preset release -B build -DA=1 -DB=x y" ]
    [ "$(cat err)" = "configure: build: configured anew: preset release, -DA=1 -DB=x y" ]
    [ -z "$(calls CMAKE_ARGS="-DA=1 -DB='x y'")" ]
    [ -z "$(calls)" ]
    [ "$(calls CMAKE_ARGS=)" = "--fresh --preset release -B build" ]
    # Configured by hand: left alone, unless something is asked for.
    rm build/.configured
    [ -z "$(calls)" ]
    [ "$(calls CMAKE_ARGS=-DA=1)" = "--fresh --preset release -B build -DA=1" ]
    # A failure is tried again.
    touch broken
    run ! calls CMAKE_ARGS=-DA=2
    rm broken
    [ "$(calls)" = "--fresh --preset release -B build" ]
}

@test "configure: another preset has a folder of its own, and is refused in one that is of another" {
    stub_checkout
    [ "$(calls)" = "--fresh --preset release -B build" ]
    [ "$(calls CMAKE_PRESET=asan)" = "--fresh --preset asan -B build-asan" ]
    [ -z "$(calls CMAKE_PRESET=asan)" ]
    [ -z "$(calls BUILD=build-asan)" ]
    run -2 --separate-stderr make -s configure CMAKE_PRESET=asan BUILD=build
    echo "$stderr"
    [ "${stderr_lines[0]}" = "configure: build is of the preset release, not asan: give BUILD=build-asan, or remove build" ]
    for target in asan tsan coverage fuzz; do
        run make -n MAKE="make -n" "$target"
        [[ "$output" == *"scripts/configure \"build-$target\" --preset $target"* ]]
    done
}

# A machine of its own under bin/: dpkg-query knows what `installed` lists as "STATUS PACKAGE", apt-get and sudo do what
# the scripts say and note their words in `calls`. UID_IS: who calls.
stub_machine() {
    cd "$BATS_TEST_TMPDIR"
    mkdir -p bin scripts
    cp "$SOURCE_DIR/scripts/install-packages" scripts
    printf 'one # for this\ntwo\n' >scripts/packages.txt
    printf '#!/bin/sh\nfor last; do :; done\nsed -n "s/ $last\\$/ /p" installed\n' >bin/dpkg-query
    printf '#!/bin/sh\necho "$DEBIAN_FRONTEND apt-get $*" >>calls\n[ ! -e offline ]\n' >bin/apt-get
    printf '#!/bin/sh\necho "sudo $*" >>calls\n[ ! -e no-rights ] || exit 1\nexec env -u DEBIAN_FRONTEND "$@"\n' >bin/sudo
    printf '#!/bin/sh\necho "$UID_IS"\n' >bin/id
    chmod +x bin/*
    : >calls
    export UID_IS=1000
    PATH=$PWD/bin:$PATH
}

@test "install-packages: held packages are there, others come through sudo without questions" {
    stub_machine
    printf 'hi one\nii two\nrc three\n' >installed
    run -0 scripts/install-packages
    [ -z "$output" ]
    [ ! -s calls ]
    run -0 scripts/install-packages three
    [ "$output" = "installing: three" ]
    grep -x 'noninteractive apt-get -q install -y --no-install-recommends three' calls
}

@test "install-packages: without rights or a network it says what to install, and why it could not" {
    stub_machine
    printf 'ii two\n' >installed
    touch no-rights
    run -1 scripts/install-packages three
    [ "${lines[0]}" = "install-packages: missing packages, and sudo gives no rights to install them. Ask for:" ]
    [ "${lines[1]}" = "    apt-get install one three" ]
    ! grep apt-get calls
    rm no-rights
    touch offline
    for UID_IS in 0 1000; do
        run -1 scripts/install-packages three
        echo "$output"
        [[ "$output" == *"apt-get could not install the missing packages (no network, "*"Ask for:"* ]]
        [ "${lines[-1]}" = "    apt-get install one three" ]
    done
}
