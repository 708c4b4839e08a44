# SPDX-License-Identifier: Apache-2.0
knock_fuzzer(policy SOURCES policy_fuzz.cc LINK knock_config knock_policy)
