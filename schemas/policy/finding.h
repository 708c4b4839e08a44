// SPDX-License-Identifier: Apache-2.0
// Diagnostics while a file is read: places without the file's name, because a parsed file is cached
// by its content and the same content may stand under two names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/diagnostic.h"
#include "schemas/policy/check.h"

namespace knock {

/// 1-based; line 0: the whole file. Columns and lengths are characters.
struct Place {
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::uint32_t length = 0;
  friend auto operator<=>(const Place&, const Place&) = default;
};

struct Problem {
  Check check;
  Diagnostic::Severity severity = Diagnostic::Severity::error;
  Place place;
  std::string summary;
  std::string suggestion;
};

/// Findings of one file. Bounded: a file with a hundred thousand mistakes must not cost gigabytes
/// of sentences.
class Findings {
 public:
  static constexpr std::size_t kMost = 200;

  explicit Findings(CheckArea area) : area_(area) {}
  CheckArea area() const { return area_; }
  void error(Check check, Place place, std::string summary, std::string suggestion = "");
  /// False once further findings are only counted: skip costly suggestions then.
  bool room() const { return all_.size() < kMost; }
  const std::vector<Problem>& all() const { return all_; }
  bool empty() const { return all_.empty(); }

 private:
  CheckArea area_;
  std::vector<Problem> all_;
};

/// Line `number` (1-based) of a text without its break; empty when there is none or it is absurdly
/// long.
std::string_view line_of(std::string_view content, std::uint32_t number);
SourceRange range_of(const std::string& file, Place place);
Diagnostic to_diagnostic(const Problem& finding, CheckArea area, const std::string& file,
                         std::string_view content);
/// For messages: `text`, printable, cut to a readable length.
std::string shown(std::string_view text);

}  // namespace knock
