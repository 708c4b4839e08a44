# SPDX-License-Identifier: Apache-2.0
# The story, one function a step. Each claim is a connection attempt or a command's exit code; a new step is one more
# function and one more line in tell_story.
# shellcheck shell=bash
# shellcheck disable=SC2154  # set by the other files of the demo

tell_story() {
  story_begun=$SECONDS
  before_knock
  plan_first
  controller_starts
  wrong_password
  alice_signs_in
  hands_off_the_firewall
  policy_changes
  stopped_by_its_own_test
  break_glass
  killed
  comes_back
  alice_signs_out
  who_could
  log_is_checked
  summary
}

before_knock() {
  heading 'Before knock: what somebody who scans sees'
  check_port before.ssh 'a stranger reaches ssh' open $stranger $ssh_port
  check_port before.photos 'a stranger reaches the photos' open $stranger $photos_port
  check_port before.ssh6 'a stranger reaches ssh over IPv6' open $stranger6 $ssh_port $server6
  # Stays for the whole demo: nothing that knock does may cut the operator off.
  hold operator $operator $ssh_port 300
}

plan_first() {
  heading 'The plan comes first, and changes nothing'
  show_command knock plan
  local code=0
  knock_here plan --detailed-exitcode >"$folder/plan.txt" 2>&1 || code=$?
  show_answer <"$folder/plan.txt"
  check plan.exit 'knock plan says that there is something to do' 'exit 2' "exit $code"
  check_port plan.untouched 'a stranger still reaches ssh: a plan writes nothing' open $stranger $ssh_port
}

controller_starts() {
  heading 'The controller starts: everything is closed'
  start_controller
  check_within start.ssh 'ssh closes for a stranger' closed $stranger $ssh_port 15000
  check_port start.photos 'so do the photos' filtered $stranger $photos_port
  check_port start.ssh6 'and ssh over IPv6' filtered $stranger6 $ssh_port $server6
  check_port start.static 'the uptime probe, a `static` rule, reaches the photos' open $probe $photos_port
  check_port start.static-only 'but not ssh' filtered $probe $ssh_port
  check_port start.keep 'the operator, a `keep` address, still gets in' open $operator $ssh_port
  check start.held "the operator's connection from before was not cut" alive "$(hold_state operator)"
  check_port start.portal 'the portal answers everybody' open $stranger $portal_port
}

wrong_password() {
  heading 'A wrong password'
  check wrong.status 'the portal refuses it' 403 "$(sign_in alice $alice 'not the password')"
  check_port wrong.closed 'and nothing opened' filtered $alice $photos_port
}

alice_signs_in() {
  heading 'Alice signs in at the portal, from her address'
  local token status
  token=$(browse alice $alice / | form_token)
  race $alice $photos_port
  race_begins
  status=$(browse alice $alice /auth/local -o /dev/null -w '%{http_code}' -H "Origin: $public_url" --data-urlencode user=alice \
    --data-urlencode "password=$alice_password" --data-urlencode "form=$token")
  check signin.status 'the portal accepts her' 303 "$status"
  check_race signin.open 'the photos open for her (curl, TLS, password hash, log included)'
  check_port signin.stranger 'not for a stranger' filtered $stranger $photos_port
  check_port signin.bob "not for Alice's neighbour" filtered $bob $photos_port
  check_port signin.ssh 'and ssh stays closed to her: policy gives the family photos only' filtered $alice $ssh_port
  hold alice $alice $photos_port 300
  show_command knock why alice photos
  local code=0
  knock_here why alice photos >"$folder/why.txt" 2>&1 || code=$?
  show_answer <"$folder/why.txt"
  check signin.why 'knock why proves it' 'exit 0' "exit $code"
  code=0
  knock_here why alice ssh >"$folder/why-ssh.txt" 2>&1 || code=$?
  check signin.why-not 'knock why names what is missing for ssh' 'exit 9' "exit $code"
}

# Which of the table's sets holds an address, as a person would look it up.
set_with() {
  nft -s list table inet knock | awk -v address="$1" '/^[ \t]*set / {name = $2} index($0, address) {print name; exit}'
}

hands_off_the_firewall() {
  heading 'Somebody edits the firewall by hand'
  local set
  set=$(set_with $alice)
  nft delete element inet knock "$set" "{ $alice }"
  check_within drift.healed "Alice's entry was deleted by hand: it is back" open $alice $photos_port 15000
  check drift.logged 'and the log tells of it' 'drift.found' \
    "$(knock_here audit tail -n 40 2>/dev/null | grep -o -m 1 'drift\.found' || echo nothing)"
  nft add element inet knock "$set" "{ $bob timeout 1h }"
  local seen='not reported' left=gone
  if wait_quietly 15000 status_shows '"foreign":1'; then seen=reported; fi
  check drift.reported 'an entry that somebody else made is reported' reported "$seen"
  if [ "$(set_with $bob)" = "$set" ]; then left='left alone'; fi
  check drift.foreign 'and left alone' 'left alone' "$left"
  nft delete element inet knock "$set" "{ $bob }"
}

policy_changes() {
  heading 'A policy commit that is wrong, and one that is right'
  local good
  good=$(policy_revision)
  sed -i 's/who: \[family, admins\]/who: [famly, admins]/' "$policy/rules.yaml"
  commit_policy 'photos: tidy up'
  show_command knock validate policy/
  local code=0
  knock_here validate "$policy" >"$folder/validate.txt" 2>&1 || code=$?
  show_answer <"$folder/validate.txt"
  check policy.invalid 'knock validate points at the line' 'exit 3' "exit $code"
  local said='not said'
  if wait_quietly 15000 status_shows '"problem":"[^"]*refused'; then said=said; fi
  check policy.refused 'the controller refuses the commit and says so' said "$said"
  check policy.last-good 'the controller keeps the last good commit in force' "${good:0:12}" "$(policy_revision | cut -c 1-12)"

  git -C "$policy" revert --no-edit HEAD >/dev/null # the wrong one
  sed -i 's/who: \[admins\], to:/who: [admins, family], to:/' "$policy/rules.yaml"
  show_command 'knock plan --policy policy/      (what the pull request would do)'
  code=0
  knock_here plan --policy "$policy" --detailed-exitcode >"$folder/review.txt" 2>&1 || code=$?
  show_answer <"$folder/review.txt"
  check policy.review 'the review shows that Alice would gain ssh' 'exit 2' "exit $code"
  check_port policy.not-yet 'before the merge ssh is closed to Alice' filtered $alice $ssh_port
  commit_policy 'administration: the family too'
  check_within policy.merged 'after it ssh opens for her, without a new sign-in' open $alice $ssh_port 15000
  git -C "$policy" revert --no-edit HEAD >/dev/null
  check_within policy.reverted 'and closes when the commit is reverted' closed $alice $ssh_port 15000
  check policy.photos 'her connection to the photos lived through all of it' alive "$(hold_state alice)"
}

stopped_by_its_own_test() {
  heading "A tidy-up that would let the guests in: stopped by the policy's own test"
  local good code=0
  good=$(policy_revision)
  sed -i '/^deny:/,$d' "$policy/rules.yaml"
  show_command knock test --policy policy/
  knock_here test --policy "$policy" >"$folder/test.txt" 2>&1 || code=$?
  show_answer <"$folder/test.txt"
  check test.failed 'knock test names somebody who would get in' 'exit 3' "exit $code"
  code=0
  knock_here plan --policy "$policy" >"$folder/stopped.txt" 2>&1 || code=$?
  check test.no-plan 'there is no plan for such a policy' 'exit 3' "exit $code"
  commit_policy 'rules: nobody remembers what the deny rule is for'
  local said='not said'
  if wait_quietly 15000 status_shows '"problem":"[^"]*refused: [0-9]+ problems?; first: tests\.yaml'; then said=said; fi
  check test.refused 'pushed all the same, the controller refuses the commit and names the test' said "$said"
  check test.last-good 'and keeps the last good one in force' "${good:0:12}" "$(policy_revision | cut -c 1-12)"
  git -C "$policy" revert --no-edit HEAD >/dev/null
}

# When the session that was just granted ends, in Unix milliseconds.
granted_until() { date -d "$(sed -n '1s/.* until //p' "$folder/grant.txt")" +%s000; }

break_glass() {
  heading 'Break glass: an operator lets Bob in for four seconds'
  show_command "knock session grant bob --from $bob --ttl 4s --group admins --reason \"ticket 4711\""
  race $bob $ssh_port
  race_begins
  knock_here session grant bob --from $bob --ttl 4s --group admins --reason 'ticket 4711' >"$folder/grant.txt" 2>&1 || true
  show_answer <"$folder/grant.txt"
  check_race grant.open 'ssh is open for Bob (from pressing Enter)'
  hold bob $bob $ssh_port 30
  hold_ended bob 15000 || true
  check_cut grant.cut 'his open connection is cut when the time is over' bob "$(granted_until)"
  check_port grant.closed 'and ssh is closed for him' filtered $bob $ssh_port
  knock_here session grant mallory --from $denied --ttl 1m --group admins --reason 'ticket 4713' >"$folder/denied.txt" 2>&1 || true
  check grant.made 'the same grant for somebody on the guest network makes a session' 1 \
    "$(knock_here session list 2>/dev/null | grep -c "mallory.*$denied" || true)"
  check_port grant.denied 'but opens nothing: deny wins' filtered $denied $ssh_port
}

killed() {
  heading 'The controller is killed with -9, and the door closes on time by itself'
  knock_here session grant bob --from $bob --ttl 5s --group admins --reason 'ticket 4712' >"$folder/grant.txt" 2>&1 || true
  hold bob $bob $ssh_port 30
  kill_controller
  check killed.dead 'nobody is left to close anything' 'no controller' "$(knock_here status >/dev/null 2>&1 && echo running || echo 'no controller')"
  check_port killed.open "Bob's door is still open" open $bob $ssh_port
  hold_ended bob 15000 || true
  check_cut killed.cut 'the kernel cuts his connection at the deadline' bob "$(granted_until)"
  check_port killed.closed 'ssh is closed for him' filtered $bob $ssh_port
  check killed.alice 'Alice, who has hours left, noticed nothing' alive "$(hold_state alice)"
}

comes_back() {
  heading 'It comes back'
  start_controller
  check_port back.alice "Alice's door is open" open $alice $photos_port
  check back.flap 'her connection was never interrupted' alive "$(hold_state alice)"
  check_port back.bob "Bob's is not" filtered $bob $ssh_port
  local code=0
  knock_here plan --detailed-exitcode >"$folder/second-plan.txt" 2>&1 || code=$?
  check back.plan 'the next plan is empty' 'exit 0' "exit $code"
}

alice_signs_out() {
  heading 'Alice signs out'
  signed_in_at=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  sleep 1.1 # the question below asks for a whole second before this
  check signout.status 'the portal lets her go' 303 "$(sign_out alice $alice)"
  local begun
  begun=$(now_ms)
  hold_ended alice 3000 || true
  check signout.cut 'her open connection is cut' cut "$(hold_state alice)" \
    "$(awk -v a="$(hold_cut_at alice)" -v b="$begun" 'BEGIN {d = a - b; print (d > 0 ? d : 0)}')"
  check_port signout.closed 'the photos are closed to her' filtered $alice $photos_port
}

who_could() {
  heading 'Who could reach the photos a moment ago?'
  show_command "knock who --service photos --at $signed_in_at"
  knock_here who --service photos --at "$signed_in_at" >"$folder/who.txt" 2>&1 || true
  show_answer <"$folder/who.txt"
  check who.then 'the log knows: Alice' alice "$(grep -o -m 1 alice "$folder/who.txt" || echo nobody)"
  knock_here who --service photos >"$folder/who-now.txt" 2>&1 || true
  check who.now 'and now: not Alice' nobody "$(grep -o -m 1 alice "$folder/who-now.txt" || echo nobody)"
}

log_is_checked() {
  heading 'One byte of the log is flipped'
  stop_controller
  local code=0
  knock_here audit verify >"$folder/verify.txt" 2>&1 || code=$?
  show_answer <"$folder/verify.txt"
  check audit.good 'the log is whole' 'exit 0' "exit $code"
  mkdir -p "$folder/forged"
  cp "$folder"/state/knock.db* "$folder/forged/"
  flip_byte "$folder/forged/knock.db"
  write_config "$folder/forged.yaml" "$folder/forged/knock.db"
  code=0
  "$knock" --config "$folder/forged.yaml" audit verify >"$folder/forged.txt" 2>&1 || code=$?
  show_answer <"$folder/forged.txt"
  check audit.forged 'in a copy with one byte changed, the break is found' 'exit 10' "exit $code"
}

# As somebody would who wants the wrong password forgotten: one letter of the reason code, which only the log itself holds.
flip_byte() {
  local at
  at=$(grep -abo 'local\.wrong' "$1" | head -n 1 | cut -d : -f 1)
  [ -n "$at" ] || fatal 'the refused sign-in is not in the log'
  printf 'u' | dd of="$1" bs=1 seek=$((at + 6)) conv=notrunc status=none
}

summary() {
  heading 'At the end'
  check end.keep 'the operator was never cut off, not for one packet' alive "$(hold_state operator)"
  printf '\n%s of %s steps as told, in %s s. Each of them: demo.jsonl\n' "$passed" $((passed + failed)) $((SECONDS - story_begun))
  [ "$failed" -eq 0 ] || exit 1
}

# --keep: the world stays until Ctrl-C.
keep_running() {
  start_controller
  outside "$prober" relay "unix:$folder/portal.sock" "tcp:$server:$portal_port" --source $alice >/dev/null &
  children+=($!)
  outside "$prober" relay "unix:$folder/photos.sock" "tcp:$server:$photos_port" --source $alice >/dev/null &
  children+=($!)
  heading 'Still running, until you press Ctrl-C'
  cat <<TEXT
  the portal     $public_url   (the demo's own certificate: your browser will warn)
                 user alice, password "$alice_password"
  her photos     127.0.0.1:$KNOCK_DEMO_PHOTOS, an echo server that answers while she is signed in:
                 bash -c 'exec 3<>/dev/tcp/127.0.0.1/$KNOCK_DEMO_PHOTOS; echo hello >&3; head -n 1 <&3'
  the server     $knock --socket $folder/state/admin.sock status
TEXT
  wait "$controller" || true
}
