# SPDX-License-Identifier: Apache-2.0
# What a step prints, and the machine's copy of it.
# shellcheck shell=bash
# shellcheck disable=SC2154  # folder: set by scripts/demo.sh

passed=0
failed=0
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
  out_bold=$'\e[1m' out_green=$'\e[32m' out_red=$'\e[31m' out_dim=$'\e[2m' out_plain=$'\e[0m'
else
  out_bold='' out_green='' out_red='' out_dim='' out_plain=''
fi

heading() { printf '\n%s%s%s\n' "$out_bold" "$*" "$out_plain"; }
# A command as a person would type it, and its answer, indented.
show_command() { printf '%s      $ %s%s\n' "$out_dim" "$*" "$out_plain"; }
show_answer() { sed 's/^/      /'; }

json_text() {
  local text=${1//\\/\\\\}
  text=${text//\"/\\\"}
  text=${text//$'\n'/ }
  printf '"%s"' "$text"
}

# check STEP WHAT EXPECTED SEEN [MS]: one claim. STEP is a stable word for machines, WHAT is for people.
check() {
  local step=$1 what=$2 expected=$3 seen=$4 ms=${5:-} pass=true word=PASS color=$out_green
  if [ "$expected" != "$seen" ]; then pass=false word=FAIL color=$out_red; fi
  if [ $pass = true ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
  local detail=$seen
  if [ $pass = false ]; then detail="expected $expected, seen $seen"; fi
  if [ -n "$ms" ]; then detail="$detail, $ms ms"; fi
  printf '  %s%s%s  %-66s %s\n' "$color" "$word" "$out_plain" "$what" "($detail)"
  printf '{"step":%s,"what":%s,"expected":%s,"seen":%s,"ms":%s,"pass":%s,"at":%s}\n' "$(json_text "$step")" \
    "$(json_text "$what")" "$(json_text "$expected")" "$(json_text "$seen")" "${ms:-null}" $pass "$(date +%s)" \
    >>"$folder/demo.jsonl"
}

# A command that nobody expected to fail: where, and the controller's last words.
stopped_at() {
  [ "$BASH_SUBSHELL" -eq 0 ] || return 0 # the shell above says it, once
  complain "The demo could not go on at $1:$2."
  if [ -s "$folder/controller.log" ]; then
    complain "The controller's last words:"
    tail -n 10 "$folder/controller.log" >&2
  fi
  exit 1
}
