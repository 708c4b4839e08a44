// SPDX-License-Identifier: Apache-2.0
// The mark that makes an entry ours, inside the entry itself, so that anybody can close what has
// expired from the target alone. No name and no address is in it. 52 bytes, characters [0-9a-z:]
// only:
//
//   knock:1:<owner, 16 hex>:<deadline, Unix seconds, 10 hex>:<entry id, 16 hex>
//   0     6 8               25                              36
//
// Another version is not ours (and is reported).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/prefix.h"
#include "base/time.h"

namespace knock {

struct Marker {
  OwnerId owner;
  Instant until;  // whole seconds, 0 … 2^40-1
  EntryId entry;
  friend auto operator<=>(const Marker&, const Marker&) = default;
};

std::string to_string(const Marker& marker);
std::optional<Marker> parse_marker(std::string_view text);
/// "knock:<digits>:…" that parse_marker does not read: of another version, or damaged.
bool is_unknown_marker(std::string_view text);

/// First 64 bits of SHA-256("target\nprefix\nslot"). The slot is the target's own word for where
/// the entry stands (a service for per-service sets, "tcp/443" where ports are part of an entry),
/// so two entries of one target never collide.
EntryId entry_id(const TargetName& target, const Prefix& prefix, std::string_view slot);

}  // namespace knock
