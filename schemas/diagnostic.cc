// SPDX-License-Identifier: Apache-2.0
#include "schemas/diagnostic.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "base/text.h"

namespace knock {
namespace {

constexpr std::size_t kWidestLine = 100;  // characters of the source line that are shown

/// One character each: continuation bytes stay with their lead, so that columns count characters.
std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> out;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i + 1;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) ++end;
    out.push_back(text.substr(i, end - i));
    i = end;
  }
  return out;
}

/// The source line and a caret below it; a long line is cut around the place.
std::string pointed_line(std::string_view line, std::size_t column, std::size_t length) {
  auto all = characters(line);
  std::size_t at = std::min(column > 0 ? column - 1 : 0, all.size());
  std::size_t first = all.size() > kWidestLine && at > kWidestLine / 2 ? at - kWidestLine / 2 : 0;
  std::size_t last = std::min(all.size(), first + kWidestLine);
  std::string shown, below;
  if (first > 0) shown = below = "... ";
  std::ranges::fill(below, ' ');
  for (std::size_t i = first; i < last; ++i) {
    auto text = all[i] == "\t" ? std::string(" ") : printable(all[i]);
    std::size_t width = display_width(text);
    shown += text;
    if (i < at)
      below.append(width, ' ');
    else if (i == at)
      below.append("^").append(width > 0 ? width - 1 : 0, '~');
    else if (i < at + length)
      below.append(width, '~');
  }
  if (last < all.size()) shown += " ...";
  if (at >= last) below += '^';
  return fmt::format("    {}\n    {}\n", shown, below);
}

auto order_of(const Diagnostic& d) {
  return std::tie(d.severity, d.where, d.id, d.summary, d.suggestion);
}

}  // namespace

std::string SourceRange::to_string() const {
  auto name = file.empty() ? std::string("(policy)") : printable(file);
  return line == 0 ? name : fmt::format("{}:{}:{}", name, line, column);
}

bool has_errors(const Diagnostics& diagnostics) {
  return std::ranges::any_of(
      diagnostics, [](const Diagnostic& d) { return d.severity == Diagnostic::Severity::error; });
}

void sort_diagnostics(Diagnostics& diagnostics) {
  std::ranges::sort(diagnostics, [](const Diagnostic& a, const Diagnostic& b) {
    return order_of(a) < order_of(b);
  });
}

std::string to_text(const Diagnostic& d) {
  auto text = fmt::format("{}: {}: {}  [{}]\n", d.where.to_string(),
                          d.severity == Diagnostic::Severity::error ? "error" : "warning",
                          printable(d.summary), d.id);
  if (!d.line_text.empty() && d.where.line > 0)
    text += pointed_line(d.line_text, d.where.column, d.where.length);
  if (!d.suggestion.empty()) text += fmt::format("    = {}\n", printable(d.suggestion));
  return text;
}

std::string to_text(const Diagnostics& diagnostics) {
  std::string text;
  for (const auto& d : diagnostics) text += to_text(d);
  return text;
}

}  // namespace knock
