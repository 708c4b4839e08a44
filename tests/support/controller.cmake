# SPDX-License-Identifier: Apache-2.0
# `knock serve` as a whole, for end-to-end tests. Safe to include more than once.
include_guard(GLOBAL)
include("${CMAKE_SOURCE_DIR}/tests/support/netns.cmake")
add_library(knock_test_controller STATIC "${CMAKE_SOURCE_DIR}/tests/support/controller.cc")
include("${CMAKE_SOURCE_DIR}/tests/support/failpoints.cmake")
target_link_libraries(knock_test_controller PUBLIC knock_test_support knock_test_netns knock_test_failpoints
                      PRIVATE knock_child_process Boost::json fmt::fmt)
# The tests run the executable.
add_dependencies(knock_test_controller knock)
