// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/finding.h"

#include <fmt/format.h>

#include "base/text.h"

namespace knock {

void Findings::error(Check check, Place place, std::string summary, std::string suggestion) {
  if (all_.size() > kMost) return;
  if (all_.size() == kMost) {
    all_.push_back(
        {Check::too_many_problems, Diagnostic::Severity::error, place,
         fmt::format("this file has more than {} problems; the rest is not listed", kMost),
         "repair the ones above first"});
    return;
  }
  all_.push_back(
      {check, Diagnostic::Severity::error, place, std::move(summary), std::move(suggestion)});
}

std::string_view line_of(std::string_view content, std::uint32_t number) {
  constexpr std::size_t kLongest = 4096;
  if (number == 0) return {};
  if (content.starts_with("\xef\xbb\xbf")) content.remove_prefix(3);
  for (std::uint32_t line = 1; line < number; ++line) {
    auto at = content.find('\n');
    if (at == std::string_view::npos) return {};
    content.remove_prefix(at + 1);
  }
  auto line = content.substr(0, content.find('\n'));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line.size() > kLongest ? std::string_view() : line;
}

SourceRange range_of(const std::string& file, Place place) {
  return {file, place.line, place.column, place.length};
}

Diagnostic to_diagnostic(const Problem& finding, CheckArea area, const std::string& file,
                         std::string_view content) {
  return {finding.severity,
          id_of(finding.check, area),
          range_of(file, finding.place),
          finding.summary,
          finding.suggestion,
          std::string(line_of(content, finding.place.line))};
}

std::string shown(std::string_view text) {
  constexpr std::size_t kShown = 80;
  bool cut = text.size() > kShown;
  if (cut) {
    text = text.substr(0, kShown);
    while (!text.empty() && invalid_utf8_at(text)) text.remove_suffix(1);
  }
  return fmt::format("`{}{}`", printable(text), cut ? "…" : "");
}

}  // namespace knock
