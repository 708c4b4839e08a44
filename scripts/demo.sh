#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# knock's whole job, for real, in network namespaces of its own: a protected server that runs the controller, and an
# "Internet" from which a prober that knows nothing of knock opens TCP connections. Every claim is such a connection.
#
#   scripts/demo.sh [--keep] [--here]
#
# Nothing outside the namespaces is touched, and everything inside ends with this script. No root is needed where user
# namespaces are allowed. demo.jsonl holds every step; exit 1 when one was not as told.
#   scripts/demo/world.sh    the two namespaces, addresses, servers, probes
#   scripts/demo/tell.sh     headings, PASS/FAIL lines, demo.jsonl
#   scripts/demo/knock.sh    policy, knock.yaml, the controller, the portal
#   scripts/demo/steps.sh    the story, one function a step
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
. "$root/scripts/say.sh"

keep='' here=''
for argument in "$@"; do
  case $argument in
    --keep) keep=1 ;;
    --here) here=1 ;;
    *)
      complain "usage: ./dev demo [--keep] [--here]"
      exit 64
      ;;
  esac
done

knock=${KNOCK_BINARY:-$root/build/release/cli/knock}
prober=${KNOCK_PROBER:-$root/build/release/tests/e2e/knock-prober}
for program in "$knock" "$prober"; do
  [ -x "$program" ] || fatal "$program is not built yet; type ./dev demo, or ./dev build"
done

if [ -z "${KNOCK_DEMO_INSIDE:-}" ]; then
  . "$root/scripts/demo/outside.sh"
  run_in_namespaces "$@"
  exit
fi

. "$root/scripts/demo/tell.sh"
. "$root/scripts/demo/world.sh"
. "$root/scripts/demo/knock.sh"
. "$root/scripts/demo/steps.sh"
folder=$KNOCK_DEMO_FOLDER
trap end_world EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
set -E
trap 'stopped_at "${BASH_SOURCE[0]##*/}" $LINENO' ERR

make_world
make_controller
tell_story
if [ -n "$keep" ]; then keep_running; fi
