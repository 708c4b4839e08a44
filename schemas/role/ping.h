// SPDX-License-Identifier: Apache-2.0
// Core asks front and verifier whether they still work: a process that was stopped, or turns in a
// circle, does not close its socket. Part of the messages of front.h and verifier.h.
#pragma once

#include <cstdint>

namespace knock::role {

struct Ping {
  std::uint64_t request = 0;
};
struct Pong {
  std::uint64_t request = 0;
};

}  // namespace knock::role
