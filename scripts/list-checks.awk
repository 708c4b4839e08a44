# SPDX-License-Identifier: Apache-2.0
# Of scripts/list-checks.sh: the places in the sources that refuse something, as "id TAB file TAB function TAB line". Read
# twice (pass=1, pass=2): a function or lambda that refuses with one id wherever it is called stands for its calls.
BEGIN {
  OFS = "\t"
  while ((getline line < ids) > 0) { split(line, part, "\t"); id_of[part[1]] = part[2] }
}
function area(id) { sub(/^\*/, FILENAME ~ /^schemas\/config/ ? "config" : "policy", id); return id }
function place(id) { if (pass == 2) print id, FILENAME, name, FNR }
function enter(text) {
  sub(/\(.*/, "", text); sub(/.*[ &*>]/, "", text)
  name = text; lambda = ""
  for (word in local) delete local[word]
}
FNR == 1 { enter("") }
/^ *\/\// { next }
# A definition, at the left margin or inside a class.
/^(  )?[A-Za-z_:\[][A-Za-z0-9_:<>,&* \[\]]*[ &*>][~A-Za-z_:]+\(/ &&
  !/^ *(return|if|else|for|while|throw|auto|switch|case) ?[^ ]*\(?/ && !/;$/ && !/=/ { enter($0) }
/^  auto [a-z_]+\(/ { enter($0) }
/^[A-Za-z]+::[A-Za-z]+\(/ { enter($0) }
/^constexpr std::array k[A-Za-z]+\{$/ { text = $3; sub(/\{$/, "", text); enter(text) }
/^ +auto [a-z_]+ = \[/ { lambda = $2; since = FNR }
lambda != "" && FNR > since + 4 { lambda = "" }
{
  if ($0 ~ /(==|!=) (Check|Refusal)::/ || $0 ~ /kFirst|kLast|case Refusal|case Check/) next
  rest = $0
  while (match(rest, /(Check|Refusal)::[a-z_]+/)) {
    word = substr(rest, RSTART, RLENGTH); rest = substr(rest, RSTART + RLENGTH)
    if (!(word in id_of)) continue
    id = area(id_of[word])
    if (lambda != "") { local[lambda] = id; lambda = "" }
    else if (name ~ /^(no_file|unreadable|too_much|refuse_key|refuse_alias|refuse_open_quote)$/) helpers[name] = id
    else place(id)
  }
  if (FILENAME ~ /^schemas\/(plan|json)/) {
    if (match($0, /(^|[ .!])refuse\("[a-z-]+"/)) { split(substr($0, RSTART, RLENGTH), part, "\""); place("saved-plan." part[2]) }
    else if (match($0, /"json\.[a-z-]+:/)) place("saved-plan." substr($0, RSTART + 6, RLENGTH - 7))
    else if (open == FNR - 1 && match($0, /^ +"[a-z-]+"/)) { split($0, part, "\""); place("saved-plan." part[2]) }
    if ($0 ~ /refuse\($/) open = FNR
    next
  }
  if (FILENAME ~ /saved_plan_check|^server/) {
    if (match($0, /(^|[ ])refuse\("[a-z-]+"/)) { split(substr($0, RSTART, RLENGTH), part, "\""); place("saved-plan." part[2]); next }
    rest = $0 ~ /refusal.id ==/ ? "" : $0; any = 0
    while (match(rest, /"(saved-plan|review|plan)\.[a-z-]+(:|"[, ]|"\})/)) {
      id = substr(rest, RSTART + 1, RLENGTH - 1); sub(/[":].*/, "", id); rest = substr(rest, RSTART + RLENGTH)
      any = 1
      if (FILENAME ~ /change_plan|plan_calls/ && id != "plan.moved") continue # a remark, not a refusal
      if (lambda != "") { local[lambda] = id; lambda = "" }
      else if (name == "wrong_ack") helpers[name] = id
      else place(id)
    }
    if (any) next
  }
  for (word in local) if ($0 ~ "(^|[ (])" word "\\(" && $0 !~ "auto " word) place(local[word])
  for (word in helpers)
    if (name != word && $0 ~ "(^|[ (:])" word "\\(" && $0 !~ "^(inline |  )?(tl::|static |\\[\\[)") place(helpers[word])
}
