// SPDX-License-Identifier: Apache-2.0
// Which addresses are special. Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC
// 6890 and successors).
#include <algorithm>
#include <array>

#include "net/http_client.h"

namespace knock::net {
namespace {

std::vector<Prefix> parse_all(std::initializer_list<std::string_view> texts) {
  std::vector<Prefix> out;
  for (auto text : texts) out.push_back(Prefix::parse_exact(text).value());
  return out;
}

const std::vector<Prefix>& special_v4() {
  static const auto list = parse_all({
      "0.0.0.0/8",         // this network; connect() to 0.0.0.0 reaches loopback
      "10.0.0.0/8",        // private
      "100.64.0.0/10",     // shared by carriers; 100.100.100.200 is Alibaba's metadata
      "127.0.0.0/8",       // loopback
      "168.63.129.16/32",  // Azure's wire server: not in the registry, but the platform's own
      "169.254.0.0/16",    // link-local; 169.254.169.254 is most clouds' metadata
      "172.16.0.0/12",     // private
      "192.0.0.0/24",      // protocol assignments; 192.0.0.192 is Oracle's metadata
      "192.0.2.0/24",      // documentation
      "192.88.99.0/24",    // 6to4 relays, withdrawn
      "192.168.0.0/16",    // private
      "198.18.0.0/15",     // benchmarking
      "198.51.100.0/24",   // documentation
      "203.0.113.0/24",    // documentation
      "224.0.0.0/4",       // multicast
      "240.0.0.0/4",       // reserved, and the broadcast address
  });
  return list;
}

/// Inside 2000::/3, the only block of global unicast addresses; all outside of it is special.
const std::vector<Prefix>& special_v6() {
  static const auto list = parse_all({
      "2001::/23",      // protocol assignments: Teredo, benchmarking, ORCHID
      "2001:db8::/32",  // documentation
      "2002::/16",      // 6to4: carries any IPv4 address
      "3fff::/20",      // documentation (RFC 9637)
  });
  return list;
}

bool in_any(const std::vector<Prefix>& list, const IpAddress& address) {
  return std::any_of(list.begin(), list.end(), [&](auto& p) { return p.contains(address); });
}

bool is_public(const IpAddress& address) {
  if (address.family() == Family::v4) return !in_any(special_v4(), address);
  static const auto nat64 = Prefix::parse_exact("64:ff9b::/96").value();
  // Networks without IPv4 reach it through here (RFC 6052): what counts is the address inside.
  if (nat64.contains(address))
    return is_public(IpAddress::from_bytes(address.bytes().subspan(12)).value());
  static const auto unicast = Prefix::parse_exact("2000::/3").value();
  return unicast.contains(address) && !in_any(special_v6(), address);
}

}  // namespace

bool ConnectGuard::permits(const IpAddress& address) const {
  return is_public(address) || in_any(allowed, address);
}

}  // namespace knock::net
