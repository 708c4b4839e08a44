// SPDX-License-Identifier: Apache-2.0
#include "base/failpoint.h"

#include <memory>
#include <mutex>
#include <utility>

namespace knock::failpoint {
namespace {

std::mutex& mutex() {
  static std::mutex one;
  return one;
}
std::shared_ptr<const Hook>& current() {
  static std::shared_ptr<const Hook> one;
  return one;
}

}  // namespace

std::atomic<bool> hooked{false};

void set_hook(Hook hook) {
  auto next = hook ? std::make_shared<const Hook>(std::move(hook)) : nullptr;
  std::lock_guard lock(mutex());
  current().swap(next);
  hooked = current() != nullptr;
}

std::optional<Error> reached(std::string_view name) {
  std::shared_ptr<const Hook> hook;
  {
    std::lock_guard lock(mutex());
    hook = current();
  }
  return hook ? (*hook)(name) : std::nullopt;
}

}  // namespace knock::failpoint
