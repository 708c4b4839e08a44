#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Documents that walk through the code must not walk past it: every function, type and file that they name in backticks is
# there, and every link leads to a file.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
status=0
missing() {
  echo "$1 names $2, which is not there"
  status=1
}

sources=(agents base cli net providers proxy reconciler schemas server simulation sso store tests cmake)
words=$(find "${sources[@]}" \( -name '*.h' -o -name '*.cc' -o -name '*.cmake' -o -name CMakeLists.txt \) -exec cat {} + |
  grep -oE '[A-Za-z_][A-Za-z0-9_]*' | sort -u)
# File names without their folders and suffixes count as words too.
files=$(find "${sources[@]}" docs scripts examples -mindepth 1 | sed 's|.*/||')

for page in docs/life-of-a-session.md docs/architecture.md; do
  # `Reconciler::open_session`, `evaluate_host`, `role::SignInLocal`: the last word must exist.
  while read -r name; do
    word=${name%%(*}
    grep -qxF "${word##*::}" <<<"$words" || missing "$page" "$name"
  done < <(grep -oE '`[A-Za-z_]+(::[A-Za-z_]+)*(\([A-Za-z]*\))?`' "$page" | tr -d '`' | grep -E '::|_|^[A-Z][a-z]+[A-Z]' | sort -u)
  # `elements.h`, `role_core.cc`, reconciler/core/diff.h
  while read -r name; do
    grep -qxF "${name##*/}" <<<"$files" || missing "$page" "$name"
  done < <(grep -oE '[a-z_/0-9]+\.(h|cc)\b' "$page" | sort -u)
done

for page in README.md docs/*.md; do
  while read -r link; do
    [ -e "$(dirname "$page")/$link" ] || missing "$page" "$link"
  done < <(grep -oE '\]\([a-zA-Z0-9_./-]+\)' "$page" | sed 's/^](//; s/)$//' | sort -u)
done
# Each line that operators may meet in the log, and the page that explains it: every id is written out where it is logged, has a
# heading of its own, and no heading is left of a line that is gone.
logged=$(find "${sources[@]:0:12}" -name '*.cc' -exec sh -c 'tr "\n" " " <"$1"; echo' _ {} \; |
  grep -oE '\blog\([^",;()]*LogLevel::[a-z]+, *[^ ,]+' | sed 's/.*, *//' | sort -u)
[ -n "$logged" ] || missing "the search for log lines" "any"
for id in $logged; do
  case $id in
  '"'*'"') grep -qxF "### ${id//\"/}" docs/events.md || missing "docs/events.md" "no $id, which is logged, so a heading" ;;
  *) missing "a log line" "its id as $id and not as text" ;;
  esac
done
while read -r id; do
  grep -qxF "\"$id\"" <<<"$logged" || missing "docs/events.md" "$id"
done < <(sed -n '/^## Lines of the operational log/,$s/^### //p' docs/events.md)
exit $status
