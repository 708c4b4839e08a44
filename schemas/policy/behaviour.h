// SPDX-License-Identifier: Apache-2.0
// What a policy leaves to taste. Two presets set every knob; a knob that a policy writes itself
// overrides its preset. There is no knob without a case in the tests that shows both its ways.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/ip.h"
#include "base/time.h"

namespace knock {

enum class Preset : std::uint8_t { standard, strict };

/// What happens at an address where more people are signed in than a rule's `max_users_per_ip`.
enum class SharedAddresses : std::uint8_t {
  allow,          // everybody there gets what the rule gives; the plan names them
  deny,           // nobody there gets it
  require_token,  // only an L7 target can tell people apart: others get nothing
};

/// Which sign-ins count when somebody has more addresses than a rule's `max_ips_per_user`.
enum class OverLimit : std::uint8_t {
  replace,  // the latest: an earlier one closes
  refuse,   // the earliest: a later one gets nothing
};

struct Behaviour {
  Preset preset = Preset::standard;
  SharedAddresses shared_addresses = SharedAddresses::allow;
  OverLimit over_limit = OverLimit::replace;
  Duration warn_before_end = Duration::hours(14 * 24);  // of static entries
  std::optional<Duration> longest_ttl;                  // of allow rules; absent: none
  std::optional<Duration> longest_static;               // from now to a static entry's end
  friend bool operator==(const Behaviour&, const Behaviour&) = default;
};
Behaviour behaviour_of(Preset preset);

/// Limits beyond which a plan waits for an acknowledgement; docs/policy.md gives the defaults.
struct GuardLimits {
  unsigned removed_percent = 30;  // of a target's own entries, by policy
  std::size_t removed_entries = 50;
  unsigned added_percent = 100;
  std::size_t added_entries = 500;
  std::uint8_t widest_v4 = 24, widest_v6 = 48;
  /// Ports that a service gains where it stands already are asked about.
  bool ask_new_ports = true;
  /// What shows that a target can still be reached after a change: it can be read, and where an
  /// address is written, something accepts a TCP connection there from the controller.
  struct Probe {
    std::optional<IpAddress> address;
    std::uint16_t port = 0;
    friend bool operator==(const Probe&, const Probe&) = default;
  };
  /// What policy changes on these targets is taken back unless it is confirmed in time.
  struct Confirm {
    std::vector<TargetName> targets;  // sorted
    Duration within;
    std::optional<Probe> probe;  // absent: a person confirms
    friend bool operator==(const Confirm&, const Confirm&) = default;
  };
  std::optional<Confirm> confirm;
  friend bool operator==(const GuardLimits&, const GuardLimits&) = default;
};

}  // namespace knock
