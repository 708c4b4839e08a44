#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What `terraform plan` takes for so many entries, beside whole_plan in the same run: each entry is a
# resource of its own, as firewall rules are, of the one type that needs no provider and no network.
# Nothing is said where terraform is not installed.  terraform_plan.sh [ENTRIES…]  (1,000 and 10,000)
set -euo pipefail
command -v terraform >/dev/null || exit 0
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
export CHECKPOINT_DISABLE=1
sizes=("$@")
[ $# -gt 0 ] || sizes=(1000 10000)
for entries in "${sizes[@]}"; do
  for ((i = 0; i < entries; ++i)); do
    printf 'resource "terraform_data" "entry_%d" {\n  input = "10.%d.%d.%d/32 tcp/443"\n}\n' \
      "$i" $((i / 65536)) $((i / 256 % 256)) $((i % 256))
  done >entries.tf
  terraform init -input=false >init.log 2>&1 || { cat init.log; exit 1; }
  begin=$(date +%s%N)
  terraform plan -input=false -refresh=false >plan.log 2>&1 || { tail -n 5 plan.log; exit 1; }
  printf 'terraform plan  %8d entries  %8d ms\n' "$entries" $((($(date +%s%N) - begin) / 1000000))
done
