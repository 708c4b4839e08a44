// SPDX-License-Identifier: Apache-2.0
// How a forge's list is asked for: in pages of 100 elements, and in smaller ones where the texts of
// strangers make a page larger than kLargestPage. What is too large as a page of one element is left
// out, so that nobody hides the others by writing a lot. Pure.
//
// Facts: GitHub takes texts of 65,536 characters. GitLab takes descriptions of 1,048,576 characters and
// notes of 1,000,000, and pages cannot be asked for without them.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <optional>

#include "server/notify/message.h"

namespace knock::notify {

/// One walk through a list.
class Pages {
 public:
  /// Of one walk, with what was in vain; forty of GitLab's largest elements.
  static constexpr std::size_t kMostBytes = 256u << 20;
  /// Each divides the one before it: a smaller page begins where a larger one did.
  static constexpr std::array<std::size_t, 5> kSizes{100, 50, 25, 5, 1};
  /// By the first element, how many were taken at once.
  using Sizes = std::map<std::size_t, std::size_t>;

  /// `before`: what to begin with.
  explicit Pages(std::size_t most, Sizes before = {});
  /// Nothing: all of it was asked for, or enough.
  std::optional<PageOf> next() const;
  void read(std::size_t bytes, bool more);
  void too_large();
  std::size_t left_out() const { return left_out_; }
  /// It ended before the list did.
  bool more() const { return !ended_; }
  const Sizes& sizes() const { return sizes_; }

 private:
  void begin_at(std::size_t element);

  std::size_t most_, at_ = 0, size_ = 0, bytes_ = 0, left_out_ = 0;
  bool ended_ = false;
  Sizes before_, sizes_;
};

}  // namespace knock::notify
