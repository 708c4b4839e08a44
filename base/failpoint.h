// SPDX-License-Identifier: Apache-2.0
// Named places around every effect (an append, a call to a target, a write to a disk) at which a
// test may make this process die, or the effect fail. Builds without the CMake option
// KNOCK_FAILPOINTS have none of them. In builds with it a place is one relaxed load until somebody
// sets a hook, and `knock` itself has nothing that would: neither a file nor an environment variable
// of a stranger stops it (tests/support/failpoints.h does, in an executable of its own).
//
// The list of all places is base/failpoint_table.cc; a test compares it with the sources.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "base/result.h"

namespace knock::failpoint {

struct Place {
  std::string_view name;    // "loop.before-call"
  std::string_view before;  // what has happened by then, and what has not
};
/// Sorted by name.
std::span<const Place> all();

/// Called at each place, by whatever thread comes there. What it returns is the error of the effect;
/// it may throw, and it need not return at all. An empty one takes the hook away; a thread that is
/// in the old one may still be there when set_hook returns.
using Hook = std::function<std::optional<Error>(std::string_view name)>;
void set_hook(Hook hook);

extern std::atomic<bool> hooked;
std::optional<Error> reached(std::string_view name);

}  // namespace knock::failpoint

#ifdef KNOCK_FAILPOINTS
/// In a function that returns Result or Status: it returns the error that a hook gives.
#define KNOCK_FAILPOINT(name)                                       \
  do {                                                              \
    if (::knock::failpoint::hooked.load(std::memory_order_relaxed)) \
      if (auto knock_injected = ::knock::failpoint::reached(name))  \
        return ::knock::fail(std::move(*knock_injected));           \
  } while (false)
/// Where there is nobody to tell: an error that a hook gives is dropped.
#define KNOCK_FAILPOINT_SILENT(name)                                \
  do {                                                              \
    if (::knock::failpoint::hooked.load(std::memory_order_relaxed)) \
      (void)::knock::failpoint::reached(name);                      \
  } while (false)
#else
#define KNOCK_FAILPOINT(name) \
  do {                        \
  } while (false)
#define KNOCK_FAILPOINT_SILENT(name) \
  do {                               \
  } while (false)
#endif
