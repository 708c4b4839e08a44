#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Policy out of a Git repository whose commits must be signed: unsigned ones, somebody's word, going back, a rewritten
# history.  git_law_test.sh KNOCK
# With the real controller; its policy has no targets, so nothing on this machine is touched.
set -euo pipefail
knock=$1
# shellcheck source=tests/e2e/controller.sh
. "$(dirname "$(readlink -f "$0")")/controller.sh"

# says EXIT PATTERN ARGUMENTS…: what knock says. A status may take a moment to come true.
says() {
  if [ "$3" = status ]; then
    expect_soon "$1" "$2" here "${@:3}"
  else
    expect "$1" "$2" here "${@:3}"
  fi
}
# start_with MODE: a controller whose `advance` is that.
start_with() {
  cat >"$folder/knock.yaml" <<YAML
owner: "0badc0ffee15dead"
listen: 127.0.0.1:$port
policy:
  repo: $folder/policy.git
  poll: 1h
  require_signed:
    - {paths: ["payroll/**"], signers: payroll.signers}
    - {signers: ops.signers}
  advance: $1
store: sqlite://$folder/state/knock.db
socket: $folder/admin.sock
sign_in: {local: {type: local}}
YAML
  start
}
# commit WHO PATH TEXT: "" is nobody's signature; prints the id.
commit() {
  mkdir -p "$(dirname "$folder/work/$2")"
  printf 'knock: 1\n%s\n' "$3" >"$folder/work/$2"
  git -C "$folder/work" add -A
  if [ -n "$1" ]; then
    git -C "$folder/work" -c gpg.format=ssh -c "user.signingkey=$folder/keys/$1" commit -qS -m "$3"
  else
    git -C "$folder/work" commit -qm "$3"
  fi
  git -C "$folder/work" push -q --force "$folder/policy.git" HEAD:main
  git -C "$folder/work" rev-parse HEAD
}

mkdir "$folder/keys" "$folder/state"
for who in ana pay eve; do ssh-keygen -q -t ed25519 -N '' -C "$who" -f "$folder/keys/$who"; done
for who in ana pay; do echo "$who@example.org namespaces=\"git\" $(cat "$folder/keys/$who.pub")"; done >"$folder/payroll.signers"
head -n 1 "$folder/payroll.signers" >"$folder/ops.signers"
chmod 0644 "$folder"/*.signers
git init -q --bare --initial-branch=main "$folder/policy.git"
git init -q --initial-branch=main "$folder/work"

# ---- signed ----
first=$(commit ana people.yaml 'groups: {staff: {idp: staff, from: [local]}}')
start_with auto
says 0 "^policy +${first:0:12}" status
evil=$(commit '' people.yaml 'groups: {staff: {idp: everybody, from: [local]}}')
says 1 "commit.unsigned: commit ${evil:0:12} changes people.yaml and is not signed; ops.signers must sign it" apply
says 0 "^policy +${first:0:12}" status
says 0 'NOT IN FORCE since .*by Ana <ana@example.org>.*commit.unsigned' status
says 0 'policy.refused' audit tail
git -C "$folder/work" reset -q --hard "$first"
commit pay people.yaml 'groups: {staff: {idp: payroll, from: [local]}}' >/dev/null
says 1 'commit.not-allowed.*changes people.yaml, and ops.signers does not allow the key' apply
git -C "$folder/work" reset -q --hard "$first"
second=$(commit pay payroll/people.yaml 'groups: {payroll: {idp: payroll, from: [local]}}')
says 0 'In force' apply
says 0 "^policy +${second:0:12}" status

# ---- back, and on again ----
says 0 "Policy ${first:0:12} is in force, instead of ${second:0:12}" advance "${first:0:8}" --reason 'locked out'
says 0 'HELD at .* by cli uid=.*: locked out' status
third=$(commit ana people.yaml 'groups: {staff: {idp: people, from: [local]}}')
says 6 "${third:0:12} is not in force; it waits for: held at ${first:0:12}" apply
says 0 "waiting ${third:0:12}" status
says 0 'policy.advanced' audit tail
stop
start_with manual
says 0 'HELD at ' status
says 0 "Policy ${first:0:12} stays in force" advance --resume
says 0 "waiting ${third:0:12}" status

# ---- somebody's word ----
says 0 'it waits for: somebody.s word: knock advance' status
says 0 "Policy ${second:0:12} is in force" advance "${second:0:10}"
says 0 "Policy ${third:0:12} is in force, instead of ${second:0:12}" advance
says 1 'names no commit that was fetched' advance 0123456789
says 64 'excludes' advance --resume "$first"

# ---- a history that does not follow ----
git -C "$folder/work" reset -q --hard "$second"
other=$(commit ana people.yaml 'groups: {staff: {idp: others, from: [local]}}')
says 1 'git.rewritten.*knock advance --history-replaced' apply
says 0 "^policy +${third:0:12}" status
says 0 "Policy ${other:0:12} is in force" advance --history-replaced --reason 'moved'
git -C "$folder/policy.git" update-ref -d refs/heads/main
says 1 'git.no-ref' apply
says 0 "^policy +${other:0:12}" status
stop

# ---- without a controller ----
says 1 'require_signed' apply --repo "$folder/work"
says 0 'chain|records' audit verify
exit $status
