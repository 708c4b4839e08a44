// SPDX-License-Identifier: Apache-2.0
// A message about what a person wrote: where, what, why, and what to do instead. Loaders return all
// of them at once.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace knock {

/// A place in a file, 1-based. line 0: the whole file.
struct SourceRange {
  std::string file;  // relative to the policy's root, "/" as separator
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::uint32_t length = 0;       // characters on that line; 0: a point
  std::string to_string() const;  // "a/b.yaml:3:7"
  friend auto operator<=>(const SourceRange&, const SourceRange&) = default;
};

struct Diagnostic {
  enum class Severity { error, warning };
  Severity severity = Severity::error;
  std::string id;  // stable, "policy.unknown-key": tests and docs name it
  SourceRange where;
  std::string summary;     // one plain sentence
  std::string suggestion;  // what to write instead; may be empty
  std::string line_text;   // the source line, for a caret; may be empty
};

using Diagnostics = std::vector<Diagnostic>;

bool has_errors(const Diagnostics& diagnostics);
/// Errors first, then by place.
void sort_diagnostics(Diagnostics& diagnostics);
/// "file:3:7: error: …  [policy.unknown-key]", the line with a caret, the suggestion. Ends with a
/// newline.
std::string to_text(const Diagnostic& diagnostic);
std::string to_text(const Diagnostics& diagnostics);

}  // namespace knock
