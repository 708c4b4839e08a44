// SPDX-License-Identifier: Apache-2.0
// JSON from outside, read strictly: RFC 8259 and nothing more, valid UTF-8, no duplicate members
// (Boost.JSON keeps the last one silently, and two readers that disagree about a token are an
// attack), nesting at most 32 deep, nothing behind the document. Include this from .cc files only:
// Boost.JSON costs 0.8 s. Any thread.
#pragma once

#include <boost/json/value.hpp>
#include <string_view>

#include "base/result.h"

namespace knock {

inline constexpr std::size_t kMaxJsonDepth = 32;

/// Errors are `invalid`; the message starts with a stable reason: "json.syntax: …",
/// "json.duplicate: …", "json.depth: …". Numbers beyond 64 bits and fractions come back as doubles:
/// readers of integers must refuse them.
Result<boost::json::value> parse_strict(std::string_view text);

}  // namespace knock
