# SPDX-License-Identifier: Apache-2.0
knock_fuzzer(role_messages SOURCES role_messages.cc LINK knock_role_front knock_role_apply)
