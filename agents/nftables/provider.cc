// SPDX-License-Identifier: Apache-2.0
#include "agents/nftables/provider.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <span>
#include <utility>

#include "agents/nftables/application.h"
#include "agents/nftables/disjoint.h"
#include "base/text.h"
#include "reconciler/core/marker.h"
#include "schemas/role/apply.h"

namespace knock {
namespace {

std::optional<std::uint32_t> parse_fence(std::string_view text) {
  std::uint32_t out = 0;
  if (text.empty()) return out;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

Structure structure_of(const role::TableFound& found) {
  Structure out;
  for (const auto& slot : found.slots) out.slots[slot.name] = slot.ports;
  out.protect = found.protect;
  out.keep = found.keep;
  std::sort(out.keep.begin(), out.keep.end());
  return out;
}

class NftablesProvider final : public Provider {
 public:
  NftablesProvider(TargetName target, NftablesSettings settings, OwnerId owner,
                   std::unique_ptr<ApplyChannel> channel, TargetMoved moved)
      : target_(std::move(target)),
        settings_(std::move(settings)),
        owner_(owner),
        channel_(std::move(channel)) {
    channel_->on_moved([table = settings_.table, target_name = target_,
                        tell = std::move(moved)](const std::string& name) {
      if ((name == table || name.empty()) && tell) tell(target_name);
    });
  }

  Capabilities capabilities() const override {
    Capabilities out;
    out.granularity = Capabilities::Granularity::entry;
    out.native_expiry = true;
    out.longest_life = Duration{std::int64_t(role::kLongestLifeMs)};
    out.atomic = true;
    out.by_connection = true;
    out.compare_and_swap = true;
    out.closes_by_default = true;
    out.batch = kApplyBatch;
    out.cuts_established = Capabilities::CutsEstablished::always;
    out.marker_deadline = Capabilities::MarkerDeadline::entry;
    return out;
  }

  Canonical canonicalize(const Allowlist& desired) const override;
  Result<Observed> observe(Deadline deadline) override;
  Result<Outcome> apply(const TargetPlan& plan, const Structure& structure, Instant now,
                        Deadline deadline) override;

 private:
  Result<role::TableFound> read(Deadline deadline);
  Status take_over(OwnerId former, std::uint32_t fence, Deadline deadline);
  ObservedSlot observed_slot(role::SlotFound& slot) const;
  ObservedItem observed_open(const role::ElementFound& element) const;
  std::optional<ObservedItem> observed_parts(std::span<const role::ElementFound> parts) const;
  void remember_tickets(const role::TableFound& found);
  bool hooked(Hook hook) const {
    return std::find(settings_.hooks.begin(), settings_.hooks.end(), hook) != settings_.hooks.end();
  }

  TargetName target_;
  NftablesSettings settings_;
  OwnerId owner_;
  std::unique_ptr<ApplyChannel> channel_;
  TableState table_;
  SystemRandom random_;
};

// ---------------------------------------------------------------- what it can hold

Canonical NftablesProvider::canonicalize(const Allowlist& desired) const {
  Canonical out;
  for (const auto& service : desired.services) {
    auto entries = service.entries;
    std::erase_if(entries, [&](const Entry& entry) {
      if (entry.prefix.length() != 0) return false;
      out.findings.push_back({Finding::Level::warning, "nftables.prefix-any", desired.target,
                              fmt::format("{} is not opened to {}: everybody is no allowlist; to "
                                          "open a port to all, do not protect it",
                                          service.service.value, entry.prefix.to_string())});
      return true;
    });
    out.slots.push_back({service.service.value, service.ports, disjoint_items(entries)});
    out.structure.slots[service.service.value] = service.ports;
  }
  out.structure.protect = canonical_ports(desired.protect);
  out.structure.keep = without_nested(desired.keep);
  return out;
}

// ---------------------------------------------------------------- reading

Result<role::TableFound> NftablesProvider::read(Deadline deadline) {
  table_ = {};
  KNOCK_ASSIGN(auto answer, channel_->call(role::ReadBack{0, settings_.table}, deadline));
  if (auto* failed = std::get_if<role::Failed>(&answer))
    return fail(failed->kind, "reading: " + failed->why);
  auto* found = std::get_if<role::TableFound>(&answer);
  if (found == nullptr)
    return fail(ErrorKind::internal, "the apply role answered something else than a table");
  if (found->exists && found->owner == OwnerId{})
    return fail(ErrorKind::unauthorized,
                fmt::format("table inet {} was not made by knock: give this target another "
                            "table, or remove that one",
                            settings_.table));
  table_.structure = structure_of(*found);
  table_.exists = found->exists;
  if (found->exists && found->owner != owner_) table_.other_owner = found->owner;
  table_.intact = found->intact && found->input == hooked(Hook::input) &&
                  found->forward == hooked(Hook::forward);
  remember_tickets(*found);
  return std::move(*found);
}

void NftablesProvider::remember_tickets(const role::TableFound& found) {
  for (const auto& slot : found.slots) {
    if (!slot.tickets) continue;
    table_.tickets.insert(slot.name);
    for (const auto& element : slot.elements)
      if (element.part != role::Part::open && element.tag != 0) {
        auto& parts = table_.parts[{slot.name, element.prefix}];
        parts.emplace(element.part, element.tag);
        // Also where it is not seen: somebody may have taken its comment away.
        parts.emplace(role::Part::stay, element.tag);
      }
  }
}

ObservedItem NftablesProvider::observed_open(const role::ElementFound& element) const {
  ObservedItem item;
  item.prefix = element.prefix;
  auto marker = parse_marker(element.comment);
  item.ours = marker && marker->owner == owner_ && !table_.other_owner;
  if (item.ours) item.until = marker->until;
  if (!item.ours) {
    item.handle = kForeignHandle;
    if (marker)
      item.mark = ObservedItem::Mark::other_owner;
    else if (is_unknown_marker(element.comment))
      item.mark = ObservedItem::Mark::unknown;
  }
  if (element.timed) item.left = Duration{std::int64_t(element.left_ms)};
  if (!item.ours) item.comment = printable(element.comment);
  return item;
}

/// What lasts by connection, out of all its parts at one address.
std::optional<ObservedItem> NftablesProvider::observed_parts(
    std::span<const role::ElementFound> parts) const {
  std::optional<ObservedItem> item;
  std::uint64_t tag = 0;
  for (const auto& part : parts) {
    if (part.part != role::Part::stay) continue;
    auto stay = parse_stay_comment(part.comment);
    role::ElementFound as_open = part;
    if (stay) as_open.comment = stay->marker;
    auto one = observed_open(as_open);
    if (item && (item->ours || !one.ours)) continue;
    if (stay) {
      one.lasts = stay->lasts;
      one.come_by = stay->come_by;
    } else {
      one.lasts = Lasts::first_connection;  // nothing says what it is: the strictest
      one.broken = true;
    }
    tag = part.tag;
    item = std::move(one);
  }
  bool ticket = false;
  for (const auto& part : parts) {
    if (part.part != role::Part::once && part.part != role::Part::come) continue;
    if (!item) {
      // A ticket alone opens nothing; it is told so that it can be taken away.
      item = observed_open(part);
      item->lasts = part.part == role::Part::once ? Lasts::first_connection : Lasts::disconnect;
      item->broken = true;
      return item;
    }
    bool fits = part.tag == tag &&
                (part.part == role::Part::once) == (item->lasts == Lasts::first_connection);
    ticket = ticket || fits;
    if (fits && part.used) item->ticket = ObservedItem::Ticket::used;
  }
  if (!item || !item->ours || ticket) return item;
  if (item->lasts == Lasts::first_connection)
    item->ticket = ObservedItem::Ticket::lost;
  else
    item->broken = item->come_by > SystemClock().now() + Duration::seconds(1);
  return item;
}

ObservedSlot NftablesProvider::observed_slot(role::SlotFound& slot) const {
  ObservedSlot out{slot.name, {}};
  out.items.reserve(slot.elements.size());
  // Sorted by prefix, and what stands open before the parts of what lasts by connection.
  for (auto at = slot.elements.begin(); at != slot.elements.end();) {
    if (at->part != role::Part::open) {
      auto end = std::find_if(at, slot.elements.end(),
                              [&](const auto& other) { return other.prefix != at->prefix; });
      auto item = observed_parts({at, end});
      bool open = !out.items.empty() && out.items.back().prefix == at->prefix;
      // Who may come and go anyway needs no ticket; a foreign entry hides nothing of ours.
      if (item && !open)
        out.items.push_back(std::move(*item));
      else if (item && item->ours && !out.items.back().ours)
        out.items.back() = std::move(*item);
      at = end;
      continue;
    }
    auto item = observed_open(*at++);
    // A host may stand in the hash set and in the interval set. What is ours must not be hidden,
    // or it could not be taken away.
    if (!out.items.empty() && out.items.back().prefix == item.prefix) {
      if (item.ours && !out.items.back().ours) out.items.back() = std::move(item);
      continue;
    }
    out.items.push_back(std::move(item));
  }
  return out;
}

Result<Observed> NftablesProvider::observe(Deadline deadline) {
  auto found = read(deadline);
  if (!found) return fail_within("nftables", found);
  Observed out;
  out.at = SystemClock().now();
  out.exists = found->exists;
  out.other_owner = table_.other_owner;
  out.fence = nftables_fence(found->fence);
  out.structure = *table_.structure;
  out.structure_differs = table_.exists && !table_.intact;
  for (auto& slot : found->slots) out.slots.push_back(observed_slot(slot));
  return out;
}

Status NftablesProvider::take_over(OwnerId former, std::uint32_t fence, Deadline deadline) {
  table_ = {};
  KNOCK_ASSIGN(auto answer,
               channel_->call(role::TakeOver{0, settings_.table, fence, owner_, former}, deadline));
  if (auto* failed = std::get_if<role::Failed>(&answer))
    return fail(failed->kind, "nftables: " + failed->why);
  return {};
}

Result<Outcome> NftablesProvider::apply(const TargetPlan& plan, const Structure&, Instant now,
                                        Deadline deadline) {
  // The plan's own changes say what to build: `structure` is their sum. What was held back is in
  // neither.
  auto fence = parse_fence(plan.fence);
  if (!fence)
    return fail(ErrorKind::invalid,
                "nftables: the plan's fence is no generation number: " + printable(plan.fence));
  if (plan.take_over) {
    KNOCK_CHECK(take_over(*plan.take_over, *fence, deadline));
    fence = 0;
  }
  // What is written without a fence is written to what was read just now, whoever owned it before.
  if (!table_.structure || *fence == 0) {
    auto found = read(deadline);
    if (!found) return fail_within("nftables", found);
    fence = found->fence;
  }
  if (table_.other_owner)
    return fail(ErrorKind::unauthorized,
                fmt::format("nftables: table inet {} belongs to the installation {}, and this one "
                            "is {}: nothing is written there; give this target another table, or "
                            "take that one over with `knock adopt --take-over {}`",
                            settings_.table, table_.other_owner->to_string(), owner_.to_string(),
                            target_.value));
  auto outcome = apply_to_table({target_, settings_.table, owner_, hooked(Hook::input),
                                 hooked(Hook::forward), *channel_, table_, random_},
                                plan, now, deadline, *fence);
  if (!outcome) return fail_within("nftables", outcome);
  return outcome;
}

}  // namespace

Result<std::unique_ptr<Provider>> make_nftables_provider(const TargetName& target,
                                                         const NftablesSettings& settings,
                                                         OwnerId owner,
                                                         std::unique_ptr<ApplyChannel> channel,
                                                         TargetMoved moved) {
  if (!role::valid_table(settings.table))
    return fail(ErrorKind::invalid, "target " + target.value + ": " + printable(settings.table) +
                                        " is no table name; it must match [a-z][a-z0-9_-]{0,31}");
  if (owner == OwnerId{})
    return fail(ErrorKind::invalid, "target " + target.value +
                                        ": this installation has no owner id; `knock init` writes "
                                        "one into knock.yaml");
  return std::make_unique<NftablesProvider>(target, settings, owner, std::move(channel),
                                            std::move(moved));
}

}  // namespace knock
