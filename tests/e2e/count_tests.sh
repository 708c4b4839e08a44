#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Does scripts/count-tests.sh count what it should, and does it fail when it must?
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/cases"

cat >"$folder/cases/a_test.xml" <<'XML'
<testsuites tests="4">
    <testcase name="Good" classname="A" status="run" result="completed" />
    <testcase name="Off" classname="A" status="notrun" result="suppressed" />
    <testcase name="Needs" classname="A" status="run" result="skipped">
      <skipped message="/src/a_test.cc:12&#x0A;needs oidc: there is no &quot;node&quot;&#x0A;" />
    </testcase>
XML
cat >"$folder/ctest.xml" <<'XML'
	<testcase name="a_test" classname="a_test" time="0.1" status="run">
	<testcase name="script" classname="script" time="0.1" status="run">
XML
printf '# why\nneeds oidc  no Node.js\nB.*  any of B\n' >"$folder/expected"

# expect CODE LAST-LINE
expect() {
  local out code=0
  out=$("$root/scripts/count-tests.sh" "$folder" "$folder/expected") || code=$?
  if [ "$code" != "$1" ] || [ "$(tail -n 1 <<<"$out")" != "$2" ]; then
    printf 'expected exit %s and "%s", seen exit %s and:\n%s\n' "$1" "$2" "$code" "$out" >&2
    exit 1
  fi
}

expect 0 '2 run, 1 skipped of which 1 expected'

cat >"$folder/cases/b_test.xml" <<'XML'
    <testcase name="One" classname="B" status="run" result="skipped">
      <skipped message="golden files rewritten" />
    </testcase>
XML
expect 0 '2 run, 2 skipped of which 2 expected'

sed -i 's/classname="B"/classname="C"/' "$folder/cases/b_test.xml"
expect 1 '2 run, 2 skipped of which 1 expected'

cat >"$folder/cases/b_test.xml" <<'XML'
    <testcase name="One" classname="B" status="run" result="completed">
      <failure message="x &lt; y" type="">text</failure>
    </testcase>
XML
expect 1 '3 run, 1 skipped of which 1 expected'

# An executable that died leaves no report: ctest's word counts.
rm "$folder/cases/b_test.xml"
echo '	<testcase name="b_test" classname="b_test" time="0.1" status="fail">' >>"$folder/ctest.xml"
expect 1 '3 run, 1 skipped of which 1 expected'

# A script that skips says why, and is judged like any other case.
rm "$folder/cases/a_test.xml"
cat >"$folder/ctest.xml" <<'XML'
	<testcase name="demo" classname="demo" time="0.1" status="notrun">
		<skipped message="SKIP_RETURN_CODE=77"/>
		<system-out>needs oidc: there is none
</system-out>
	</testcase>
XML
expect 0 '0 run, 1 skipped of which 1 expected'
sed -i 's/needs oidc/needs moon/' "$folder/ctest.xml"
expect 1 '0 run, 1 skipped of which 0 expected'
