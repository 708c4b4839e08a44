// SPDX-License-Identifier: Apache-2.0
#include "reconciler/core/policy_cells.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "schemas/policy/schedule_edges.h"

namespace knock {
namespace {

using Signature = std::vector<std::uint32_t>;  // the sets it is in, sorted

/// As rows of yes and no for each set: those in no set first.
struct BySets {
  bool operator()(const std::pair<Signature, Family>& a,
                  const std::pair<Signature, Family>& b) const {
    auto [x, y] = std::ranges::mismatch(a.first, b.first);
    if (x == a.first.end() && y == b.first.end()) return a.second < b.second;
    if (x == a.first.end() || y == b.first.end()) return x == a.first.end();
    return *y < *x;
  }
};

void join(Signature& in, std::uint32_t set) {
  auto at = std::ranges::lower_bound(in, set);
  if (at == in.end() || *at != set) in.insert(at, set);
}

/// A prefix and the first of its addresses that no prefix inside it has.
struct Node {
  Prefix prefix;
  Signature in;
  std::optional<IpAddress> next;  // the first one that may be free; nothing: none is left
  std::optional<IpAddress> free;

  Node(const Prefix& p, Signature signature)
      : prefix(p), in(std::move(signature)), next(p.first()) {}

  void take(const Prefix& inside) {  // in the order of addresses
    if (free || !next) return;
    if (*next < inside.first())
      free = pleasant(inside.first());
    else
      next = inside.last() == prefix.last() ? std::nullopt : inside.last().next();
  }
  void finish() {
    if (!free && next) free = pleasant(std::nullopt);
  }
  /// Not the network's own address where there is another: people read it.
  IpAddress pleasant(const std::optional<IpAddress>& end) const {
    auto second = *next == prefix.last() ? std::nullopt : next->next();
    return second && (!end || *second < *end) ? *second : *next;
  }
};

struct Cut {
  Prefix prefix;
  std::uint32_t set = 0;
  friend auto operator<=>(const Cut&, const Cut&) = default;
};

class Cells {
 public:
  Cells(std::span<const std::vector<Prefix>> sets, std::size_t& left) : left_(left) {
    for (std::uint32_t i = 0; i < sets.size(); ++i)
      for (const Prefix& prefix : sets[i]) cuts_.push_back({prefix, i});
    std::sort(cuts_.begin(), cuts_.end());
  }

  void add(const Prefix& root, std::span<const char* const> examples) {
    Node top(root, {});
    for (const Cut& cut : cuts_)
      if (cut.prefix.contains(root)) join(top.in, cut.set);
    open_.assign(1, std::move(top));
    outermost_.clear();
    for (const Cut& cut : cuts_)
      if (root.contains(cut.prefix) && cut.prefix != root && left_ > 0) enter(cut);
    // An address that people know as an example says more than the first one of all.
    for (const char* text : examples) {
      auto known = IpAddress::parse(text);
      if (known && !open_.front().free && none_contains(*known)) open_.front().free = *known;
    }
    while (!open_.empty()) leave();
  }

  /// All that was allowed is used up, and cells are missing.
  bool used_up() const { return left_ == 0; }

  std::vector<IpAddress> result() && {
    std::vector<IpAddress> out;
    for (auto& [ignored, address] : found_) out.push_back(address);
    return out;
  }

 private:
  void enter(const Cut& cut) {
    left_ -= std::min(left_, open_.back().in.size() / 8 + 8);
    while (!open_.back().prefix.contains(cut.prefix)) leave();
    if (open_.back().prefix == cut.prefix) {
      join(open_.back().in, cut.set);
      return;
    }
    if (open_.size() == 1)
      outermost_.push_back(cut.prefix);
    else
      open_.back().take(cut.prefix);
    Node node(cut.prefix, open_.back().in);
    join(node.in, cut.set);
    open_.push_back(std::move(node));
  }
  void leave() {
    Node node = std::move(open_.back());
    open_.pop_back();
    if (open_.empty() && !node.free)
      for (const Prefix& prefix : outermost_) node.take(prefix);
    node.finish();
    if (!node.free) return;
    found_.try_emplace({std::move(node.in), node.prefix.family()}, *node.free);
  }
  bool none_contains(const IpAddress& address) const {
    return open_.front().prefix.contains(address) &&
           std::none_of(outermost_.begin(), outermost_.end(),
                        [&](const Prefix& p) { return p.contains(address); });
  }

  std::size_t& left_;
  std::vector<Cut> cuts_;
  std::vector<Node> open_;
  std::vector<Prefix> outermost_;
  std::map<std::pair<Signature, Family>, IpAddress, BySets> found_;  // in no set: first
};

/// `from`, and the moments up to the horizon after which the weeks are others than before.
std::set<Instant> turns(std::span<const std::vector<Window>* const> schedules, const Zones& zones,
                        Instant from) {
  std::set<Instant> out{from};
  auto add = [&](Instant at) {
    if (at > from && at < from + kScheduleHorizon) out.insert(at);
  };
  for (const auto* schedule : schedules)
    for (const Window& window : *schedule)
      if (auto zone = zones.find(window.tz); zone != zones.end() && zone->second != nullptr)
        for (const Zone::Offset& offset : zone->second->offsets) add(offset.from);
  return out;
}

}  // namespace

std::optional<std::vector<IpAddress>> address_cells_within(
    std::span<const std::vector<Prefix>> sets, const std::optional<Prefix>& within,
    std::size_t& left) {
  static constexpr const char* kV4[] = {"203.0.113.1", "198.51.100.1", "192.0.2.1"};
  static constexpr const char* kV6[] = {"2001:db8::1"};
  if (within && within->is_host()) return std::vector{within->first()};
  Cells cells(sets, left);
  if (within) {
    cells.add(*within, {});
  } else {
    cells.add(Prefix::of(IpAddress::v4(0), 0), kV4);
    cells.add(*Prefix::parse("::/0"), kV6);
  }
  if (cells.used_up()) return std::nullopt;
  return std::move(cells).result();
}

std::vector<IpAddress> address_cells(std::span<const std::vector<Prefix>> sets,
                                     const std::optional<Prefix>& within) {
  std::size_t left = std::numeric_limits<std::size_t>::max();
  return *address_cells_within(sets, within, left);
}

std::vector<Instant> schedule_moments(std::span<const std::vector<Window>* const> schedules,
                                      const Zones& zones, Instant from) {
  // A window is a day long at most and clocks jump by hours, so a change is over within two days,
  // and the seven that follow are a week like all others until the next change.
  constexpr Duration kStretch = Duration::hours(9 * 24);
  std::set<Instant> out;
  for (Instant turn : turns(schedules, zones, from)) {
    out.insert(turn);
    Instant end = std::min(turn + kStretch, from + kScheduleHorizon);
    for (const auto* schedule : schedules) add_schedule_edges(*schedule, zones, turn, end, out);
  }
  return {out.begin(), out.end()};
}

}  // namespace knock
