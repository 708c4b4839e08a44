#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The walk-through of docs/reviewing-a-policy-change.md: a branch, its plan by a job that may only read, the comment, the
# merge, and the apply of exactly that plan, once.  reviewing_a_policy_change_test.sh KNOCK
# The commands are the page's own. With a real controller, its policy in Git, over TLS; the policy has no targets, so
# nothing on this machine is touched.
set -euo pipefail
knock=$1
tests=$(dirname "$(readlink -f "$0")")
page=$tests/../../docs/reviewing-a-policy-change.md
# shellcheck source=tests/e2e/controller.sh
. "$tests/controller.sh"
server=https://127.0.0.1:$port
export KNOCK_CA=$folder/tls.crt

# told WORD=VALUE… -- COMMAND LINE: the line stands on the page like this, and is run with other words for its examples.
told() {
  local line words=()
  while [ "$1" != -- ]; do words+=("$1") && shift; done
  line=$2
  grep -qxF -- "$line" "$page" || say_failed "the page does not say: $line"
  for word in "https://knock.example.org=$server" "203.0.113.0/24=127.0.0.0/8" "${words[@]}"; do
    line=${line//${word%%=*}/${word#*=}}
  done
  env -C "$folder/checkout" PATH="$folder/bin:$PATH" bash -euo pipefail -c "$line"
}
# A job elsewhere: its token, and no configuration.
job() { KNOCK_TOKEN=$1 told "${@:2}"; }
# On the controller's own machine.
operator() { told "knock key=knock --config $folder/knock.yaml -q key" -- "$1"; }
work() { git -C "$folder/work" "$@"; }
# commit FILE TEXT
commit() {
  printf '%s\n' "$2" >>"$folder/work/$1"
  work add -A
  work commit -qm "$2"
}
revision() { work rev-parse --short=12 HEAD; }

mkdir "$folder/bin"
ln -s "$(readlink -f "$knock")" "$folder/bin/knock"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=knock" \
  -addext "subjectAltName=IP:127.0.0.1" -keyout "$folder/tls.key" -out "$folder/tls.crt" 2>"$folder/err"
git init -q --bare --initial-branch=main "$folder/policy.git"
git init -q --initial-branch=main "$folder/work"
commit policy.yaml $'knock: 1\ngroups:\n  staff: {idp: staff, from: [local]}'
work push -q "$folder/policy.git" main
first=$(revision)

grep -qxF 'policy: {repo: "https://git.example.org/ops/policy.git", ref: main, advance: manual}' "$page" ||
  say_failed 'the page has another configuration'
cat >"$folder/knock.yaml" <<YAML
owner: "0badc0ffee15dead"
listen: 127.0.0.1:$port
public_url: $server
tls: {cert: $folder/tls.crt, key: $folder/tls.key}
policy: {repo: "$folder/policy.git", ref: main, advance: manual, pulls: github}
store: sqlite://$folder/state/knock.db
socket: $folder/admin.sock
sign_in: {local: {type: local}}
# Both on this machine, which no allow_networks lets them be: what is told arrives nowhere, and nothing depends on it.
notify:
  webhooks: [{url: "http://127.0.0.1:9/path", secret: "file:$folder/hook.secret"}]
  forge: {type: github, api: "http://127.0.0.1:9", project: ops/policy, token: "file:$folder/hook.secret", post: true}
YAML
echo 'hook-secret' >"$folder/hook.secret"
chmod 0600 "$folder/hook.secret"
mkdir "$folder/state" "$folder/checkout"
start
expect_soon 0 "waiting $first" here status
expect 0 "Policy $first is in force" here advance
reader=$(operator 'knock key add ci-plan --scope plan:read --from 203.0.113.0/24')
applier=$(operator 'knock key add ci-apply --scope apply --from 203.0.113.0/24')
# The portal is a process of its own and comes up beside the controller.
expect_soon 0 "^policy +$first" env KNOCK_TOKEN="$reader" "$knock" --server "$server" status

# ---- a branch, and its plan in the change request ----
git clone -q --branch main "$folder/policy.git" "$folder/checkout/." 2>"$folder/err"
git -C "$folder/checkout" checkout -qb contractors
echo '  contractors: {idp: contractors, from: [local]}' >>"$folder/checkout/policy.yaml"
git -C "$folder/checkout" commit -qam 'let contractors in'
expect 0 '' told -- 'knock test --policy .'
expect 0 '' job "$reader" -- \
  'knock plan --server https://knock.example.org --policy . --format markdown > comment.md'
comment=$folder/checkout/comment.md
grep -q contractors "$comment" || say_failed 'the comment does not name what changes'
review=$(sed -n 's/^<!-- knock-review: \([0-9a-f]\{64\}\) -->$/\1/p' "$comment")
[ ${#review} = 64 ] || say_failed 'the comment has no review hash'
apply='knock apply --server https://knock.example.org --reviewed HASH'

# ---- the same from a fork: the controller fetches it, and the job holds nothing of it ----
git -C "$folder/checkout" push -q "$folder/policy.git" contractors:refs/pull/12/head
fork='knock plan --server https://knock.example.org --pull 12 --format markdown > comment.md'
expect 0 '' job "$reader" -- "$fork"
grep -qx "<!-- knock-review: $review -->" "$comment" || say_failed 'a fetched change has another review hash'
head=$(git -C "$folder/checkout" rev-parse HEAD)
expect 0 "knock-review: $review" job "$reader" " > comment.md= --commit $head" -- "$fork"
expect 1 'git.head-moved' job "$reader" " > comment.md= --commit ${first}0000000000000000000000000000" -- "$fork"
expect 1 'git.no-ref' job "$reader" "pull 12=pull 13" -- "$fork"
expect 1 '' grep -q 'merged already' "$comment"
expect 0 'contractors' here plan --pull 12 --post
expect 64 'excludes' here plan --pull 12 --branch contractors
expect 64 'the very commit' here plan --pull 12 --out x.plan
# One that began before what is in force.
stale=$(git -C "$folder/checkout" commit-tree -m stale 'HEAD^{tree}')
git -C "$folder/checkout" push -q "$folder/policy.git" "$stale:refs/pull/14/head"
expect 1 "git.not-descended: pull request 14 ends in ${stale:0:12}, which does not follow from $first" \
  job "$reader" "pull 12=pull 14" -- "$fork"
[ ! -e "$folder/state/policy.git/candidate/repository.git" ] || say_failed 'what was fetched is still there'

# ---- before the merge nothing is applied, and reading is not applying ----
expect 1 'this needs apply' job "$reader" "HASH=$review" -- "$apply"
expect 5 'review.other: what was reviewed .* is not what would be done' job "$applier" "HASH=$review" -- "$apply"
# ---- nor is what nobody reviewed ----
commit policy.yaml '  admins: {idp: admins, from: [local]}'
work push -q "$folder/policy.git" main
expect 5 'review.other: what was reviewed .* is not what would be done' job "$applier" "HASH=$review" -- "$apply"
expect 6 "$(revision) is not in force; it waits for: somebody.s word" here apply
expect 0 "^policy +$first" here status
# Told while it waits: what waits for a moment only is no news.
expect_soon 0 '' grep -E '"notify.failed".*"event":"policy.waiting"' "$folder/log"
# What waits is in the plan of no fork that does not contain it.
expect 0 "$(revision). is merged already and waits to come into force" job "$reader" " > comment.md=" -- "$fork"
work reset -q --hard HEAD~1
work push -q --force "$folder/policy.git" main

# ---- the merge: the forge makes a commit of its own ----
work pull -q --no-ff --no-rebase --no-edit "$folder/checkout" contractors
work push -q "$folder/policy.git" main
merged=$(revision)
# It waits for somebody's word, and nothing else is one.
expect 1 'KNOCK_TOKEN' job '' "HASH=$review" -- "$apply"
expect 5 'review.other' job "$applier" "HASH=${review//[0-7]/8}" -- "$apply"
expect 0 "^policy +$first" here status
# ---- put in force by somebody else: it is what was reviewed, and there is nothing to do ----
expect 0 "Policy $merged is in force" here advance
expect 0 'was in force already' job "$applier" "HASH=$review" -- "$apply"
expect 0 "Policy $first is in force" here advance "$first" --reason 'too early'
# Taken back, that review is over, also when the policy is followed again; a new one waits for that.
expect 5 'review.other' job "$applier" "HASH=$review" -- "$apply"
again() {
  expect 0 'Review hash' job "$reader" " --format markdown > comment.md=" -- \
    'knock plan --server https://knock.example.org --policy . --format markdown > comment.md'
  review=$(grep -ohE '[0-9a-f]{64}' "$folder/out" "$folder/err" | tail -n 1)
}
old=$review
again
[ "$review" != "$old" ] || say_failed 'a change that was taken back has the review hash that it had'
expect 5 'the policy is held at' job "$applier" "HASH=$review" -- "$apply"
expect 0 "$first stays in force" here advance --resume
expect 5 'review.other' job "$applier" "HASH=$old" -- "$apply"
# ---- the apply of exactly that plan, and a second use of it ----
expect 0 "${merged}[0-9a-f]* is in force, as it was reviewed" job "$applier" "HASH=$review" -- "$apply"
expect 0 "^policy +$merged" here status
used='review.used: what was reviewed was applied before, and [0-9a-f]{12}[0-9a-f]* is in force since'
expect 5 "$used" job "$applier" "HASH=$review" -- "$apply"
# ---- what changes no policy file is put in force too, as often as it is made ----
applied=$review nothing=
for text in one two; do
  commit README.md "$text"
  work push -q "$folder/policy.git" main
  again
  [ "${nothing:=$review}" = "$review" ] || say_failed 'a change of nothing has several hashes'
  expect 0 "$(revision)[0-9a-f]* is in force" job "$applier" "HASH=$review" -- "$apply"
  expect 0 "$(revision)[0-9a-f]* was in force already" job "$applier" "HASH=$review" -- "$apply"
done
review=$applied
expect 5 'review.used' job "$applier" "HASH=$review" -- "$apply"
# The same change, taken back and made again, is another one, and its own review leads on.
work revert --no-edit -m 1 "$merged" >/dev/null
work push -q "$folder/policy.git" main
expect 0 "Policy $(revision) is in force" here advance
work revert --no-edit HEAD >/dev/null
work push -q "$folder/policy.git" main
expect 5 'review.used' job "$applier" "HASH=$review" -- "$apply"
old=$review
again
expect 0 "$(revision)[0-9a-f]* is in force, as it was reviewed" job "$applier" "HASH=$review" -- "$apply"
expect 5 'review.used' job "$applier" "HASH=$old" -- "$apply"
# ---- exactly this, by a plan file ----
auditor=$(here -q key add ci-save --scope audit:read)
save='knock plan --server https://knock.example.org --out change.plan'
use='knock apply change.plan --server https://knock.example.org'
commit policy.yaml '  helpers: {idp: helpers, from: [local]}'
work push -q "$folder/policy.git" main
expect 1 'plan.save-scope' job "$reader" -- "$save"
expect 0 'does exactly this, once' job "$auditor" -- "$save"
expect 1 'this needs apply' job "$auditor" -- "$use"
commit policy.yaml '  others: {idp: others, from: [local]}'
work push -q "$folder/policy.git" main
expect 5 'saved-plan.commit' job "$applier" -- "$use"
expect 0 'does exactly this, once' job "$auditor" -- "$save"
expect 0 '^Done' job "$applier" -- "$use"
expect 0 "^policy +$(revision)" here status
expect 5 'saved-plan.used' job "$applier" -- "$use"
# ---- who was told of it ----
for event in policy.waiting policy.adopted policy.held 'status of [0-9a-f]{12}' 'plan of pull request 12'; do
  expect_soon 0 '' grep -E "\"notify.failed\".*\"event\":\"$event\"" "$folder/log"
done
expect 1 '' grep -e hook-secret -e 127.0.0.1:9/path "$folder/log"
expect 0 'destination="webhook 127.0.0.1:9",outcome="failed"' curl -sS --unix-socket "$folder/admin.sock" http://knock/metrics
stop
start
expect_soon 5 'review.used' job "$applier" "HASH=$review" -- "$apply"
expect 0 "plan.used .*review:$review" here audit tail -n 100
expect 0 '' here audit verify
exit "$status"
