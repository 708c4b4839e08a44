# SPDX-License-Identifier: Apache-2.0
knock_fuzzer(role_starts SOURCES role_starts.cc LINK knock_role_spawn knock_role_verifier_start)
