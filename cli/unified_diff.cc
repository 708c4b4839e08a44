// SPDX-License-Identifier: Apache-2.0
// Myers' greedy algorithm (An O(ND) Difference Algorithm, 1986).
#include "cli/unified_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/text.h"

namespace knock::cli {
namespace {

constexpr int kContext = 3;
constexpr int kMostEdits = 2000;  // their square is memory

struct Edit {
  char sign;  // ' ', '-' or '+'
  std::string_view line;
};

std::vector<std::string_view> lines_of(std::string_view text) {
  auto lines = split(text, '\n');
  if (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

class Comparison {
 public:
  Comparison(std::vector<std::string_view> before, std::vector<std::string_view> after)
      : a_(std::move(before)), b_(std::move(after)) {}

  std::vector<Edit> edits() {
    int a = int(a_.size()), b = int(b_.size());
    int most = std::min(a + b, kMostEdits);
    std::vector<int> reach(std::size_t(2 * most + 3), 0);  // of each diagonal, from -most - 1 on
    auto at = [&](int k) -> int& { return reach[std::size_t(k + most + 1)]; };
    for (int d = 0; d <= most; ++d) {
      rounds_.emplace_back(reach.begin() + (most + 1 - d), reach.begin() + (most + 2 + d));
      for (int k = -d; k <= d; k += 2) {
        bool down = k == -d || (k != d && at(k - 1) < at(k + 1));
        int x = down ? at(k + 1) : at(k - 1) + 1;
        while (x < a && x - k < b && x - k >= 0 && same(x, x - k)) ++x;
        at(k) = x;
        if (x >= a && x - k >= b) return walk_back(d);
      }
    }
    return everything();
  }

 private:
  bool same(int x, int y) const { return a_[std::size_t(x)] == b_[std::size_t(y)]; }

  /// From the end, through what each round could reach before it.
  std::vector<Edit> walk_back(int d) const {
    std::vector<Edit> out;
    int x = int(a_.size()), y = int(b_.size());
    for (; d > 0; --d) {
      const auto& before = rounds_[std::size_t(d)];
      auto at = [&](int k) { return before[std::size_t(k + d)]; };
      int k = x - y;
      bool down = k == -d || (k != d && at(k - 1) < at(k + 1));
      int from = down ? k + 1 : k - 1;
      int start = at(from);
      while (x > start + (down ? 0 : 1)) --y, out.push_back({' ', a_[std::size_t(--x)]});
      if (down)
        out.push_back({'+', b_[std::size_t(--y)]});
      else
        out.push_back({'-', a_[std::size_t(--x)]});
    }
    while (x > 0) out.push_back({' ', a_[std::size_t(--x)]});
    std::ranges::reverse(out);
    return out;
  }

  std::vector<Edit> everything() const {
    std::vector<Edit> out;
    for (auto line : a_) out.push_back({'-', line});
    for (auto line : b_) out.push_back({'+', line});
    return out;
  }

  std::vector<std::string_view> a_, b_;
  std::vector<std::vector<int>> rounds_;
};

}  // namespace

std::string unified_diff(const std::string& name, std::string_view before, std::string_view after) {
  if (before == after) return "";
  auto edits = Comparison(lines_of(before), lines_of(after)).edits();
  std::string out = fmt::format("--- {0}\n+++ {0} (formatted)\n", printable(name));
  std::size_t a = 1, b = 1;  // line numbers at `i`
  for (std::size_t i = 0; i < edits.size();) {
    auto change = i;
    while (change < edits.size() && edits[change].sign == ' ') ++change;
    if (change == edits.size()) break;
    auto begin = std::max(i, change - std::min(change, std::size_t(kContext)));
    a += begin - i, b += begin - i;
    // The hunk ends where no change follows within its context and that of the next.
    auto end = change, last = change;
    for (; end < edits.size() && end <= last + 2 * kContext; ++end)
      if (edits[end].sign != ' ') last = end;
    end = std::min(last + 1 + kContext, edits.size());
    std::string body;
    std::size_t old_lines = 0, new_lines = 0;
    for (auto j = begin; j < end; ++j) {
      body += edits[j].sign + printable(edits[j].line) + "\n";
      old_lines += edits[j].sign != '+';
      new_lines += edits[j].sign != '-';
    }
    out += fmt::format("@@ -{},{} +{},{} @@\n{}", a, old_lines, b, new_lines, body);
    a += old_lines, b += new_lines;
    i = end;
  }
  return out;
}

}  // namespace knock::cli
