// SPDX-License-Identifier: Apache-2.0
// X-Forwarded-For as a client may have written it: never a crash, and never one of our own proxies
// as the client. Lines of the input are separate fields.
#include "net/forwarded.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/text.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace knock;
  static const std::vector<Prefix> trusted{*Prefix::parse("10.0.0.0/8"),
                                           *Prefix::parse("2001:db8::/32")};
  static const auto proxy = IpAddress::parse("10.0.0.1"), stranger = IpAddress::parse("192.0.2.1");
  auto values = split({reinterpret_cast<const char*>(data), size}, '\n');
  auto direct = net::client_address(stranger, values, trusted);
  if (!direct || *direct != *stranger) std::abort();
  auto client = net::client_address(proxy, values, trusted);
  if (!client && !net::reason_code(client.error()).starts_with("forwarded.")) std::abort();
  if (client)
    for (const auto& prefix : trusted)
      if (prefix.contains(*client)) std::abort();
  return 0;
}
