# SPDX-License-Identifier: Apache-2.0
knock_test(policy_format_test SOURCES policy_format_test.cc LINK knock_policy_format)
