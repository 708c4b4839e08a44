// SPDX-License-Identifier: Apache-2.0
// The apply role as a model: one table in memory with fence, owner and overlap rules like the
// kernel's, and faults on demand.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "agents/nftables/channel.h"

namespace knock::test {

/// Lives outside the channel, as a kernel does.
struct FakeTable {
  bool exists = false, intact = true;
  OwnerId owner;
  std::uint32_t generation = 1;
  role::Ensure structure;
  std::map<std::string, std::map<Prefix, role::ElementFound>> slots;
  /// Of what lasts by connection; a ticket of one address has one tag, as a map has one value.
  std::map<std::string, std::vector<role::ElementFound>> parts;
  std::vector<role::ToApply> heard;

  /// What happens to the next message instead of its doing; nothing: it is done.
  struct Fault {
    bool done = false;  // it is done, and the answer is lost
    Error error;
  };
  std::deque<std::optional<Fault>> faults;
  std::function<void()> before_next;  // somebody else's change, just before a message
};

class FakeApply final : public ApplyChannel {
 public:
  explicit FakeApply(FakeTable& table) : table_(table) {}

  Result<role::FromApply> call(const role::ToApply& message, Deadline) override {
    table_.heard.push_back(message);
    if (auto hook = std::exchange(table_.before_next, nullptr)) hook();
    if (!table_.faults.empty()) {
      auto fault = std::move(table_.faults.front());
      table_.faults.pop_front();
      if (fault) {
        if (fault->done) handle(message);
        return fail(std::move(fault->error));
      }
    }
    return handle(message);
  }
  void on_moved(Moved moved) override { moved_ = std::move(moved); }

 private:
  role::FromApply handle(const role::ToApply& message) {
    return std::visit([this](const auto& m) { return run(m); }, message);
  }

  bool stale(std::uint32_t fence) const { return fence != 0 && fence != table_.generation; }

  role::FromApply run(const role::Ensure& m) {
    if (stale(m.fence)) return role::Failed{0, ErrorKind::conflict, "moved"};
    if (table_.exists && table_.owner != m.owner)
      return role::Failed{0, ErrorKind::unauthorized, "another owner"};
    Slots kept;
    Parts parts;
    for (const auto& slot : m.slots) {
      kept[slot.name] = table_.slots[slot.name];
      if (slot.tickets) parts[slot.name] = table_.parts[slot.name];
    }
    if (auto failed = change(kept, parts, m.changes)) return *failed;
    table_.parts = std::move(parts);
    table_.exists = table_.intact = true;
    table_.owner = m.owner;
    table_.structure = m;
    table_.structure.changes.clear();
    table_.slots = std::move(kept);
    return role::Done{0, ++table_.generation};
  }

  role::FromApply run(const role::ChangeElements& m) {
    if (stale(m.fence)) return role::Failed{0, ErrorKind::conflict, "moved"};
    if (!table_.exists) return role::Failed{0, ErrorKind::not_found, "no table"};
    auto slots = table_.slots;
    auto parts = table_.parts;
    if (auto failed = change(slots, parts, m.changes)) return *failed;
    table_.parts = std::move(parts);
    table_.slots = std::move(slots);
    return role::Done{0, ++table_.generation};
  }

  using Parts = std::map<std::string, std::vector<role::ElementFound>>;
  static std::optional<role::Failed> change_part(Parts& parts, const role::ElementChange& change) {
    auto at = parts.find(change.slot);
    if (at == parts.end()) return role::Failed{0, ErrorKind::not_found, "no sets for tickets"};
    auto here = [&](const role::ElementFound& element) {
      return element.prefix == change.prefix && element.part == change.part;
    };
    for (const auto& element : at->second)
      if (here(element) && element.tag != change.tag && change.part != role::Part::stay)
        return role::Failed{0, ErrorKind::invalid, "another tag stands there"};
    std::erase_if(at->second, [&](const role::ElementFound& element) {
      return here(element) && element.tag == change.tag;
    });
    if (change.add)
      at->second.push_back(
          {change.prefix, true, change.left_ms, change.marker, change.part, change.tag, false});
    return std::nullopt;
  }

  using Slots = std::map<std::string, std::map<Prefix, role::ElementFound>>;
  /// Removals first, as the kernel is told.
  static std::optional<role::Failed> change(Slots& slots, Parts& parts,
                                            const std::vector<role::ElementChange>& changes) {
    for (bool add : {false, true})
      for (const auto& change : changes) {
        if (change.add != add) continue;
        if (change.part != role::Part::open) {
          if (auto failed = change_part(parts, change)) return failed;
          continue;
        }
        auto at = slots.find(change.slot);
        if (at == slots.end()) return role::Failed{0, ErrorKind::not_found, "no slot"};
        at->second.erase(change.prefix);
        if (!add) continue;
        for (const auto& [other, element] : at->second)
          if (!other.is_host() && !change.prefix.is_host() && other.overlaps(change.prefix))
            return role::Failed{0, ErrorKind::invalid, "overlaps " + other.to_string()};
        at->second[change.prefix] = {change.prefix, true, change.left_ms, change.marker};
      }
    return std::nullopt;
  }

  role::FromApply run(const role::TakeOver& m) {
    if (stale(m.fence)) return role::Failed{0, ErrorKind::conflict, "moved"};
    if (!table_.exists || table_.owner != m.former)
      return role::Failed{0, ErrorKind::unauthorized, "another owner"};
    auto was = "knock:1:" + m.former.to_string(), is = "knock:1:" + m.owner.to_string();
    for (auto& [slot, elements] : table_.slots)
      for (auto& [prefix, element] : elements)
        if (element.comment.starts_with(was)) element.comment.replace(0, was.size(), is);
    table_.owner = m.owner;
    return role::Done{0, ++table_.generation};
  }

  role::FromApply run(const role::ReadBack&) {
    role::TableFound found;
    found.fence = table_.generation;
    found.exists = table_.exists;
    if (!found.exists) return found;
    found.intact = table_.intact;
    found.owner = table_.owner;
    found.input = table_.structure.input;
    found.forward = table_.structure.forward;
    found.protect = table_.structure.protect;
    found.keep = table_.structure.keep;
    for (const auto& slot : table_.structure.slots) {
      role::SlotFound out{slot.name, slot.ports, {}};
      for (const auto& [prefix, element] : table_.slots[slot.name]) out.elements.push_back(element);
      out.tickets = slot.tickets;
      for (const auto& part : table_.parts[slot.name]) out.elements.push_back(part);
      std::sort(out.elements.begin(), out.elements.end(), [](const auto& a, const auto& b) {
        return std::tie(a.prefix, a.part, a.tag) < std::tie(b.prefix, b.part, b.tag);
      });
      found.slots.push_back(std::move(out));
    }
    return found;
  }

  FakeTable& table_;
  Moved moved_;
};

}  // namespace knock::test
