#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Does every check earn its place? In a copy of the tree each patch of tests/mutation deletes one check, its test program is
# built and run, and exactly the rows that the patch names must fail: fewer means that nobody would miss the check, more
# means that the check hides others. delete-checks.sh [REVISION] [NAME…]; tests/mutation/README.md has the format.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/say.sh
export LC_ALL=C

revision=${1:-HEAD}
[ $# -eq 0 ] || shift
started=$SECONDS

work=$(mktemp -d "${TMPDIR:-/tmp}/knock-checks-XXXXXX")
trap 'rm -rf "$work"' EXIT
tree=$work/tree built=$work/built
mkdir "$tree"
git archive "$revision" | tar -x -C "$tree" || fatal "there is no revision $revision here to copy"
export KNOCK_SOURCE_DIR=$tree KNOCK_BINARY_DIR=$built
# The copy has another name each time; without these two the compiler cache would never know it again.
export CCACHE_BASEDIR=$work CCACHE_NOHASHDIR=1

# field PATCH NAME: the values of that field, one a line.
field() { sed -n -e '/^--- /q' -e "s/^$2: //p" "$1"; }

# file PATCH: the file it changes.
file() { sed -n 's,^+++ b/,,p' "$1"; }

# failures LOG: what failed, one a line: the row (the test's trace) or, where there is none, the test.
failures() {
  awk '
    function flush() { if (open) print (row != "" ? row : test); open = 0; row = ""; traced = 0 }
    /^\[ RUN      \] / { test = substr($0, 14) }
    /: Failure$/ { flush(); open = 1 }
    /^Google Test trace:$/ { traced = 1; next }
    traced && row == "" && match($0, /^[^:]+:[0-9]+: /) { row = substr($0, RLENGTH + 1) }
    /^\[  FAILED  \] / || /^\[       OK \] / { flush() }
    END { flush() }
  ' "$1" | sort -u
}

# run TEST LOG: 0 passed, 1 some row failed, 2 anything else, for example a crash.
run() {
  local status=0
  timeout 120 "$(find "$built/tests" -type f -name "$1" -perm -u+x)" >"$2" 2>&1 || status=$?
  [ "$status" -le 1 ] || return 2
  return "$status"
}

build() { ninja -C "$built" -j "${KNOCK_JOBS:-$(jobs_here)}" "$@" >"$work/build.log" 2>&1; }

deleted() { awk '/^\+\+\+ /{ on = 1; next } on && /^-/ { n++ } END { print n + 0 }' "$1"; }
deleted_text() { awk '/^\+\+\+ /{ on = 1; next } on && /^-/ { print "      - " substr($0, 2) }' "$1"; }

# judge PATCH: one line of the table on stdout, details of a difference below it.
judge() {
  local patch=$1 name test verdict='exactly these' count
  name=$(basename "$patch" .patch)
  test=$(field "$patch" test)
  field "$patch" fails | sort -u >"$work/want"
  : >"$work/got"
  if ! (cd "$tree" && git apply --recount "$OLDPWD/$patch") 2>"$work/build.log"; then
    verdict='NO LONGER APPLIES'
  elif ! build "$test"; then
    verdict='DOES NOT BUILD'
  else
    local status=0
    run "$test" "$work/log" || status=$?
    failures "$work/log" >"$work/got"
    if [ "$status" = 2 ]; then
      verdict='CRASHED'
      cp "$work/log" "$work/build.log"
    elif ! [ -s "$work/want" ]; then
      verdict='NAMES NO ROW'
    elif ! cmp -s "$work/want" "$work/got"; then
      verdict='DIFFERENT'
    fi
  fi
  cp "$work/original" "$tree/$(file "$patch")" # with a new time, or ninja would keep what it built
  count=$(wc -l <"$work/got")
  printf '%-34s %7s %6s  %s\n' "$name" "$(deleted "$patch")" "$count" "$verdict"
  printf '    %s, %s\n' "$(file "$patch")" "$test"
  deleted_text "$patch"
  sed 's/^/      failed: /' "$work/got"
  [ "$verdict" = 'exactly these' ] && return 0
  comm -23 "$work/want" "$work/got" | sed 's/^/      SHOULD HAVE FAILED: /'
  comm -13 "$work/want" "$work/got" | sed 's/^/      SHOULD HAVE PASSED: /'
  case $verdict in *APPLIES | *BUILD | CRASHED) tail -n 20 "$work/build.log" | sed 's/^/      | /' ;; esac
  return 1
}

patches=()
if [ $# -eq 0 ]; then
  patches=(tests/mutation/*.patch)
else
  for name in "$@"; do patches+=("tests/mutation/$name.patch"); done
fi
[ -f "${patches[0]}" ] || fatal "${patches[0]} is not there"
mapfile -t tests < <(for patch in "${patches[@]}"; do field "$patch" test; done | sort -u)

progress "a copy of $(git rev-parse --short "$revision"), with every check"
# Neither optimised nor with debugging information: only the answers matter.
cmake -S "$tree" -B "$built" -G Ninja -DCMAKE_CXX_COMPILER=clang++-19 -DCMAKE_C_COMPILER=clang-19 \
  -DCMAKE_BUILD_TYPE=None >"$work/build.log" 2>&1 || { cat "$work/build.log" >&2 && fatal "CMake could not configure the copy"; }
build "${tests[@]}" || { tail -n 40 "$work/build.log" >&2 && fatal "the copy does not build"; }
for test in "${tests[@]}"; do
  run "$test" "$work/log" || { tail -n 40 "$work/log" >&2 && fatal "$test fails although nothing was deleted"; }
done

progress "${#patches[@]} checks, one deleted at a time"
printf '%-34s %7s %6s  %s\n' 'check' 'lines' 'rows' 'failed'
wrong=0
for patch in "${patches[@]}"; do
  cp "$tree/$(file "$patch")" "$work/original"
  judge "$patch" || wrong=$((wrong + 1))
done
printf '\n%d checks deleted, %d as expected, %d not; %d s\n' \
  "${#patches[@]}" $((${#patches[@]} - wrong)) "$wrong" $((SECONDS - started))
[ "$wrong" = 0 ]
