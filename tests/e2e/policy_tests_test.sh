#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `knock test`, and what a policy's own tests stop on the command line.  policy_tests_test.sh KNOCK
set -euo pipefail
knock=$1
root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cp -r "$root/examples/policies/homelab" "$folder/policies"
status=0

# expect EXIT PATTERN COMMAND…: that exit code, and a line of output or of the errors that matches.
expect() {
  local wanted=$1 pattern=$2 code=0
  shift 2
  "$knock" --config "$folder/knock.yaml" "$@" >"$folder/out" 2>&1 || code=$?
  if [ "$code" != "$wanted" ] || ! grep -qE -- "$pattern" "$folder/out"; then
    echo "knock $*: exit $code, expected $wanted and a line like: $pattern"
    sed 's/^/    /' "$folder/out"
    status=1
  fi
}

# Without a configuration.
expect 0 '^5 tests: 5 passed, 0 failed, 0 not proven$' test --policy "$folder/policies"
expect 0 '"ok":true' --json test --policy "$folder/policies"
expect 1 'knock.yaml' test
expect 64 'is not a time' test --policy "$folder/policies" --at tomorrow
expect 0 '^5 tests: 5 passed' test --policy "$folder/policies" --at 2027-06-01
expect 3 'FAIL .*the probe sees' test --policy "$folder/policies" --at 2036-01-01

mkdir "$folder/untested"
grep -v '^#' "$root"/examples/policies/homelab/machines.yaml >"$folder/untested/machines.yaml"
expect 0 'no tests' test --policy "$folder/untested"

# With one: neither a plan nor an apply goes past a test that fails.
cat >"$folder/knock.yaml" <<YAML
owner: "0badc0ffee15dead"
listen: 127.0.0.1:8400
policy: {dir: $folder/policies}
store: sqlite://$folder/knock.db
socket: $folder/admin.sock
sign_in: {local: {type: local}}
YAML
expect 0 '^5 tests: 5 passed' test
sed -i '/^deny:/,$d' "$folder/policies/rules.yaml"
expect 3 'FAIL .*guests' test
expect 3 'can reach .*: rule .* \(rules.yaml:[0-9]+:[0-9]+\) lets them in' test
expect 3 'policy.test-failed' plan
expect 3 'policy.test-failed' apply --auto-approve
expect 0 'is valid' validate "$folder/policies"

# A loader's error comes first.
echo 'knock: 1' >"$folder/policies/more.yaml"
echo 'tests: [{as: {groups: [nobody-knows]}, can: [photos]}]' >>"$folder/policies/more.yaml"
expect 3 'policy.unknown-group' test
exit $status
