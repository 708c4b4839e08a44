#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a preset's tests and counts single cases: ctest knows one test per executable, GoogleTest's own reports know the
# cases inside. Fails when a test fails, and when a case was skipped that tests/expected-skips.txt does not know.
#   scripts/test.sh PRESET [CTEST-ARGUMENT…]
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/say.sh

preset=$1
shift
reports=$PWD/build/$preset/reports
rm -rf "$reports"
mkdir -p "$reports/cases"

progress "testing ($preset)"
status=0
GTEST_OUTPUT="xml:$reports/cases/" ctest --preset "$preset" --parallel "${KNOCK_TEST_JOBS:-2}" \
  --output-junit "$reports/ctest.xml" --no-tests=error "$@" || status=$?

scripts/count-tests.sh "$reports" tests/expected-skips.txt || status=1
exit "$status"
