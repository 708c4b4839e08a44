#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Counts the cases of a test run from its reports:  scripts/count-tests.sh REPORTS EXPECTED-SKIPS
#
# REPORTS/cases/*.xml are GoogleTest's (one per executable, one <testcase> per line); REPORTS/ctest.xml is ctest's. A ctest
# test without a GoogleTest report (a script, a fuzz corpus) counts as one case. Prints
#   "N passed, N failed, N skipped"  and  "N run, M skipped of which K expected";  fails on a skip nobody expected.
set -euo pipefail
reports=$1 expected=$2
here=$(dirname "$(readlink -f "$0")")
. "$here/say.sh"

cases() {
  cat "$reports"/cases/*.xml 2>/dev/null || true # none: ctest ran no GoogleTest executable
}

# One line per case: passed|failed|skipped TAB Suite.Case TAB message
gtest_cases=$(cases | awk '
  function attribute(name,   text) {
    if (!match($0, "[ ]" name "=\"[^\"]*\"")) return ""
    text = substr($0, RSTART, RLENGTH)
    sub("^[ ]" name "=\"", "", text); sub("\"$", "", text)
    gsub("&quot;", "\"", text); gsub("&lt;", "<", text); gsub("&gt;", ">", text); gsub("&#x0A;", " ", text)
    gsub("&apos;", "\047", text); gsub("&amp;", "\\&", text)
    return text
  }
  function finish() {
    if (name == "") return
    printf "%s\t%s\t%s\n", state, name, message
    name = ""
  }
  /<testcase / {
    finish()
    name = attribute("classname") "." attribute("name")
    state = attribute("status") == "run" ? "passed" : "disabled"; message = ""
    if (attribute("result") == "skipped") state = "skipped"
    if ($0 ~ /\/>[ ]*$/) finish()
  }
  /<failure / { if (name != "") state = "failed" }
  /<skipped / { if (name != "") { state = "skipped"; message = attribute("message"); sub(/^[^ ]*:[0-9]+ /, "", message) } }
  /<\/testcase>/ { finish() }
')

# ctest.xml: <testcase name="x" … status="run|fail|notrun|disabled">, its output in <system-out>. Executables with a report
# of their own are already counted, unless they died before the report was complete: those show as failed here only. A
# script that skips says why as GoogleTest cases do: "needs netns: …".
other_cases=$(awk -v reported="$(cd "$reports/cases" && ls 2>/dev/null)" '
  function finish() {
    if (name != "" && !(name in known)) printf "%s\t%s\t%s\n", state, name, message
    name = ""
  }
  BEGIN { n = split(reported, files, "\n"); for (i = 1; i <= n; i++) { sub(/(_[0-9]+)?\.xml$/, "", files[i]); known[files[i]] = 1 } }
  /<testcase / {
    finish()
    match($0, / name="[^"]*"/); name = substr($0, RSTART + 7, RLENGTH - 8)
    match($0, / status="[^"]*"/); state = substr($0, RSTART + 9, RLENGTH - 10)
    state = state == "run" ? "passed" : state == "fail" ? "failed" : "skipped"
    message = state == "skipped" ? "not run" : ""
  }
  state == "skipped" && match($0, /needs [a-z]+: .*/) { message = substr($0, RSTART) }
  END { finish() }' "$reports/ctest.xml")

all=$(printf '%s\n%s\n' "$gtest_cases" "$other_cases" | grep -v '^$' | grep -v '^disabled' || true)
count() { grep -c "^$1"$'\t' <<<"$all" || true; }
passed=$(count passed) failed=$(count failed) skipped=$(count skipped)

# A row of the file: a case ("Suite.Case", shell wildcards allowed) or "needs NAME", then two spaces or more and the reason.
# "needs netns" is expected only where this machine really refuses namespaces: elsewhere such a skip hides a fault.
known_skip() {
  local name=$1 message=$2 pattern
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in '' | '#'*) continue ;; esac
    pattern=${line%%  *}
    # shellcheck disable=SC2254  # wildcards are meant
    case $pattern in
      'needs netns') if [[ $message == 'needs netns:'* ]] && ! namespaces_allowed; then return 0; fi ;;
      'needs '*) if [[ $message == "$pattern:"* ]]; then return 0; fi ;;
      *) case $name in $pattern) return 0 ;; esac ;;
    esac
  done <"$expected"
  return 1
}

known=0
unexpected=''
while IFS=$'\t' read -r state name message; do
  [ "$state" = skipped ] || continue
  if known_skip "$name" "$message"; then
    known=$((known + 1))
  else
    unexpected+="  $name: $message"$'\n'
  fi
done <<<"$all"

if [ -n "$unexpected" ]; then
  printf '\nSkipped, but not expected to be (tests/expected-skips.txt):\n%s' "$unexpected"
fi
if [ "$failed" -gt 0 ]; then
  printf '\nFailed:\n'
  awk -F '\t' '$1 == "failed" {print "  " $2}' <<<"$all"
fi
printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
printf '%d run, %d skipped of which %d expected\n' $((passed + failed)) "$skipped" "$known"
[ -z "$unexpected" ] && [ "$failed" -eq 0 ]
