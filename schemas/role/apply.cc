// SPDX-License-Identifier: Apache-2.0
#include "schemas/role/apply.h"

#include <algorithm>
#include <map>

#include "schemas/role/wire.h"

namespace knock::role {
namespace {

using wire::Reader;
using wire::Writer;

enum Kind : std::uint8_t {
  kEnsure = 1,
  kChangeElements = 2,
  kReadBack = 3,
  kTakeOver = 4,
  kDone = 65,
  kFailed = 66,
  kTableFound = 67,
  kTableMoved = 68,
};

constexpr std::size_t kLongestSlot = 63, kLongestTable = 32, kLongestMarker = 100;
constexpr std::size_t kLongestWhy = 4096, kLongestComment = 255;

bool lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

// ---------------------------------------------------------------- parts

void put(Writer& out, const std::vector<PortRange>& ports) {
  out.u32(std::uint32_t(ports.size()));
  for (const auto& range : ports) {
    out.u8(std::uint8_t(range.protocol));
    out.u16(range.first);
    out.u16(range.last);
  }
}

std::vector<PortRange> get_ports(Reader& in, std::uint32_t most = kMostPorts) {
  std::vector<PortRange> out(in.count(most, 5));
  for (auto& range : out) {
    auto protocol = in.u8();
    range.protocol = Protocol(protocol);
    range.first = in.u16();
    range.last = in.u16();
    bool known = protocol == std::uint8_t(Protocol::tcp) || protocol == std::uint8_t(Protocol::udp);
    if (!known || range.first == 0 || range.last < range.first) in.spoil();
  }
  return out;
}

void put(Writer& out, const std::vector<Prefix>& prefixes) {
  out.u32(std::uint32_t(prefixes.size()));
  for (const auto& prefix : prefixes) out.prefix(prefix);
}

std::vector<Prefix> get_keep(Reader& in) {
  std::vector<Prefix> out(in.count(kMostKeep, 6));
  for (auto& prefix : out) prefix = in.prefix();
  return out;
}

std::string get_slot(Reader& in) {
  auto name = in.text(kLongestSlot);
  if (!valid_slot(name)) in.spoil();
  return name;
}

std::string get_table(Reader& in) {
  auto name = in.text(kLongestTable);
  if (!valid_table(name)) in.spoil();
  return name;
}

void put_part(Writer& out, Part part, std::uint64_t tag) {
  out.u8(std::uint8_t(part));
  if (part != Part::open) out.u64(tag);
}

Part get_part(Reader& in, std::uint64_t& tag) {
  auto part = in.u8();
  if (part > std::uint8_t(Part::come)) in.spoil();
  if (part != std::uint8_t(Part::open)) tag = in.u64();
  return Part(part);
}

// Slot names are written once and changes refer to them by number: at 100,000 changes that halves a
// frame.
void put(Writer& out, const std::vector<ElementChange>& changes) {
  std::map<std::string_view, std::uint32_t> numbers;
  for (const auto& change : changes) numbers.emplace(change.slot, 0);
  out.u32(std::uint32_t(numbers.size()));
  std::uint32_t next = 0;
  for (auto& [name, number] : numbers) {
    number = next++;
    out.text(name);
  }
  out.u32(std::uint32_t(changes.size()));
  for (const auto& change : changes) {
    out.boolean(change.add);
    out.u32(numbers[change.slot]);
    out.prefix(change.prefix);
    put_part(out, change.part, change.tag);
    if (!change.add) out.boolean(change.foreign);
    if (!change.add) continue;
    out.u64(change.left_ms);
    out.text(change.marker);
  }
}

ElementChange get_change(Reader& in, const std::vector<std::string>& names) {
  ElementChange change;
  change.add = in.boolean();
  auto number = in.u32();
  if (number < names.size())
    change.slot = names[number];
  else
    in.spoil();
  change.prefix = in.prefix();
  if (change.add && change.prefix.length() == 0) in.spoil();
  change.part = get_part(in, change.tag);
  if (change.part != Part::open && (change.tag == 0 || !change.prefix.is_host())) in.spoil();
  if (!change.add) {
    change.foreign = in.boolean();
    if (change.foreign && change.part != Part::open) in.spoil();
    return change;
  }
  change.left_ms = in.u64();
  change.marker = in.text(kLongestMarker);
  if (change.left_ms == 0 || !valid_marker(change.marker)) in.spoil();
  return change;
}

std::vector<ElementChange> get_changes(Reader& in) {
  std::vector<std::string> names(in.count(kMostSlots, 5));
  for (auto& name : names) name = get_slot(in);
  auto changes = in.count(kMostChanges, 12);
  std::vector<ElementChange> out;
  out.reserve(changes);
  for (std::uint32_t i = 0; i < changes && !in.bad(); ++i) out.push_back(get_change(in, names));
  return out;
}

// ---------------------------------------------------------------- to apply

std::string encode_one(const Ensure& m) {
  Writer out(kEnsure);
  out.u64(m.request);
  out.text(m.table);
  out.u32(m.fence);
  out.u64(m.owner.value);
  out.boolean(m.input);
  out.boolean(m.forward);
  out.u32(std::uint32_t(m.slots.size()));
  for (const auto& slot : m.slots) {
    out.text(slot.name);
    put(out, slot.ports);
    out.boolean(slot.tickets);
  }
  put(out, m.protect);
  put(out, m.keep);
  put(out, m.changes);
  return std::move(out).finish();
}

Ensure get_ensure(Reader& in) {
  Ensure m;
  m.request = in.u64();
  m.table = get_table(in);
  m.fence = in.u32();
  m.owner.value = in.u64();
  m.input = in.boolean();
  m.forward = in.boolean();
  m.slots.resize(in.count(kMostSlots, 10));
  for (auto& slot : m.slots) {
    slot.name = get_slot(in);
    slot.ports = get_ports(in);
    slot.tickets = in.boolean();
  }
  m.protect = get_ports(in, kMostSlots);
  m.keep = get_keep(in);
  m.changes = get_changes(in);
  // A prefix that lets everybody in is no exception for operators.
  for (const auto& prefix : m.keep)
    if (prefix.length() == 0) in.spoil();
  for (std::size_t i = 1; i < m.slots.size(); ++i)
    if (m.slots[i].name <= m.slots[i - 1].name) in.spoil();  // sorted, so that names are unique
  return m;
}

std::string encode_one(const ChangeElements& m) {
  Writer out(kChangeElements);
  out.u64(m.request);
  out.text(m.table);
  out.u32(m.fence);
  put(out, m.changes);
  return std::move(out).finish();
}

ChangeElements get_change_elements(Reader& in) {
  ChangeElements m;
  m.request = in.u64();
  m.table = get_table(in);
  m.fence = in.u32();
  m.changes = get_changes(in);
  return m;
}

std::string encode_one(const ReadBack& m) {
  Writer out(kReadBack);
  out.u64(m.request);
  out.text(m.table);
  return std::move(out).finish();
}

ReadBack get_read_back(Reader& in) {
  ReadBack m;
  m.request = in.u64();
  m.table = get_table(in);
  return m;
}

std::string encode_one(const TakeOver& m) {
  Writer out(kTakeOver);
  out.u64(m.request);
  out.text(m.table);
  out.u32(m.fence);
  out.u64(m.owner.value);
  out.u64(m.former.value);
  return std::move(out).finish();
}

TakeOver get_take_over(Reader& in) {
  TakeOver m;
  m.request = in.u64();
  m.table = get_table(in);
  m.fence = in.u32();
  m.owner.value = in.u64();
  m.former.value = in.u64();
  if (m.owner == OwnerId{} || m.former == OwnerId{} || m.owner == m.former) in.spoil();
  return m;
}

// ---------------------------------------------------------------- from apply

std::string encode_one(const Done& m) {
  Writer out(kDone);
  out.u64(m.request);
  out.u32(m.fence);
  return std::move(out).finish();
}

Done get_done(Reader& in) {
  Done m;
  m.request = in.u64();
  m.fence = in.u32();
  return m;
}

std::string encode_one(const Failed& m) {
  Writer out(kFailed);
  out.u64(m.request);
  out.text(to_string(m.kind));
  out.text(std::string_view(m.why).substr(0, kLongestWhy));
  return std::move(out).finish();
}

Failed get_failed(Reader& in) {
  Failed m;
  m.request = in.u64();
  auto kind = error_kind_from(in.text(32));
  if (!kind) in.spoil();
  m.kind = kind.value_or(ErrorKind::internal);
  m.why = in.text(kLongestWhy);
  return m;
}

void put(Writer& out, const SlotFound& slot) {
  out.text(slot.name);
  put(out, slot.ports);
  out.boolean(slot.tickets);
  out.u32(std::uint32_t(slot.elements.size()));
  for (const auto& element : slot.elements) {
    out.prefix(element.prefix);
    out.boolean(element.timed);
    if (element.timed) out.u64(element.left_ms);
    out.text(std::string_view(element.comment).substr(0, kLongestComment));
    put_part(out, element.part, element.tag);
    if (element.part == Part::once) out.boolean(element.used);
  }
}

SlotFound get_slot_found(Reader& in) {
  SlotFound slot;
  slot.name = get_slot(in);
  slot.ports = get_ports(in);
  slot.tickets = in.boolean();
  auto elements = in.count(kMostElements, 12);
  slot.elements.reserve(elements);
  for (std::uint32_t i = 0; i < elements && !in.bad(); ++i) {
    ElementFound element;
    element.prefix = in.prefix();
    element.timed = in.boolean();
    if (element.timed) element.left_ms = in.u64();
    element.comment = in.text(kLongestComment);
    element.part = get_part(in, element.tag);
    if (element.part == Part::once) element.used = in.boolean();
    if (!slot.elements.empty() && element.prefix < slot.elements.back().prefix) in.spoil();
    slot.elements.push_back(std::move(element));
  }
  return slot;
}

std::string encode_one(const TableFound& m) {
  Writer out(kTableFound);
  out.u64(m.request);
  out.boolean(m.exists);
  out.u32(m.fence);
  out.u64(m.owner.value);
  out.boolean(m.intact);
  out.boolean(m.input);
  out.boolean(m.forward);
  out.u32(std::uint32_t(m.slots.size()));
  for (const auto& slot : m.slots) put(out, slot);
  put(out, m.protect);
  put(out, m.keep);
  return std::move(out).finish();
}

TableFound get_table_found(Reader& in) {
  TableFound m;
  m.request = in.u64();
  m.exists = in.boolean();
  m.fence = in.u32();
  m.owner.value = in.u64();
  m.intact = in.boolean();
  m.input = in.boolean();
  m.forward = in.boolean();
  auto slots = in.count(kMostSlots, 14);
  for (std::uint32_t i = 0; i < slots && !in.bad(); ++i) m.slots.push_back(get_slot_found(in));
  m.protect = get_ports(in, kMostSlots);
  m.keep = get_keep(in);
  return m;
}

std::string encode_one(const TableMoved& m) {
  Writer out(kTableMoved);
  out.text(m.table);
  return std::move(out).finish();
}

template <class T>
Result<T> checked(const Reader& in, T message) {
  if (!in.ok()) return fail(ErrorKind::invalid, "a message of the apply role is out of shape");
  return message;
}

}  // namespace

bool valid_slot(std::string_view name) {
  if (name.empty() || name.size() > kLongestSlot || !lower_or_digit(name[0])) return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return lower_or_digit(c) || c == '.' || c == '_' || c == '-'; });
}

bool valid_table(std::string_view name) {
  if (name.empty() || name.size() > kLongestTable || name[0] < 'a' || name[0] > 'z') return false;
  return std::all_of(name.begin(), name.end(),
                     [](char c) { return lower_or_digit(c) || c == '_' || c == '-'; });
}

bool valid_marker(std::string_view text) {
  if (text.empty() || text.size() > kLongestMarker) return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return lower_or_digit(c) || c == ':'; });
}

std::uint64_t request_of(const ToApply& message) {
  return std::visit([](const auto& m) { return m.request; }, message);
}

std::uint64_t request_of(const FromApply& message) {
  if (const auto* done = std::get_if<Done>(&message)) return done->request;
  if (const auto* failed = std::get_if<Failed>(&message)) return failed->request;
  if (const auto* found = std::get_if<TableFound>(&message)) return found->request;
  return 0;
}

std::string encode(const ToApply& message) {
  return std::visit([](const auto& m) { return encode_one(m); }, message);
}
std::string encode(const FromApply& message) {
  return std::visit([](const auto& m) { return encode_one(m); }, message);
}

Result<ToApply> decode_to_apply(std::string_view body) {
  Reader in(body);
  ToApply message;
  switch (in.kind()) {
    case kEnsure:
      message = get_ensure(in);
      break;
    case kChangeElements:
      message = get_change_elements(in);
      break;
    case kReadBack:
      message = get_read_back(in);
      break;
    case kTakeOver:
      message = get_take_over(in);
      break;
    default:
      in.spoil();
  }
  return checked(in, std::move(message));
}

Result<FromApply> decode_from_apply(std::string_view body) {
  Reader in(body);
  FromApply message;
  switch (in.kind()) {
    case kDone:
      message = get_done(in);
      break;
    case kFailed:
      message = get_failed(in);
      break;
    case kTableFound:
      message = get_table_found(in);
      break;
    case kTableMoved:
      message = TableMoved{get_table(in)};
      break;
    default:
      in.spoil();
  }
  return checked(in, std::move(message));
}

}  // namespace knock::role
