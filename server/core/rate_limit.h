// SPDX-License-Identifier: Apache-2.0
// A token bucket per address (per /64 for IPv6, where one host owns that many) or per network.
// Bounded memory: when the table is full, full buckets are forgotten first, at most once a second
// because that walks all of them, and then new addresses share one bucket. Not thread-safe.
#pragma once

#include <algorithm>
#include <map>
#include <optional>

#include "base/prefix.h"
#include "base/time.h"

namespace knock {

class RateLimit {
 public:
  /// Addresses that agree in the first `bits` share a bucket.
  struct Bits {
    int v4 = 32, v6 = 64;
  };
  RateLimit(double burst, double per_second, std::size_t most, Bits bits = {32, 64})
      : burst_(burst), per_second_(per_second), most_(most), bits_(bits) {}

  bool take(const IpAddress& address, MonotonicTime now) {
    Prefix who = Prefix::of(address, address.family() == Family::v4 ? bits_.v4 : bits_.v6);
    auto at = buckets_.find(who);
    if (at == buckets_.end()) {
      if (buckets_.size() >= most_) forget(now);
      if (buckets_.size() >= most_) who = Prefix();
      at = buckets_.try_emplace(who, Bucket{burst_, now}).first;
    }
    Bucket& bucket = at->second;
    bucket.tokens = level(bucket, now);
    bucket.at = now;
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
  }

 private:
  struct Bucket {
    double tokens;
    MonotonicTime at;
  };
  double level(const Bucket& bucket, MonotonicTime now) const {
    return std::min(
        burst_,
        bucket.tokens + per_second_ * std::chrono::duration<double>(now - bucket.at).count());
  }
  void forget(MonotonicTime now) {
    if (forgot_ && now - *forgot_ < std::chrono::seconds(1)) return;
    forgot_ = now;
    std::erase_if(buckets_, [&](const auto& pair) { return level(pair.second, now) >= burst_; });
  }

  double burst_, per_second_;
  std::size_t most_;
  Bits bits_;
  std::optional<MonotonicTime> forgot_;
  std::map<Prefix, Bucket> buckets_;
};

}  // namespace knock
