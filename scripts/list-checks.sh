#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every place in the source that refuses policy, configuration, a commit or a saved plan: its id, its file and function, how
# many rows of the tests name the id, and the patches of tests/mutation that delete it. Read from the sources and the
# patches, so it cannot say what is not so. Fails when a place has no patch and tests/mutation/README.md does not say why, or
# when a patch or the README names a place that is not there.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
. scripts/say.sh
export LC_ALL=C

sources=(schemas/policy/*.cc schemas/config/*.cc store/git/*.h store/git/*.cc store/policy_files.cc
  schemas/plan/{saved_plan,change_codec,plan_parts}.cc schemas/json/{object_reader.h,object_reader.cc,strict_json.cc}
  reconciler/core/saved_plan_check.cc server/core/{saved_plans,apply_saved,review,change_plan}.cc)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# enumerator TAB id. A check of keys and scalars has the prefix of the area that its file belongs to, written "*.".
{
  awk '
    /^enum class Check /{ on = 1 }
    /^};/{ on = 0 }
    /: ids "yaml/{ kind = "yaml." }
    /\/\/ Keys and scalars/{ kind = "*." }
    on && /^  [a-z_]+,$/ { name = id = substr($1, 1, length($1) - 1); gsub("_", "-", id); print "Check::" name "\t" kind id }
  ' schemas/policy/check.h
  awk '
    /case Refusal::/{ name = substr($2, 1, length($2) - 1) }
    /return "/{ split($0, part, "\""); if (name) print name "\t" part[2]; name = "" }
  ' store/policy_refusal.cc
} >"$work/ids"

awk -v ids="$work/ids" -f scripts/list-checks.awk pass=1 "${sources[@]}" pass=2 "${sources[@]}" >"$work/sites"

# field PATCH NAME: the values of that field, one a line.
field() { sed -n -e '/^--- /q' -e "s/^$2: //p" "$1"; }

# id TAB file TAB function TAB line TAB patch: of what a patch deletes, or says that it does.
mkdir "$work/tree"
for patch in tests/mutation/*.patch; do
  file=$(sed -n 's,^+++ b/,,p' "$patch") name=$(basename "$patch" .patch)
  [ -f "$file" ] || fatal "$name changes no file that is there"
  mkdir -p "$work/tree/$(dirname "$file")"
  cp "$file" "$work/tree/$file"
  (cd "$work/tree" && git apply --recount "$OLDPWD/$patch") || fatal "$name no longer applies"
  # The lines of the source that are gone.
  { diff "$file" "$work/tree/$file" || true; } | sed -n 's/^\([0-9,]*\)[cd][0-9,]*$/\1/p' >"$work/gone"
  field "$patch" check >"$work/named"
  awk -F '\t' -v OFS='\t' -v file="$file" -v patch="$name" -v gone="$work/gone" -v named="$work/named" '
    BEGIN {
      while ((getline line < gone) > 0) {
        first[++n] = last[n] = line
        if (split(line, part, ",") == 2) { first[n] = part[1]; last[n] = part[2] }
      }
      while ((getline line < named) > 0) says[line] = 1
    }
    {
      hit = 0
      if (($3 " " $1) in says) { hit = 1; said[$3 " " $1] = 1 }
      if ($2 == file) for (i = 1; i <= n; i++) if ($4 >= first[i] && $4 <= last[i]) hit = 1
      if (hit) print $0, patch
    }
    END { for (one in says) if (!(one in said)) print "unknown", one, patch }
  ' "$work/sites"
done >"$work/deleted"

# id TAB function: what the README says cannot be deleted, a line for each place.
# shellcheck disable=SC2016
sed -n 's/^- \(`[a-z-]*\.[a-z-]*` in `.*`[^`:]*\): .*/\1/p' tests/mutation/README.md |
  awk -F '`' '
    { for (i = 4; i < NF; i += 2) for (n = $(i + 1) ~ / places/ ? substr($(i + 1), 3) + 0 : 1; n > 0; n--) print $2 "\t" $i }
  ' >"$work/reasons"

# id TAB how often the tests name it.
grep -rhoE '"[a-z]+(-plan)?\.[a-z-]+"' tests/unit/{schemas,store,core,server} | sort | uniq -c |
  awk '{ gsub("\"", "", $2); print $2 "\t" $1 }' >"$work/rows"

sort "$work/sites" | awk -F '\t' -v deleted="$work/deleted" -v reasons="$work/reasons" -v rows="$work/rows" '
  function wrong(text) { print text > "/dev/stderr"; bad = 1 }
  BEGIN {
    while ((getline line < rows) > 0) { split(line, part, "\t"); row[part[1]] = part[2] }
    while ((getline line < reasons) > 0) excused[line]++
    while ((getline line < deleted) > 0) {
      split(line, part, "\t")
      if (part[1] == "unknown") { wrong(part[3] " says that it deletes " part[2] ", and there is no such place"); continue }
      where = part[1] SUBSEP part[2] SUBSEP part[4]
      by[where] = by[where] " " part[5]; patch[part[5]] = 1
    }
    printf "%-28s %-64s %4s  %s\n", "id", "where", "rows", "deleted by"
  }
  {
    names = by[$1 SUBSEP $2 SUBSEP $4]
    why = names == "" && excused[$1 "\t" $3]-- > 0
    printf "%-28s %-64s %4d %s\n", $1, $2 ":" $4 " " $3, row[$1], names != "" ? names : why ? " see the README" : " NOTHING"
    checks++; ids += !seen[$1]++
    if (names != "") done++; else if (why) told++; else left = left "\n  " $1 "  " $2 " " $3
  }
  END {
    for (one in patch) patches++
    printf "\n%d places with %d ids: %d are deleted by %d patches, %d cannot be and the README says why, %d are left%s%s\n",
      checks, ids, done, patches, told, checks - done - told, left == "" ? "" : ":", left
    for (one in excused) if (excused[one] > 0) wrong("the README excuses " one ", and no place of that name lacks a patch")
    exit bad || left != ""
  }
'
