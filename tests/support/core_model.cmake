# SPDX-License-Identifier: Apache-2.0
# A target as a value and random worlds around it, for properties and golden scenarios.
include_guard(GLOBAL)
add_library(knock_test_model STATIC "${CMAKE_SOURCE_DIR}/simulation/model_target.cc"
            "${CMAKE_SOURCE_DIR}/tests/support/generators.cc"
            "${CMAKE_SOURCE_DIR}/tests/support/generated_conditions.cc")
target_link_libraries(knock_test_model PUBLIC knock_test_support knock_core PRIVATE "${RAPIDCHECK_LIBRARY}")
