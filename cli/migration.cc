// SPDX-License-Identifier: Apache-2.0
#include "cli/migration.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "schemas/policy/parsed_file.h"
#include "schemas/policy/yaml_document.h"

namespace knock::cli {
namespace {

/// The number behind `knock:`; nothing when the text does not parse or has none.
std::optional<int> version_of(std::string_view content) {
  Findings findings(CheckArea::policy);
  auto root = parse_yaml(content, findings);
  if (!root || !findings.empty()) return std::nullopt;
  for (std::size_t i = 0; i + 1 < root->children.size(); i += 2) {
    const auto& value = root->children[i + 1];
    if (root->children[i].text != "knock" || !value.is_scalar() || !value.plain) continue;
    int version = 0;
    const char* last = value.text.data() + value.text.size();
    auto [end, problem] = std::from_chars(value.text.data(), last, version);
    if (problem == std::errc() && end == last && version > 0) return version;
  }
  return std::nullopt;
}

/// What the loader says about a file whose version is not to be had.
Diagnostics refusal(const std::string& file, std::string_view content) {
  auto parsed = parse_policy_file(content);
  Diagnostics all, header;
  for (const auto& finding : parsed.findings.all()) {
    all.push_back(to_diagnostic(finding, CheckArea::policy, file, content));
    if (finding.check == Check::header_missing || finding.check == Check::header_version)
      header.push_back(all.back());
  }
  return header.empty() ? all : header;
}

}  // namespace

const std::vector<MigrationStep>& migration_steps() {
  static const std::vector<MigrationStep> none;
  return none;
}

Result<MigratedFile> migrate_policy_file(const std::string& file, std::string_view content,
                                         const std::vector<MigrationStep>& steps) {
  int newest = int(steps.size()) + 1;
  MigratedFile out;
  auto version = version_of(content);
  if (!version || *version > newest) {
    out.diagnostics = refusal(file, content);
    if (out.diagnostics.empty())
      return fail(ErrorKind::internal, file + " has no version that can be read");
    return out;
  }
  out.from = *version;
  std::string text(content);
  for (int from = *version; from < newest; ++from) {
    const auto& step = steps[std::size_t(from) - 1];
    auto next = step.apply(text);
    if (!next) return fail_within(fmt::format("{}: from version {}", file, from), next);
    if (version_of(*next) != from + 1)
      return fail(ErrorKind::internal, fmt::format("{}: the step from version {} left a file that "
                                                   "is not version {}",
                                                   file, from, from + 1));
    text = std::move(*next);
    out.done.push_back(step.what);
  }
  out.text = std::move(text);
  return out;
}

}  // namespace knock::cli
