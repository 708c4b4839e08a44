// SPDX-License-Identifier: Apache-2.0
// Canonical text of a policy file, for `knock fmt`. Only the layout changes: the order of everything,
// the author's choice between block and flow style (where it fits 100 columns), and every comment
// stay. Quotes go where the text means the same to every reader of YAML without them.
//
// Three promises, kept by reading the result again before it is handed out: formatting it once more
// changes nothing, it holds the same tree of values, and each comment is there once and in order.
// Pure; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/diagnostic.h"
#include "schemas/policy/yaml_document.h"

namespace knock {

inline constexpr std::size_t kFormatColumns = 100;

struct FormattedFile {
  std::optional<std::string> text;  // set exactly when there are no diagnostics
  Diagnostics diagnostics;          // what parse_yaml() says, or "format.…"
};

/// `file` is the name for messages. Whether the file makes sense as policy is not asked.
FormattedFile format_policy_file(const std::string& file, std::string_view content);

/// The same values of the same kinds: a text that was quoted may be plain where no reader of YAML
/// takes it for anything but text.
bool same_values(const YamlNode& one, const YamlNode& other);

/// The values of a file that parse_yaml() reads, without the word that it invents where a value is
/// missing before a key that begins with `null` or `~`; nothing when there is anything to say.
std::optional<YamlNode> yaml_values(std::string_view content, Findings& findings);

/// The comments of a file that parse_yaml() reads, from `#` to the end of the line without trailing
/// blanks, in order; nothing when the text has a form that the formatter does not know.
std::optional<std::vector<std::string>> yaml_comments(std::string_view content);

}  // namespace knock
