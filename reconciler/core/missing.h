// SPDX-License-Identifier: Apache-2.0
// One missing condition in words, and the smallest change that would meet it. Private to
// explain.cc.
#pragma once

#include <string>

#include "reconciler/core/conditions.h"

namespace knock {

struct MissingText {
  std::string missing;
  std::string smallest_change;
};

/// What `rule` asks of `session` and does not get; `verdict.missing` says which condition.
MissingText missing_text(const Policy& policy, Conditions& conditions, const AllowRule& rule,
                         const Session& session, const ServiceName& service, const Verdict& verdict,
                         Instant now);

/// "policy.yaml:12:3@rev"
std::string place_of(const Policy& policy, const SourceRange& origin);
/// "ana@corp"
std::string to_text(const UserRef& user);
/// "leads", "leads, ops or sre"
template <class List, class Text>
std::string any_of_text(const List& list, Text text) {
  std::string out;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (i > 0) out += i + 1 == list.size() ? " or " : ", ";
    out += text(list[i]);
  }
  return out;
}

}  // namespace knock
