#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs every benchmark and prints beside the figures where they were taken: figures without a machine mean nothing.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/say.sh

printf 'machine   %s, %s CPUs, kernel %s\n' "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" "$(uname -r)"
printf 'memory    %s\n' "$(awk '/^MemTotal/ {printf "%.1f GiB", $2 / 1048576}' /proc/meminfo)"
printf 'load      %s before the first benchmark\n' "$(cut -d ' ' -f 1-3 /proc/loadavg)"
printf 'compiler  %s\n' "$(clang++-19 --version | head -n 1)"
printf 'revision  %s\n\n' "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"

status=0
found=''
for program in build/release/bench/*; do
  if [ ! -f "$program" ] || [ ! -x "$program" ]; then continue; fi
  found=1
  progress "$(basename "$program")"
  "$program" "$@" || status=1
done
for script in bench/*.sh; do
  [ -x "$script" ] || continue
  found=1
  progress "$script"
  "$script" || status=1
done
[ -n "$found" ] || fatal "there is nothing in bench/ to run"
exit "$status"
