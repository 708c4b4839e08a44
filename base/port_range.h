// SPDX-License-Identifier: Apache-2.0
// A protocol with a range of ports, as policy writes it: "tcp/443", "udp/60000-61000".
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace knock {

enum class Protocol : std::uint8_t { tcp = 6, udp = 17 };
std::string_view to_string(Protocol protocol);

struct PortRange {
  Protocol protocol = Protocol::tcp;
  std::uint16_t first = 0;  // 1…65535
  std::uint16_t last = 0;   // >= first

  static std::optional<PortRange> parse(std::string_view text);
  std::string to_string() const;
  bool contains(const PortRange& other) const {
    return protocol == other.protocol && first <= other.first && other.last <= last;
  }
  bool overlaps(const PortRange& other) const {
    return protocol == other.protocol && first <= other.last && other.first <= last;
  }
  friend auto operator<=>(const PortRange&, const PortRange&) = default;
};

/// Sorted, overlapping and adjacent ranges joined: one value for one set of ports.
std::vector<PortRange> canonical_ports(std::vector<PortRange> ports);
/// "tcp/80,443 udp/53": for people and plans.
std::string to_string(const std::vector<PortRange>& ports);
/// The ports of `from` that are not in `holes`; both canonical.
std::vector<PortRange> subtract(const std::vector<PortRange>& from,
                                const std::vector<PortRange>& holes);

}  // namespace knock
