// SPDX-License-Identifier: Apache-2.0
#include "store/tzdata/tzif.h"

#include <fmt/format.h>

#include <algorithm>

#include "store/tzdata/posix_rule.h"

namespace knock {
namespace {

constexpr std::size_t kHeader = 44;
constexpr std::uint32_t kMost = 100'000;              // of anything; real zones have some hundreds
constexpr std::int64_t kEarliest = -100'000'000'000;  // seconds; earlier is "since ever"
constexpr std::int64_t kLatest = 300'000'000'000;
constexpr std::int64_t kLargestOffset = 26 * 3600;  // RFC 8536, 3.2

/// The last count bytes of a big-endian two's complement number.
std::int64_t integer(std::string_view bytes, std::size_t at, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i)
    value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  auto unused = 64 - 8 * size;
  return static_cast<std::int64_t>(value << unused) >> unused;
}

struct Counts {
  std::size_t isut, isstd, leap, time, type, chars;

  std::size_t bytes(std::size_t time_size) const {
    return time * (time_size + 1) + type * 6 + chars + leap * (time_size + 4) + isstd + isut;
  }
};

Result<Counts> read_header(std::string_view bytes) {
  if (bytes.size() < kHeader || !bytes.starts_with("TZif"))
    return fail(ErrorKind::invalid, "this is no compiled time zone");
  std::array<std::size_t, 6> counts{};
  for (std::size_t i = 0; i < counts.size(); ++i) {
    auto count = integer(bytes, 20 + 4 * i, 4);
    if (count < 0 || count > kMost)
      return fail(ErrorKind::invalid, fmt::format("a count in it is {}", count));
    counts[i] = std::size_t(count);
  }
  return Counts{counts[0], counts[1], counts[2], counts[3], counts[4], counts[5]};
}

struct Block {
  std::vector<std::int64_t> times;
  std::vector<std::size_t> types;     // of each time
  std::vector<std::int32_t> offsets;  // of each type
};

Result<Block> read_block(std::string_view bytes, const Counts& counts, std::size_t time_size) {
  if (bytes.size() < counts.bytes(time_size))
    return fail(ErrorKind::invalid, "it ends in the middle");
  if (counts.type == 0) return fail(ErrorKind::invalid, "it has no offset at all");
  if (counts.leap != 0)
    return fail(ErrorKind::unsupported, "it counts leap seconds, and no other clock here does");
  Block block;
  auto types_at = counts.time * time_size;
  auto offsets_at = types_at + counts.time;
  for (std::size_t i = 0; i < counts.type; ++i) {
    auto offset = integer(bytes, offsets_at + 6 * i, 4);
    if (offset < -kLargestOffset || offset > kLargestOffset)
      return fail(ErrorKind::invalid, fmt::format("an offset in it is {} s", offset));
    block.offsets.push_back(std::int32_t(offset));
  }
  for (std::size_t i = 0; i < counts.time; ++i) {
    auto time = integer(bytes, time_size * i, time_size);
    auto type = std::size_t(static_cast<unsigned char>(bytes[types_at + i]));
    if (type >= counts.type || (i > 0 && time <= block.times.back()))
      return fail(ErrorKind::invalid, "its transitions are in no order, or of no type");
    block.times.push_back(time);
    block.types.push_back(type);
  }
  return block;
}

std::vector<Zone::Offset> table_of(const Block& block) {
  std::vector<Zone::Offset> out{{Instant::from_seconds(kEarliest), block.offsets[0]}};
  for (std::size_t i = 0; i < block.times.size(); ++i) {
    if (block.times[i] > kLatest) break;
    auto offset = block.offsets[block.types[i]];
    if (block.times[i] <= kEarliest)
      out.front().seconds = offset;
    else
      out.push_back({Instant::from_seconds(block.times[i]), offset});
  }
  return out;
}

/// The year in which an instant lies, or the one before.
int year_of(Instant instant) { return int(1970 + instant.seconds() / 31'556'952) - 1; }

Status add_rule(std::vector<Zone::Offset>& offsets, std::string_view text, bool transitions) {
  auto rule = parse_posix_rule(text);
  if (!rule) return fail(ErrorKind::invalid, "the rule at its end is none");
  auto known = offsets.back().from;
  if (!transitions) offsets.front().seconds = rule->standard;
  if (!rule->summer) return {};
  auto first = transitions ? std::max(1970 - 1, year_of(known)) : 1970;
  for (int year = first; year <= kLastZoneYear; ++year)
    for (const auto& offset : offsets_in(*rule, year))
      if (offset.from > known) offsets.push_back(offset);
  return {};
}

/// One row for each change of the offset.
void compact(std::vector<Zone::Offset>& offsets) {
  std::vector<Zone::Offset> out;
  for (const auto& offset : offsets) {
    if (!out.empty() && out.back().from == offset.from) out.pop_back();
    if (out.empty() || out.back().seconds != offset.seconds) out.push_back(offset);
  }
  offsets = std::move(out);
}

}  // namespace

Result<Zone> zone_from_tzif(std::string name, std::string_view bytes) {
  KNOCK_ASSIGN(auto counts, read_header(bytes));
  char version = bytes[4];
  bytes.remove_prefix(kHeader);
  std::size_t time_size = 4;
  if (version >= '2') {
    if (bytes.size() < counts.bytes(4)) return fail(ErrorKind::invalid, "it ends in the middle");
    bytes.remove_prefix(counts.bytes(4));
    KNOCK_ASSIGN(counts, read_header(bytes));
    bytes.remove_prefix(kHeader);
    time_size = 8;
  }
  KNOCK_ASSIGN(auto block, read_block(bytes, counts, time_size));
  Zone zone{std::move(name), table_of(block)};
  bytes.remove_prefix(counts.bytes(time_size));
  auto end = bytes.find('\n', 1);
  if (time_size == 8 && (!bytes.starts_with('\n') || end == std::string_view::npos))
    return fail(ErrorKind::invalid, "the rule at its end is missing");
  if (time_size == 8 && end > 1)
    KNOCK_CHECK(add_rule(zone.offsets, bytes.substr(1, end - 1), !block.times.empty()));
  compact(zone.offsets);
  return zone;
}

}  // namespace knock
