#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every library that CMake found on this Debian machine comes from a package that ./dev installs: a new dependency that is
# missing in scripts/packages.sh would otherwise be noticed on bare machines only.  packages_test.sh CMAKECACHE
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
. "$root/scripts/say.sh"
. "$root/scripts/packages.sh"
have dpkg-query || exit 0 # other systems have other names

# shellcheck disable=SC2154,SC2086  # in packages.sh; meant to be split
known=" $(printf '%s ' $packages_build)"
status=0
while read -r path; do
  [ -e "$path" ] || continue
  case $path in /usr/include | /usr/include/*-linux-gnu | /usr/lib/*-linux-gnu) continue ;; esac # everybody's
  # The first of several packages is enough; a path nobody owns was installed by hand.
  package=$(dpkg-query -S "$(readlink -f "$(dirname "$path")")/$(basename "$path")" 2>/dev/null | sed 's/[:,].*//' | head -n 1) || true
  [ -n "$package" ] || continue
  case $known in
    *" $package "*) ;;
    *)
      # What a listed package depends on comes with it.
      # shellcheck disable=SC2086
      if ! dpkg-query -W -f '${Depends}\n' $packages_build 2>/dev/null | tr ',|' '\n\n' | sed 's/^ *//; s/[ (:].*//' | grep -qxF "$package"; then
        echo "$path is from $package, which scripts/packages.sh does not list"
        status=1
      fi
      ;;
  esac
done < <(sed -nE 's/^(pkgcfg_lib_[^:]*|[A-Za-z0-9_-]+_DIR|[A-Z0-9_]+_LIBRARY[A-Z_]*|[A-Z0-9_]+_INCLUDE_DIR):[A-Z]*=(\/usr\/.*)$/\2/p' "$1" | sort -u)
exit $status
