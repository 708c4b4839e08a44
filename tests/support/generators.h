// SPDX-License-Identifier: Apache-2.0
// Random policies, sessions and targets for properties. Few names, addresses and ports, so that
// what matters (sharing, overlap, renamed and reshaped services) happens often. To be called inside
// a rapidcheck property only.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "reconciler/core/plan.h"
#include "tests/support/model_target.h"

namespace knock::test {

/// Valid as load_policy would give it: names resolve, lists are sorted.
Policy any_policy();
/// One to four edits as commits make them: a service renamed, ports moved between services, widened
/// or narrowed, rules, static and deny rules added and removed.
Policy edited(Policy policy);
/// Up to `most`; some ended, some expired.
std::vector<Session> any_sessions(Instant now, int most = 8);

/// Everything a plan is made of, in the middle of its life: targets that hold what an older moment
/// gave them, with what people, crashes and time did to it since.
struct World {
  Policy in_force;
  Policy planned;
  bool first = false;  // nothing was in force yet
  std::vector<Session> sessions;
  std::vector<Prefix> keep;
  Instant now;
  struct Place {
    ModelTarget model;
    std::vector<AppliedEntry> applied;
  };
  std::map<TargetName, Place> places;  // one for each target of `planned`
  Stewardship stewardship;             // of every target

  std::optional<EndCause> ended(const SessionId& id) const;
  Canonical desired_on(const Target& target, const Policy& policy) const;
  PlannedTarget plan(const Target& target, bool acknowledged) const;
};
World any_world();
/// One target, few people, and two services that exchange ports.
World exchanging_world();

/// For a counterexample: what stood there and what would be done.
std::string describe(const ModelTarget& model);
std::string describe(const std::vector<Change>& changes);
std::string describe(const World& world, const Target& target);

/// How often the generated cases were of each kind; a property over empty cases proves nothing.
class Shares {
 public:
  void count(const World& world);
  void count(const std::vector<Session>& sessions, const Policy& policy, bool non_empty);
  void also(const std::string& kind, bool is);
  /// Prints RC_PARAMS and the shares; fails the running test when one of the four, or one of these,
  /// is below 20 %.
  void judge(const std::vector<std::string>& more = {}) const;

 private:
  std::size_t cases_ = 0;
  std::map<std::string, std::size_t> of_;
};

}  // namespace knock::test
