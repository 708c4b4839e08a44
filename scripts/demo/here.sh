# SPDX-License-Identifier: Apache-2.0
# --here: what knock would do on this very machine. Reads sockets and firewall, asks nothing, writes nothing outside a
# temporary folder.
# shellcheck shell=bash
# shellcheck disable=SC2154  # set by scripts/demo.sh

plan_here() {
  local folder=$KNOCK_DEMO_FOLDER/here code=0 mine
  . "$root/scripts/demo/tell.sh"
  heading 'On this machine: a plan, nothing more'
  "$knock" init "$folder" >"$KNOCK_DEMO_FOLDER/init.txt" 2>&1 || {
    show_answer <"$KNOCK_DEMO_FOLDER/init.txt"
    return 1
  }
  # The address this very terminal comes from would be the first to keep.
  mine=${SSH_CONNECTION:-}
  mine=${mine%% *}
  if [ -n "$mine" ]; then
    sed -i "s|^keep: \[\]|keep:\n  - {prefix: \"$mine\", owner: you, reason: this terminal}|" "$folder/knock.yaml"
  fi
  echo "  listening for strangers now:"
  ss -Hltn 2>/dev/null | awk '$4 !~ /^(127\.|\[::1\])/ {print "tcp " $4}' | sort -u | head -n 12 | show_answer
  show_command "knock --config $folder/knock.yaml plan"
  "$knock" --config "$folder/knock.yaml" plan >"$KNOCK_DEMO_FOLDER/here.txt" 2>&1 || code=$?
  show_answer <"$KNOCK_DEMO_FOLDER/here.txt"
  if [ $code -ne 0 ] && [ "$(id -u)" != 0 ]; then
    echo "  Reading this machine's firewall needs root: sudo ./dev demo --here shows the whole plan."
    return 0
  fi
  echo "  Nothing was changed. To begin for real: README.md, \"Ten minutes on a real machine\"."
  return $code
}
