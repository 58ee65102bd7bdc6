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
