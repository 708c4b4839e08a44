// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/render.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

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

/// Times of one day need no date.
std::string clock_time(Instant at, Instant as_of) {
  auto text = to_string(at), today = to_string(as_of);
  if (text.substr(0, 10) == today.substr(0, 10)) return text.substr(11, 5);
  return text.substr(0, 10) + " " + text.substr(11, 5);
}

std::string deadline_text(const Change& change, Instant as_of) {
  auto time = [&](const std::optional<Instant>& at) {
    return at ? clock_time(*at, as_of) : std::string("?");
  };
  switch (change.action) {
    case Action::add:
      return "until " + time(change.until);
    case Action::extend:
    case Action::shorten:
      return "until " + time(change.was_until) + " → " + time(change.until);
    default:
      return "";
  }
}

std::string who_text(const Change& change) {
  std::set<std::string> names;
  for (const Attribution& cause : change.causes) names.insert(printable(cause.who));
  std::vector<std::string> list(names.begin(), names.end());
  if (list.size() > 3) return fmt::format("{}, {} and {} more", list[0], list[1], list.size() - 2);
  return join(list, ", ");
}

std::string rules_text(const Change& change) {
  std::set<std::string> rules;
  for (const Attribution& cause : change.causes) rules.insert(printable(cause.rule.value));
  std::vector<std::string> list(rules.begin(), rules.end());
  return list.empty() ? "" : (list.size() == 1 ? "rule " : "rules ") + join(list, ", ");
}

std::string_view reason_words(Reason reason) {
  switch (reason) {
    case Reason::sign_in:
      return "sign-in";
    case Reason::fixed:
      return "static";
    case Reason::policy:
      return "policy";
    case Reason::expiry:
      return "expired";
    case Reason::sign_out:
      return "signed out";
    case Reason::revoked:
      return "revoked";
    case Reason::denied:
      return "denied by policy";
    case Reason::drift:
      return "drift";
    case Reason::orphan:
      return "ours, but nothing explains it";
    case Reason::configuration:
      return "configuration";
    case Reason::foreign:
      return "foreign";
  }
  return "";
}

std::string why_text(const Change& change) {
  std::vector<std::string> parts{std::string(reason_words(change.reason))};
  if (change.action != Action::remove || change.reason == Reason::policy)
    if (auto rules = rules_text(change); !rules.empty()) parts.push_back(rules);
  if (!change.detail.empty() && change.reason != Reason::foreign) parts.push_back(change.detail);
  if (change.reason == Reason::foreign) parts = {change.detail};
  return join(parts, ", ");
}

std::string keep_text(const std::vector<Prefix>& keep) {
  std::vector<std::string> list;
  for (const Prefix& prefix : keep) list.push_back(prefix.to_string());
  return list.empty() ? "nobody" : join(list, ", ");
}

struct Row {
  const Change* change;
  std::array<std::string, 5> cells;
};

Row row_of(const Change& change, Instant as_of) {
  Row row{&change, {}};
  switch (change.action) {
    case Action::protect:
      row.cells = {
          "protect " + to_string(change.ports), "", "", "",
          "closed to everybody without an entry; always open for " + keep_text(change.keep)};
      break;
    case Action::unprotect:
      row.cells = {"unprotect " + to_string(change.ports), "", "", "", "open to everybody"};
      break;
    case Action::keep:
      row.cells = {"keep " + keep_text(change.keep), "", "", "", "always open for operators"};
      break;
    case Action::reshape:
      row.cells = {"service " + printable(change.slot),
                   change.ports.empty() ? "goes" : to_string(change.ports), "", "", change.detail};
      break;
    default:
      row.cells = {change.prefix.to_string(), to_string(change.ports), printable(change.slot),
                   padded(who_text(change), 8), ""};
      if (auto deadline = deadline_text(change, as_of); !deadline.empty())
        row.cells[4] = padded(deadline, 21) + "  ";
      row.cells[4] += why_text(change);
  }
  return row;
}

void append_rows(const std::vector<Change>& changes, Instant as_of, bool color, std::string& out) {
  std::vector<Row> rows;
  std::array<std::size_t, 4> width{};
  for (const Change& change : changes) {
    rows.push_back(row_of(change, as_of));
    bool wide = change.action == Action::protect || change.action == Action::unprotect ||
                change.action == Action::keep;
    for (std::size_t i = 0; i < width.size() && !wide; ++i)
      width[i] = std::max(width[i], display_width(rows.back().cells[i]));
  }
  for (const Row& row : rows) {
    auto look = look_of(*row.change);
    std::string line = fmt::format("  {} ", look.sign);
    for (std::size_t i = 0; i < width.size(); ++i)
      if (!row.cells[i].empty() || width[i] > 0) line += padded(row.cells[i], width[i]) + "  ";
    line += row.cells[4];
    line.erase(line.find_last_not_of(' ') + 1);
    out += painted(std::move(line), look.color, color) + "\n";
  }
}

void append_people(const Plan& plan, std::string& out) {
  if (plan.people.empty()) return;
  out += "\n";
  for (bool gains : {true, false}) {
    std::map<ServiceName, std::vector<const PersonChange*>> by_service;
    for (const PersonChange& change : plan.people)
      if (change.gains == gains) by_service[change.service].push_back(&change);
    for (const auto& [service, changes] : by_service) {
      std::vector<std::string> names;
      for (const auto* change : changes) names.push_back(printable(change->who));
      const PersonChange& first = *changes.front();
      auto live = std::count_if(changes.begin(), changes.end(),
                                [](const PersonChange* c) { return c->live_until.has_value(); });
      out += fmt::format("  {}  {} {} {}  {}  (rule {}{}{})\n", gains ? "who gains" : "who loses",
                         counted(changes.size(), "person", "people"), gains ? "→" : "from",
                         service.value, join(names, ", "), printable(first.rule.value),
                         first.origin.line ? ", " + printable(first.origin.to_string()) : "",
                         !gains && live > 0 ? fmt::format("; {} signed in now", live) : "");
    }
  }
}

void append_target(const TargetPlan& target, const Plan& plan, bool color, std::string& out) {
  out += fmt::format("\n{}   {}, {} owned, {} foreign\n", printable(target.target.value),
                     printable(target.type), target.owned, target.foreign);
  if (!target.readable)
    out += fmt::format(
        "  cannot be read: {}\n  nothing is changed there but closing what has expired\n",
        printable(target.unreadable_because));
  append_rows(target.changes, plan.as_of, color, out);
  if (!target.held.empty()) {
    out += fmt::format("  held back until acknowledged ({}):\n",
                       counted(target.held.size(), "change", "changes"));
    append_rows(target.held, plan.as_of, color, out);
  }
}

}  // namespace

std::string summary(const Plan& plan) {
  std::map<Action, std::size_t> count;
  std::set<TargetName> targets;
  std::size_t held = 0;
  for (const TargetPlan& target : plan.targets) {
    held += target.held.size();
    for (const Change& change : target.changes)
      if (change.action != Action::report) {
        ++count[change.action];
        targets.insert(target.target);
      }
  }
  std::vector<std::string> parts;
  auto part = [&](Action action, std::string_view words) {
    if (count[action] > 0) parts.push_back(fmt::format("{} {}", count[action], words));
  };
  part(Action::add, "to add");
  part(Action::extend, "to extend");
  part(Action::shorten, "to shorten");
  part(Action::remove, "to remove");
  part(Action::protect, "to protect");
  part(Action::unprotect, "to unprotect");
  if (auto n = count[Action::keep] + count[Action::reshape]; n > 0)
    parts.push_back(fmt::format("{} to reshape", n));
  std::size_t gain = 0, lose = 0;
  for (const PersonChange& person : plan.people) ++(person.gains ? gain : lose);
  std::string out = parts.empty() ? "Plan: nothing to do"
                                  : fmt::format("Plan: {} on {}", join(parts, ", "),
                                                counted(targets.size(), "target", "targets"));
  if (gain + lose > 0)
    out += fmt::format("; {} {}, {} {}", gain, gain == 1 ? "gains" : "gain", lose,
                       lose == 1 ? "loses" : "lose");
  if (held > 0) out += fmt::format("; {} held back", counted(held, "change", "changes"));
  out += fmt::format("; {} tripped.   hash {}", counted(plan.guards.size(), "guard", "guards"),
                     to_hex(plan.id).substr(0, 16));
  return out;
}

std::string to_text(const Plan& plan, const RenderOptions& options) {
  std::string out;
  if (plan.from == plan.to)
    out = "Policy " + short_revision(plan.to);
  else
    out = "Policy " + short_revision(plan.from) + " → " + short_revision(plan.to);
  if (!options.headline.empty()) out += fmt::format("  \"{}\"", printable(options.headline));
  if (!options.author.empty()) out += fmt::format("  (by {})", printable(options.author));
  out += fmt::format("   as of {}\n", to_string(plan.as_of));
  append_people(plan, out);
  for (const TargetPlan& target : plan.targets)
    if (!target.changes.empty() || !target.held.empty() || !target.readable)
      append_target(target, plan, options.color, out);
  std::vector<const Finding*> findings;
  for (const Finding& finding : plan.findings) findings.push_back(&finding);
  for (const TargetPlan& target : plan.targets)
    for (const Finding& finding : target.findings) findings.push_back(&finding);
  if (!findings.empty()) {
    out += "\nFindings\n";
    for (const Finding* finding : findings)
      out += fmt::format("  {} {}{}\n", finding->level == Finding::Level::warning ? "!" : "-",
                         finding->target.empty() ? "" : printable(finding->target.value) + ": ",
                         printable(finding->sentence));
  }
  if (!plan.guards.empty()) {
    out += "\nGuards\n";
    for (const GuardTrip& trip : plan.guards)
      out += fmt::format("  {} on {}: {} ({}); holds {}. To go on: --ack {}\n", trip.guard,
                         printable(trip.target.value), trip.figure, trip.limit,
                         counted(trip.held, "change", "changes"), to_hex(plan.id).substr(0, 16));
  }
  out += "\n" + summary(plan) + "\n";
  return out;
}

}  // namespace knock
