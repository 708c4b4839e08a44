#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What review should not have to say: format, then clang-tidy over every file of the release build.
#   scripts/lint.sh [--format]
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/say.sh
. scripts/build.sh

sources() { find agents base bench cli net providers proxy reconciler schemas server sso store tests \
  \( -name '*.cc' -o -name '*.h' \) -print0; }

status=0
progress "shell scripts"
for script in dev .ci/run scripts/*.sh scripts/demo/*.sh tests/e2e/*.sh; do
  bash -n "$script" || status=1
done

# A library that nobody links is a package that everybody installs for nothing.
progress "libraries"
while read -r command library; do
  case $command in
    pkg_check_modules) linked="PkgConfig::$library" ;; # our own name, so exactly this
    *) linked="(::|[^a-z])${library//-/.*}" ;;         # tl-expected is tl::expected, CURL is CURL::libcurl
  esac
  grep -rqiE --include=CMakeLists.txt --include='*.cmake' --exclude-dir=build --exclude=KnockDependencies.cmake \
    "$linked\\b" . || {
    complain "cmake/KnockDependencies.cmake asks for $library, and nothing links it"
    status=1
  }
done < <(sed -nE 's/^(find_package|find_library|pkg_check_modules)\(([A-Za-z0-9_-]+).*/\1 \2/p' cmake/KnockDependencies.cmake |
  grep -v ' PkgConfig$')

progress "clang-format"
sources | xargs -0 -n 50 clang-format-19 --dry-run -Werror || status=1
if [ "${1:-}" = --format ]; then
  [ "$status" = 0 ] || complain "to format: clang-format-19 -i FILE"
  exit "$status"
fi

configure release
progress "clang-tidy, $(jobs_here) at a time"
cmake --build --preset release --target help >/dev/null # brings compile_commands.json up to date
# The compilation database is our own file and holds one "file" line per source.
sed -n 's/^ *"file": "\(.*\)",\{0,1\}$/\1/p' build/release/compile_commands.json | sort -u | tr '\n' '\0' |
  xargs -0 -n 1 -P "$(jobs_here)" clang-tidy-19 -p build/release --quiet --warnings-as-errors='*' 2>/dev/null || status=1
[ "$status" = 0 ] && progress "nothing to complain about"
exit "$status"
