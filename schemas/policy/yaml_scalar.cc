// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/yaml_scalar.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/text.h"

namespace knock {
namespace {

constexpr std::string_view kDigits = "0123456789";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  return out;
}

bool only(std::string_view text, std::string_view allowed) {
  return !text.empty() && text.find_first_not_of(allowed) == std::string_view::npos;
}

bool decimal_integer(std::string_view text) {
  return text == "0" || (only(text, kDigits) && text[0] != '0');
}

/// Numbers of YAML 1.1 and 1.2: octal, hexadecimal, binary, `_` between digits, base 60 with
/// colons, and floats.
bool number_like(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  auto word = lower(text);
  if (word == ".inf" || word == ".nan") return true;
  for (std::string_view base : {"0x", "0o", "0b"})
    if (word.starts_with(base)) return only(word.substr(2), "0123456789abcdef_");
  if (word.empty() || kDigits.find(word[word[0] == '.' && word.size() > 1]) == std::string::npos)
    return false;
  if (word.find(':') != std::string::npos) return only(word, "0123456789_:.");
  auto exponent = word.find('e');
  if (exponent != std::string::npos) {
    auto power = word.substr(exponent + 1);
    if (power.starts_with('+') || power.starts_with('-')) power.erase(0, 1);
    if (!only(power, kDigits)) return false;
    word.resize(exponent);
  }
  return only(word, "0123456789_.") && std::ranges::count(word, '.') <= 1;
}

/// 2027-01-31, and everything that goes on with a time after such a date.
bool time_like(std::string_view text) {
  auto dash = text.find('-');
  if (dash != 4 || !only(text.substr(0, 4), kDigits)) return false;
  auto second = text.find('-', 5);
  if (second == std::string_view::npos || second > 7 || !only(text.substr(5, second - 5), kDigits))
    return false;
  auto rest = text.substr(second + 1);
  auto day = rest.substr(0, rest.find_first_not_of(kDigits));
  if (day.empty() || day.size() > 2) return false;
  rest.remove_prefix(day.size());
  return rest.empty() || rest[0] == 'T' || rest[0] == 't' || rest[0] == ' ' || rest[0] == '\t';
}

}  // namespace

bool yaml_reads_differently(std::string_view text) {
  static constexpr std::array<std::string_view, 11> kWords{
      "y", "n", "yes", "no", "true", "false", "on", "off", "null", "~", "="};
  if (decimal_integer(text)) return false;
  if (text == "<<" || std::ranges::find(kWords, lower(text)) != kWords.end()) return true;
  return number_like(text) || time_like(text);
}

std::string yaml_quoted(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    std::size_t length = 1;
    while (length < text.size() && (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80)
      ++length;
    auto character = text.substr(0, length);
    text.remove_prefix(length);
    if (character == "\"" || character == "\\") {
      out.append("\\").append(character);
      continue;
    }
    auto shown = printable(character);
    // printable() writes \u{…}; YAML has eight digits for the same.
    if (shown.starts_with("\\u{"))
      out += fmt::format("\\U{:0>8}", shown.substr(3, shown.size() - 4));
    else
      out += character;
  }
  return out + "\"";
}

std::string yaml_name(std::string_view name) {
  return yaml_reads_differently(name) || decimal_integer(name) ? yaml_quoted(name)
                                                               : std::string(name);
}

}  // namespace knock
