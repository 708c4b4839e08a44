# SPDX-License-Identifier: Apache-2.0
knock_fuzzer(saved_plan SOURCES saved_plan.cc LINK knock_plan)
