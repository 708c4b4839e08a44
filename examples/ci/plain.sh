#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The same as github.yml and gitlab.yml, for any system that runs a shell.
#
#   plain.sh plan FOLDER >comment.md     checks the policy in FOLDER and writes its plan, which ends with a review hash
#   plain.sh apply comment.md            puts in force what that plan is of, or nothing
#
# KNOCK_SERVER is the controller's address; KNOCK_TOKEN has the scope plan:read, or apply.
set -eu
: "${KNOCK_SERVER:?is not set: https://knock.example.org}" "${KNOCK_TOKEN:?is not set: knock key add NAME --scope plan:read}"
case "${1-}" in
  plan)
    knock fmt --check --diff "$2" >&2
    knock validate "$2" >&2
    knock test --policy "$2" >&2
    knock plan --server "$KNOCK_SERVER" --policy "$2" --format markdown
    ;;
  apply)
    hash=$(sed -n 's/^<!-- knock-review: \([0-9a-f]\{64\}\) -->$/\1/p' "$2" | tail -n 1)
    [ -n "$hash" ] || { echo "$2 is no plan: nothing was reviewed" >&2; exit 1; }
    knock apply --server "$KNOCK_SERVER" --reviewed "$hash"
    ;;
  *)
    sed -n 's/^# \{0,1\}//; 3,9p' "$0" >&2
    exit 64
    ;;
esac
