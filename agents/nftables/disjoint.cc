// SPDX-License-Identifier: Apache-2.0
#include "agents/nftables/disjoint.h"

#include <algorithm>

namespace knock {
namespace {

/// Prefixes overlap only by lying one within another, so the sorted list is a forest: what lies
/// within an entry follows it without a gap, and what covers it is on the way to its root.
class Cutter {
 public:
  explicit Cutter(const std::vector<Entry>& entries) {
    for (const auto& entry : entries)
      if (!entry.prefix.is_host()) nets_.push_back(&entry);
  }

  void run(std::vector<Item>& out) {
    for (std::size_t i = 0; i < nets_.size(); ++i) {
      while (!covering_.empty() && !covering_.back()->prefix.contains(nets_[i]->prefix))
        covering_.pop_back();
      if (!outlived(*nets_[i])) pieces(i, out);
      covering_.push_back(nets_[i]);
    }
  }

 private:
  /// A wider entry that lasts at least as long says it all.
  bool outlived(const Entry& entry) const {
    return std::any_of(covering_.begin(), covering_.end(),
                       [&](const Entry* wider) { return wider->until >= entry.until; });
  }

  void pieces(std::size_t index, std::vector<Item>& out) const {
    const Entry& entry = *nets_[index];
    std::vector<Prefix> holes;
    for (std::size_t i = index + 1; i < nets_.size() && entry.prefix.contains(nets_[i]->prefix);
         ++i)
      if (nets_[i]->until > entry.until) holes.push_back(nets_[i]->prefix);
    auto causes = with_covering(entry.causes);
    for (const auto& piece : subtract(entry.prefix, without_nested(std::move(holes))))
      out.push_back({piece, entry.until, causes});
  }

  SharedList<Attribution> with_covering(SharedList<Attribution> own) const {
    if (covering_.empty()) return own;
    own.edit([&](auto& causes) {
      for (const auto* wider : covering_)
        causes.insert(causes.end(), wider->causes.begin(), wider->causes.end());
      std::sort(causes.begin(), causes.end());
      causes.erase(std::unique(causes.begin(), causes.end()), causes.end());
    });
    return own;
  }

  std::vector<const Entry*> nets_;
  std::vector<const Entry*> covering_;
};

}  // namespace

std::vector<Item> disjoint_items(const std::vector<Entry>& entries) {
  std::vector<Item> out;
  for (const auto& entry : entries)
    if (entry.prefix.is_host())
      out.push_back({entry.prefix, entry.until, entry.causes, entry.lasts, entry.come_by});
  Cutter(entries).run(out);
  // A piece may have come down to one address that an entry of its own names as well. Of the two the
  // one that opens more counts.
  std::sort(out.begin(), out.end(), [](const Item& a, const Item& b) {
    if (a.prefix != b.prefix) return a.prefix < b.prefix;
    if (a.lasts != b.lasts) return openness(a.lasts) > openness(b.lasts);
    return a.until > b.until;
  });
  auto same = [](const Item& a, const Item& b) { return a.prefix == b.prefix; };
  out.erase(std::unique(out.begin(), out.end(), same), out.end());
  return out;
}

}  // namespace knock
