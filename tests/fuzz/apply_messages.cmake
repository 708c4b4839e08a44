# SPDX-License-Identifier: Apache-2.0
knock_fuzzer(apply_messages SOURCES apply_messages.cc LINK knock_role_apply)
