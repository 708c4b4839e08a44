// SPDX-License-Identifier: Apache-2.0
#include "agents/host/structure.h"

#include <netinet/in.h>

// After netinet/in.h, or its addresses are declared twice.
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "agents/host/elements.h"

namespace knock::host {
namespace {

struct WantedSet {
  SetKind kind;
  bool timed = true;
};

class Builder {
 public:
  Builder(Batch& batch, const role::Ensure& wanted, const TableImage& have, std::uint32_t lo)
      : batch_(batch), want_(wanted), have_(have), lo_(lo) {}

  std::vector<role::ElementChange> lay_ground(const std::vector<role::ElementChange>& changes) {
    list_wanted();
    std::vector<role::ElementChange> now, later;
    for (const auto& change : changes) {
      auto kind = set_kind_of(change.prefix, change.part);
      bool early = kind.interval && is_new(slot_set(change.slot, kind));
      (early ? now : later).push_back(change);
    }
    bool keeps = std::any_of(want_.keep.begin(), want_.keep.end(), [&](const Prefix& prefix) {
      return is_new(std::string(prefix.family() == Family::v4 ? kKeep4 : kKeep6));
    });
    if (now.empty() && !keeps) return changes;
    if (!have_.exists) batch_.add(new_table(want_.table, want_.owner));
    for (const auto& [name, set] : sets_)
      if (have_.set(name) == nullptr) batch_.add(new_set(want_.table, name, set.kind, set.timed));
    for (auto family : {Family::v4, Family::v6}) {
      std::string set(family == Family::v4 ? kKeep4 : kKeep6);
      if (is_new(set))
        write_keep(NFT_MSG_NEWSETELEM, set, {family, true},
                   of_family(without_nested(want_.keep), family));
    }
    add_elements(batch_, want_.table, now, nullptr);
    return later;
  }

  void run() {
    if (!have_.exists) batch_.add(new_table(want_.table, want_.owner));
    list_wanted();
    remove_surplus();
    for (const auto& [name, set] : sets_)
      if (!fits(name, set)) batch_.add(new_set(want_.table, name, set.kind, set.timed));
    for (const auto& name : chains_)
      if (have_.chain(name) == nullptr) batch_.add(new_chain(want_.table, name));
    for (const auto& [name, hook] : hooks_)
      if (!hooked(name, hook)) batch_.add(new_hook(want_.table, name, hook));
    keep_elements();
    rules();
  }

 private:
  void list_wanted() {
    sets_.emplace(kKeep4, WantedSet{{Family::v4, true}, false});
    sets_.emplace(kKeep6, WantedSet{{Family::v6, true}, false});
    chains_ = {std::string(kGuardChain), std::string(kMarkChain)};
    for (const auto& slot : want_.slots) {
      chains_.insert(slot_chain(slot.name));
      for (auto kind : kSetKinds) sets_.emplace(slot_set(slot.name, kind), WantedSet{kind, true});
      if (!slot.tickets) continue;
      for (auto kind : kTicketKinds)
        sets_.emplace(slot_set(slot.name, kind), WantedSet{kind, true});
    }
    if (want_.input) hooks_.emplace(kInputChain, NF_INET_LOCAL_IN);
    if (want_.forward) hooks_.emplace(kForwardChain, NF_INET_FORWARD);
  }

  /// Wanted, and no set of that name stands: nothing can refer to it.
  bool is_new(const std::string& name) const {
    return sets_.contains(name) && have_.set(name) == nullptr;
  }

  bool fits(const std::string& name, const WantedSet& wanted) const {
    const auto* set = have_.set(name);
    return set != nullptr && set->flags == set_flags(wanted.kind, wanted.timed) &&
           set->key_type == set_key_type(wanted.kind) && set->timeout == 0;
  }

  bool hooked(const std::string& name, std::uint32_t hook) const {
    const auto* chain = have_.chain(name);
    return chain != nullptr && chain->base && chain->type == "filter" && chain->hook == hook &&
           chain->priority == kPriority && chain->policy == NF_ACCEPT;
  }

  bool chain_stays(const ChainImage& chain) const {
    if (auto at = hooks_.find(chain.name); at != hooks_.end())
      return hooked(chain.name, at->second);
    return chains_.contains(chain.name) && !chain.base;
  }

  /// Rules first, for they hold chains and sets fast. Anonymous sets go with their rules.
  void remove_surplus() {
    if (!have_.exists) return;
    if (!have_.rules.empty()) batch_.add(delete_all_rules(want_.table));
    for (const auto& chain : have_.chains)
      if (!chain_stays(chain)) batch_.add(delete_chain(want_.table, chain.name));
    for (const auto& set : have_.sets) {
      if ((set.flags & NFT_SET_ANONYMOUS) != 0) continue;
      auto at = sets_.find(set.name);
      if (at == sets_.end() || !fits(set.name, at->second))
        batch_.add(delete_set(want_.table, set.name));
    }
  }

  /// What stays is left alone: an element that is written anew may be missed by a packet on its
  /// way.
  void keep_elements() {
    auto keep = without_nested(want_.keep);
    for (auto family : {Family::v4, Family::v6}) {
      std::string set(family == Family::v4 ? kKeep4 : kKeep6);
      SetKind kind{family, true};
      auto wanted = of_family(keep, family), had = of_family(have_.keep, family);
      if (!fits(set, {kind, false})) had.clear();
      if (wanted == had) continue;
      if (!had.empty() && !as_built()) {
        // Somebody's own ranges may be no prefixes, and are not found under one.
        batch_.add(flush_set(want_.table, set));
        had.clear();
      }
      write_keep(NFT_MSG_DELSETELEM, set, kind, only_in(had, wanted));
      write_keep(NFT_MSG_NEWSETELEM, set, kind, only_in(wanted, had));
    }
  }

  bool as_built() const {
    auto owner = have_.owner();
    return owner && have_.mark() == mark_of(have_, *owner);
  }

  void write_keep(int type, const std::string& set, SetKind kind,
                  const std::vector<Prefix>& prefixes) {
    ElementWriter out(batch_, type, want_.table, set, kind);
    for (const auto& prefix : prefixes)
      if (type == NFT_MSG_NEWSETELEM)
        out.element(prefix, 0, {});
      else
        out.key(prefix);
    out.flush();
  }

  static std::vector<Prefix> only_in(std::vector<Prefix> these, std::vector<Prefix> those) {
    std::sort(these.begin(), these.end());
    std::sort(those.begin(), those.end());
    std::vector<Prefix> out;
    std::set_difference(these.begin(), these.end(), those.begin(), those.end(),
                        std::back_inserter(out));
    return out;
  }

  static std::vector<Prefix> of_family(std::vector<Prefix> prefixes, Family family) {
    std::erase_if(prefixes, [&](const Prefix& prefix) { return prefix.family() != family; });
    return prefixes;
  }

  void rules() {
    const auto& table = want_.table;
    // Operators' accepts stand before the first drop and arrive with it.
    batch_.add(accept_from_set(table, kGuardChain, kKeep4, Family::v4, "keep"));
    batch_.add(accept_from_set(table, kGuardChain, kKeep6, Family::v6, "keep"));
    for (const auto& slot : want_.slots) {
      for (auto kind : kSetKinds)
        batch_.add(accept_from_set(table, slot_chain(slot.name), slot_set(slot.name, kind),
                                   kind.family, {}));
      if (slot.tickets) ticket_rules(slot);
      for (const auto& ports : slot.ports) batch_.add(jump_slot(table, slot.name, ports));
    }
    for (const auto& ports : want_.protect) batch_.add(drop_ports(table, ports));
    if (want_.input) {
      batch_.add(accept_loopback(table, kInputChain, lo_));
      batch_.add(jump_guard(table, kInputChain));
    }
    if (want_.forward) batch_.add(jump_guard(table, kForwardChain));
  }

  /// First labels, then what a label lets through: so a ticket without its `stay` opens nothing.
  void ticket_rules(const role::ApplySlot& slot) {
    auto chain = slot_chain(slot.name);
    for (auto protocol : {Protocol::tcp, Protocol::udp}) {
      bool has = std::any_of(slot.ports.begin(), slot.ports.end(),
                             [&](const PortRange& ports) { return ports.protocol == protocol; });
      for (auto kind : kTicketKinds)
        if (has && is_map(kind))
          batch_.add(
              label_from_map(want_.table, chain, slot_set(slot.name, kind), kind.family, protocol));
    }
    for (auto kind : kTicketKinds)
      if (kind.part == role::Part::stay)
        batch_.add(accept_labelled(want_.table, chain, slot_set(slot.name, kind), kind.family));
  }

  Batch& batch_;
  const role::Ensure& want_;
  const TableImage& have_;
  std::uint32_t lo_;
  std::map<std::string, WantedSet> sets_;
  std::set<std::string> chains_;
  std::map<std::string, std::uint32_t> hooks_;
};

}  // namespace

void add_structure(Batch& batch, const role::Ensure& wanted, const TableImage& have,
                   std::uint32_t lo) {
  Builder(batch, wanted, have, lo).run();
}

std::vector<role::ElementChange> add_ground(Batch& batch, const role::Ensure& wanted,
                                            const TableImage& have,
                                            const std::vector<role::ElementChange>& changes) {
  return Builder(batch, wanted, have, 0).lay_ground(changes);
}

namespace {

/// A mark of `former` names `owner`; anything else stays as it is.
std::string marked_for(std::string comment, OwnerId former, OwnerId owner) {
  auto was = owner_mark(former);
  if (comment.starts_with(was)) comment.replace(0, was.size(), owner_mark(owner));
  return comment;
}

}  // namespace

void add_take_over(Batch& batch, const role::TakeOver& message, const role::TableFound& found,
                   std::uint32_t lo) {
  role::Ensure wanted;
  wanted.table = message.table;
  wanted.owner = message.owner;
  wanted.input = found.input;
  wanted.forward = found.forward;
  for (const auto& slot : found.slots)
    wanted.slots.push_back({slot.name, slot.ports, slot.tickets});
  wanted.protect = found.protect;
  wanted.keep = found.keep;
  batch.add(delete_table(message.table));
  Builder(batch, wanted, TableImage{}, lo).run();
  for (const auto& slot : found.slots) {
    std::map<std::string, std::pair<SetKind, std::vector<const role::ElementFound*>>> sets;
    for (const auto& element : slot.elements) {
      if (element.part == role::Part::once) continue;
      if (element.part != role::Part::open && element.tag == 0) continue;
      if (element.timed && element.left_ms < kShortestLifeMs) continue;
      auto kind = set_kind_of(element.prefix, element.part);
      auto& set = sets[slot_set(slot.name, kind)];
      set.first = kind;
      set.second.push_back(&element);
    }
    for (const auto& [name, kind_and_elements] : sets) {
      ElementWriter out(batch, NFT_MSG_NEWSETELEM, message.table, name, kind_and_elements.first);
      for (const auto* element : kind_and_elements.second)
        out.element(element->prefix, element->timed ? element->left_ms : 0,
                    marked_for(element->comment, message.former, message.owner), element->tag);
      out.flush();
    }
  }
}

role::TableFound describe(const TableImage& image) {
  role::TableFound out;
  out.exists = image.exists;
  if (!image.exists) return out;
  auto owner = image.owner();
  out.owner = owner.value_or(OwnerId{});
  out.input = image.chain(kInputChain) != nullptr;
  out.forward = image.chain(kForwardChain) != nullptr;
  out.intact = owner && image.mark() == mark_of(image, *owner);
  std::map<std::string, std::vector<PortRange>> slots;
  std::set<std::string> tickets;
  for (const auto& set : image.sets)
    if (auto slot = parse_slot_set(set.name)) {
      slots[slot->slot];
      if (slot->kind.part != role::Part::open) tickets.insert(slot->slot);
    }
  for (const auto& rule : image.rules) {
    if (rule.chain != kGuardChain) continue;
    auto meaning = parse_rule_comment(rule.comment);
    if (!meaning) continue;
    auto& ports = meaning->slot.empty() ? out.protect : slots[meaning->slot];
    ports.push_back(meaning->ports);
  }
  // What rules hold beyond what a message can say was not made by us.
  for (auto& [name, ports] : slots) {
    if (out.slots.size() == role::kMostSlots) break;
    auto canonical = canonical_ports(std::move(ports));
    if (canonical.size() > role::kMostPorts) canonical.resize(role::kMostPorts);
    out.slots.push_back({name, std::move(canonical), {}, tickets.contains(name)});
  }
  out.keep = image.keep;
  if (out.keep.size() > role::kMostKeep) {
    out.keep.resize(role::kMostKeep);
    out.intact = false;
  }
  out.protect = canonical_ports(std::move(out.protect));
  if (out.protect.size() > role::kMostSlots) out.protect.resize(role::kMostSlots);
  return out;
}

}  // namespace knock::host
