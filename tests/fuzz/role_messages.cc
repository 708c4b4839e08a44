// SPDX-License-Identifier: Apache-2.0
// Frames between the roles: what is read must be exactly what would be written.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "schemas/role/apply.h"
#include "schemas/role/front.h"
#include "schemas/role/verifier.h"

namespace {

template <class Decode>
void check(std::string_view body, Decode decode) {
  auto message = decode(body);
  if (message && knock::role::encode(*message).substr(4) != body) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view body(reinterpret_cast<const char*>(data), size);
  check(body, knock::role::decode_from_front);
  check(body, knock::role::decode_to_front);
  check(body, knock::role::decode_to_verifier);
  check(body, knock::role::decode_from_verifier);
  (void)knock::role::decode_to_apply(body);
  (void)knock::role::decode_from_apply(body);
  return 0;
}
