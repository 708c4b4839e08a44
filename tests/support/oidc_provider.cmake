# SPDX-License-Identifier: Apache-2.0
# The OpenID provider of tests/support/identity, for tests that want a real one. Safe to include more than once.
include_guard(GLOBAL)
add_library(knock_test_oidc_provider STATIC "${CMAKE_SOURCE_DIR}/tests/support/oidc_provider.cc")
target_link_libraries(knock_test_oidc_provider PUBLIC knock_test_support PRIVATE knock_http_client knock_child_process)
