#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What the README of every example says to type, typed.  examples_test.sh KNOCK
set -euo pipefail
knock=$1
root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
status=0

# expect EXIT PATTERN COMMAND…: that exit code, and a line of output or of the errors that matches.
expect() {
  local wanted=$1 pattern=$2 code=0
  shift 2
  "$knock" --config "$config" "$@" >"$folder/out" 2>&1 || code=$?
  if [ "$code" != "$wanted" ] || ! grep -qE -- "$pattern" "$folder/out"; then
    echo "$name: knock $*: exit $code, expected $wanted and a line like: $pattern"
    sed 's/^/    /' "$folder/out"
    status=1
  fi
}

for example in "$root"/examples/policies/*/; do
  name=$(basename "$example")
  rm -rf "$folder/policies"
  cp -r "$example" "$folder/policies"
  cat >"$folder/knock.yaml" <<YAML
owner: "0badc0ffee15dead"
listen: 127.0.0.1:8400
policy: {dir: $folder/policies}
store: sqlite://$folder/$name.db
socket: $folder/admin.sock
sign_in:
  local: {type: local}
  corp: {type: oidc, issuer: "https://login.example.org", client_id: knock, client_secret: "env:SECRET"}
  partners: {type: oidc, issuer: "https://partners.example.org", client_id: knock, client_secret: "env:SECRET"}
  vendor: {type: oidc, issuer: "https://id.vendor.example", client_id: knock, client_secret: "env:SECRET"}
YAML
  read -r _ _ _ policy sessions now <<<"$(sed -n 's/^    knock plan --policy/x x x/p' "$example/README.md" |
    sed 's/--sessions//; s/--at//')"
  [ "$policy $sessions" = ". sessions.json" ] || { echo "$name: no command in its README"; status=1; }
  for round in before after; do
    config=$folder/there-is-none.yaml
    expect 0 'is valid' validate "$folder/policies"
    expect 0 'nothing to format' fmt --check "$folder/policies"
    expect 0 ' 0 failed, 0 not proven$' test --policy "$folder/policies"
    config=$folder/knock.yaml
    what_if=(plan --policy "$folder/policies" --sessions "$folder/policies/$sessions" --at "$now")
    expect 0 "^Policy .*as of $now" "${what_if[@]}"
    expect 0 '^### Policy ' "${what_if[@]}" --format markdown
    expect 0 '^<!doctype html>' "${what_if[@]}" --format html
    expect 0 '"knock_plan"' "${what_if[@]}" --format json
    # What a controller lacks is in its README, by the key.
    "$knock" --config "$folder/knock.yaml" plan >"$folder/out" 2>&1 || true
    for key in $(sed -n 's/.*this controller cannot enforce `\([a-z_]*\)`.*/\1/p' "$folder/out" | sort -u); do
      grep -q "\`$key" "$example/README.md" || { echo "$name: \`$key\` is not in its README"; status=1; }
      expect 0 "would be refused.*\`$key\`" "${what_if[@]}"
    done
    [ "$round" = after ] || patch -s -p1 -d "$folder/policies" <"$example/pull-request.patch"
  done
done
exit $status
