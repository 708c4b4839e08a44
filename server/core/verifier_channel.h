// SPDX-License-Identifier: Apache-2.0
// The way from core to its verifier, in this process or another one.
#pragma once

#include <functional>

#include "base/result.h"
#include "schemas/role/verifier.h"

namespace knock {

class VerifierChannel {
 public:
  virtual ~VerifierChannel() = default;
  using Answer = std::function<void(Result<role::FromVerifier>)>;
  /// Any thread; `answer` is called exactly once, from any thread, also when the verifier dies.
  /// `request` is filled in.
  virtual void ask(role::ToVerifier question, Answer answer) = 0;
};

}  // namespace knock
