# SPDX-License-Identifier: Apache-2.0
knock_test(format_properties SOURCES format_properties.cc LINK knock_policy_format fmt::fmt "${RAPIDCHECK_LIBRARY}"
           TIMEOUT 600 LABELS property)
set_property(TEST format_properties APPEND PROPERTY ENVIRONMENT "RC_PARAMS=max_success=${cases} seed=20261121")
