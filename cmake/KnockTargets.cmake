# SPDX-License-Identifier: Apache-2.0
# Warnings, sanitizers, and the three kinds of target this tree has: a library per folder, tests, fuzz targets.

add_library(knock_flags INTERFACE)
target_include_directories(knock_flags INTERFACE "${CMAKE_SOURCE_DIR}")
target_compile_options(knock_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
                       -Wno-missing-field-initializers)
target_compile_definitions(knock_flags INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
  KNOCK_VERSION="${PROJECT_VERSION}")
if(KNOCK_WERROR)
  target_compile_options(knock_flags INTERFACE -Werror)
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_options(knock_flags INTERFACE -O1 -g1 -fno-omit-frame-pointer)
endif()
# What faces the network is built with the usual exploit mitigations.
target_compile_options(knock_flags INTERFACE -fstack-protector-strong -fPIE)
target_link_options(knock_flags INTERFACE -pie -Wl,-z,relro,-z,now)
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT KNOCK_SANITIZE)
  target_compile_options(knock_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
if(KNOCK_SANITIZE)
  target_compile_options(knock_flags INTERFACE -fsanitize=${KNOCK_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(knock_flags INTERFACE -fsanitize=${KNOCK_SANITIZE})
  target_compile_definitions(knock_flags INTERFACE KNOCK_SANITIZED)
endif()
if(KNOCK_FUZZ)
  target_compile_options(knock_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

find_program(KNOCK_CCACHE ccache)
if(KNOCK_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER "${KNOCK_CCACHE}")
  set(CMAKE_C_COMPILER_LAUNCHER "${KNOCK_CCACHE}")
endif()
find_program(KNOCK_LLD ld.lld-19)
if(KNOCK_LLD AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_link_options(knock_flags INTERFACE -fuse-ld=lld)
endif()

# knock_library(NAME SOURCES a.cc b.cc LINK knock_base SQLite::SQLite3)
# LINK is public for knock_* libraries (their headers are included) and private for everything else.
function(knock_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC knock_flags)
  foreach(lib IN LISTS arg_LINK)
    if(lib MATCHES "^knock_")
      target_link_libraries(${name} PUBLIC ${lib})
    else()
      target_link_libraries(${name} PRIVATE ${lib})
    endif()
  endforeach()
endfunction()

# knock_failpoints(TARGET…): these libraries have places of base/failpoint.h in their sources. A definition for them alone,
# so that nothing else is compiled anew when the option changes.
function(knock_failpoints)
  if(KNOCK_FAILPOINTS)
    foreach(target IN LISTS ARGN)
      target_compile_definitions(${target} PRIVATE KNOCK_FAILPOINTS)
    endforeach()
  endif()
endfunction()

# knock_test(NAME SOURCES a_test.cc LINK knock_base [LABELS netns] [TIMEOUT 60])
# One GoogleTest executable; ctest runs it as one test. Its own `main` (tests/support/main.cc) makes KNOCK_REQUIRE work.
function(knock_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LINK;LABELS" ${ARGN})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_LINK} knock_test_support)
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS "${arg_LABELS}"
    ENVIRONMENT "KNOCK_SOURCE_DIR=${CMAKE_SOURCE_DIR};KNOCK_BINARY_DIR=${CMAKE_BINARY_DIR}")
endfunction()

# knock_fuzzer(NAME SOURCES x_fuzz.cc LINK knock_schemas): corpus in tests/fuzz/corpus/NAME. In ordinary builds the
# same file is linked with a small driver that replays the corpus, so a crash once found stays found.
function(knock_fuzzer name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINK" ${ARGN})
  if(KNOCK_FUZZ)
    add_executable(fuzz_${name} ${arg_SOURCES})
    target_link_libraries(fuzz_${name} PRIVATE ${arg_LINK})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(fuzz_${name} ${arg_SOURCES} "${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.cc")
    target_link_libraries(fuzz_${name} PRIVATE ${arg_LINK})
    add_test(NAME fuzz_corpus_${name}
             COMMAND fuzz_${name} "${CMAKE_SOURCE_DIR}/tests/fuzz/corpus/${name}")
    set_tests_properties(fuzz_corpus_${name} PROPERTIES TIMEOUT 60 LABELS fuzz)
  endif()
endfunction()
