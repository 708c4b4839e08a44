// SPDX-License-Identifier: Apache-2.0
// How front asks core. In one process it is a function call, between processes a socket pair; front
// cannot tell.
#pragma once

#include <functional>

#include "base/result.h"
#include "schemas/role/front.h"

namespace knock::server {

class CoreChannel {
 public:
  virtual ~CoreChannel() = default;
  /// Any thread. The channel fills in `request`. `then` is called exactly once, on any thread,
  /// perhaps before ask returns. Errors: unavailable (core is away), timeout, invalid (its answer
  /// was out of shape).
  virtual void ask(role::FromFront question, std::function<void(Result<role::ToFront>)> then) = 0;
};

}  // namespace knock::server
