#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every fuzz target for so many seconds each:  scripts/fuzz.sh [SECONDS] [NAME…]
# Starts from tests/fuzz/corpus/NAME; what is found on the way stays in build/fuzz/corpus, what crashes in build/fuzz/crashes.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/say.sh
. scripts/build.sh

seconds=60
if [[ ${1:-} =~ ^[0-9]+$ ]]; then
  seconds=$1
  shift
fi

configure fuzz
ninja -C build/fuzz build.ninja >/dev/null
targets=$(ninja -C build/fuzz -t targets all | sed -n 's|^\([^ /]*/\)*\(fuzz_[a-z0-9_]*\): CXX_EXECUTABLE_LINKER.*|\2|p' | sort -u)
if [ $# -gt 0 ]; then targets=$(printf 'fuzz_%s\n' "$@"); fi
[ -n "$targets" ] || fatal "there are no fuzz targets (tests/fuzz/*.cmake)"
# shellcheck disable=SC2086
build fuzz $targets

status=0
for target in $targets; do
  name=${target#fuzz_}
  corpus=build/fuzz/corpus/$name
  crashes=build/fuzz/crashes/$name
  mkdir -p "$corpus" "$crashes"
  program=$(find build/fuzz/tests -name "$target" -type f -perm -u+x | head -n 1)
  progress "$target for $seconds s"
  seeds=()
  if [ -d "tests/fuzz/corpus/$name" ]; then seeds=("tests/fuzz/corpus/$name"); fi
  # libFuzzer ends by itself; `timeout` is for an input that keeps it from looking at the clock.
  if timeout -s KILL $((seconds + 60)) "$program" -max_total_time="$seconds" -rss_limit_mb=600 -timeout=3 -max_len=65536 \
    -artifact_prefix="$crashes/" -print_final_stats=1 "$corpus" "${seeds[@]}" >"build/fuzz/$name.log" 2>&1; then
    printf '%-24s clean, %s inputs\n' "$name" "$(sed -n 's/^stat::number_of_executed_units: *//p' "build/fuzz/$name.log")"
  else
    status=1
    printf '%-24s FAILED, see build/fuzz/%s.log and %s\n' "$name" "$name" "$crashes"
    tail -n 30 "build/fuzz/$name.log"
  fi
done
exit "$status"
