# SPDX-License-Identifier: Apache-2.0
knock_fuzzer(forwarded SOURCES forwarded.cc LINK knock_forwarded)
