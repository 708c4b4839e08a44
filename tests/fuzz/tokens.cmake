# SPDX-License-Identifier: Apache-2.0
knock_fuzzer(tokens SOURCES tokens.cc LINK knock_oidc)
