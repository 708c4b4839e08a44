// SPDX-License-Identifier: Apache-2.0
#include "simulation/model_target.h"

#include <algorithm>
#include <utility>

namespace knock {
namespace {

bool lets(const std::vector<PortRange>& ports, const PortRange& port) {
  return std::any_of(ports.begin(), ports.end(),
                     [&](const PortRange& range) { return range.contains(port); });
}

}  // namespace

Capabilities ModelTarget::capabilities() const {
  Capabilities out;
  out.native_expiry = native_expiry;
  out.closes_by_default = true;
  out.by_connection = by_connection;
  return out;
}

Canonical ModelTarget::canonicalize(const Allowlist& desired) const {
  Canonical out;
  for (const ServiceEntries& service : desired.services) {
    Slot slot{service.service.value, service.ports, {}};
    for (const Entry& entry : service.entries)
      slot.items.push_back({entry.prefix, entry.until, entry.causes, entry.lasts, entry.come_by});
    out.structure.slots[slot.name] = slot.ports;
    out.slots.push_back(std::move(slot));
  }
  out.structure.protect = desired.protect;
  out.structure.keep = without_nested(desired.keep);
  return out;
}

Observed ModelTarget::observe(Instant now) const {
  Observed out;
  for (const auto& [name, slot] : slots) {
    ObservedSlot seen{name, {}};
    for (const auto& [prefix, element] : slot.elements) {
      ObservedItem item;
      item.prefix = prefix;
      item.ours = element.ours;
      item.mark = element.mark;
      item.until = element.until;
      if (element.ends) item.left = *element.ends - now;
      item.lasts = element.lasts;
      item.come_by = element.come_by;
      if (element.lasts == Lasts::first_connection && !element.ticket)
        item.ticket = ObservedItem::Ticket::used;
      item.handle = name + " " + prefix.to_string();
      seen.items.push_back(std::move(item));
    }
    out.structure.slots[name] = slot.ports;
    out.slots.push_back(std::move(seen));
  }
  out.structure.protect = protect;
  out.structure.keep = keep;
  out.exists = exists;
  out.at = now;
  return out;
}

std::string ModelTarget::apply(const Change& change) {
  auto slot = slots.find(change.slot);
  switch (change.action) {
    case Action::protect: {
      protect.insert(protect.end(), change.ports.begin(), change.ports.end());
      protect = canonical_ports(std::move(protect));
      keep = change.keep;
      break;
    }
    case Action::unprotect:
      protect = subtract(protect, change.ports);
      break;
    case Action::keep:
      keep = change.keep;
      break;
    case Action::reshape:
      if (change.ports.empty())
        slots.erase(change.slot);
      else
        slots[change.slot].ports = change.ports;
      break;
    case Action::add:
    case Action::extend:
    case Action::shorten: {
      if (slot == slots.end()) return "there is no slot " + change.slot.get();
      if (!change.until) return "without a deadline";
      auto& element = slot->second.elements[change.prefix];
      if (!element.ours && !owned) return "a foreign entry stands there";
      if (!element.ours) element = {};
      if (change.lasts != Lasts::until_deadline && !by_connection)
        return "it knows nothing of connections";
      element.ticket = change.lasts == Lasts::first_connection &&
                       (change.ticket || (element.lasts == change.lasts && element.ticket));
      element.lasts = change.lasts;
      element.come_by = change.come_by;
      element.until = change.until;
      element.ends = native_expiry ? change.until : std::nullopt;
      break;
    }
    case Action::remove: {
      if (slot == slots.end()) break;
      auto at = slot->second.elements.find(change.prefix);
      if (at == slot->second.elements.end()) break;
      if (!at->second.ours && !owned) return "a foreign entry stands there";
      if (change.released) {
        at->second.ours = false;
        at->second.until.reset();
        at->second.ends = native_expiry ? change.until : std::nullopt;
        break;
      }
      slot->second.elements.erase(at);
      break;
    }
    case Action::report:
      return "a report is not applied";
  }
  exists = true;
  return "";
}

bool ModelTarget::connect(const IpAddress& address, const PortRange& port, Instant now) {
  bool tickets = false;
  for (const auto& [name, slot] : slots) {
    if (!lets(slot.ports, port)) continue;
    for (const auto& [prefix, element] : slot.elements)
      tickets = tickets || (prefix.contains(address) && element.lasts != Lasts::until_deadline);
  }
  if (!tickets) return allowed(address, port);
  for (auto& [name, slot] : slots) {
    if (!lets(slot.ports, port)) continue;
    for (auto& [prefix, element] : slot.elements) {
      if (!prefix.contains(address)) continue;
      if (element.lasts == Lasts::until_deadline) return true;
      if (element.lasts == Lasts::disconnect && now < element.come_by) return true;
      if (std::exchange(element.ticket, false)) return true;
    }
  }
  return false;
}

bool ModelTarget::allowed(const IpAddress& address, const PortRange& port) const {
  if (!lets(protect, port)) return true;
  if (std::any_of(keep.begin(), keep.end(),
                  [&](const Prefix& prefix) { return prefix.contains(address); }))
    return true;
  for (const auto& [name, slot] : slots) {
    if (!lets(slot.ports, port)) continue;
    for (const auto& [prefix, element] : slot.elements)
      if (prefix.contains(address)) return true;
  }
  return false;
}

}  // namespace knock
