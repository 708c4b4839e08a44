// SPDX-License-Identifier: Apache-2.0
#include "server/notify/pages.h"

#include <algorithm>
#include <utility>

namespace knock::notify {

Pages::Pages(std::size_t most, Sizes before) : most_(most), before_(std::move(before)) {
  begin_at(0);
}

std::optional<PageOf> Pages::next() const {
  if (ended_ || at_ >= most_ || bytes_ >= kMostBytes) return std::nullopt;
  return PageOf{at_ / size_ + 1, size_};
}

void Pages::read(std::size_t bytes, bool more) {
  bytes_ += bytes;
  ended_ = !more;
  sizes_[at_] = size_;
  begin_at(at_ + size_);
}

void Pages::too_large() {
  bytes_ += largest_page(size_);
  if (size_ > 1) {
    size_ = *std::ranges::find_if(kSizes, [&](std::size_t size) { return size < size_; });
    return;
  }
  ++left_out_;
  sizes_[at_] = 1;
  begin_at(at_ + 1);
}

void Pages::begin_at(std::size_t element) {
  at_ = element;
  auto known = before_.find(element);
  size_ =
      known != before_.end() && element % known->second == 0
          ? known->second
          : *std::ranges::find_if(kSizes, [&](std::size_t size) { return element % size == 0; });
}

}  // namespace knock::notify
