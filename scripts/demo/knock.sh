# SPDX-License-Identifier: Apache-2.0
# knock in the demo: its policy repository, its configuration, the controller, and what a browser does at the portal.
# shellcheck shell=bash
# shellcheck disable=SC2154  # set by scripts/demo.sh and scripts/demo/world.sh

portal=https://$server
# What people type: with --keep a port of this machine's loopback that leads here. Pages of another origin change nothing.
public_url=$portal
if [ -n "${KNOCK_DEMO_PORTAL:-}" ]; then public_url=https://127.0.0.1:$KNOCK_DEMO_PORTAL; fi
alice_password='four old words here'
controller=''

make_controller() {
  heading 'Setting up'
  make_certificate
  make_policy_repository
  write_config "$folder/knock.yaml" "$folder/state/knock.db"
  mkdir -p "$folder/state"
  printf '%s\n' "$alice_password" | knock_here user add alice --group family --password-stdin >"$folder/user.log" 2>&1 || {
    cat "$folder/user.log"
    fatal "knock user add failed"
  }
  echo "  a server with two open ports, an Internet with four hosts, a policy in Git, one local account"
}

# As a person on the server would type it, with the configuration named once.
knock_here() { "$knock" --config "$folder/knock.yaml" "$@"; }

make_certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj "/CN=knock demo" \
    -addext "subjectAltName=IP:$server,IP:127.0.0.1" -keyout "$folder/tls.key" -out "$folder/tls.crt" 2>"$folder/openssl.log" ||
    fatal "openssl could not make a certificate: $(tail -n 1 "$folder/openssl.log")"
}

# The example that is shipped, with ports that need no rights to listen on.
make_policy_repository() {
  policy=$folder/policy
  mkdir -p "$policy"
  cp "$root"/examples/policies/homelab/*.yaml "$policy/"
  sed -i "s|tcp/22\b|tcp/$ssh_port|; s|tcp/443\b|tcp/$photos_port|" "$policy/machines.yaml"
  git -C "$policy" init -q -b main
  git -C "$policy" config user.name "Olga Operator"
  git -C "$policy" config user.email olga@example.org
  commit_policy "begin with the homelab example"
}

commit_policy() {
  git -C "$policy" add -A
  git -C "$policy" -c commit.gpgsign=false commit -q -m "$1"
}

# write_config FILE DATABASE
write_config() {
  cat >"$1" <<YAML
owner: "0badc0ffee15dead"
listen: "$server:$portal_port"
public_url: $public_url
tls: {cert: $folder/tls.crt, key: $folder/tls.key}
policy: {repo: $policy, ref: main, poll: 1s}
store: sqlite://$2
socket: $folder/state/admin.sock
sign_in:
  local: {type: local, max_session: 8h}
keep:
  - {prefix: $operator/32, owner: ops, reason: the console server}
YAML
}

start_controller() {
  # Not through knock_here: a function in the background would be a shell, and $! its number.
  "$knock" --config "$folder/knock.yaml" serve >>"$folder/controller.log" 2>&1 &
  controller=$!
  wait_for_controller
}

wait_for_controller() {
  local tries=500
  until knock_here status >/dev/null 2>&1; do
    tries=$((tries - 1))
    if [ $tries -le 0 ] || ! kill -0 "$controller" 2>/dev/null; then
      tail -n 20 "$folder/controller.log"
      fatal "the controller did not start; its log is above"
    fi
    sleep 0.02
  done
}

# status_shows PATTERN: the controller's own JSON, one line.
status_shows() { knock_here --json status 2>/dev/null | grep -qE "$1"; }
policy_revision() { knock_here --json status | sed -n 's/.*"revision": *"\([^"]*\)".*/\1/p' | head -n 1; }

# Every process of the controller: itself and its roles.
controller_pids() {
  local wanted=" $controller " pid parent
  # Parents come before their children only where numbers did not wrap, so look until nothing new is found.
  local before=''
  while [ "$before" != "$wanted" ]; do
    before=$wanted
    while read -r pid parent; do
      if [[ $wanted == *" $parent "* && $wanted != *" $pid "* ]]; then wanted+="$pid "; fi
    done < <(awk 'FNR == 1 {name = $0; sub(/^.*\) /, "", name); split(name, f, " "); split($0, g, " "); print g[1], f[2]}' \
      /proc/[0-9]*/stat 2>/dev/null)
  done
  echo "$wanted"
}

# Everything at once and without a word to them.
kill_controller() {
  # shellcheck disable=SC2046
  kill -9 $(controller_pids) 2>/dev/null || true
  wait "$controller" 2>/dev/null || true
  controller=''
}

stop_controller() {
  [ -n "$controller" ] || return 0
  kill "$controller" 2>/dev/null || true
  wait "$controller" 2>/dev/null || true
  controller=''
}

# ---- a browser, by hand: cookies in a file, the form's token read from the page ----

# browse NAME SOURCE PATH [CURL-ARGUMENT…]: the page to standard output.
browse() {
  local name=$1 source=$2 path=$3
  shift 3
  outside curl -sS --max-time 10 --cacert "$folder/tls.crt" --interface "$source" --cookie "$folder/$name.cookies" \
    --cookie-jar "$folder/$name.cookies" "$@" "$portal$path"
}

form_token() { sed -n 's/.*name="form" value="\([^"]*\)".*/\1/p' | head -n 1; }

# sign_in NAME SOURCE PASSWORD: the HTTP status of the answer.
sign_in() {
  local token
  token=$(browse "$1" "$2" / | form_token)
  browse "$1" "$2" /auth/local -o "$folder/$1.html" -w '%{http_code}' -H "Origin: $public_url" \
    --data-urlencode "user=$1" --data-urlencode "password=$3" --data-urlencode "form=$token"
}

# sign_out NAME SOURCE: the HTTP status.
sign_out() {
  local token
  token=$(browse "$1" "$2" / | form_token)
  browse "$1" "$2" /auth/sign-out -o /dev/null -w '%{http_code}' -H "Origin: $public_url" --data-urlencode "form=$token"
}
