// SPDX-License-Identifier: Apache-2.0
#include "net/forwarded.h"

#include <algorithm>
#include <string>

#include "base/text.h"

namespace knock::net {
namespace {

constexpr std::size_t kMostBytes = 4096;
constexpr std::size_t kMostHops = 32;

tl::unexpected<Error> refuse(std::string_view code, std::string_view sentence) {
  return fail(ErrorKind::invalid, std::string(code) + ": " + std::string(sentence));
}

bool is_trusted(const IpAddress& address, const std::vector<Prefix>& trusted) {
  return std::any_of(trusted.begin(), trusted.end(),
                     [&](const Prefix& prefix) { return prefix.contains(address); });
}

/// 0.0.0.0/8, 224.0.0.0/4, 240.0.0.0/4 (with broadcast), ::, ff00::/8: no single host answers
/// there.
bool is_host(const IpAddress& address) {
  auto first = address.bytes()[0];
  if (address.family() == Family::v4) return first != 0 && first < 224;
  return first != 0xff && address != IpAddress::v6(std::array<std::uint8_t, 16>{});
}

std::string_view trim_blanks(std::string_view text) {
  auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// All hops, leftmost first; several fields are one list (RFC 9110 section 5.3).
Result<std::vector<std::string_view>> split_hops(const std::vector<std::string_view>& values) {
  std::vector<std::string_view> hops;
  std::size_t bytes = 0;
  bool blank = true;
  for (auto value : values) {
    bytes += value.size();
    blank = blank && trim_blanks(value).empty();
    if (bytes > kMostBytes)
      return refuse("forwarded.too-long", "X-Forwarded-For has more than 4096 bytes");
    for (auto hop : split(value, ',')) hops.push_back(trim_blanks(hop));
  }
  if (blank)
    return refuse("forwarded.missing",
                  "a trusted proxy sent no X-Forwarded-For; configure it to append the client");
  if (hops.size() > kMostHops)
    return refuse("forwarded.too-long", "X-Forwarded-For has more than 32 hops");
  return hops;
}

}  // namespace

Result<IpAddress> client_address(const std::optional<IpAddress>& peer,
                                 const std::vector<std::string_view>& forwarded_for,
                                 const std::vector<Prefix>& trusted_proxies) {
  if (!peer) return refuse("forwarded.no-peer", "the connection has no network address");
  if (!is_trusted(*peer, trusted_proxies)) return *peer;
  KNOCK_ASSIGN(auto hops, split_hops(forwarded_for));
  for (auto hop = hops.rbegin(); hop != hops.rend(); ++hop) {
    auto address = IpAddress::parse(*hop);
    if (!address)
      return refuse("forwarded.malformed",
                    "X-Forwarded-For holds \"" + printable(hop->substr(0, 64)) +
                        "\" where an address must stand, without port or brackets");
    if (is_trusted(*address, trusted_proxies)) continue;
    if (!is_host(*address))
      return refuse("forwarded.not-a-host", address->to_string() + " is not one host's address");
    return *address;
  }
  return refuse("forwarded.all-trusted",
                "every address in X-Forwarded-For is a trusted proxy, none is a client");
}

std::string_view reason_code(const Error& error) {
  return std::string_view(error.message).substr(0, error.message.find(": "));
}

}  // namespace knock::net
