// SPDX-License-Identifier: Apache-2.0
#include "agents/host/privileged.h"

#include <net/if.h>

#include <algorithm>
#include <cerrno>
#include <tuple>

#include "agents/host/structure.h"
#include "base/failpoint.h"
#include "schemas/role/wire.h"

namespace knock::host {
namespace {

// Other programs' commits make ours start again; so many in a row means a program gone wild.
constexpr int kCommitAttempts = 200;
constexpr int kReadAttempts = 100;
// Bytes of a batch: some 1,000 elements.
constexpr std::size_t kQuietFrom = 256 * 1024;
const std::vector<role::ElementChange> kNoChanges;

tl::unexpected<Error> moved(const std::string& table) {
  return fail(ErrorKind::conflict,
              "table inet " + table + " was changed by somebody else: read it again, then decide");
}

Error commit_error(const Committed& committed, const std::string& table) {
  auto what = "changing table inet " + table;
  if (committed.unknown)
    return {ErrorKind::timeout, what + ": the kernel's replies were lost; read it again", {}, {}};
  auto error = netlink_error(committed.error, what);
  if (!committed.text.empty()) error.message += " (" + committed.text + ")";
  return error;
}

Status check_owner(const TableImage& image, const role::Ensure& message) {
  if (!image.exists) return {};
  auto owner = image.owner();
  if (owner == message.owner) return {};
  auto remedy =
      "; give this target another table, or, when nobody needs it, remove it with: nft "
      "delete table inet " +
      message.table;
  if (!owner)
    return fail(ErrorKind::unauthorized,
                "table inet " + message.table + " was not made by knock" + remedy);
  return fail(ErrorKind::unauthorized,
              "table inet " + message.table + " belongs to the installation " + owner->to_string() +
                  ", and this one is " + message.owner.to_string() + remedy);
}

Status read_slots(Netlink& netlink, const TableImage& image, const std::string& table,
                  role::TableFound& out) {
  for (auto& slot : out.slots) {
    auto read = [&](SetKind kind) -> Status {
      auto set = slot_set(slot.name, kind);
      if (image.set(set) == nullptr) return {};
      KNOCK_ASSIGN(auto elements, read_elements(netlink, table, set, kind));
      slot.elements.insert(slot.elements.end(), std::make_move_iterator(elements.begin()),
                           std::make_move_iterator(elements.end()));
      return {};
    };
    for (auto kind : kSetKinds) {
      KNOCK_CHECK(read(kind));
    }
    for (auto kind : kTicketKinds) {
      KNOCK_CHECK(read(kind));
    }
    std::sort(slot.elements.begin(), slot.elements.end(), [](const auto& a, const auto& b) {
      return std::tie(a.prefix, a.part, a.comment, a.tag) <
             std::tie(b.prefix, b.part, b.comment, b.tag);
    });
  }
  return {};
}

}  // namespace

std::uint32_t Privileged::loopback() {
  auto index = if_nametoindex("lo");
  return index != 0 ? index : 1;
}

Result<Privileged> Privileged::open() {
  KNOCK_ASSIGN(auto netlink, Netlink::open());
  KNOCK_ASSIGN(auto monitor, Monitor::open(netlink));
  return Privileged(std::move(netlink), std::move(monitor));
}

role::FromApply Privileged::handle(const role::ToApply& message) {
  auto result = std::visit(
      [&](const auto& m) {
        monitor_.watch(m.table);
        return run(m);
      },
      message);
  if (result) return std::move(*result);
  return role::Failed{role::request_of(message), result.error().kind, result.error().text()};
}

std::vector<role::TableMoved> Privileged::take_moved() {
  std::vector<role::TableMoved> out;
  // An event that cannot be read now is read before the next fence is used.
  if (!monitor_.drain(netlink_)) return out;
  for (auto& table : monitor_.take_moved()) out.push_back({std::move(table)});
  return out;
}

Status Privileged::check_fence(const std::string& table, std::uint32_t fence) {
  KNOCK_CHECK(monitor_.drain(netlink_));
  if (fence != 0 && !monitor_.unchanged_since(table, fence)) return moved(table);
  return {};
}

Result<Committed> Privileged::commit(Batch& batch, const std::string& table, std::uint32_t since) {
  for (int attempt = 0; attempt < kCommitAttempts; ++attempt) {
    KNOCK_CHECK(check_fence(table, since));
    bool big = batch.size() > kQuietFrom;
    if (big) monitor_.pause();
    KNOCK_FAILPOINT("apply.before-commit");
    auto committed = netlink_.commit(batch, monitor_.current());
    KNOCK_FAILPOINT("apply.after-commit");
    if (committed.done() && !batch.empty()) monitor_.committed(table);
    committed.generation = monitor_.current();
    if (big && !monitor_.resume(netlink_)) committed.unknown = true;
    if (committed.error != ERESTART) return committed;
  }
  return fail(ErrorKind::unavailable,
              "the firewall's tables change without a pause: another "
              "program rewrites them; look at `nft monitor`");
}

// ---------------------------------------------------------------- structure

Result<std::uint32_t> Privileged::ensure_once(const role::Ensure& message, bool& built_once) {
  KNOCK_CHECK(monitor_.drain(netlink_));
  auto since = monitor_.current();
  KNOCK_ASSIGN(auto have, read_table(netlink_, message.table));
  KNOCK_CHECK(check_owner(have, message));
  auto changes = built_once ? kNoChanges : message.changes;
  Batch ground;
  auto later = add_ground(ground, message, have, changes);
  if (!ground.empty()) {
    KNOCK_ASSIGN(auto laid, commit(ground, message.table, since));
    if (laid.unknown) return fail(commit_error(laid, message.table));
    // Refused: then all of it goes into one transaction, whose refusal names the change to blame.
    if (laid.done()) {
      KNOCK_FAILPOINT("apply.after-ground");
      since = monitor_.current();
      KNOCK_ASSIGN(have, read_table(netlink_, message.table));
      changes = std::move(later);
    }
  }
  auto structure = [&](Batch& batch) { add_structure(batch, message, have, loopback_); };
  KNOCK_ASSIGN(auto committed, commit_with_elements(structure, message.table, since, changes));
  if (!committed.done()) return fail(commit_error(committed, message.table));
  built_once = true;
  KNOCK_FAILPOINT("apply.before-mark");

  return put_mark(message.table, message.owner);
}

/// A kernel writes rules in its own way, so the digest comes from a second look. Until the mark
/// stands the table counts as changed by hand, which is right: it would be built again.
Result<std::uint32_t> Privileged::put_mark(const std::string& table, OwnerId owner) {
  auto since = monitor_.current();
  KNOCK_ASSIGN(auto built, read_table(netlink_, table));
  Batch mark;
  mark.add(mark_rule(table, mark_of(built, owner)));
  KNOCK_ASSIGN(auto marked, commit(mark, table, since));
  if (!marked.done()) return fail(commit_error(marked, table));
  return marked.generation;
}

Result<role::FromApply> Privileged::run(const role::Ensure& message) {
  KNOCK_CHECK(check_fence(message.table, message.fence));
  Result<std::uint32_t> done;
  bool built_once = false;
  for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
    done = ensure_once(message, built_once);
    if (done) return role::Done{message.request, *done};
    // Somebody works on the very same table at this moment; a fence, if given, was good before.
    if (done.error().kind != ErrorKind::conflict) break;
  }
  return fail(std::move(done.error()));
}

// ---------------------------------------------------------------- elements

Result<PresentKeys> Privileged::present_keys(const std::string& table,
                                             const std::vector<role::ElementChange>& changes) {
  PresentKeys out;
  for (const auto& [set, kind] : interval_sets(changes)) {
    auto elements = read_elements(netlink_, table, set, kind);
    // A set that the same transaction makes holds nothing yet.
    if (!elements && elements.error().kind != ErrorKind::not_found)
      return fail(std::move(elements.error()));
    auto& keys = out[set];
    if (!elements) continue;
    for (const auto& element : *elements) keys.insert(element.prefix);
  }
  return out;
}

Result<Committed> Privileged::commit_with_elements(
    const std::function<void(Batch&)>& prepare, const std::string& table, std::uint32_t since,
    const std::vector<role::ElementChange>& changes) {
  KNOCK_ASSIGN(auto ranges, foreign_ranges(netlink_, table, changes));
  if (!ranges.empty()) {
    // What goes as a range must not be touched by its parts' keys as well: the kernel would look for
    // them among what is going.
    KNOCK_ASSIGN(auto present, present_keys(table, changes));
    for (const auto& [set, found] : ranges)
      for (const auto& range : found)
        for (const auto& part : prefixes_of(range.first, range.last)) present[set].erase(part);
    Batch batch;
    prepare(batch);
    remove_ranges(batch, table, ranges);
    add_elements(batch, table, changes, &present);
    return commit(batch, table, since);
  }
  Batch batch;
  prepare(batch);
  add_elements(batch, table, changes, nullptr);
  KNOCK_ASSIGN(auto committed, commit(batch, table, since));
  bool overlap = committed.error == EEXIST || committed.error == ENOENT;
  if (!overlap || interval_sets(changes).empty()) return committed;
  // The cheap way touches keys that may not be there; look, and leave those out.
  auto present = present_keys(table, changes);
  if (!present) return committed;
  Batch again;
  prepare(again);
  add_elements(again, table, changes, &*present);
  return commit(again, table, since);
}

Result<role::FromApply> Privileged::run(const role::ChangeElements& message) {
  KNOCK_CHECK(check_fence(message.table, message.fence));
  if (message.changes.empty()) return role::Done{message.request, monitor_.current()};
  KNOCK_ASSIGN(auto committed,
               commit_with_elements([](Batch&) {}, message.table, message.fence, message.changes));
  if (!committed.done()) return fail(commit_error(committed, message.table));
  return role::Done{message.request, committed.generation};
}

// ---------------------------------------------------------------- reading

Result<role::TableFound> Privileged::read_once(const std::string& table) {
  KNOCK_CHECK(monitor_.drain(netlink_));
  auto since = monitor_.current();
  KNOCK_ASSIGN(auto image, read_table(netlink_, table));
  auto found = describe(image);
  if (found.exists) {
    KNOCK_CHECK(read_slots(netlink_, image, table, found));
  }
  KNOCK_CHECK(check_fence(table, since));
  found.fence = monitor_.current();
  return found;
}

Result<role::FromApply> Privileged::run(const role::ReadBack& message) {
  Result<role::TableFound> found;
  for (int attempt = 0; attempt < kReadAttempts; ++attempt) {
    found = read_once(message.table);
    if (found) {
      found->request = message.request;
      return std::move(*found);
    }
    // Gone between two reads counts as changed, like anything else.
    if (found.error().kind != ErrorKind::conflict && found.error().kind != ErrorKind::not_found)
      break;
  }
  return fail(std::move(found.error()));
}

}  // namespace knock::host
