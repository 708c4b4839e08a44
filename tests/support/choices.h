// SPDX-License-Identifier: Apache-2.0
// Small random choices. To be called inside a rapidcheck property only.
#pragma once

#include <gtest/gtest.h>
// gtest first: rapidcheck's own headers look for it.
#include <rapidcheck.h>

#include <vector>

namespace knock::test {

/// Resized, because inRange otherwise prefers what is small in the first hundred cases.
inline int below(int n) { return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(0, n)); }
inline bool chance(int percent) { return below(100) < percent; }

template <class T>
const T& pick(const std::vector<T>& from) {
  return from[std::size_t(below(int(from.size())))];
}

/// At least one of them, in their order.
template <class T>
std::vector<T> some(const std::vector<T>& from) {
  std::vector<T> out;
  for (const T& one : from)
    if (chance(50)) out.push_back(one);
  if (out.empty()) out.push_back(pick(from));
  return out;
}

template <class List>
List shuffled(List list) {
  for (std::size_t i = list.size(); i > 1; --i)
    std::swap(list[i - 1], list[std::size_t(below(int(i)))]);
  return list;
}

}  // namespace knock::test
