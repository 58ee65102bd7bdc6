# synib_library(NAME [FOLDER...]): a static library of every .c file in this folder and in the named
# sub-folders, except programs (*_main.c). Includes are written from the root.
function(synib_library name)
    set(patterns *.c)
    foreach(folder ${ARGN})
        list(APPEND patterns ${folder}/*.c)
    endforeach()
    file(GLOB sources CONFIGURE_DEPENDS ${patterns})
    list(FILTER sources EXCLUDE REGEX "_main\\.c$")
    add_library(${name} STATIC ${sources})
    target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
endfunction()

# synib_programs(LIBRARY): build/bin/synib-X for every X_main.c in this folder.
function(synib_programs library)
    file(GLOB mains CONFIGURE_DEPENDS *_main.c)
    foreach(main ${mains})
        get_filename_component(name ${main} NAME_WE)
        string(REGEX REPLACE "_main$" "" name ${name})
        add_executable(synib-${name} ${main})
        target_link_libraries(synib-${name} PRIVATE ${library})
        install(TARGETS synib-${name} RUNTIME DESTINATION bin)
        if(HELP2MAN)
            install(CODE "execute_process(COMMAND ${HELP2MAN} --no-info --section 1
                --output \$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/share/man/man1/synib-${name}.1
                ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/synib-${name} COMMAND_ERROR_IS_FATAL ANY)")
        endif()
    endforeach()
endfunction()
