// SPDX-License-Identifier: Apache-2.0
// The values of base/ against slow models that look at every address and every port.
#include <gtest/gtest.h>
// gtest first: rapidcheck's own headers look for it.
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <bitset>

#include "base/ids.h"
#include "base/port_range.h"
#include "base/prefix.h"
#include "base/random.h"
#include "base/text.h"
#include "base/time.h"

namespace knock {
namespace {

/// rapidcheck's own ranges lean towards their lower end while a run is young.
int uniform(int low, int beyond) {
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(low, beyond));
}

IpAddress any_address() {
  auto bytes = *rc::gen::container<std::vector<std::uint8_t>>(
      *rc::gen::element(4, 16),
      rc::gen::oneOf(rc::gen::arbitrary<std::uint8_t>(), rc::gen::element<std::uint8_t>(0, 0xff)));
  return *IpAddress::from_bytes(bytes);
}

Prefix any_prefix() {
  auto address = any_address();
  return Prefix::of(address, uniform(0, address.bits() + 1));
}

/// A prefix of 256 addresses at most, all inside one block, so that a model can look at each.
constexpr int kBlock = 256;
IpAddress block(Family family) {
  return family == Family::v4 ? *IpAddress::parse("198.51.100.0")
                              : *IpAddress::parse("2001:db8::4600");
}
IpAddress nth(Family family, int n) {
  auto start = block(family);
  std::vector<std::uint8_t> copy(start.bytes().begin(), start.bytes().end());
  copy.back() = std::uint8_t(n);
  return *IpAddress::from_bytes(copy);
}
Prefix small_prefix(Family family) {
  int width = block(family).bits();
  // Long lengths too, or nearly every case would be "covers all".
  int length = width - *rc::gen::element(0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7);
  return Prefix::of(nth(family, uniform(0, kBlock)), length);
}
std::vector<Prefix> small_prefixes(Family family) {
  std::vector<Prefix> out;
  int count = uniform(0, 8);
  for (int i = 0; i < count; ++i) out.push_back(small_prefix(family));
  return out;
}
Family any_family() { return *rc::gen::element(Family::v4, Family::v6); }

std::bitset<kBlock> cover(Family family, const std::vector<Prefix>& prefixes) {
  std::bitset<kBlock> out;
  for (int n = 0; n < kBlock; ++n)
    for (const auto& prefix : prefixes)
      out[std::size_t(n)] = out[std::size_t(n)] || prefix.contains(nth(family, n));
  return out;
}

void assert_sorted_and_disjoint(const std::vector<Prefix>& prefixes) {
  for (std::size_t i = 1; i < prefixes.size(); ++i) {
    RC_ASSERT(prefixes[i - 1] < prefixes[i]);
    RC_ASSERT(!prefixes[i - 1].overlaps(prefixes[i]));
  }
}

RC_GTEST_PROP(AddressProperty, TextIsReadBack, ()) {
  auto address = any_address();
  RC_ASSERT(IpAddress::parse(address.to_string()) == address);
  RC_ASSERT(IpAddress::from_bytes(address.bytes()) == address);
  RC_TAG(address.family() == Family::v6 ? "v6" : "v4");
}

RC_GTEST_PROP(AddressProperty, NextIsTheNextInOrder, ()) {
  auto address = any_address();
  auto next = address.next();
  if (!next) return RC_ASSERT(address == address.last_of(0));
  RC_ASSERT(address < *next);
  RC_ASSERT(next->family() == address.family());
  // Nothing fits between: they differ in a trailing 0111… against 1000….
  int shared = address.bits();
  while (shared > 0 && address.first_of(shared) != next->first_of(shared)) --shared;
  RC_ASSERT(address == address.first_of(shared + 1).last_of(address.bits()) ||
            address == address.first_of(shared + 1).last_of(shared + 1));
  RC_ASSERT(*next == next->first_of(shared + 1));
}

RC_GTEST_PROP(PrefixProperty, TextIsReadBackAndCanonical, ()) {
  auto prefix = any_prefix();
  RC_ASSERT(Prefix::parse(prefix.to_string()) == prefix);
  RC_ASSERT(Prefix::parse_exact(prefix.to_string()) == prefix);
  RC_ASSERT(prefix.contains(prefix.first()) && prefix.contains(prefix.last()));
  RC_ASSERT(prefix.network() == prefix.network().first_of(prefix.length()));
  if (auto after = prefix.last().next()) RC_ASSERT(!prefix.contains(*after));
  // Whatever host bits are written, it is the same prefix.
  auto loose = prefix.last().to_string() + "/" + std::to_string(prefix.length());
  RC_ASSERT(Prefix::parse(loose) == prefix);
  RC_TAG(prefix.family() == Family::v6 ? "v6" : "v4");
}

RC_GTEST_PROP(PrefixProperty, ContainsMeansBothEndsLieInside, ()) {
  auto family = any_family();
  auto outer = small_prefix(family), inner = small_prefix(family);
  if (uniform(0, 2) == 0)  // two at random seldom meet
    inner = Prefix::of(outer.last(), uniform(outer.length() - 1, block(family).bits() + 1));
  bool ends = outer.first() <= inner.first() && inner.last() <= outer.last();
  RC_ASSERT(outer.contains(inner) == ends);
  RC_TAG(ends ? "inside" : "not inside");
}

RC_GTEST_PROP(PrefixProperty, SubtractCoversExactly, ()) {
  auto family = any_family();
  auto from = Prefix::of(block(family), block(family).bits() - uniform(2, 9));
  auto holes = small_prefixes(family);
  holes.push_back(any_prefix());
  auto rest = subtract(from, holes);
  RC_ASSERT(cover(family, rest) == (cover(family, {from}) & ~cover(family, holes)));
  assert_sorted_and_disjoint(rest);
  for (std::size_t i = 0; i < rest.size(); ++i) {
    RC_ASSERT(from.contains(rest[i]));
    if (i == 0 || rest[i].length() != rest[i - 1].length()) continue;
    auto parent = Prefix::of(rest[i].network(), rest[i].length() - 1);
    RC_ASSERT(!parent.contains(rest[i - 1]));  // two halves of one would not be the fewest
  }
  RC_TAG(rest.empty() ? "nothing left" : rest == std::vector{from} ? "untouched" : "pieces");
}

RC_GTEST_PROP(PrefixProperty, WithoutNestedCoversExactly, ()) {
  auto family = any_family();
  auto prefixes = small_prefixes(family);
  auto got = without_nested(prefixes);
  RC_ASSERT(cover(family, got) == cover(family, prefixes));
  assert_sorted_and_disjoint(got);
  for (const auto& prefix : got)
    RC_ASSERT(std::find(prefixes.begin(), prefixes.end(), prefix) != prefixes.end());
  RC_ASSERT(without_nested(got) == got);
  std::reverse(prefixes.begin(), prefixes.end());
  RC_ASSERT(without_nested(prefixes) == got);
  RC_TAG(got.size() < prefixes.size() ? "some nested" : "none nested");
}

constexpr int kPorts = 70;  // ports 1…60 are made; the model looks a little further

std::vector<PortRange> some_ports() {
  std::vector<PortRange> out;
  int count = uniform(0, 10);
  for (int i = 0; i < count; ++i) {
    int first = uniform(1, 60), length = *rc::gen::element(0, 0, 1, 2, 5, 30);
    out.push_back({*rc::gen::element(Protocol::tcp, Protocol::udp), std::uint16_t(first),
                   std::uint16_t(std::min(first + length, 60))});
  }
  return out;
}

std::bitset<2 * kPorts> cover(const std::vector<PortRange>& ports) {
  std::bitset<2 * kPorts> out;
  for (const auto& range : ports)
    for (int port = range.first; port <= range.last; ++port)
      out[std::size_t(port + (range.protocol == Protocol::udp ? kPorts : 0))] = true;
  return out;
}

void assert_canonical(const std::vector<PortRange>& ports) {
  for (std::size_t i = 1; i < ports.size(); ++i)
    RC_ASSERT(
        ports[i - 1].protocol < ports[i].protocol ||
        (ports[i - 1].protocol == ports[i].protocol && ports[i - 1].last + 1 < ports[i].first));
}

RC_GTEST_PROP(PortProperty, CanonicalIsTheOneValueOfASet, ()) {
  auto ports = some_ports();
  auto got = canonical_ports(ports);
  RC_ASSERT(cover(got) == cover(ports));
  assert_canonical(got);
  RC_ASSERT(canonical_ports(got) == got);
  std::reverse(ports.begin(), ports.end());
  RC_ASSERT(canonical_ports(ports) == got);
  for (const auto& range : got) RC_ASSERT(PortRange::parse(range.to_string()) == range);
  RC_TAG(got.size() < ports.size() ? "joined" : "apart");
}

RC_GTEST_PROP(PortProperty, SubtractCoversExactly, ()) {
  auto from = canonical_ports(some_ports()), holes = canonical_ports(some_ports());
  auto rest = subtract(from, holes);
  RC_ASSERT(cover(rest) == (cover(from) & ~cover(holes)));
  assert_canonical(rest);
  RC_TAG(rest == from ? "untouched" : "pieces");
}

RC_GTEST_PROP(TimeProperty, DurationsAreReadBack, ()) {
  auto unit = *rc::gen::element<std::int64_t>(1000, 60'000, 3'600'000, 86'400'000);
  Duration duration{*rc::gen::inRange<std::int64_t>(0, 10LL * 365 * 86'400'000 / unit) * unit};
  RC_ASSERT(parse_duration(to_string(duration)) == duration);
  RC_ASSERT(to_string(duration).size() <= std::to_string(duration.ms / 1000).size() + 1);
}

RC_GTEST_PROP(TimeProperty, InstantsAreReadBack, ()) {
  Instant instant{*rc::gen::inRange<std::int64_t>(-62'167'219'200'000, 253'402'300'800'000)};
  RC_ASSERT(parse_instant(to_string_ms(instant)) == instant);
  RC_ASSERT(parse_instant(to_string(instant)) == instant.floor_to_second());
  RC_TAG(instant.ms < 0 ? "before 1970" : "after 1970");
}

RC_GTEST_PROP(TimeProperty, TextOrderIsTimeOrder, ()) {
  auto any = rc::gen::inRange<std::int64_t>(0, 253'402'300'800'000);
  Instant a{*any}, b{*any};
  RC_ASSERT((to_string_ms(a) < to_string_ms(b)) == (a < b));
}

RC_GTEST_PROP(TextProperty, PrintableIsHarmlessAndStable, (const std::string& text)) {
  auto shown = printable(text);
  RC_ASSERT(!invalid_utf8_at(shown));
  RC_ASSERT(std::none_of(shown.begin(), shown.end(),
                         [](unsigned char c) { return c < 0x20 || c == 0x7f; }));
  RC_ASSERT(printable(shown) == shown);
  bool clean = shown == text;
  RC_ASSERT(!clean || !invalid_utf8_at(text));
  RC_TAG(clean ? "unchanged" : "escaped");
}

RC_GTEST_PROP(TextProperty, Base64urlHasOneTextForEachValue, (const std::string& bytes)) {
  std::string back;
  RC_ASSERT(base64url_decode(base64url(bytes), back));
  RC_ASSERT(back == bytes);
  auto text =
      *rc::gen::container<std::string>(rc::gen::element('A', 'B', 'Q', 'g', 'w', '-', '_', '='));
  if (base64url_decode(text, back)) RC_ASSERT(base64url(back) == text);
}

RC_GTEST_PROP(TextProperty, IdsAreReadBack, (std::uint64_t value)) {
  RC_ASSERT(parse_hex64(hex64(value)) == value);
}

}  // namespace
}  // namespace knock
