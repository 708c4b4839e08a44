// SPDX-License-Identifier: Apache-2.0
#include "schemas/plan/plan.h"

#include <algorithm>
#include <array>
#include <utility>

namespace knock {
namespace {

constexpr std::array kActions{
    std::pair{Action::protect, std::string_view("protect")},
    std::pair{Action::unprotect, std::string_view("unprotect")},
    std::pair{Action::keep, std::string_view("keep")},
    std::pair{Action::reshape, std::string_view("reshape")},
    std::pair{Action::add, std::string_view("add")},
    std::pair{Action::extend, std::string_view("extend")},
    std::pair{Action::shorten, std::string_view("shorten")},
    std::pair{Action::remove, std::string_view("remove")},
    std::pair{Action::report, std::string_view("report")},
};

constexpr std::array kReasons{
    std::pair{Reason::sign_in, std::string_view("sign-in")},
    std::pair{Reason::fixed, std::string_view("static")},
    std::pair{Reason::policy, std::string_view("policy")},
    std::pair{Reason::expiry, std::string_view("expiry")},
    std::pair{Reason::sign_out, std::string_view("sign-out")},
    std::pair{Reason::revoked, std::string_view("revoked")},
    std::pair{Reason::denied, std::string_view("denied")},
    std::pair{Reason::limited, std::string_view("limited")},
    std::pair{Reason::no_room, std::string_view("no-room")},
    std::pair{Reason::drift, std::string_view("drift")},
    std::pair{Reason::orphan, std::string_view("orphan")},
    std::pair{Reason::configuration, std::string_view("configuration")},
    std::pair{Reason::foreign, std::string_view("foreign")},
};

constexpr std::array kKnown{
    std::pair{Known::directory, std::string_view("directory")},
    std::pair{Known::seen, std::string_view("seen")},
    std::pair{Known::named, std::string_view("named")},
};

constexpr std::array kEditKinds{
    std::pair{PolicyEdit::Kind::added, std::string_view("added")},
    std::pair{PolicyEdit::Kind::removed, std::string_view("removed")},
    std::pair{PolicyEdit::Kind::changed, std::string_view("changed")},
};

constexpr std::array kLasts{
    std::pair{Lasts::until_deadline, std::string_view("until-deadline")},
    std::pair{Lasts::first_connection, std::string_view("first-connection")},
    std::pair{Lasts::disconnect, std::string_view("disconnect")},
};

template <class Table, class Value>
std::string_view word_of(const Table& table, Value value) {
  for (const auto& [one, word] : table)
    if (one == value) return word;
  return "";
}

template <class Table>
auto value_of(const Table& table, std::string_view text) {
  using Value = typename Table::value_type::first_type;
  for (const auto& [one, word] : table)
    if (word == text) return std::optional<Value>(one);
  return std::optional<Value>();
}

bool does_something(const Change& change) { return change.action != Action::report; }

}  // namespace

std::string_view to_string(Action action) { return word_of(kActions, action); }
std::optional<Action> action_from(std::string_view text) { return value_of(kActions, text); }
std::string_view to_string(Reason reason) { return word_of(kReasons, reason); }
std::optional<Reason> reason_from(std::string_view text) { return value_of(kReasons, text); }
std::string_view group_of(Reason reason) {
  switch (reason) {
    case Reason::fixed:
    case Reason::policy:
    case Reason::denied:
    case Reason::configuration:
      return "policy";
    case Reason::sign_in:
    case Reason::expiry:
    case Reason::sign_out:
    case Reason::revoked:
    case Reason::limited:
    case Reason::no_room:
      return "session";
    case Reason::drift:
    case Reason::orphan:
    case Reason::foreign:
      return "drift";
  }
  return "";
}

std::string_view to_string(Known known) { return word_of(kKnown, known); }
std::optional<Known> known_from(std::string_view text) { return value_of(kKnown, text); }
std::string_view to_string(Lasts lasts) { return word_of(kLasts, lasts); }
std::optional<Lasts> lasts_from(std::string_view text) { return value_of(kLasts, text); }
std::string_view to_string(PolicyEdit::Kind kind) { return word_of(kEditKinds, kind); }
std::optional<PolicyEdit::Kind> edit_kind_from(std::string_view text) {
  return value_of(kEditKinds, text);
}

bool Plan::empty() const {
  return std::all_of(targets.begin(), targets.end(), [](const TargetPlan& target) {
    return target.held.empty() &&
           std::none_of(target.changes.begin(), target.changes.end(), does_something);
  });
}

}  // namespace knock
