// SPDX-License-Identifier: Apache-2.0
// What a policy says about itself: `tests:`. Checked by `knock test`, in every plan, and before a
// controller adopts a commit.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/ip.h"
#include "base/prefix.h"
#include "base/time.h"
#include "schemas/diagnostic.h"

namespace knock {

/// Somebody made up. In an example what is absent is not there: no groups, no second factor, no
/// approval, an address that no network of the policy names. In `always` and `never` it may be
/// anything, and `groups` are those that a person is in at least.
struct TestPerson {
  std::optional<std::string> user;               // SUBJECT@SOURCE, or a bare subject
  std::optional<std::vector<GroupName>> groups;  // policy's own names, sorted
  std::optional<Prefix> ip;                      // a host; in invariants a network too
  std::map<std::string, std::vector<std::string>> claims;
  std::optional<std::string> acr;
  std::optional<Duration> mfa_age;
  std::optional<bool> approved;  // every approval that a rule asks for was given, or none
};

struct PolicyTest {
  enum class Kind {
    example,  // `as` with `can` and `cannot`
    always,   // whoever matches can, whatever else is the case
    never,    // nobody who matches can
  };
  Kind kind = Kind::example;
  TestPerson as;
  std::vector<ServiceName> can, cannot;  // always, never: `can` alone; "*" is expanded
  bool can_all = false, cannot_all = false;
  std::optional<Instant> at;  // absent: it must be so at every moment of the week
  std::string name;           // the `name:` key, for people; may be empty
  SourceRange origin;
};

}  // namespace knock
