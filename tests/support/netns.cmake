# SPDX-License-Identifier: Apache-2.0
include_guard(GLOBAL)
add_library(knock_test_netns STATIC "${CMAKE_SOURCE_DIR}/tests/support/netns.cc")
target_link_libraries(knock_test_netns PUBLIC knock_flags knock_base Threads::Threads)
