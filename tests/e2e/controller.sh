# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# For tests that speak to a real controller through a shell: sourced, with $knock set. Makes $folder, which goes at the end
# together with the controller, and $status, which is 1 after anything was not as expected.
folder=$(mktemp -d)
chmod 0755 "$folder"
serve=
status=0
port=$((20000 + $$ % 20000))
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_NAME=Ana GIT_AUTHOR_EMAIL=ana@example.org
export GIT_COMMITTER_NAME=Ana GIT_COMMITTER_EMAIL=ana@example.org

finish() {
  [ -z "$serve" ] || stop
  rm -rf "$folder"
}
trap finish EXIT

# wait_for COMMAND…: until it succeeds, for a minute at most.
wait_for() {
  local deadline=$((SECONDS + 60))
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.05
  done
}
# A controller on this machine, by its configuration.
here() { "$knock" --config "$folder/knock.yaml" "$@"; }
# start: a controller, which answers when this returns.
answers_or_died() { here status || ! kill -0 "$serve"; }
start() {
  "$knock" --config "$folder/knock.yaml" serve >>"$folder/log" 2>&1 &
  serve=$!
  if ! wait_for answers_or_died || ! kill -0 "$serve"; then
    echo "the controller does not answer"
    cat "$folder/log"
    exit 1
  fi
}
stop() {
  kill "$serve" 2>/dev/null || true
  wait "$serve" 2>/dev/null || true
  serve=
}
# say_failed TEXT: what was seen instead.
say_failed() {
  echo "$1"
  sed 's/^/    /' "$folder/out" "$folder/err"
  status=1
}
# seen EXIT PATTERN COMMAND…: that exit code, and a line of output or of the errors that matches; "" is none.
seen() {
  local wanted=$1 pattern=$2
  shift 2
  code=0
  "$@" >"$folder/out" 2>"$folder/err" || code=$?
  [ "$code" = "$wanted" ] && { [ -z "$pattern" ] || grep -qE -- "$pattern" "$folder/out" "$folder/err"; }
}
# expect EXIT PATTERN COMMAND…
expect() { seen "$@" || say_failed "${*:3}: exit $code, expected $1 and a line like: $2"; }
# expect_soon EXIT PATTERN COMMAND…: what takes a moment to come true.
expect_soon() { wait_for seen "$@" || say_failed "${*:3}: exit $code in the end, expected $1 and a line like: $2"; }
