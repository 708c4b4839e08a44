#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A policy change reviewed by a job elsewhere: tokens, a remote plan as markdown, and the apply of exactly what was
# reviewed.  ci_review_test.sh KNOCK
# Over loopback, with the real controller; its policy has no targets, so nothing on this machine is touched.
set -euo pipefail
knock=$1
folder=$(mktemp -d)
chmod 0755 "$folder"
serve=
finish() {
  if [ -n "$serve" ]; then
    kill "$serve" 2>/dev/null || true
    wait "$serve" 2>/dev/null || true
  fi
  rm -rf "$folder"
}
trap finish EXIT
status=0
port=$((20000 + $$ % 20000))
server=http://127.0.0.1:$port

# say_failed TEXT: what was seen instead.
say_failed() {
  echo "$1"
  sed 's/^/    /' "$folder/out" "$folder/err"
  status=1
}
# expect EXIT PATTERN COMMAND…: that exit code, and a line of output or of the errors that matches.
expect() {
  local wanted=$1 pattern=$2 code=0
  shift 2
  "$@" >"$folder/out" 2>"$folder/err" || code=$?
  if [ "$code" != "$wanted" ] || ! grep -qE -- "$pattern" "$folder/out" "$folder/err"; then
    say_failed "$*: exit $code, expected $wanted and a line like: $pattern"
  fi
}
here() { "$knock" --config "$folder/knock.yaml" "$@"; }
# as TOKEN COMMAND…: as a job elsewhere, which has no configuration.
as() {
  local token=$1
  shift
  env -C "$folder/job" KNOCK_TOKEN="$token" "$knock" --server "$server" "$@"
}

mkdir "$folder/policies" "$folder/job" "$folder/job/policies"
cat >"$folder/policies/policy.yaml" <<'YAML'
knock: 1
groups: {staff: {idp: staff, from: [local]}}
YAML
cat >"$folder/knock.yaml" <<YAML
owner: "0badc0ffee15dead"
listen: 127.0.0.1:$port
policy: {dir: $folder/policies, poll: 1h}
store: sqlite://$folder/state/knock.db
socket: $folder/admin.sock
sign_in: {local: {type: local}}
YAML

# A key can be made before the controller runs: the store takes it.
mkdir "$folder/state"
reader=$(here -q key add ci-plan --scope plan:read)
[[ $reader =~ ^knock_[A-Za-z0-9_-]{48}$ ]] || { echo "not a token: $reader"; exit 1; }

here serve >"$folder/log" 2>&1 &
serve=$!
for _ in $(seq 200); do
  if here status >/dev/null 2>&1 && as "$reader" status >/dev/null 2>&1; then break; fi
  kill -0 "$serve" || { cat "$folder/log"; exit 1; }
  sleep 0.1
done
applier=$(here -q key add ci-apply --scope apply --from 127.0.0.0/8 --expires 7d)
elsewhere=$(here -q key add elsewhere --scope plan:read --from 192.0.2.0/24)

# ---- the change request ----
cat >"$folder/job/policies/policy.yaml" <<'YAML'
knock: 1
groups:
  staff: {idp: staff, from: [local]}
  contractors: {idp: contractors, from: [local]}
YAML
expect 0 'contractors' as "$reader" plan --policy policies --format markdown
cp "$folder/out" "$folder/comment.md"
review=$(sed -n 's/^<!-- knock-review: \([0-9a-f]\{64\}\) -->$/\1/p' "$folder/comment.md")
[ ${#review} = 64 ] || say_failed 'the markdown has no review hash'
# Nothing of it would change a target today.
expect 0 "Review hash $review" as "$reader" plan --policy policies --detailed-exitcode
expect 0 '"knock_plan"' as "$reader" plan --policy policies --json
expect 0 '<!doctype html>|<!DOCTYPE html>' as "$reader" plan --policy policies --format html
expect 0 '^policy ' as "$reader" status

# What a token for plans cannot do.
expect 1 'needs a key with plan:people' as "$reader" plan --policy policies --view people
expect 1 'this needs audit:read' as "$reader" who --service ssh
expect 1 'this needs session:write' as "$reader" session grant bob --from 192.0.2.7 --ttl 1h --reason no --group staff
expect 1 'this needs apply' as "$reader" apply --reviewed "$review"
expect 64 'own machine' as "$reader" plan --at 2026-11-22T23:00:00Z
expect 64 'works on this machine' as "$reader" key list
expect 1 'may not be used from 127.0.0.1' as "$elsewhere" plan --policy policies
expect 1 'is no token|characters that are no token' as wrong status
expect 1 'KNOCK_TOKEN is not set' as '' status
expect 1 'https only' env KNOCK_TOKEN="$reader" "$knock" --server http://192.0.2.1 status
echo 'knock: 1
grups: {}' >"$folder/job/bad.yaml"
mkdir "$folder/job/bad" && mv "$folder/job/bad.yaml" "$folder/job/bad/policy.yaml"
expect 3 'policy.yaml:2:' as "$reader" plan --policy bad

# The job file for any shell is the same in fewer words.
job_script=$(dirname "$(readlink -f "$0")")/../../examples/ci/plain.sh
script() { env -C "$folder/job" PATH="$(dirname "$knock"):$PATH" KNOCK_SERVER="$server" KNOCK_TOKEN="$1" "$job_script" "${@:2}"; }
expect 0 "knock-review: $review" script "$reader" plan policies
expect 1 'nothing was reviewed' script "$applier" apply policies/policy.yaml
expect 64 'comment.md' script "$applier" help

# ---- merged together with something that nobody reviewed ----
cp "$folder/job/policies/policy.yaml" "$folder/policies/policy.yaml"
echo '  admins: {idp: admins, from: [local]}' >>"$folder/policies/policy.yaml"
expect 5 'what was reviewed is not what would be done' as "$applier" apply --reviewed "$review"
# ---- merged as it was reviewed ----
cp "$folder/job/policies/policy.yaml" "$folder/policies/policy.yaml"
expect 0 'is in force, as it was reviewed' as "$applier" apply --reviewed "$review"
expect 0 'was in force already' script "$applier" apply ../comment.md

# ---- the end of a token ----
expect 0 'ci-plan +plan:read +anywhere .* 20[0-9-]+T' here key list
renewed=$(here -q key rotate ci-plan)
expect 1 'not known here' as "$reader" status
expect 0 '^policy ' as "$renewed" status
expect 0 'is revoked' here key revoke ci-plan
expect 1 'not known here' as "$renewed" status
expect 0 'key.changed' here audit tail -n 100
for said in key.network key.scope key.unknown; do expect 0 "$said" here audit tail -n 100; done
expect 0 '' here audit verify
for token in "$reader" "$renewed" "$applier" "$elsewhere"; do
  if grep -rqF -- "${token:6:24}" "$folder/log" "$folder/state"; then
    echo "a token is in the log or the store"
    status=1
  fi
done
exit "$status"
