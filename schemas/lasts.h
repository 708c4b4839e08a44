// SPDX-License-Identifier: Apache-2.0
// How long an opened door stays open beyond its deadline's say.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace knock {

enum class Lasts : std::uint8_t {
  until_deadline,
  first_connection,  // `connections: 1`: the first connection closes the door behind itself
  disconnect,        // `until: disconnect`: what came in time stays until it goes
};
std::string_view to_string(Lasts lasts);
std::optional<Lasts> lasts_from(std::string_view text);

/// Greater: lets more through. Of two entries for one address the greater counts.
constexpr int openness(Lasts lasts) {
  switch (lasts) {
    case Lasts::until_deadline:
      return 2;
    case Lasts::disconnect:
      return 1;
    case Lasts::first_connection:
      return 0;
  }
  return 0;
}

}  // namespace knock
