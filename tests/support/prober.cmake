# SPDX-License-Identifier: Apache-2.0
# knock-prober, the stranger outside: a part of the tests, not of what is shipped.
set(support "${CMAKE_SOURCE_DIR}/tests/support")
add_executable(knock-prober "${support}/prober.cc" "${support}/probe_relay.cc" "${support}/probe_socket.cc")
target_link_libraries(knock-prober PRIVATE knock_base Threads::Threads)
