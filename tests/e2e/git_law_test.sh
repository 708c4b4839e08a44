#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Policy out of a Git repository whose commits must be signed: unsigned ones, somebody's word, going back, a rewritten
# history.  git_law_test.sh KNOCK
# With the real controller; its policy has no targets, so nothing on this machine is touched.
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
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=Ana GIT_AUTHOR_EMAIL=ana@example.org
export GIT_COMMITTER_NAME=Ana GIT_COMMITTER_EMAIL=ana@example.org

# expect EXIT PATTERN COMMAND…: that exit code, and a line of output or of the errors that matches. A status may take a
# moment to come true.
expect() {
  local wanted=$1 pattern=$2 code tries=1
  shift 2
  [ "$1" != status ] || tries=200
  while :; do
    code=0
    "$knock" --config "$folder/knock.yaml" "$@" >"$folder/out" 2>"$folder/err" || code=$?
    tries=$((tries - 1))
    if [ "$tries" -le 0 ] || { [ "$code" = "$wanted" ] && grep -qE -- "$pattern" "$folder/out" "$folder/err"; }; then break; fi
    sleep 0.1
  done
  if [ "$code" != "$wanted" ] || ! grep -qE -- "$pattern" "$folder/out" "$folder/err"; then
    echo "knock $*: exit $code, expected $wanted and a line like: $pattern"
    sed 's/^/    /' "$folder/out" "$folder/err"
    status=1
  fi
}
# start MODE: a controller whose `advance` is that.
start() {
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
  "$knock" --config "$folder/knock.yaml" serve >>"$folder/log" 2>&1 &
  serve=$!
  for _ in $(seq 200); do
    if "$knock" --config "$folder/knock.yaml" status 2>/dev/null | grep -q '^policy'; then return; fi
    kill -0 "$serve" || { cat "$folder/log"; exit 1; }
    sleep 0.1
  done
  echo "the controller does not answer" && exit 1
}
stop() {
  kill "$serve"
  wait "$serve" || true
  serve=
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
start auto
expect 0 "^policy +${first:0:12}" status
evil=$(commit '' people.yaml 'groups: {staff: {idp: everybody, from: [local]}}')
expect 1 "commit.unsigned: commit ${evil:0:12} changes people.yaml and is not signed; ops.signers must sign it" apply
expect 0 "^policy +${first:0:12}" status
expect 0 'NOT IN FORCE since .*by Ana <ana@example.org>.*commit.unsigned' status
expect 0 'policy.refused' audit tail
git -C "$folder/work" reset -q --hard "$first"
commit pay people.yaml 'groups: {staff: {idp: payroll, from: [local]}}' >/dev/null
expect 1 'commit.not-allowed.*changes people.yaml, and ops.signers does not allow the key' apply
git -C "$folder/work" reset -q --hard "$first"
second=$(commit pay payroll/people.yaml 'groups: {payroll: {idp: payroll, from: [local]}}')
expect 0 'In force' apply
expect 0 "^policy +${second:0:12}" status

# ---- back, and on again ----
expect 0 "Policy ${first:0:12} is in force, instead of ${second:0:12}" advance "${first:0:8}" --reason 'locked out'
expect 0 'HELD at .* by cli uid=.*: locked out' status
third=$(commit ana people.yaml 'groups: {staff: {idp: people, from: [local]}}')
expect 6 "${third:0:12} is not in force; it waits for: held at ${first:0:12}" apply
expect 0 "waiting ${third:0:12}" status
expect 0 'policy.advanced' audit tail
stop
start manual
expect 0 'HELD at ' status
expect 0 "Policy ${first:0:12} stays in force" advance --resume
expect 0 "waiting ${third:0:12}" status

# ---- somebody's word ----
expect 0 'it waits for: somebody.s word: knock advance' status
expect 0 "Policy ${second:0:12} is in force" advance "${second:0:10}"
expect 0 "Policy ${third:0:12} is in force, instead of ${second:0:12}" advance
expect 1 'names no commit that was fetched' advance 0123456789
expect 64 'excludes' advance --resume "$first"

# ---- a history that does not follow ----
git -C "$folder/work" reset -q --hard "$second"
other=$(commit ana people.yaml 'groups: {staff: {idp: others, from: [local]}}')
expect 1 'git.rewritten.*knock advance --history-replaced' apply
expect 0 "^policy +${third:0:12}" status
expect 0 "Policy ${other:0:12} is in force" advance --history-replaced --reason 'moved'
git -C "$folder/policy.git" update-ref -d refs/heads/main
expect 1 'git.no-ref' apply
expect 0 "^policy +${other:0:12}" status
stop

# ---- without a controller ----
expect 1 'require_signed' apply --repo "$folder/work"
expect 0 'chain|records' audit verify
exit $status
