#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a job elsewhere gets with its token, and what it does not; the job file for any shell; the end of a token. The whole
# way of a change is reviewing_a_policy_change_test.sh.  ci_review_test.sh KNOCK
# Over loopback, with the real controller; its policy has no targets, so nothing on this machine is touched.
set -euo pipefail
knock=$1
tests=$(dirname "$(readlink -f "$0")")
# shellcheck source=tests/e2e/controller.sh
. "$tests/controller.sh"
server=http://127.0.0.1:$port
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

start
# The portal is a process of its own and comes up beside the controller.
expect_soon 0 '^policy ' as "$reader" status
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
# Nothing of it would change a target today, but a shape tells only whether the policies differ.
expect 2 "Review hash $review" as "$reader" plan --policy policies --detailed-exitcode
expect 0 '"knock_plan"' as "$reader" plan --policy policies --json
expect 0 '<!doctype html>|<!DOCTYPE html>' as "$reader" plan --policy policies --format html
expect 0 '^policy ' as "$reader" status

# What a token for plans cannot do.
expect 1 'needs a key with plan:people' as "$reader" plan --policy policies --view people
expect 1 'this needs audit:read' as "$reader" who --service ssh
expect 1 'this needs session:write' as "$reader" session grant bob --from 192.0.2.7 --ttl 1h --reason no --group staff
expect 1 'this needs apply' as "$reader" apply --reviewed "$review"
expect 1 'what-if.scope: .* plan:people' as "$reader" plan --at 2026-11-22T23:00:00Z
expect 1 'plan.save-scope: .* audit:read' as "$reader" plan --policy policies --out "$folder/job/no.plan"
[ ! -e "$folder/job/no.plan" ] || say_failed 'a plan file was written all the same'
expect 64 'own machine' as "$reader" plan --refresh-only
expect 64 'works on this machine' as "$reader" key list
expect 1 'may not be used from 127.0.0.1' as "$elsewhere" plan --policy policies
expect 1 'is no token|characters that are no token' as wrong status
expect 1 'KNOCK_TOKEN is not set' as '' status
expect 1 'https only' env KNOCK_TOKEN="$reader" "$knock" --server http://192.0.2.1 status
echo 'knock: 1
grups: {}
servises: {}' >"$folder/job/bad.yaml"
mkdir "$folder/job/bad" && mv "$folder/job/bad.yaml" "$folder/job/bad/policy.yaml"
expect 3 '^  policy.yaml:2:' as "$reader" plan --policy bad
expect 3 '^  policy.yaml:3:' as "$reader" plan --policy bad

# ---- what if, and a plan file ----
people=$(here -q key add people --scope plan:people)
auditor=$(here -q key add auditor --scope audit:read)
cat >"$folder/job/erika.json" <<'JSON'
{"sessions": [{"id": "erika-1", "principal": {"issuer": "local", "subject": "erika"}, "source": "local", "proof": "local",
  "groups": ["staff"], "address": "203.0.113.99", "created": "2026-11-21T10:00:00Z", "expires": "2030-11-21T10:00:00Z",
  "authenticated": "2026-11-21T10:00:00Z"}]}
JSON
expect 0 'what if: sessions or the time are made up' as "$people" plan --policy policies --sessions erika.json --at 2026-11-22T23:00:00Z
expect 0 'as of 2026-11-22T23:00:00Z' as "$people" plan --policy policies --at 2026-11-22T23:00:00Z
! grep -q 'Review hash' "$folder/out" "$folder/err" || say_failed 'what is made up has a review hash'
expect 0 '"what_if": *true' as "$people" plan --sessions erika.json --json
expect 1 'what-if.view: ' as "$people" plan --at 2026-11-22T23:00:00Z --view shape
expect 1 'needs a key with audit:read' as "$people" plan --at 2026-11-22T23:00:00Z --view full
expect 64 'is not a time' as "$people" plan --at tomorrow
echo '{"sessions": [{"id": 7}]}' >"$folder/job/odd.json"
expect 1 'odd.json: ' as "$people" plan --sessions odd.json
expect 64 'never is' as "$auditor" plan --at 2026-11-22T23:00:00Z --out what-if.plan
expect 64 'the very commit' as "$auditor" plan --pull 7 --out pull.plan

# The job file for any shell is the same in fewer words.
job_script=$tests/../../examples/ci/plain.sh
script() { env -C "$folder/job" PATH="$(dirname "$knock"):$PATH" KNOCK_SERVER="$server" KNOCK_TOKEN="$1" "$job_script" "${@:2}"; }
expect 0 "knock-review: $review" script "$reader" plan policies
expect 1 'nothing was reviewed' script "$applier" apply policies/policy.yaml
expect 64 'comment.md' script "$applier" help

# The job of GitHub takes plans of one user alone, who may be the controller's.
if command -v jq >/dev/null; then
  wanted=$(sed -n "s/.*--jq '\(.*select.*\)' |$/\1/p" "$tests/../../examples/ci/github.yml")
  said='[{"user": {"login": "knock-bot"}, "body": "the plan"}, {"user": {"login": "mallory"}, "body": "another"}]'
  expect 0 '^the plan$' env KNOCK_PLAN_USER=knock-bot jq -r "$wanted" <<<"$said"
  [ "$(wc -l <"$folder/out")" = 1 ] || say_failed 'a plan of somebody else counts too'

  # The whole job of GitLab, against a forge of files: the plan is the last of ours, on the second page of notes.
  mkdir "$folder/gitlab" "$folder/gitlab/bin"
  sed -n '/^apply:/,$s/^      //p' "$tests/../../examples/ci/gitlab.yml" | sed -n '/^ask() {/,$p' >"$folder/gitlab/job.sh"
  cat >"$folder/gitlab/bin/curl" <<'SH'
#!/bin/sh
for last; do :; done
case $last in
  */repository/commits/*) echo '[{"iid": 7}]' ;;
  *per_page=100*page=[0-9]) cat "$FORGE/page-${last##*page=}" ;;
  *) exit 22 ;;
esac
SH
  printf '#!/bin/sh\necho "$*"\n' >"$folder/gitlab/bin/knock"
  chmod +x "$folder/gitlab/bin/curl" "$folder/gitlab/bin/knock"
  notes() { jq -nc --arg by "$1" --arg hash "$2" --argjson n "$3" \
    '[range($n) | {author: {username: $by}, body: ("# plan\n<!-- knock-review: " + $hash + " -->")}]'; }
  ours=$(printf '1%.0s' {1..64})
  theirs=$(printf '2%.0s' {1..64})
  notes mallory "$theirs" 100 >"$folder/gitlab/page-1"
  notes knock-bot "$ours" 1 >"$folder/gitlab/page-2"
  echo '[]' >"$folder/gitlab/page-3"
  gitlab_job() { env -C "$folder/gitlab" PATH="$folder/gitlab/bin:$PATH" FORGE="$folder/gitlab" CI_API_V4_URL=https://forge.example CI_PROJECT_ID=1 \
    CI_COMMIT_SHA=1 KNOCK_NOTE_TOKEN=t KNOCK_APPLY_TOKEN=t KNOCK_PLAN_USER=knock-bot KNOCK_SERVER=https://knock.example sh job.sh; }
  expect 0 "--reviewed $ours\$" gitlab_job
  # What cannot be read is not the end.
  rm "$folder/gitlab/page-2"
  expect 1 'cannot be read' gitlab_job
  echo '[]' >"$folder/gitlab/page-2"
  expect 1 'nothing was reviewed' gitlab_job
fi

# ---- merged, and applied by the same script ----
cp "$folder/job/policies/policy.yaml" "$folder/policies/policy.yaml"
expect 0 'is in force, as it was reviewed' script "$applier" apply ../comment.md
expect 5 'review.used' as "$applier" apply --reviewed "$review"

# ---- a plan file, from who may see it to who may apply it ----
sed -i 's/contractors/helpers/g' "$folder/policies/policy.yaml"
expect 0 "knock apply merged.plan --server $server. does exactly this, once" as "$auditor" plan --out merged.plan
[ "$(stat -c %a "$folder/job/merged.plan")" = 600 ] || say_failed 'others may read the plan file'
grep -q 'Left out' "$folder/out" || say_failed 'more than a shape, and nobody asked for it'
expect 0 'signed by the controller' "$knock" show "$folder/job/merged.plan"
expect 1 'this needs apply' as "$auditor" apply merged.plan
expect 1 'apply.own-machine: ' as "$applier" apply merged.plan --replan
sed 's/"expires":"20/"expires":"21/' "$folder/job/merged.plan" >"$folder/job/edited.plan"
expect 5 'saved-plan.edited' as "$applier" apply edited.plan
expect 64 'leave --policy' as "$applier" apply merged.plan --policy policies
head -c 9000000 /dev/zero | tr '\0' x >"$folder/job/large.plan"
expect 1 'at most 8388608 over the network' as "$applier" apply large.plan
expect 0 '^Done' as "$applier" apply merged.plan
expect 5 'saved-plan.used' as "$applier" apply merged.plan
expect 0 'key ci-apply' here audit tail -n 20

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
for token in "$reader" "$renewed" "$applier" "$elsewhere" "$people" "$auditor"; do
  if grep -rqF -- "${token:6:24}" "$folder/log" "$folder/state"; then
    echo "a token is in the log or the store"
    status=1
  fi
done
exit "$status"
