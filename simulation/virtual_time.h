// SPDX-License-Identifier: Apache-2.0
// Time and chance that belong to one run: nothing passes and nothing is drawn but what the run says,
// so that the same seed tells the same story. One thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>

#include "base/random.h"
#include "base/time.h"

namespace knock {

class VirtualClock final : public Clock {
 public:
  explicit VirtualClock(Instant start) : wall_(start) {}
  Instant now() const override { return wall_; }
  MonotonicTime monotonic() const override { return monotonic_; }
  void pass(Duration time) {
    wall_ = wall_ + time;
    monotonic_ += time.chrono();
  }

 private:
  Instant wall_;
  MonotonicTime monotonic_ = MonotonicTime() + std::chrono::hours(1);
};

/// splitmix64: small, and good enough for events; nothing secret is drawn from it.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  /// 0 ≤ … < n.
  std::size_t below(std::size_t n) { return n == 0 ? 0 : std::size_t(next() % n); }
  bool one_in(std::size_t n) { return below(n) == 0; }
  void fill(std::span<std::uint8_t> out) override {
    for (std::uint8_t& byte : out) byte = std::uint8_t(next() >> 32);
  }

 private:
  std::uint64_t state_;
};

}  // namespace knock
