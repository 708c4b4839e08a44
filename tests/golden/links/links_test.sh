#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# links_test.sh EXECUTABLE LIST: the libraries an executable asks the loader for are those of the list, so that a new one is
# seen in review. KNOCK_UPDATE_GOLDEN=1 writes the list and counts as skipped (77).
set -euo pipefail
export LC_ALL=C
executable=$1 list=$2

links=$(readelf -d "$executable" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p' | sed 's,.*/,,' | sort)
[ -n "$links" ] || {
  echo "$executable names no library; is it the right file?"
  exit 1
}
if [ "${KNOCK_UPDATE_GOLDEN:-}" = 1 ]; then
  printf '%s\n' "$links" >"$list"
  echo "wrote $list; read the difference before you commit it"
  exit 77
fi
diff -u --label "$list" --label "$executable" "$list" - <<<"$links" && exit 0
echo "$executable links other libraries than $list says. If that is meant: KNOCK_UPDATE_GOLDEN=1, and a new one brings an ADR."
exit 1
