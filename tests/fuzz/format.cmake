# SPDX-License-Identifier: Apache-2.0
knock_fuzzer(format SOURCES format.cc LINK knock_policy_format)
