# SPDX-License-Identifier: Apache-2.0
# The part of the demo that stands outside its namespaces: makes them, hands back the result, removes the folder.
# shellcheck shell=bash
# shellcheck disable=SC2154  # root, keep, here, knock: set by scripts/demo.sh

# A PID namespace too where the kernel lets us mount its /proc: then nothing can outlive the demo, however it ends.
namespace_flags() {
  local flags=(--net --mount --propagation private)
  if [ "$(id -u)" != 0 ]; then flags=(--user --map-root-user "${flags[@]}"); fi
  if ! unshare "${flags[@]}" true 2>/dev/null; then return 1; fi
  if unshare "${flags[@]}" --pid --fork --kill-child --mount-proc true 2>/dev/null; then
    flags+=(--pid --fork --kill-child --mount-proc)
  fi
  echo "${flags[@]}"
}

run_in_namespaces() {
  local flags status=0
  flags=$(namespace_flags) || {
    complain "This machine does not let $(id -un) make network namespaces, and the demo must not touch its real network."
    complain "Ways on: run ./dev demo as root; or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1 on Debian,"
    complain "kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu); in a container, start it with --privileged."
    exit 1
  }
  KNOCK_DEMO_FOLDER=$(mktemp -d "${TMPDIR:-/tmp}/knock-demo-XXXXXX")
  # The sockets of the admin interface live there.
  chmod 700 "$KNOCK_DEMO_FOLDER"
  export KNOCK_DEMO_FOLDER
  relays=()
  trap 'end_relays; rm -rf "$KNOCK_DEMO_FOLDER"' EXIT
  trap : INT TERM # the inner script gets them too and ends; we only clean up behind it
  if [ -n "$keep" ]; then bring_out; fi
  # shellcheck disable=SC2086
  KNOCK_DEMO_INSIDE=1 unshare $flags "$root/scripts/demo.sh" "$@" || status=$?
  if [ -f "$KNOCK_DEMO_FOLDER/demo.jsonl" ]; then cp "$KNOCK_DEMO_FOLDER/demo.jsonl" "${KNOCK_DEMO_RESULT:-$root/demo.jsonl}"; fi
  if [ -n "$here" ]; then plan_for_this_machine || status=1; fi
  exit "$status"
}

# --keep: two ports of this machine's loopback lead into the demo, to the portal and to the photos, both as from Alice's address. A Unix
# socket's path reaches into another network namespace, so nothing is done to this machine's network.
bring_out() {
  KNOCK_DEMO_PORTAL=$(free_port 8443)
  KNOCK_DEMO_PHOTOS=$(free_port 8500)
  export KNOCK_DEMO_PORTAL KNOCK_DEMO_PHOTOS
  "$prober" relay "tcp:127.0.0.1:$KNOCK_DEMO_PORTAL" "unix:$KNOCK_DEMO_FOLDER/portal.sock" >/dev/null &
  relays+=($!)
  "$prober" relay "tcp:127.0.0.1:$KNOCK_DEMO_PHOTOS" "unix:$KNOCK_DEMO_FOLDER/photos.sock" >/dev/null &
  relays+=($!)
}

free_port() {
  local port=$1
  while (: </dev/tcp/127.0.0.1/"$port") 2>/dev/null; do port=$((port + 1)); done
  echo "$port"
}

end_relays() {
  local pid
  for pid in "${relays[@]}"; do kill "$pid" 2>/dev/null || true; done
}

# --here: what knock would do on this very machine. Reads, asks nothing, writes nothing.
plan_for_this_machine() {
  . "$root/scripts/demo/here.sh"
  plan_here
}
