# What release builds do against memory errors of ours (docs/security.md). Level 3 of
# _FORTIFY_SOURCE needs a compiler that knows the size of what malloc gave.
include(CheckCCompilerFlag)
include(CheckCSourceCompiles)
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

set(CMAKE_REQUIRED_FLAGS "-O2 -D_FORTIFY_SOURCE=3 -Werror")
check_c_source_compiles("#include <string.h>
    int main(void) { char b[4]; memset(b, 0, sizeof b); return b[0]; }" HAVE_FORTIFY_3)
unset(CMAKE_REQUIRED_FLAGS)
set(hardening -fstack-protector-strong -U_FORTIFY_SOURCE
    -D_FORTIFY_SOURCE=$<IF:$<BOOL:${HAVE_FORTIFY_3}>,3,2>)
foreach(flag -fstack-clash-protection -fcf-protection)
    string(MAKE_C_IDENTIFIER "HAVE${flag}" have)
    check_c_compiler_flag(${flag} ${have})
    if(${have})
        list(APPEND hardening ${flag})
    endif()
endforeach()
foreach(flag ${hardening})
    add_compile_options($<$<CONFIG:Release>:${flag}>)
endforeach()
add_compile_options(-Wformat -Wformat-security)
add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack)

# No search path for libraries in the programs: CMake ends the one that it makes for clang's libomp with a colon, and
# the loader takes the empty name behind it for the current folder, which may be anybody's.
set(CMAKE_SKIP_RPATH ON)
