# SPDX-License-Identifier: Apache-2.0
# knock-prober, the stranger outside: a part of the tests, not of what is shipped.
add_executable(knock-prober "${CMAKE_SOURCE_DIR}/tests/support/prober.cc")
target_link_libraries(knock-prober PRIVATE knock_base)
