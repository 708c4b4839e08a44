// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/render.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>

#include "base/text.h"

namespace knock {
namespace {

struct Look {
  char sign;
  std::string_view color;
};

Look look_of(const Change& change) {
  switch (change.action) {
    case Action::add:
      return {'+', "32"};
    case Action::extend:
      return {'~', "36"};
    case Action::shorten:
      return {'~', "33"};
    case Action::remove:
      return {'-', "31"};
    case Action::protect:
    case Action::unprotect:
      return {'!', "35"};
    case Action::keep:
    case Action::reshape:
      return {'*', "34"};
    case Action::report:
      return {'?', "90"};
  }
  return {'?', "90"};
}

std::string painted(std::string text, std::string_view color, bool on) {
  return on ? fmt::format("\x1b[{}m{}\x1b[0m", color, text) : text;
}

std::string short_revision(const PolicyRevision& revision) {
  if (revision.empty()) return "(none)";
  auto text = revision.value;
  if (text.starts_with("sha256:")) return text.substr(0, 15);
  return printable(text.substr(0, 7));
}

std::string padded(std::string text, std::size_t width) {
  auto cells = display_width(text);
  if (cells < width) text.append(width - cells, ' ');
  return text;
}

/// Times of one day need no date, first instants of a day no time.
std::string clock_time(Instant at, Instant as_of) {
  auto text = to_string(at), today = to_string(as_of);
  auto date = text.substr(0, 10), time = text.substr(11, 5);
  if (date == today.substr(0, 10)) return time;
  return time == "00:00" ? date : date + " " + time;
}

std::string deadline_text(const Change& change, Instant as_of) {
  auto time = [&](const std::optional<Instant>& at) {
    return at ? clock_time(*at, as_of) : std::string("never");
  };
  switch (change.action) {
    case Action::add:
      return "until " + time(change.until);
    case Action::extend:
    case Action::shorten:
      return "until " + time(change.was_until) + " → " + time(change.until);
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

/// At most `most` of them by name.
std::string some_of(const std::set<std::string>& names, std::size_t most) {
  std::vector<std::string> list(names.begin(), names.end());
  if (list.size() <= most) return join(list, ", ");
  auto more = list.size() - (most - 1);
  list.resize(most - 1);
  return fmt::format("{} and {} more", join(list, ", "), more);
}

std::string who_text(const Change& change) {
  std::set<std::string> names;
  for (const Attribution& cause : change.causes) names.insert(printable(cause.who));
  return some_of(names, 3);
}

struct Rules {
  std::string text;  // "rule staff", "rules a, b"
  bool several = false;
};
Rules rules_of(const Change& change) {
  std::set<std::string> names;
  for (const Attribution& cause : change.causes) names.insert(printable(cause.rule.value));
  if (names.empty()) return {};
  return {(names.size() == 1 ? "rule " : "rules ") + some_of(names, 3), names.size() > 1};
}

std::string with_rules(std::string why, const Change& change) {
  auto rules = rules_of(change).text;
  return rules.empty() ? why : why + ", " + rules;
}

std::string why_removed_by_policy(const Change& change) {
  if (!change.detail.empty()) return "policy: " + change.detail;
  auto rules = rules_of(change);
  if (rules.text.empty()) return "policy";
  return fmt::format("policy: {} no longer {} it", rules.text, rules.several ? "give" : "gives");
}

std::string why_text(const Change& change, Instant as_of) {
  switch (change.reason) {
    case Reason::sign_in:
      return with_rules("sign-in", change);
    case Reason::fixed:
      return with_rules("static", change);
    case Reason::policy:
      return change.action == Action::remove ? why_removed_by_policy(change)
                                             : with_rules("policy", change);
    case Reason::expiry:
      return change.was_until ? "expired at " + clock_time(*change.was_until, as_of) : "expired";
    case Reason::sign_out:
      return "signed out";
    case Reason::revoked:
      return "revoked";
    case Reason::denied:
      return "denied by policy";
    case Reason::limited:
      return "a rule counts addresses or people: one too many";
    case Reason::drift:
      return change.detail.empty() ? "drift" : "drift: " + change.detail;
    case Reason::orphan:
      return "ours, but nothing explains it";
    case Reason::configuration:
      return "configuration";
    case Reason::foreign:
      return change.detail;
  }
  return "";
}

std::string keep_text(const std::vector<Prefix>& keep) {
  std::vector<std::string> list;
  for (const Prefix& prefix : keep) list.push_back(prefix.to_string());
  return list.empty() ? "nobody" : join(list, ", ");
}

/// What is no entry is said as a sentence; entries are rows of a table.
std::string sentence(const Change& change) {
  auto drift = change.reason == Reason::drift ? std::string("drift: ") : std::string();
  switch (change.action) {
    case Action::protect:
      return fmt::format("{}protect {}: closed to everybody without an entry; always open for {}",
                         drift, to_string(change.ports), keep_text(change.keep));
    case Action::unprotect:
      return fmt::format("{}unprotect {}: open to everybody", drift, to_string(change.ports));
    case Action::keep:
      return fmt::format("keep {}: always open for operators", keep_text(change.keep));
    case Action::reshape:
      if (change.slot.empty()) return drift + change.detail;
      return fmt::format("{}service {}: {}{}", drift, printable(change.slot),
                         change.ports.empty() ? "" : to_string(change.ports) + ", ", change.detail);
    case Action::add:
    case Action::extend:
    case Action::shorten:
    case Action::remove:
    case Action::report:
      return "";
  }
  return "";
}

/// The changes of one target, in their order, with the columns of all of them.
class Table {
 public:
  Table(Instant as_of, bool color) : as_of_(as_of), color_(color) {}
  void measure(const std::vector<Change>& changes) {
    for (const Change& change : changes) {
      auto cells = cells_of(change);
      for (std::size_t i = 0; i < width_.size(); ++i)
        width_[i] = std::max(width_[i], display_width(cells[i]));
    }
  }
  void append(const std::vector<Change>& changes, std::string& out) const {
    for (const Change& change : changes) {
      auto look = look_of(change);
      auto line = fmt::format("  {} {}", look.sign, text_of(change));
      line.erase(line.find_last_not_of(' ') + 1);
      out += painted(std::move(line), look.color, color_) + "\n";
    }
  }

 private:
  using Cells = std::array<std::string, 5>;  // prefix, ports, service, who, until
  Cells cells_of(const Change& change) const {
    if (!sentence(change).empty()) return {};
    return {change.prefix.to_string(), to_string(change.ports), printable(change.slot),
            who_text(change), deadline_text(change, as_of_)};
  }
  std::string text_of(const Change& change) const {
    if (auto text = sentence(change); !text.empty()) return text;
    auto cells = cells_of(change);
    std::string line;
    for (std::size_t i = 0; i < width_.size(); ++i)
      if (width_[i] > 0) line += padded(std::move(cells[i]), width_[i]) + "  ";
    return line + why_text(change, as_of_);
  }

  Instant as_of_;
  bool color_;
  std::array<std::size_t, 5> width_{};
};

// ---- who gains and who loses

/// "signed in now, 2 h 10 min left"; of several people how many.
std::string live_text(const std::vector<const PersonChange*>& changes, std::size_t people,
                      Instant as_of) {
  std::set<std::string> live;
  Instant longest;
  for (const auto* change : changes)
    if (change->live_until) {
      live.insert(change->who);
      longest = std::max(longest, *change->live_until);
    }
  if (live.empty()) return "";
  return fmt::format("; {}signed in now, {}{} left",
                     people > 1 ? fmt::format("{} ", live.size()) : "",
                     live.size() > 1 ? "up to " : "", for_people(longest - as_of));
}

void append_people(const Plan& plan, std::string& out) {
  struct Line {
    std::array<std::string, 3> cells;
    std::string rule;
  };
  std::vector<Line> lines;
  for (bool gains : {true, false}) {
    using Key = std::tuple<ServiceName, RuleName, SourceRange>;
    std::map<Key, std::vector<const PersonChange*>> groups;
    for (const PersonChange& change : plan.people)
      if (change.gains == gains)
        groups[{change.service, change.rule, change.origin}].push_back(&change);
    for (const auto& [key, changes] : groups) {
      std::set<std::string> names;
      for (const auto* change : changes) names.insert(printable(change->who));
      const auto& [service, rule, origin] = key;
      auto place =
          origin.line == 0 ? "" : fmt::format(", {}:{}", printable(origin.file), origin.line);
      lines.push_back({{gains ? "who gains" : "who loses",
                        fmt::format("{} {} {}", counted(names.size(), "person", "people"),
                                    gains ? "→" : "from", printable(service.value)),
                        some_of(names, 8)},
                       fmt::format("(rule {}{}{})", printable(rule.value), place,
                                   gains ? "" : live_text(changes, names.size(), plan.as_of))});
    }
  }
  if (lines.empty()) return;
  std::array<std::size_t, 3> width{};
  for (const Line& line : lines)
    for (std::size_t i = 0; i < width.size(); ++i)
      width[i] = std::max(width[i], display_width(line.cells[i]));
  out += "\n";
  for (const Line& line : lines) {
    out += "  ";
    for (std::size_t i = 0; i < width.size(); ++i) out += padded(line.cells[i], width[i]) + "   ";
    out += line.rule + "\n";
  }
}

// ---- targets, findings, guards

void append_target(const TargetPlan& target, const Plan& plan, bool color, std::string& out) {
  out += fmt::format("\n{}   {}, ", printable(target.target.value), printable(target.type));
  if (target.readable)
    out += fmt::format("{} owned, {} foreign\n", target.owned, target.foreign);
  else
    out +=
        fmt::format("cannot be read: {}\n  nothing is changed there but closing what must close\n",
                    printable(target.unreadable_because));
  Table table(plan.as_of, color);
  table.measure(target.changes);
  table.measure(target.held);
  table.append(target.changes, out);
  if (target.held.empty()) return;
  out += fmt::format("  held back until somebody acknowledges it ({}):\n",
                     counted(target.held.size(), "change", "changes"));
  table.append(target.held, out);
}

void append_findings(const Plan& plan, std::string& out) {
  std::vector<const Finding*> findings;
  for (const Finding& finding : plan.findings) findings.push_back(&finding);
  for (const TargetPlan& target : plan.targets)
    for (const Finding& finding : target.findings) findings.push_back(&finding);
  if (findings.empty()) return;
  out += "\nFindings\n";
  for (const Finding* finding : findings)
    out += fmt::format("  {} {}{}\n", finding->level == Finding::Level::warning ? "!" : "-",
                       finding->target.empty() ? "" : printable(finding->target.value) + ": ",
                       printable(finding->sentence));
}

void append_guards(const Plan& plan, std::string& out) {
  if (plan.guards.empty()) return;
  out += "\nGuards\n";
  for (const GuardTrip& trip : plan.guards)
    out += fmt::format("  ! {} on {} holds {}: {}; {}\n", printable(trip.guard),
                       printable(trip.target.value), counted(trip.held, "change", "changes"),
                       printable(trip.figure), printable(trip.limit));
  out += fmt::format("  To let them go on: --ack {}\n", to_hex(plan.id).substr(0, 16));
}

/// "3 people gain, 1 loses"; nothing when nobody does.
std::string people_summary(const Plan& plan) {
  std::set<std::string> gain, lose;
  for (const PersonChange& person : plan.people) (person.gains ? gain : lose).insert(person.who);
  std::vector<std::string> parts;
  if (!gain.empty())
    parts.push_back(counted(gain.size(), "person", "people") +
                    (gain.size() == 1 ? " gains" : " gain"));
  if (!lose.empty())
    parts.push_back(
        (gain.empty() ? counted(lose.size(), "person", "people") : std::to_string(lose.size())) +
        (lose.size() == 1 ? " loses" : " lose"));
  return join(parts, ", ");
}

}  // namespace

std::string summary(const Plan& plan) {
  std::map<Action, std::size_t> count;
  std::size_t held = 0, changed = 0, unreadable = 0;
  for (const TargetPlan& target : plan.targets) {
    held += target.held.size();
    unreadable += !target.readable;
    std::size_t reports = 0;
    for (const Change& change : target.changes)
      ++(change.action == Action::report ? reports : count[change.action]);
    changed += target.changes.size() > reports;
  }
  std::vector<std::string> parts;
  auto part = [&](std::size_t n, std::string_view words) {
    if (n > 0) parts.push_back(fmt::format("{} {}", n, words));
  };
  part(count[Action::add], "to add");
  part(count[Action::extend], "to extend");
  part(count[Action::shorten], "to shorten");
  part(count[Action::remove], "to remove");
  part(count[Action::protect], "to protect");
  part(count[Action::unprotect], "to unprotect");
  part(count[Action::keep] + count[Action::reshape], "to reshape");
  std::string out = parts.empty() ? "Plan: nothing to do"
                                  : fmt::format("Plan: {} on {}", join(parts, ", "),
                                                counted(changed, "target", "targets"));
  if (auto people = people_summary(plan); !people.empty()) out += "; " + people;
  if (unreadable > 0) out += fmt::format("; {} not read", counted(unreadable, "target", "targets"));
  if (held > 0) out += fmt::format("; {} held back", counted(held, "change", "changes"));
  return out + fmt::format("; {} tripped.   hash {}",
                           counted(plan.guards.size(), "guard", "guards"),
                           to_hex(plan.id).substr(0, 16));
}

std::string to_text(const Plan& plan, const RenderOptions& options) {
  std::string out = "Policy ";
  if (plan.from != plan.to) out += short_revision(plan.from) + " → ";
  out += short_revision(plan.to);
  if (!options.headline.empty()) out += fmt::format("  \"{}\"", printable(options.headline));
  if (!options.author.empty()) out += fmt::format("  (by {})", printable(options.author));
  out += fmt::format("   as of {}\n", to_string(plan.as_of));
  append_people(plan, out);
  for (const TargetPlan& target : plan.targets)
    if (!target.changes.empty() || !target.held.empty() || !target.readable)
      append_target(target, plan, options.color, out);
  append_findings(plan, out);
  append_guards(plan, out);
  return out + "\n" + summary(plan) + "\n";
}

}  // namespace knock
