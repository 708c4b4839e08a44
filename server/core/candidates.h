// SPDX-License-Identifier: Apache-2.0
// Changes that the controller itself fetches from the policy's remote to plan them, so that whoever
// asks need not be trusted with the files. One at a time and a few a minute: each is a fetch, and
// strangers write what it brings.
#pragma once

#include <functional>
#include <memory>
#include <mutex>

#include "reconciler/interfaces/fact_store.h"
#include "reconciler/interfaces/policy_source.h"
#include "server/core/rate_limit.h"

namespace knock {

class Candidates {
 public:
  static constexpr Duration kFetchTime = Duration::seconds(30);
  static constexpr double kBurst = 10, kPerSecond = 0.2;

  /// A source of its own for each, so that nothing is shared with the one that is followed.
  using OpenSource = std::function<Result<std::unique_ptr<PolicySource>>()>;
  Candidates(const FactStore& store, const Clock& clock, OpenSource open);

  /// Any thread. Errors: those of PolicySource::candidate(); `rate_limited`: too many, or another
  /// is being fetched.
  Result<Candidate> fetch(const CandidateName& name);

 private:
  const FactStore& store_;
  const Clock& clock_;
  OpenSource open_;
  std::mutex fetching_;
  RateLimit limit_{kBurst, kPerSecond, 1};
};

}  // namespace knock
