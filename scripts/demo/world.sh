# SPDX-License-Identifier: Apache-2.0
# The world of the demo. This shell's network namespace is the server; "internet" is the other end of one cable.
#
#   server   198.51.100.10, 2001:db8:1::10   controller and portal (443), echo servers on 2222 ("ssh") and 8443 ("photos")
#   internet 203.0.113.7    alice at home    203.0.113.8   bob    203.0.113.50   the operator (a `keep` address)
#            203.0.113.9    the uptime probe (a `static` rule)    192.168.77.5   the guest network (denied)
#            203.0.113.99, 2001:db8:2::9     somebody who scans
#
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # folder, prober and knock: set by scripts/demo.sh; the addresses: used by the others

server=198.51.100.10 server6=2001:db8:1::10
alice=203.0.113.7 bob=203.0.113.8 probe=203.0.113.9 stranger=203.0.113.99 operator=203.0.113.50 denied=192.168.77.5 stranger6=2001:db8:2::9
ssh_port=2222 photos_port=8443 portal_port=443
children=()

make_world() {
  # `ip netns` keeps names below /run: a /run of our own means that no name of ours can meet another.
  mount -t tmpfs -o mode=755 tmpfs /run
  mkdir -p /run/netns
  ip link set lo up
  ip netns add internet
  ip link add wan type veth peer name eth0 netns internet
  ip address add $server/24 dev wan
  ip address add $server6/64 dev wan nodad
  ip link set wan up
  outside ip link set lo up
  outside ip link set eth0 up
  local address
  for address in $alice $bob $probe $stranger $operator $denied; do outside ip address add "$address/32" dev eth0; done
  outside ip address add $stranger6/128 dev eth0 nodad
  outside ip route add 198.51.100.0/24 dev eth0
  outside ip route add 2001:db8:1::/64 dev eth0
  ip route add 203.0.113.0/24 dev wan
  ip route add 192.168.77.0/24 dev wan
  ip route add 2001:db8:2::/64 dev wan

  "$prober" echo-server 0.0.0.0 $ssh_port $photos_port >"$folder/echo4.log" &
  children+=($!)
  "$prober" echo-server $server6 $ssh_port $photos_port >"$folder/echo6.log" &
  children+=($!)
  wait_for "the echo servers" 5000 grep -qs ready "$folder/echo4.log" "$folder/echo6.log"
}

outside() { ip netns exec internet "$@"; }

# wait_for WHAT MS COMMAND…: until the command succeeds. Ends the demo when it does not: nothing after it would make sense.
wait_for() {
  local what=$1 tries=$(($2 / 20))
  shift 2
  while ! "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || fatal "$what did not get ready in time"
    sleep 0.02
  done
}

# wait_quietly MS COMMAND…: as above, but says whether.
wait_quietly() {
  local tries=$(($1 / 50))
  shift
  until "$@"; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || return 1
    sleep 0.05
  done
}

# check_port STEP WHAT EXPECTED SOURCE PORT [HOST]
check_port() {
  local answer
  answer=$(outside "$prober" scan "${6:-$server}" "$5" --source "$4" | awk '{print $2, $3}') || true
  check "$1" "$2" "$3" "${answer% *}" "${answer#* }"
}

# check_within STEP WHAT open|closed SOURCE PORT MS: it becomes so in time; says how long it took.
check_within() {
  local ms seen=$3
  ms=$(outside "$prober" "wait-$3" "$server" "$5" --source "$4" --within "$6") || seen="not $3 within $6 ms"
  if [ "$seen" = "$3" ]; then check "$1" "$2" "$3" "$seen" "$ms"; else check "$1" "$2" "$3" "$seen"; fi
}

# race SOURCE PORT: a prober that opens a fresh socket every 100 us from now on; what is timed comes after `race_begins`.
race() {
  outside "$prober" first-syn-ack $server "$2" --source "$1" --within 10000 --start-file "$folder/race.begun" \
    >"$folder/race.out" 2>/dev/null &
  racer=$!
  wait_for 'the prober' 3000 grep -q ready "$folder/race.out"
}
race_begins() { "$prober" stamp >"$folder/race.begun"; }
# check_race STEP WHAT: it opened; milliseconds from race_begins to the first SYN-ACK.
check_race() {
  local seen=open
  wait "$racer" || seen='not open'
  check "$1" "$2" open "$seen" "$(awk '$1 + 0 > 0 {printf "%.1f", $1 / 1000}' "$folder/race.out")"
}

# hold NAME SOURCE PORT SECONDS: a connection that stays, reported in $folder/NAME.hold. Returns when it stands.
hold() {
  outside "$prober" hold "$server" "$3" --source "$2" --max-seconds "$4" >"$folder/$1.hold" &
  children+=($!)
  wait_for "a connection of $1" 3000 grep -q alive "$folder/$1.hold"
}
hold_state() { awk '$1 == "alive" || $1 == "cut" {state = $1} END {print state == "alive" ? "alive" : "cut"}' "$folder/$1.hold"; }
# When a held connection died, in Unix milliseconds; empty while it lives. hold_ended waits for that, NAME MS.
hold_cut_at() { awk '$1 == "cut" {printf "%.0f\n", $2 * 1000}' "$folder/$1.hold" | tail -n 1; }
hold_ended() {
  local tries=$(($2 / 20))
  while [ "$(hold_state "$1")" = alive ] && [ $tries -gt 0 ]; do
    sleep 0.02
    tries=$((tries - 1))
  done
  [ "$(hold_state "$1")" = cut ]
}

# check_cut STEP WHAT NAME DEADLINE: the held connection's last echo came at its deadline. Never a quarter of a second later;
# up to a second earlier, because a busy machine may keep the prober itself waiting.
check_cut() {
  local cut off seen='still open'
  cut=$(hold_cut_at "$3")
  if [ -n "$cut" ]; then
    off=$((cut - $4))
    seen='on time'
    if [ $off -gt 250 ]; then seen='too late'; fi
    if [ $off -lt -1000 ]; then seen='too early'; fi
  fi
  check "$1" "$2" 'on time' "$seen" "${off:-}"
}

now_ms() { date +%s%3N; }

# Everything we started, by its number, and what those started: children of the controller are its roles.
end_world() {
  local pid
  trap - ERR
  set +e
  for pid in "${children[@]}" "${controller:-}"; do
    if [ -n "$pid" ]; then kill "$pid" 2>/dev/null || true; fi
  done
  wait 2>/dev/null || true
}
