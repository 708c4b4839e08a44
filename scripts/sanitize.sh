#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# All tests under a sanitizer:  scripts/sanitize.sh asan|tsan [--quick] [CTEST-ARGUMENT…]
# --quick builds and runs only tests without Boost.Beast inside: one Beast file costs about a minute under ASan and UBSan.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/say.sh
. scripts/build.sh

preset=$1
shift
quick=''
if [ "${1:-}" = --quick ]; then
  quick=1
  shift
fi

export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_stack_use_after_return=1:strict_string_checks=1:abort_on_error=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1:halt_on_error=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1:second_deadlock_stack=1}
# Any symbolizer reads any report; Debian may have it under a versioned name only, and a sanitizer takes no other.
symbolizer=$(command -v llvm-symbolizer-19 || command -v llvm-symbolizer || true)
if [ -n "$symbolizer" ]; then
  symbolizer=$(readlink -f "$symbolizer")
  export ASAN_SYMBOLIZER_PATH=$symbolizer UBSAN_SYMBOLIZER_PATH=$symbolizer
  export TSAN_OPTIONS=$TSAN_OPTIONS:external_symbolizer_path=$symbolizer
fi

if [ -z "$quick" ]; then
  build "$preset"
  exec scripts/test.sh "$preset" "$@"
fi

# The test executables that no Beast file is linked into, by what ninja itself knows of their inputs.
tests_without_beast() {
  local beast name
  beast=$(grep -rlE '#include <boost/(beast|asio)' --include=*.cc --include=*.h . --exclude-dir=build | sed 's|^\./||')
  ctest --preset "$preset" -N | sed -n 's/^ *Test *#[0-9]*: //p' | while read -r name; do
    case $name in fuzz_corpus_*) target=fuzz_${name#fuzz_corpus_} ;; *) target=$name ;; esac
    # A test that is a script has no target of its own; it needs the whole program, so it is not quick.
    inputs=$(ninja -C "build/$preset" -t inputs "$target" 2>/dev/null) || continue
    if [ -n "$beast" ] && grep -qFf <(sed "s|^|$PWD/|" <<<"$beast") <<<"$inputs"; then continue; fi
    echo "$target $name"
  done
}

configure "$preset"
ninja -C "build/$preset" build.ninja >/dev/null # the list of tests must be today's
list=$(tests_without_beast)
[ -n "$list" ] || fatal "no test without Beast was found, which cannot be right"
progress "$(wc -l <<<"$list") test executables without Beast"
# shellcheck disable=SC2046
build "$preset" $(awk '{print $1}' <<<"$list" | sort -u)
exec scripts/test.sh "$preset" -R "^($(awk '{print $2}' <<<"$list" | paste -sd'|'))\$" "$@"
