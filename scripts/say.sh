# SPDX-License-Identifier: Apache-2.0
# How scripts talk: progress goes to stderr, answers to stdout; colours only where a person looks.
# shellcheck shell=bash

if [ -t 2 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
  bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' yellow=$'\e[33m' plain=$'\e[0m'
else
  bold='' dim='' green='' red='' yellow='' plain=''
fi
export bold dim green red yellow plain

progress() { printf '%s==>%s %s\n' "$bold" "$plain" "$*" >&2; }
complain() { printf '%s%s%s\n' "$red" "$*" "$plain" >&2; }
fatal() {
  complain "$@"
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }
jobs_here() { nproc 2>/dev/null || echo 2; }

# True where this user can make a network namespace: as root directly, otherwise inside a user namespace.
namespaces_allowed() {
  if [ "$(id -u)" = 0 ]; then
    unshare -nm --propagation private true 2>/dev/null
  else
    unshare -Urnm --propagation private true 2>/dev/null
  fi
}
