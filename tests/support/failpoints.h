// SPDX-License-Identifier: Apache-2.0
// Failpoints of other processes: `knock-with-failpoints` is `knock` with one file more
// (failpoint_arming.cc), which maps the file that the environment variable names and does at each
// place what stands there. Tests write into the same memory, at any moment; roles share it, so that
// "the third time" is counted over all of them.
#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace knock::test {

inline constexpr const char* kFailpointsVariable = "KNOCK_FAILPOINTS_FILE";

struct FailpointOrder {
  enum Mode : std::uint32_t { none, crash, error };
  std::atomic<std::uint32_t> mode;
  std::atomic<std::uint32_t> place;  // index into failpoint::all()
  std::atomic<std::int32_t> left;    // acts when this becomes 0; below that: at every further visit
  std::atomic<std::int32_t> repeat;  // 1: goes on failing
  std::atomic<std::uint32_t> kind;   // ErrorKind
  std::atomic<pid_t> pid;            // who acted, and then it did
};
static_assert(std::atomic<pid_t>::is_always_lock_free);

struct FailpointMemory {
  static constexpr std::size_t kOrders = 4, kPlaces = 256;
  std::array<FailpointOrder, kOrders> orders;
  std::array<std::atomic<std::uint32_t>, kPlaces> visits;
};

/// The index of a place in failpoint::all(). Throws for a name that is none.
std::size_t failpoint_index(std::string_view name);

/// The file, and the test's view of it. Every user may write it: roles are other users.
class Failpoints {
 public:
  Failpoints();
  ~Failpoints();
  Failpoints(const Failpoints&) = delete;
  Failpoints& operator=(const Failpoints&) = delete;
  const std::string& path() const { return path_; }

  /// At the n-th visit from now on the process that comes there is killed, as by kill -9.
  void crash_at(std::string_view name, int nth = 1);
  /// At the n-th visit, and with `repeat` at each after it, the effect fails.
  void fail_at(std::string_view name, ErrorKind kind = ErrorKind::unavailable, bool repeat = true,
               int nth = 1);
  /// Who was killed, or who was told an error first; 0: nobody came there yet.
  pid_t reached(std::string_view name) const;
  bool reached_within(std::string_view name, Duration patience) const;
  std::uint32_t visits(std::string_view name) const;
  void disarm();
  void disarm(std::string_view name);

 private:
  FailpointOrder& fresh_order();
  std::string path_;
  FailpointMemory* memory_ = nullptr;
};

}  // namespace knock::test
