#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The flags of `knock plan` and `knock show` on the command line, together.  plan_forms_test.sh KNOCK
# The policy's target is a namespace that is not there: nothing is read, and nothing could be written.
set -euo pipefail
knock=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/policies"
status=0

# expect EXIT PATTERN COMMAND…: that exit code, and a line of output or of the errors that matches.
expect() {
  local wanted=$1 pattern=$2 code=0
  shift 2
  "$knock" --config "$folder/knock.yaml" "$@" >"$folder/out" 2>"$folder/err" || code=$?
  if [ "$code" != "$wanted" ] || ! grep -qE -- "$pattern" "$folder/out" "$folder/err"; then
    echo "knock $*: exit $code, expected $wanted and a line like: $pattern"
    sed 's/^/    /' "$folder/out" "$folder/err"
    status=1
  fi
}
# absent TEXT: the last answer does not have it.
absent() {
  if grep -qF -- "$1" "$folder/out"; then
    echo "the last answer shows $1"
    status=1
  fi
}

cat >"$folder/policies/policy.yaml" <<'YAML'
knock: 1
groups: {staff: {idp: staff, from: [local]}}
services: {ssh: {ports: [tcp/22], targets: [edge, lab]}}
targets:
  edge: {type: nftables, table: edge, netns: knock-is-not-there}
  lab: {type: nftables, table: lab, netns: knock-is-not-there}
allow:
  staff: {who: [staff], to: [ssh], ttl: 1h}
YAML
cat >"$folder/knock.yaml" <<YAML
owner: "0badc0ffee15dead"
listen: 127.0.0.1:8400
policy: {dir: $folder/policies}
store: sqlite://$folder/knock.db
socket: $folder/admin.sock
sign_in: {local: {type: local}}
YAML
cat >"$folder/people.json" <<'JSON'
{"sessions": [{"id": "s-dora", "principal": {"issuer": "local", "subject": "dora", "name": "dora"}, "source": "local",
  "proof": "local", "groups": ["staff"], "address": "192.0.2.77", "created": "2026-11-21T10:00:00Z",
  "expires": "2026-11-21T18:00:00Z", "authenticated": "2026-11-21T10:00:00Z"}],
 "approvals": []}
JSON

expect 0 '^edge   nftables, cannot be read' plan
expect 0 '^lab   nftables, cannot be read' plan
expect 0 '2 targets not read' plan --detailed-exitcode
expect 0 '^  only lab$' plan --target lab --target lab
absent 'edge   '
expect 1 'no target "lap" in the policy; did you mean "lab"' plan --target lap
expect 0 'what differs on the targets, and nothing else' plan --refresh-only
expect 0 'what if: sessions or the time are made up' plan --sessions "$folder/people.json" --at 2026-11-21T10:04:11Z
expect 0 'as of 2026-11-21T10:04:11Z' plan --at 2026-11-21T10:04:11Z --target edge --refresh-only --format text

expect 0 '^### Policy ' plan --format markdown
expect 0 '^<!doctype html>' plan --format html --view shape
expect 0 '"knock_plan":"1.1","view":"people"' plan --format json --view people
expect 0 '"view":"full"' --json plan
expect 64 'leave one of them out' --json plan --format html
expect 64 'format' plan --format pdf
expect 64 'view' plan --view everything
expect 64 'is not a time' plan --at tomorrow
expect 1 'policy.yaml: json.syntax' plan --sessions "$folder/policies/policy.yaml"
expect 1 'people' plan --sessions "$folder/no-people.json"

# Saved, shown again in every form, and not applied when it is not the whole plan.
expect 0 '^<!doctype html>' plan --out "$folder/whole.plan" --format html --view people
grep -q 'does exactly this' "$folder/err" || { echo "a whole plan is not called one"; status=1; }
for form in text markdown html json; do
  for view in shape people full; do
    expect 0 '.' show "$folder/whole.plan" --format "$form" --view "$view"
    [ -s "$folder/out" ] || { echo "show: nothing in $form, $view"; status=1; }
  done
done
expect 0 '^Policy ' show "$folder/whole.plan"
expect 0 'it is not the whole plan' plan --target edge --out "$folder/part.plan"
expect 5 'saved-plan.scope' apply "$folder/part.plan"
expect 0 'not the whole plan' plan --refresh-only --out "$folder/drift.plan"
expect 0 'not the whole plan' plan --sessions "$folder/people.json" --at 2026-11-21T10:04:11Z --out "$folder/if.plan" --format json
expect 5 'saved-plan.scope' apply "$folder/if.plan"
expect 0 '"what_if":true' show "$folder/if.plan" --format json
exit $status
