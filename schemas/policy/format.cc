// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/format.h"

#include <fmt/format.h>

#include "schemas/policy/format_layout.h"
#include "schemas/policy/yaml_scalar.h"

namespace knock {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

std::string_view without_mark(std::string_view content) {
  if (content.starts_with(kByteOrderMark)) content.remove_prefix(kByteOrderMark.size());
  return content;
}

/// Plain, and something other than a text to a reader that types values by their looks.
bool typed(const YamlNode& node) {
  return node.plain && (node.text.empty() || yaml_name(node.text) != node.text);
}

/// yaml-cpp reports a missing value at a token beside it, so that it shares the place of a key, and
/// takes the word for its own where that key begins with `null` or `~`. Of scalars in one place only
/// the key is written.
class InventedWords {
 public:
  void forget(YamlNode& node, bool is_key = false) {
    for (std::size_t i = 0; i < node.children.size(); ++i)
      forget(node.children[i], node.is_map() && i % 2 == 0);
    if (!node.is_scalar() || node.is_missing()) return;
    bool shared = last_ != nullptr && last_->place.line == node.place.line &&
                  last_->place.column == node.place.column;
    if (shared && last_is_key_) {
      node.text.clear();
      return;
    }
    if (shared) last_->text.clear();
    last_ = &node;
    last_is_key_ = is_key;
  }

 private:
  YamlNode* last_ = nullptr;
  bool last_is_key_ = false;
};

FormattedFile not_understood(const std::string& file, std::string_view content, Place place) {
  return {std::nullopt,
          {{Diagnostic::Severity::error, "format.not-understood", range_of(file, place),
            "the formatter does not know this way of writing; the file is left as it is",
            "write it in a simpler way", std::string(line_of(content, place.line))}}};
}

FormattedFile too_large(const std::string& file, std::size_t bytes) {
  return {std::nullopt,
          {{Diagnostic::Severity::error, "format.too-large", range_of(file, {}),
            fmt::format("formatted, the file would have {} bytes, and at most {} (1 MiB) are read; "
                        "it is left as it is",
                        bytes, kMostFileBytes),
            "split it; several files are merged by name", ""}}};
}

/// Reading the result again is what makes the promises of the header.
bool keeps_everything(std::string_view content, const YamlNode& root, const std::string& text) {
  Findings findings(CheckArea::policy);
  auto again = yaml_values(text, findings);
  if (!again || !same_values(root, *again)) return false;
  return layout::read_comments(content, root) == layout::read_comments(text, *again);
}

}  // namespace

std::optional<YamlNode> yaml_values(std::string_view content, Findings& findings) {
  auto root = parse_yaml(content, findings);
  if (!findings.empty()) return std::nullopt;
  if (root) InventedWords().forget(*root);
  return root;
}

bool same_values(const YamlNode& one, const YamlNode& other) {
  if (one.kind != other.kind || one.children.size() != other.children.size()) return false;
  if (one.is_scalar()) return one.text == other.text && typed(one) == typed(other);
  for (std::size_t i = 0; i < one.children.size(); ++i)
    if (!same_values(one.children[i], other.children[i])) return false;
  return true;
}

FormattedFile format_policy_file(const std::string& file, std::string_view content) {
  Findings findings(CheckArea::policy);
  auto root = yaml_values(content, findings);
  content = without_mark(content);
  FormattedFile out;
  for (const auto& finding : findings.all())
    out.diagnostics.push_back(to_diagnostic(finding, CheckArea::policy, file, content));
  if (!root) return out;
  Place lost;
  auto document = layout::read_layout(content, *root, lost);
  if (!document) return not_understood(file, content, lost);
  auto text = layout::print_layout(*document);
  if (text.size() > kMostFileBytes) return too_large(file, text.size());
  if (!keeps_everything(content, *root, text)) return not_understood(file, content, {});
  out.text = std::move(text);
  return out;
}

std::optional<std::vector<std::string>> yaml_comments(std::string_view content) {
  Findings findings(CheckArea::policy);
  auto root = yaml_values(content, findings);
  if (!root) return std::nullopt;
  return layout::read_comments(without_mark(content), *root);
}

}  // namespace knock
