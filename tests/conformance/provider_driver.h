// SPDX-License-Identifier: Apache-2.0
// What the loop does with a provider, for tests: observe, plan, apply, remember what was applied.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "reconciler/core/plan.h"
#include "reconciler/interfaces/provider.h"

namespace knock::test {

class ProviderDriver {
 public:
  ProviderDriver(Provider& provider, TargetName target);

  Result<Observed> observe() { return provider_.observe(Deadline::in(Duration::seconds(10))); }
  /// What would be done now; reports are left out.
  TargetPlan plan(const Allowlist& desired);
  /// The details of what would be reported.
  std::vector<std::string> reports(const Allowlist& desired);
  Result<Outcome> apply(const TargetPlan& plan, const Allowlist& desired);
  /// Plan and apply; every step must be done. Gives the plan.
  TargetPlan converge(const Allowlist& desired);
  /// As the plan says, "add ssh 192.0.2.7/32", for messages and comparisons.
  static std::string describe(const TargetPlan& plan);

  Provider& provider() { return provider_; }
  std::vector<AppliedEntry>& applied() { return applied_; }
  /// What policy and people say of the target: shared, and nothing, unless a test says otherwise.
  Ownership& ownership() { return target_.ownership; }
  Stewardship& stewardship() { return stewardship_; }
  /// With reports and findings.
  TargetPlan whole_plan(const Allowlist& desired);

 private:
  void remember(const Change& change);
  Provider& provider_;
  Target target_;
  Policy policy_;
  Stewardship stewardship_;
  std::vector<AppliedEntry> applied_;
  std::set<std::tuple<std::string, Prefix, SessionId>> tickets_;  // given
};

/// Readable desired states.
Attribution cause(const std::string& service, Instant until);
struct AllowlistBuilder {
  Allowlist out;
  explicit AllowlistBuilder(const TargetName& target) { out.target = target; }
  AllowlistBuilder& service(const std::string& name, const std::string& ports);
  /// To the service named last.
  AllowlistBuilder& entry(const std::string& prefix, Instant until);
  /// For one connection, by the sign-in of this session.
  AllowlistBuilder& once(const std::string& prefix, Instant until, const std::string& session);
  /// So long as what came in time stays.
  AllowlistBuilder& staying(const std::string& prefix, Instant come_by, Instant until);
  AllowlistBuilder& protect(const std::string& ports);
  AllowlistBuilder& keep(const std::string& prefix);
  Allowlist build() const;
};
std::vector<PortRange> ports(const std::string& text);  // "tcp/22 udp/53"
Prefix prefix(const std::string& text);
Instant now();
/// Whole seconds, as deadlines are.
Instant in(Duration duration);

}  // namespace knock::test
