# SPDX-License-Identifier: Apache-2.0
# `knock` as it is, with one file more: that one may be stopped at named places. Never installed.
include_guard(GLOBAL)
add_executable(knock-with-failpoints $<TARGET_OBJECTS:knock> "${CMAKE_SOURCE_DIR}/tests/support/failpoint_arming.cc")
target_link_libraries(knock-with-failpoints PRIVATE "$<TARGET_PROPERTY:knock,LINK_LIBRARIES>")
set_target_properties(knock-with-failpoints PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/tests")
add_library(knock_test_failpoints STATIC "${CMAKE_SOURCE_DIR}/tests/support/failpoints.cc")
target_link_libraries(knock_test_failpoints PUBLIC knock_test_support knock_test_netns)
add_dependencies(knock_test_failpoints knock-with-failpoints)
