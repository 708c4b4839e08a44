#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A change from a fork that no job takes part in: the controller finds it, plans it and posts the plan, and again when what
# is in force moves.  watched_pulls_test.sh KNOCK MODEL_FORGE
# Over loopback, with a real controller, a real repository, and a model of each forge; the policy has no targets, so nothing
# on this machine is touched.
set -euo pipefail
knock=$1 model=$2
tests=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/e2e/controller.sh
. "$tests/controller.sh"
forge_process=
end_forge() {
  [ -z "$forge_process" ] || { kill "$forge_process" && wait "$forge_process"; } 2>/dev/null || true
  forge_process=
}
trap 'end_forge; finish' EXIT

work() { git -C "$folder/work" "$@"; }
# change BRANCH FROM LINE: its commit.
change() {
  work checkout -qB "$1" "$2"
  printf '%s\n' "$3" >>"$folder/work/policy.yaml"
  work commit -qam "$3"
  work rev-parse HEAD
}
# pulls NUMBER:COMMIT…: what is open now, and lies in the repository.
pulls() {
  local one
  for one in "$@"; do
    work push -qf "$folder/policy.git" "${one#*:}:refs/$ref/${one%%:*}/head"
    echo "${one%%:*} ${one#*:} main"
  done >"$folder/forge/pulls.next"
  mv "$folder/forge/pulls.next" "$folder/forge/pulls"
}
# told STATE COMMIT SENTENCE: by a status.
told() { expect_soon 0 "^knock/plan $2 $1 $3" cat "$folder/forge/statuses"; }
# count FILE PATTERN
count() { grep -cE -- "$2" "$folder/forge/$1" || true; }

for forge in github gitlab; do
  success=success failure=failure ref=pull
  [ "$forge" = github ] || { failure=failed ref=merge-requests; }
  rm -rf "${folder:?}"/*
  mkdir "$folder/forge" "$folder/state"
  : >"$folder/forge/pulls"
  "$model" "$forge" "$folder/forge" &
  forge_process=$!
  wait_for test -s "$folder/forge/port"
  git init -q --bare --initial-branch=main "$folder/policy.git"
  git init -q --initial-branch=main "$folder/work"
  printf 'knock: 1\ngroups:\n  staff: {idp: staff, from: [local]}\n' >"$folder/work/policy.yaml"
  work add -A
  work commit -qm first
  work push -q "$folder/policy.git" main
  printf 's3cret-value' >"$folder/token"
  chmod 0600 "$folder/token"
  cat >"$folder/knock.yaml" <<YAML
owner: "0badc0ffee15dead"
listen: 127.0.0.1:$port
policy: {repo: "$folder/policy.git", ref: main, poll: 1s, pulls: $forge}
store: sqlite://$folder/state/knock.db
socket: $folder/admin.sock
sign_in: {local: {type: local}}
notify:
  forge:
    type: $forge
    api: "http://127.0.0.1:$(cat "$folder/forge/port")/api"
    project: ops/policy
    token: "file:$folder/token"
    post: true
    watch: pulls
    allow_networks: [127.0.0.0/8]
YAML

  # ---- three changes: one sound, one that is no policy, and one that began before what is in force ----
  contractors=$(change contractors main '  contractors: {idp: contractors, from: [local]}')
  broken=$(change broken main 'grups: {}')
  stale=$(work commit-tree -m stale 'main^{tree}')
  pulls "12:$contractors" "13:$broken" "14:$stale"
  start
  told "$success" "$contractors" '1 policy change\.'
  told "$failure" "$broken" 'This policy would be refused: .*policy.yaml:4:1'
  told "$failure" "$stale" 'Not planned \(git\.not-descended\): .* rebase it onto main'
  expect_soon 0 'contractors' cat "$folder/forge/comment-12"
  review=$(sed -n 's/^<!-- knock-review: \([0-9a-f]\{64\}\) -->$/\1/p' "$folder/forge/comment-12")
  [ ${#review} = 64 ] || say_failed 'the comment has no review hash'
  expect 0 "knock-review: $review" here plan --pull 12 --format markdown --view shape
  expect_soon 0 'changes  3 open pull requests: 1 planned, 2 refused, 0 to be planned' here status
  expect 0 'knock_pull_requests\{state="refused"\} 2' curl -sS --unix-socket "$folder/admin.sock" http://knock/metrics
  [ ! -e "$folder/state/policy.git/candidate/repository.git" ] || say_failed 'what was fetched is still there'

  # ---- a restart: nothing changed, and no second comment is written ----
  stop
  before=$(count statuses "$contractors")
  start
  told_again() { [ "$(count statuses "$contractors")" -gt "$before" ]; }
  wait_for told_again || say_failed 'after a restart nothing is planned'
  expect_soon 0 'changes  3 open pull requests: 1 planned, 2 refused, 0 to be planned' here status
  [ "$(count comment-12 '^=====$')" = 1 ] || say_failed 'a restart wrote another comment'

  # ---- something else comes into force: each is planned anew, and the comment written over ----
  work checkout -q main
  echo '  admins: {idp: admins, from: [local]}' >>"$folder/work/policy.yaml"
  work commit -qam admins
  work push -q "$folder/policy.git" main
  told "$failure" "$contractors" 'Not planned \(git\.not-descended\)'
  rebased=$(change rebased main '  contractors: {idp: contractors, from: [local]}')
  pulls "12:$rebased"
  # The list is asked for once a minute; what comes into force hastens it.
  stop
  start
  told "$success" "$rebased" '1 policy change\.'
  new_review() { grep -q 'knock-review: ' "$folder/forge/comment-12" && ! grep -q "$review" "$folder/forge/comment-12"; }
  wait_for new_review || say_failed 'the comment still has the review of before'
  [ "$(count comment-12 '^=====$')" = 1 ] || say_failed 'there are two comments of ours'

  # ---- merged: it comes into force, is open no more, and nobody is told that it is refused ----
  work checkout -q main
  work merge -q --ff-only rebased
  pulls
  work push -q "$folder/policy.git" main
  expect_soon 0 "^policy +${rebased:0:12}" here status
  expect_soon 0 'changes  0 open pull requests' here status
  expect 1 '' grep -E "$rebased $failure" "$folder/forge/statuses"
  expect 1 '' grep -rF s3cret-value "$folder/log"
  expect 0 '' here audit verify
  stop
  end_forge
done
exit "$status"
