// SPDX-License-Identifier: Apache-2.0
// Text to a small tree, strictly. This is the one place that knows yaml-cpp: its loader accepts
// duplicate keys, several documents, invalid UTF-8 and alias bombs (docs/adr), so only its event
// parser is used, and everything a policy has no need of is refused from inside the events:
// anchors, aliases, tags, `<<`, a second document, a root that is no map, depth beyond 64, more
// than 200,000 nodes, duplicate keys. Pure; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/policy/finding.h"

namespace knock {

struct YamlNode {
  enum class Kind : std::uint8_t { scalar, sequence, map };
  Kind kind = Kind::scalar;
  bool plain = true;  // scalar without quotes, not a block: the only kind YAML gives types to
  Place place;
  std::string text;                // of a scalar, exactly as written ("null" and "~" too)
  std::vector<YamlNode> children;  // sequence: items; map: key, value, key, value …

  bool is_scalar() const { return kind == Kind::scalar; }
  bool is_sequence() const { return kind == Kind::sequence; }
  bool is_map() const { return kind == Kind::map; }
  /// Nothing was written where a value belongs.
  bool is_missing() const { return is_scalar() && plain && text.empty(); }
};

inline constexpr std::size_t kMostFileBytes = 1 << 20;
inline constexpr std::size_t kDeepest = 64;
inline constexpr std::size_t kMostNodes = 200'000;

/// The root map; nothing when the document was refused, with the one reason in `findings`.
/// Duplicate keys are reported each and do not stop the reading; the first one counts.
std::optional<YamlNode> parse_yaml(std::string_view content, Findings& findings);

}  // namespace knock
