#!/usr/bin/env bats
# What release builds carry against memory errors of ours, seen in the programs themselves.

setup() {
    cache="$BIN/../CMakeCache.txt"
    grep -q '^CMAKE_BUILD_TYPE:STRING=Release$' "$cache" || skip "not a release build"
    ! grep -q '^SYNIB_SANITIZE:STRING=..*' "$cache" || skip "a build with sanitizers"
    command -v readelf || skip "no readelf"
}

each() {
    for program in "$BIN"/synib-*; do
        echo "$program"
        "$@" "$program"
    done
}

is_pie() {
    readelf -hW "$1" | grep 'Type: *DYN'
    readelf -dW "$1" | grep 'FLAGS_1.*PIE'
}

is_bound_at_start() {
    readelf -dW "$1" | grep 'FLAGS_1.*NOW'
    readelf -lW "$1" | grep 'GNU_RELRO'
}

has_no_executable_data() {
    readelf -lW "$1" | grep 'GNU_STACK.* RW '
    ! readelf -lW "$1" | grep 'LOAD.*RWE'
}

is_fortified() {
    readelf --dyn-syms -W "$1" | grep '__stack_chk_fail'
    readelf --dyn-syms -W "$1" | grep '__[a-z]*printf_chk'
}

has_no_search_path() {
    ! readelf -dW "$1" | grep -E 'RPATH|RUNPATH'
}

@test "libraries are looked for in the system's folders only" {
    each has_no_search_path
}

@test "programs can be loaded anywhere (PIE)" {
    each is_pie
}

@test "all symbols are bound at the start, then read-only (relro, now)" {
    each is_bound_at_start
}

@test "neither stack nor data can be executed" {
    each has_no_executable_data
}

@test "stack protector and checked C library calls are in" {
    each is_fortified
}

@test "the compiler was told: stack clash and control-flow protection, level 2 or 3 of fortify" {
    commands="$BIN/../compile_commands.json"
    for flag in -fstack-protector-strong '-D_FORTIFY_SOURCE=[23]' -Wformat-security; do
        grep -q -e "$flag" "$commands"
    done
    [ "$(uname -m)" = x86_64 ] || skip "flags of x86-64"
    grep -q -e -fstack-clash-protection "$commands"
    grep -q -e -fcf-protection "$commands"
    objdump -d --no-show-raw-insn "$BIN/synib-scan" | grep -q endbr64
}
