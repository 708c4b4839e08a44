// SPDX-License-Identifier: Apache-2.0
// A target as a value: what an enforcement point with sets per slot does, and nothing of how. It
// applies changes one by one, so that what passes between two of them can be asked.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reconciler/interfaces/provider.h"

namespace knock {

struct ModelElement {
  bool ours = true;
  std::optional<Instant> until;  // the marker's deadline; foreign: nothing
  std::optional<Instant> ends;   // the target's own timer; nothing: never
  Lasts lasts = Lasts::until_deadline;
  Instant come_by;                                     // disconnect
  bool ticket = false;                                 // first_connection: nobody used it yet
  ObservedItem::Mark mark = ObservedItem::Mark::none;  // foreign
  friend bool operator==(const ModelElement&, const ModelElement&) = default;
};

struct ModelSlot {
  std::vector<PortRange> ports;
  std::map<Prefix, ModelElement> elements;
};

struct ModelTarget {
  std::map<std::string, ModelSlot> slots;
  std::vector<PortRange> protect;
  std::vector<Prefix> keep;
  bool exists = false;
  bool native_expiry = true;
  bool by_connection = true;
  bool owned = false;  // as a whole: foreign entries may be written over

  Capabilities capabilities() const;
  /// Holds everything as it is; nested `keep` prefixes are one.
  Canonical canonicalize(const Allowlist& desired) const;
  Observed observe(Instant now) const;
  /// "" or why the target refuses it. Adding what is there and removing what is absent succeed.
  std::string apply(const Change& change);
  /// Somebody knocks: true when a connection begins, which uses a ticket up where one is needed.
  bool connect(const IpAddress& address, const PortRange& port, Instant now);
  /// `port` is one port. True when what is open from there goes on, or may begin. An unprotected port lets everybody through.
  bool allowed(const IpAddress& address, const PortRange& port) const;
};

}  // namespace knock
