// SPDX-License-Identifier: Apache-2.0
#include "agents/nftables/sweep.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "agents/nftables/application.h"
#include "base/failpoint.h"
#include "reconciler/core/marker.h"

namespace knock {
namespace {

constexpr int kAttempts = 5;
constexpr std::size_t kBatch = 1000;

struct Found {
  Swept counts;
  std::uint32_t fence = 0;
  std::vector<role::ElementChange> removals;
  std::size_t timed = 0, disagree = 0;  // with our clock
  Duration off{0};                      // one of those that disagree: ours minus theirs
};

/// Of whatever part: the marker, or what is left of it in front of a part's own words.
std::string marker_text(const role::ElementFound& element) {
  if (element.part != role::Part::stay) return element.comment;
  auto stay = parse_stay_comment(element.comment);
  return stay ? stay->marker : element.comment;
}

void compare_clocks(const role::ElementFound& element, const Marker& marker, Instant now,
                    Found& out) {
  // What lasts by connection has deadlines of its own beside the marker's.
  if (!element.timed || element.part != role::Part::open) return;
  ++out.timed;
  auto off = now - (marker.until - Duration{std::int64_t(element.left_ms)});
  if (std::abs(off.ms) <= kClockDoubt.ms) return;
  ++out.disagree;
  out.off = off;
}

void look_at(const role::SlotFound& slot, const role::ElementFound& element,
             const SweepOrder& order, Found& out) {
  auto text = marker_text(element);
  auto marker = parse_marker(text);
  if (!marker) {
    ++(is_unknown_marker(text) ? out.counts.unknown_version : out.counts.foreign);
    return;
  }
  if (order.owner && marker->owner != *order.owner) {
    ++out.counts.others;
    return;
  }
  compare_clocks(element, *marker, order.now, out);
  if (marker->until + order.grace > order.now) {
    ++out.counts.standing;
    return;
  }
  out.counts.closed.push_back({slot.name, element.prefix, marker->until, marker->owner});
  role::ElementChange removal{false, slot.name, element.prefix, 0, {}};
  removal.part = element.part;
  removal.tag = element.tag;
  out.removals.push_back(std::move(removal));
}

tl::unexpected<Error> refused(const role::FromApply& answer) {
  if (const auto* failed = std::get_if<role::Failed>(&answer))
    return fail(failed->kind, failed->why);
  return fail(ErrorKind::internal, "an answer to another question came");
}

Result<Found> find(ApplyChannel& channel, const SweepOrder& order, Deadline deadline) {
  KNOCK_ASSIGN(auto answer, channel.call(role::ReadBack{0, order.table}, deadline));
  const auto* table = std::get_if<role::TableFound>(&answer);
  if (table == nullptr) return refused(answer);
  Found out;
  out.counts.exists = table->exists;
  out.fence = table->fence;
  for (const auto& slot : table->slots)
    for (const auto& element : slot.elements) look_at(slot, element, order, out);
  return out;
}

Status check_clock(const Found& found, const SweepOrder& order) {
  if (order.trust_clock || 2 * found.disagree <= found.timed || found.timed < 2) return {};
  bool ahead = found.off > Duration{0};
  return fail(ErrorKind::invalid,
              fmt::format("this machine's clock says {}, and by the kernel's own count {} of {} "
                          "entries in table inet {} were made by a clock that is {} {} of it. "
                          "Nothing was closed: set the clock (timedatectl), or say --trust-clock "
                          "when it is right",
                          to_string(order.now), found.disagree, found.timed, order.table,
                          for_people(ahead ? found.off : Duration{-found.off.ms}),
                          ahead ? "behind" : "ahead"));
}

Status remove(ApplyChannel& channel, const SweepOrder& order, const Found& found,
              Deadline deadline) {
  std::uint32_t fence = found.fence;
  for (std::size_t at = 0; at < found.removals.size(); at += kBatch) {
    role::ChangeElements message;
    message.table = order.table;
    message.fence = fence;
    auto end = std::min(at + kBatch, found.removals.size());
    message.changes.assign(found.removals.begin() + std::ptrdiff_t(at),
                           found.removals.begin() + std::ptrdiff_t(end));
    KNOCK_FAILPOINT("sweep.before-remove");
    KNOCK_ASSIGN(auto answer, channel.call(message, deadline));
    KNOCK_FAILPOINT("sweep.after-remove");
    const auto* done = std::get_if<role::Done>(&answer);
    if (done == nullptr) return refused(answer);
    fence = done->fence;
  }
  return {};
}

}  // namespace

Result<Swept> sweep(ApplyChannel& channel, const SweepOrder& order, Deadline deadline) {
  for (int attempt = 1;; ++attempt) {
    KNOCK_ASSIGN(auto found, find(channel, order, deadline));
    KNOCK_CHECK(check_clock(found, order));
    if (order.dry_run || found.removals.empty()) return std::move(found.counts);
    auto removed = remove(channel, order, found, deadline);
    if (removed) return std::move(found.counts);
    // A controller works on the same table at this moment: what it prolonged must stay.
    if (removed.error().kind != ErrorKind::conflict || attempt == kAttempts)
      return fail(std::move(removed.error()));
  }
}

}  // namespace knock
