// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/render_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

#include "base/text.h"

namespace knock {
namespace {

std::string padded(std::string text, std::size_t width) {
  auto cells = display_width(text);
  if (cells < width) text.append(width - cells, ' ');
  return text;
}

struct Rules {
  std::string text;  // "rule staff", "rules a, b"
  bool several = false;
};
Rules rules_text(const std::set<std::string>& names) {
  if (names.empty()) return {};
  std::vector<std::string> list(names.begin(), names.end());
  return {(names.size() == 1 ? "rule " : "rules ") + some_of(std::move(list), 3, names.size()),
          names.size() > 1};
}
Rules rules_of(const Change& change) {
  std::set<std::string> names;
  for (const Attribution& cause : change.causes) names.insert(printable(cause.rule.value));
  return rules_text(names);
}

std::string with_rules(std::string why, const Rules& rules) {
  return rules.text.empty() ? why : why + ", " + rules.text;
}

/// Why, as far as it is the same for all changes of a kind.
std::string why_text(Reason reason, Action action, const Rules& rules) {
  switch (reason) {
    case Reason::sign_in:
      return with_rules("sign-in", rules);
    case Reason::fixed:
      return with_rules("static", rules);
    case Reason::policy:
      if (action != Action::remove) return with_rules("policy", rules);
      if (rules.text.empty()) return "policy";
      return fmt::format("policy: {} no longer {} it", rules.text,
                         rules.several ? "give" : "gives");
    case Reason::expiry:
      return "expired";
    case Reason::sign_out:
      return "signed out";
    case Reason::revoked:
      return "revoked";
    case Reason::denied:
      return "denied by policy";
    case Reason::no_room:
      return "no room at the target";
    case Reason::limited:
      return "a rule counts addresses or people: one too many";
    case Reason::drift:
      return "drift";
    case Reason::orphan:
      return "ours, but nothing explains it";
    case Reason::configuration:
      return "configuration";
    case Reason::foreign:
      return "foreign, left alone";
  }
  return "";
}

bool is_entry(Action action) {
  switch (action) {
    case Action::add:
    case Action::extend:
    case Action::shorten:
    case Action::remove:
    case Action::report:
      return true;
    case Action::protect:
    case Action::unprotect:
    case Action::keep:
    case Action::reshape:
      return false;
  }
  return true;
}

/// A report of what structure would be has no address to stand in a column.
bool is_entry(const Change& change) {
  return is_entry(change.action) && (change.action != Action::report || change.prefix != Prefix());
}

/// Distinct people among those who gain, or lose.
std::size_t count_people(const Plan& plan, bool gains) {
  std::vector<std::string_view> keys;
  for (const PersonChange& person : plan.people)
    if (person.gains == gains) keys.push_back(person.key.empty() ? person.who : person.key);
  std::sort(keys.begin(), keys.end());
  return std::size_t(std::unique(keys.begin(), keys.end()) - keys.begin());
}

std::size_t count_cut_sessions(const Plan& plan) {
  std::set<std::string_view> ids;
  std::size_t without = 0;
  for (const SessionCut& cut : plan.cuts)
    if (cut.session.empty())
      ++without;
    else
      ids.insert(cut.session.value);
  return ids.size() + without;
}

using FigureKey = std::tuple<bool, std::string_view, std::string_view>;
FigureKey key_of(const PeopleFigure& figure) {
  return {!figure.gains, figure.service.value, figure.rule.value};
}
FigureKey key_of(const PersonChange& person) {
  return {!person.gains, person.service.value, person.rule.value};
}

}  // namespace

Look look_of(Action action) {
  switch (action) {
    case Action::add:
      return {'+', "32", "add"};
    case Action::extend:
      return {'~', "36", "later"};
    case Action::shorten:
      return {'~', "33", "earlier"};
    case Action::remove:
      return {'-', "31", "remove"};
    case Action::protect:
    case Action::unprotect:
      return {'!', "35", "ports"};
    case Action::keep:
    case Action::reshape:
      return {'*', "34", "structure"};
    case Action::report:
      return {'?', "90", "report"};
  }
  return {'?', "90", "report"};
}

std::string short_revision(const PolicyRevision& revision) {
  if (revision.empty()) return "(none)";
  auto text = revision.value;
  if (text.starts_with("sha256:")) return printable(text.substr(0, 15));
  return printable(text.substr(0, 7));
}

std::string short_id(const Plan& plan) { return to_hex(plan.id).substr(0, 16); }

std::string some_of(std::vector<std::string> names, std::size_t most, std::size_t all) {
  if (all <= most && names.size() == all) return join(names, ", ");
  if (names.size() > most - 1) names.resize(most - 1);
  return fmt::format("{} and {} more", join(names, ", "), all - names.size());
}

PlanCounts counts_of(const Plan& plan) {
  PlanCounts out;
  for (const TargetPlan& target : plan.targets) {
    ++out.targets;
    out.held += target.held.size();
    out.unreadable += !target.readable;
    std::map<Action, std::size_t> count;
    for (const Change& change : target.changes) ++count[change.action];
    out.add += count[Action::add];
    out.extend += count[Action::extend];
    out.shorten += count[Action::shorten];
    out.remove += count[Action::remove];
    out.protect += count[Action::protect];
    out.unprotect += count[Action::unprotect];
    out.structure += count[Action::keep] + count[Action::reshape];
    auto writes = target.changes.size() - count[Action::report];
    if (writes == 0) continue;
    ++out.changed;
    out.calls_known = out.calls_known && target.calls.has_value();
    out.calls += target.calls.value_or(writes);
  }
  out.gain = count_people(plan, true);
  out.lose = count_people(plan, false);
  for (const PeopleFigure& figure : plan.figures)
    if (!figure.complete()) (figure.gains ? out.gain_complete : out.lose_complete) = false;
  out.cut_sessions = count_cut_sessions(plan);
  return out;
}

std::string shape_summary(const Plan& part) {
  return part.edits.empty() ? std::string("Plan: no policy change.")
                            : fmt::format("Plan: {}.", counted(part.edits.size(), "policy change",
                                                               "policy changes"));
}

std::string targets_text(const PlanCounts& counts) {
  return fmt::format("{} of {} change, {}", counts.changed, counts.targets,
                     counts.calls_known ? counted(counts.calls, "call", "calls")
                                        : counted(counts.calls, "write", "writes"));
}

std::string scope_text(const Plan& plan) {
  std::vector<std::string> parts;
  if (plan.scope.refresh_only) parts.push_back("what differs on the targets, and nothing else");
  if (plan.scope.what_if) parts.push_back("what if: sessions or the time are made up");
  if (!plan.scope.targets.empty()) {
    std::vector<std::string> names;
    for (const TargetName& name : plan.scope.targets) names.push_back(printable(name.value));
    parts.push_back("only " + some_of(names, 5, names.size()));
  }
  return join(parts, "; ");
}

// ---- Words

std::string Words::shown(std::string_view text) const {
  if (view_ == View::full) return printable(text);
  return view_ == View::people ? without_addresses(printable(text)) : "(not shown)";
}

std::string Words::our_own(std::string_view text) const {
  auto safe = printable(text);
  return view_ == View::full ? safe : without_addresses(safe);
}

std::string Words::prefix(const Prefix& prefix) const {
  if (view_ == View::full) return prefix.to_string();
  return view_ == View::people ? kind_of(prefix) : "";
}

/// Times of one day need no date, first instants of a day no time.
std::string Words::time(Instant at) const {
  auto text = to_string(at), today = to_string(plan_.as_of);
  auto date = text.substr(0, 10), time = text.substr(11, 5);
  if (date == today.substr(0, 10)) return time;
  return time == "00:00" ? date : date + " " + time;
}

std::string Words::place(const SourceRange& origin) const {
  return origin.line == 0 ? "" : fmt::format("{}:{}", printable(origin.file), origin.line);
}

std::string Words::edit_name(const PolicyEdit& edit) const {
  auto section = printable(edit.section);
  // Tests are named by sentences, which may speak of anybody.
  if (edit.section == "tests" && !edit.name.empty())
    return shape() ? section : section + " \"" + printable(edit.name) + "\"";
  return edit.name.empty() ? section : section + " " + printable(edit.name);
}

/// Of plans that an earlier version saved, the people alone tell.
std::vector<PeopleFigure> Words::known_figures() const {
  if (!plan_.figures.empty() || plan_.people.empty()) return plan_.figures;
  std::map<FigureKey, PeopleFigure> figures;
  for (const PersonChange& person : plan_.people) {
    auto& figure = figures[key_of(person)];
    figure.gains = person.gains;
    figure.service = person.service;
    figure.rule = person.rule;
    figure.origin = person.origin;
    ++figure.seen;
  }
  std::vector<PeopleFigure> out;
  for (auto& [key, figure] : figures) out.push_back(std::move(figure));
  return out;
}

std::string Words::basis(const PeopleFigure& figure) const {
  std::vector<std::string> parts;
  bool alone = (figure.directory > 0) + (figure.seen > 0) + (figure.named > 0) == 1;
  auto part = [&](std::size_t n, std::string words) {
    if (n > 0) parts.push_back(alone ? std::move(words) : fmt::format("{} {}", n, words));
  };
  part(figure.directory, "directory");
  part(figure.seen, plan_.seen_within.ms > 0 ? "seen within " + for_people(plan_.seen_within)
                                             : std::string("seen"));
  part(figure.named, "named by the rule");
  if (!figure.unlisted.empty()) {
    std::vector<std::string> names;
    for (const GroupName& name : figure.unlisted) names.push_back(printable(name.value));
    bool one = names.size() == 1;
    auto all = names.size();
    parts.push_back(fmt::format("{} {} no directory",
                                (one ? "group " : "groups ") + some_of(std::move(names), 4, all),
                                one ? "has" : "have"));
  }
  return join(parts, "; ");
}

namespace {

/// "members of contractors": a shape counts nobody.
std::string members_of(const std::vector<GroupName>& groups) {
  std::vector<std::string> names;
  for (const GroupName& name : groups) names.push_back(printable(name.value));
  auto all = names.size();
  return "members of " + some_of(std::move(names), 4, all);
}

}  // namespace

FigureWords Words::words_of(const PeopleFigure& figure) const {
  FigureWords out;
  out.gains = figure.gains;
  out.known = figure.known();
  out.complete = figure.complete();
  out.count = out.complete ? counted(out.known, "person", "people")
                           : fmt::format("{} known, others unknown", out.known);
  out.services = {printable(figure.service.value)};
  out.rule = printable(figure.rule.value);
  out.place = place(figure.origin);
  out.basis = shape() ? "" : basis(figure);
  out.sessions = figure.sessions;
  if (shape()) out.count = members_of(figure.unlisted);
  return out;
}

namespace {

/// What a figure says besides its service.
std::string but_service(const FigureWords& figure) {
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}", figure.gains, figure.count, figure.rule,
                     figure.place, figure.basis, figure.sessions);
}

}  // namespace

std::vector<FigureWords> Words::figures(std::size_t most_names) const {
  auto figures = known_figures();
  struct People {
    std::set<std::string> names;
    std::set<std::string_view> keys;
  };
  std::map<FigureKey, People> people;
  for (const PeopleFigure& figure : figures) people[key_of(figure)];
  if (!shape())
    for (const PersonChange& person : plan_.people) {
      auto at = people.find(key_of(person));
      if (at == people.end()) continue;
      at->second.keys.insert(person.key.empty() ? person.who : person.key);
      auto& names = at->second.names;
      names.insert(shown(person.who));
      if (names.size() > most_names) names.erase(std::prev(names.end()));
    }
  // Those that lose a service at this moment say by which deny rule.
  std::map<FigureKey, std::set<std::string>> denied;
  for (const SessionCut& cut : plan_.cuts)
    if (!cut.denied_by.empty())
      denied[{true, cut.service.value, cut.rule.value}].insert(printable(cut.denied_by.value));

  std::vector<FigureWords> out;
  std::vector<const People*> of;                          // by index in `out`
  std::map<std::string, std::vector<std::size_t>> alike;  // indices by but_service()
  for (const PeopleFigure& figure : figures) {
    FigureWords words = words_of(figure);
    const People& who = people[key_of(figure)];
    words.names.assign(who.names.begin(), who.names.end());
    if (auto at = denied.find(key_of(figure)); at != denied.end())
      words.rule +=
          ", denied by " + some_of({at->second.begin(), at->second.end()}, 3, at->second.size());
    // The same people by the same rule are told of once. In a shape the counts must do.
    auto& others = alike[but_service(words)];
    auto same = std::find_if(others.begin(), others.end(),
                             [&](std::size_t other) { return of[other]->keys == who.keys; });
    if (same != others.end()) {
      out[*same].services.push_back(words.services[0]);
      continue;
    }
    others.push_back(out.size());
    out.push_back(std::move(words));
    of.push_back(&who);
  }
  for (FigureWords& words : out)
    words.service = some_of(words.services, kMostServices, words.services.size());
  return out;
}

namespace {

/// Of tests that are gone or say something else; one of the two counts is not 0.
std::string tests_sentence(std::size_t removed, std::size_t changed) {
  auto are = [](std::size_t n) { return n == 1 ? "is" : "are"; };
  std::size_t first = removed > 0 ? removed : changed;
  auto out = fmt::format("{} of the policy's own tests {} {}", first, are(first),
                         removed > 0 ? "removed" : "changed");
  if (removed > 0 && changed > 0) out += fmt::format(" and {} {} changed", changed, are(changed));
  return out + fmt::format(": what {} kept from happening {} no longer kept",
                           removed + changed == 1 ? "it" : "they", removed > 0 ? "is" : "may be");
}

/// What of the policy's change a list of people cannot show. Our own words and counts alone.
std::vector<Finding> findings_of_edits(const Plan& plan) {
  std::vector<Finding> out;
  std::size_t removed = 0, changed = 0;
  for (const PolicyEdit& edit : plan.edits) {
    if (edit.section == "tests") {
      removed += edit.kind == PolicyEdit::Kind::removed;
      changed += edit.kind == PolicyEdit::Kind::changed;
    }
    if (edit.section == "break_glass" && edit.kind != PolicyEdit::Kind::removed)
      out.push_back(
          {Finding::Level::warning, "edit.break-glass", TargetName(),
           fmt::format("break_glass {} is {}: whoever holds its keys gains what it opens, "
                       "and nobody is counted for it",
                       printable(edit.name), to_string(edit.kind))});
  }
  if (removed + changed > 0)
    out.push_back(
        {Finding::Level::warning, "edit.tests", TargetName(), tests_sentence(removed, changed)});
  return out;
}

}  // namespace

std::vector<FindingWords> Words::findings() const {
  std::vector<FindingWords> out;
  auto add = [&](const Finding& finding) {
    FindingWords words{finding.level == Finding::Level::warning, printable(finding.target.value),
                       printable(sentence_text(finding, view_)), printable(finding.id)};
    // A shape says the same of each address: once is enough.
    bool known = shape() && std::any_of(out.begin(), out.end(), [&](const FindingWords& other) {
                   return other.target == words.target && other.id == words.id;
                 });
    if (!known) out.push_back(std::move(words));
  };
  for (Finding& finding : findings_of_edits(plan_))
    out.push_back({true, "", std::move(finding.sentence), std::move(finding.id)});
  for (const Finding& finding : plan_.findings) add(finding);
  for (const TargetPlan& target : plan_.targets)
    for (const Finding& finding : target.findings) add(finding);
  return out;
}

std::vector<std::string> Words::cut_names() const {
  std::set<std::string> out;
  if (!shape())
    for (const SessionCut& cut : plan_.cuts) out.insert(shown(cut.who));
  return {out.begin(), out.end()};
}

std::vector<Words::Cut> Words::cuts() const {
  using Key = std::tuple<std::string_view, SessionId, RuleName, RuleName, Instant>;
  std::map<Key, std::pair<const SessionCut*, std::vector<std::string>>> groups;
  for (const SessionCut& cut : plan_.cuts) {
    auto& [first, services] = groups[{cut.who, cut.session, cut.denied_by, cut.rule, cut.until}];
    if (first == nullptr) first = &cut;
    services.push_back(printable(cut.service.value));
  }
  std::vector<Cut> out;
  for (auto& [key, group] : groups) {
    auto& [cut, services] = group;
    auto all = services.size();
    out.push_back({shown(cut->who),
                   !cut->address || view_ != View::full ? "" : cut->address->to_string(),
                   some_of(std::move(services), kMostServices, all),
                   for_people(cut->until - plan_.as_of) + " left",
                   cut->denied_by.empty()
                       ? fmt::format("rule {} no longer gives it", printable(cut->rule.value))
                       : fmt::format("rule {} denies it", printable(cut->denied_by.value))});
  }
  return out;
}

std::string Words::keep(const Change& change) const {
  if (change.keep.empty()) return "nobody";
  if (view_ != View::full) return counted(change.keep.size(), "network", "networks");
  std::vector<std::string> list;
  for (const Prefix& prefix : change.keep) list.push_back(prefix.to_string());
  return join(list, ", ");
}

std::string Words::sentence(const Change& change) const {
  auto drift = change.reason == Reason::drift ? std::string("drift: ") : std::string();
  switch (change.action) {
    case Action::protect:
      return fmt::format("{}protect {}: closed to everybody without an entry; always open for {}",
                         drift, to_string(change.ports), keep(change));
    case Action::unprotect:
      return fmt::format("{}unprotect {}: open to everybody", drift, to_string(change.ports));
    case Action::keep:
      return fmt::format("keep {}: always open for operators", keep(change));
    case Action::reshape:
      if (change.slot.empty()) return drift + shown(change.detail);
      return fmt::format("{}service {}: {}{}", drift, printable(change.slot),
                         change.ports.empty() ? "" : to_string(change.ports) + ", ",
                         shown(change.detail));
    case Action::report:
      if (change.prefix != Prefix()) return "";
      return (change.slot.empty() ? to_string(change.ports) : "service " + printable(change.slot)) +
             ": " + shown(change.detail);
    case Action::add:
    case Action::extend:
    case Action::shorten:
    case Action::remove:
      return "";
  }
  return "";
}

std::string Words::who(const Change& change) const {
  std::set<std::string> names;
  for (const Attribution& cause : change.causes) names.insert(shown(cause.who));
  return some_of({names.begin(), names.end()}, 3, names.size());
}

std::string Words::deadline(const Change& change) const {
  auto at = [&](const std::optional<Instant>& instant) {
    return instant ? time(*instant) : std::string("never");
  };
  auto lasting = [&]() -> std::string {
    if (change.ticket) return "for one connection, ";
    if (change.lasts != Lasts::disconnect) return "";
    return fmt::format("for connections until {}, which stay until they end, at longest ",
                       time(change.come_by));
  };
  switch (change.action) {
    case Action::add:
      return lasting() + "until " + at(change.until);
    case Action::extend:
    case Action::shorten:
      return lasting() + "until " + at(change.was_until) + " → " + at(change.until);
    case Action::remove:
    case Action::report:
    case Action::protect:
    case Action::unprotect:
    case Action::keep:
    case Action::reshape:
      return "";
  }
  return "";
}

std::string Words::why(const Change& change) const {
  auto detail = change.detail.empty() ? "" : shown(change.detail);
  if (change.reason == Reason::policy && change.action == Action::remove && !detail.empty())
    return "policy: " + detail;
  if (change.reason == Reason::expiry && change.was_until)
    return "expired at " + time(*change.was_until);
  if (change.reason == Reason::drift && !detail.empty()) return "drift: " + detail;
  if (change.reason == Reason::foreign) return detail;
  if (change.action == Action::report && !detail.empty()) return detail;
  return why_text(change.reason, change.action, rules_of(change));
}

std::string Words::what(const ChangeKind& kind, const ChangeCount& count) const {
  auto ports = to_string(kind.ports);
  switch (kind.action) {
    case Action::protect:
      return fmt::format("protect {}: closed to everybody without an entry", ports);
    case Action::unprotect:
      return fmt::format("unprotect {}: open to everybody", ports);
    case Action::keep:
      return "keep: what is always open for operators changes";
    case Action::reshape:
      return kind.slot.empty()
                 ? "rules are built again"
                 : fmt::format("service {}: {}", printable(kind.slot),
                               kind.ports.empty() ? "no longer used" : "ports " + ports);
    case Action::add:
    case Action::extend:
    case Action::shorten:
    case Action::remove:
    case Action::report:
      return counted(count.count, "entry", "entries");
  }
  return "";
}

std::string Words::why(const ChangeKind& kind, const ChangeCount& count) const {
  std::set<std::string> names;
  for (const RuleName& rule : count.rules) names.insert(printable(rule.value));
  return why_text(kind.reason, kind.action, rules_text(names));
}

std::string Words::target_state(const TargetPlan& target) const {
  auto type = printable(target.type);
  if (!target.readable) {
    auto why = printable(unreadable_text(target, view_));
    return fmt::format("{}, cannot be read{}", type, why.empty() ? "" : ": " + why);
  }
  if (shape()) return type;
  auto out = fmt::format("{}, {} owned, {} foreign", type, target.owned, target.foreign);
  if (target.calls && *target.calls > 0) out += ", " + counted(*target.calls, "call", "calls");
  if (target.calls && target.least_calls && *target.least_calls < *target.calls)
    out += fmt::format(" (in another order {} at least)", *target.least_calls);
  return out;
}

// ---- lines

template <std::size_t N>
void Columns<N>::measure(const Cells& cells) {
  for (std::size_t i = 0; i < N; ++i) width_[i] = std::max(width_[i], display_width(cells[i]));
}

template <std::size_t N>
std::string Columns<N>::line(const Cells& cells, std::string_view gap) const {
  std::string out;
  for (std::size_t i = 0; i < N; ++i) {
    if (i + 1 == N) {
      out += cells[i];
    } else if (width_[i] > 0) {
      out += padded(cells[i], width_[i]);
      out += gap;
    }
  }
  out.erase(out.find_last_not_of(' ') + 1);
  return out;
}

template class Columns<4>;
template class Columns<5>;
template class Columns<6>;

ChangeLines::ChangeLines(const Words& words, const TargetPlan& target) : words_(words) {
  for (const auto* list : {&target.changes, &target.held})
    for (const Change& change : *list)
      if (is_entry(change)) columns_.measure(cells(change));
}

Columns<6>::Cells ChangeLines::cells(const Change& change) const {
  return {words_.prefix(change.prefix), to_string(change.ports), printable(change.slot),
          words_.who(change),           words_.deadline(change), words_.why(change)};
}

std::string ChangeLines::line(const Change& change) const {
  return is_entry(change) ? columns_.line(cells(change)) : words_.sentence(change);
}

CountLines::CountLines(const Words& words, const TargetPlan& target) {
  auto counts = counts_of(target);
  Columns<4> columns;
  auto cells = [&](const ChangeKind& kind, const ChangeCount& count) -> Columns<4>::Cells {
    return {words.what(kind, count), to_string(kind.ports), printable(kind.slot),
            words.why(kind, count)};
  };
  for (const auto& [kind, count] : counts)
    if (is_entry(kind.action)) columns.measure(cells(kind, count));
  for (const auto& [kind, count] : counts)
    lines_.push_back(
        {kind.action, kind.held,
         is_entry(kind.action) ? columns.line(cells(kind, count)) : words.what(kind, count)});
}

}  // namespace knock
