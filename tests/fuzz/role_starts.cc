// SPDX-License-Identifier: Apache-2.0
// What the parent reads of core's wishes, and roles of how they start: what is read must be exactly
// what would be written.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "schemas/role/spawn.h"
#include "schemas/role/verifier_start.h"

namespace {

template <class Decode>
void check(std::string_view body, Decode decode) {
  auto message = decode(body);
  if (message && knock::role::encode(*message) != body) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view body(reinterpret_cast<const char*>(data), size);
  check(body, knock::role::decode_to_parent);
  check(body, knock::role::decode_spawned);
  check(body, knock::role::decode_front_start);
  check(body, knock::role::decode_verifier_start);
  return 0;
}
