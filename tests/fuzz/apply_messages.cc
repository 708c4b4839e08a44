// SPDX-License-Identifier: Apache-2.0
// Messages of the apply role: the half with CAP_NET_ADMIN reads these. What is accepted must come
// out the same when it is written and read again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "schemas/role/apply.h"

using namespace knock;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view body(reinterpret_cast<const char*>(data), size);
  if (auto message = role::decode_to_apply(body)) {
    auto again = role::encode(*message);
    auto twice = role::decode_to_apply(std::string_view(again).substr(4));
    if (!twice || role::encode(*twice) != again) std::abort();
  }
  if (auto message = role::decode_from_apply(body)) {
    auto again = role::encode(*message);
    auto twice = role::decode_from_apply(std::string_view(again).substr(4));
    if (!twice || role::encode(*twice) != again) std::abort();
  }
  return 0;
}
