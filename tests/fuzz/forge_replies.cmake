# SPDX-License-Identifier: Apache-2.0
knock_fuzzer(forge_replies SOURCES forge_replies.cc LINK knock_forge_words)
