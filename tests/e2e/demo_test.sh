#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The demo as a test: what newcomers are shown must stay true.  demo_test.sh KNOCK PROBER RESULT-FILE
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
. "$root/scripts/say.sh"
if ! namespaces_allowed; then
  echo "needs netns: cannot make a network namespace here"
  case ,${KNOCK_REQUIRE:-}, in *,netns,*) exit 1 ;; esac
  exit 77
fi
KNOCK_BINARY=$1 KNOCK_PROBER=$2 KNOCK_DEMO_RESULT=$3 exec "$root/scripts/demo.sh"
