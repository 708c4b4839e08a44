# SPDX-License-Identifier: Apache-2.0
knock_fuzzer(http_form SOURCES http_form.cc LINK knock_http_values)
