// SPDX-License-Identifier: Apache-2.0
// How much may be done, in steps that are counted and not timed: the same policy always gets as far.
#pragma once

#include <cstddef>

namespace knock {

class Work {
 public:
  explicit Work(std::size_t most) : left_(most) {}
  /// False from the first time on that there is not enough left.
  bool spend(std::size_t steps) {
    if (steps > left_) used_up_ = true;
    if (!used_up_) left_ -= steps;
    return !used_up_;
  }
  bool used_up() const { return used_up_; }
  std::size_t left() const { return used_up_ ? 0 : left_; }

 private:
  std::size_t left_;
  bool used_up_ = false;
};

}  // namespace knock
