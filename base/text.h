// SPDX-License-Identifier: Apache-2.0
// Text that came from outside, made safe to show; and small helpers for messages.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace knock {

/// Valid UTF-8 with nothing that moves the cursor, hides or reorders: control characters, bidi
/// controls, line and paragraph separators, zero-width and tag characters and invalid bytes become
/// \u{…} or \x… escapes.
std::string printable(std::string_view text);
/// Byte offset of the first byte that is not part of valid UTF-8 (overlong forms and surrogates
/// count as invalid).
std::optional<std::size_t> invalid_utf8_at(std::string_view text);
/// Number of terminal cells, close enough for columns: one per code point that is not combining.
std::size_t display_width(std::string_view text);

/// For HTML text and double-quoted attributes.
std::string html_escape(std::string_view text);

/// The candidate a person most likely meant: at an edit distance of a third of the length or one
/// more; nothing otherwise.
std::optional<std::string> did_you_mean(std::string_view written,
                                        const std::vector<std::string>& candidates);

std::string join(const std::vector<std::string>& parts, std::string_view separator);
/// The parts are views into `text`.
std::vector<std::string_view> split(std::string_view text, char separator);
/// Views into a text that ends with the statement: `for (auto part : split(read(), ','))`.
template <std::same_as<std::string> Text>
void split(Text&& text, char separator) = delete;
std::string_view trim(std::string_view text);
std::string hex(std::string_view bytes);
/// "1 person", "3 people".
std::string counted(std::size_t n, std::string_view one, std::string_view many);

}  // namespace knock
