// SPDX-License-Identifier: Apache-2.0
#include "base/port_range.h"

#include <algorithm>

namespace knock {
namespace {

std::optional<std::uint16_t> parse_port(std::string_view text) {
  if (text.empty() || text.size() > 5 || text[0] == '0') return std::nullopt;
  unsigned value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + unsigned(c - '0');
  }
  if (value > 65535) return std::nullopt;
  return std::uint16_t(value);
}

std::string span_text(const PortRange& range) {
  auto text = std::to_string(range.first);
  if (range.last != range.first) text += "-" + std::to_string(range.last);
  return text;
}

}  // namespace

std::string_view to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::tcp:
      return "tcp";
    case Protocol::udp:
      return "udp";
  }
  return "tcp";
}

std::optional<PortRange> PortRange::parse(std::string_view text) {
  PortRange range;
  if (text.starts_with("tcp/"))
    range.protocol = Protocol::tcp;
  else if (text.starts_with("udp/"))
    range.protocol = Protocol::udp;
  else
    return std::nullopt;
  text.remove_prefix(4);
  auto dash = text.find('-');
  auto first = parse_port(text.substr(0, dash));
  auto last = dash == std::string_view::npos ? first : parse_port(text.substr(dash + 1));
  if (!first || !last || *last < *first) return std::nullopt;
  range.first = *first;
  range.last = *last;
  return range;
}

std::string PortRange::to_string() const {
  return std::string(knock::to_string(protocol)) + "/" + span_text(*this);
}

std::vector<PortRange> canonical_ports(std::vector<PortRange> ports) {
  std::sort(ports.begin(), ports.end());
  std::vector<PortRange> out;
  for (const auto& range : ports) {
    if (!out.empty() && out.back().protocol == range.protocol &&
        int(range.first) <= int(out.back().last) + 1)
      out.back().last = std::max(out.back().last, range.last);
    else
      out.push_back(range);
  }
  return out;
}

std::string to_string(const std::vector<PortRange>& ports) {
  std::string out;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    bool same = i > 0 && ports[i].protocol == ports[i - 1].protocol;
    if (i > 0) out += same ? "," : " ";
    out += same ? span_text(ports[i]) : ports[i].to_string();
  }
  return out;
}

std::vector<PortRange> subtract(const std::vector<PortRange>& from,
                                const std::vector<PortRange>& holes) {
  std::vector<PortRange> out;
  for (const auto& range : from) {
    int next = range.first;
    for (const auto& hole : holes) {
      if (!hole.overlaps(range)) continue;
      if (int(hole.first) > next)
        out.push_back({range.protocol, std::uint16_t(next), std::uint16_t(hole.first - 1)});
      next = std::max(next, int(hole.last) + 1);
    }
    if (next <= int(range.last)) out.push_back({range.protocol, std::uint16_t(next), range.last});
  }
  return out;
}

}  // namespace knock
