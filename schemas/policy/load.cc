// SPDX-License-Identifier: Apache-2.0
#include "schemas/policy/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "schemas/policy/parsed_file.h"
#include "schemas/policy/validate.h"

namespace knock {
namespace {

constexpr std::size_t kMostFiles = 20'000;
constexpr std::size_t kMostBytes = 64u << 20;
constexpr std::size_t kMostReported = 1000;

Diagnostic whole_policy(Check check, std::string summary, std::string suggestion) {
  return to_diagnostic(
      {check, Diagnostic::Severity::error, {}, std::move(summary), std::move(suggestion)},
      CheckArea::policy, "", "");
}

/// Limits that are checked before anything is read.
std::optional<Diagnostic> refuse_size(const std::vector<PolicyFile>& files) {
  if (files.empty())
    return whole_policy(Check::no_files, "there is no policy file here",
                        "a policy is one or more *.yaml files; an empty place is never taken for "
                        "an empty policy");
  if (files.size() > kMostFiles)
    return whole_policy(
        Check::too_many_files,
        fmt::format("{} policy files; at most {} are read", files.size(), kMostFiles),
        "join small files");
  std::size_t bytes = 0;
  for (const auto& file : files) bytes += file.content.size();
  if (bytes > kMostBytes)
    return whole_policy(Check::too_large_in_all,
                        fmt::format("the policy files have {} bytes; at most {} (64 MiB) are read",
                                    bytes, kMostBytes),
                        "remove what is not policy from this place");
  return std::nullopt;
}

}  // namespace

struct PolicyCache::State {
  struct Item {
    std::shared_ptr<const ParsedFile> parsed;
    std::uint64_t last_load = 0;
  };
  // Plans of candidates alternate with the policy in force, so a file survives a few loads without
  // it.
  static constexpr std::uint64_t kLoadsKept = 4;

  std::unordered_map<std::string, Item> items;
  std::uint64_t load = 0;

  void forget_old() {
    std::erase_if(items,
                  [&](const auto& pair) { return pair.second.last_load + kLoadsKept < load; });
  }
};

PolicyCache::PolicyCache() : state_(std::make_unique<State>()) {}
PolicyCache::~PolicyCache() = default;

PolicyLoad load_policy(const std::vector<PolicyFile>& files, const PolicyRevision& revision,
                       const PolicyContext& context, PolicyCache* cache) {
  PolicyLoad out;
  if (auto refused = refuse_size(files)) {
    out.diagnostics.push_back(std::move(*refused));
    return out;
  }
  std::vector<const PolicyFile*> ordered;
  ordered.reserve(files.size());
  for (const auto& file : files) ordered.push_back(&file);
  auto by_path = [](const PolicyFile* file) -> const std::string& { return file->path; };
  if (!std::ranges::is_sorted(ordered, {}, by_path)) std::ranges::sort(ordered, {}, by_path);

  auto* state = cache != nullptr ? cache->state_.get() : nullptr;
  if (state != nullptr) ++state->load;
  std::vector<SourceFile> sources;
  sources.reserve(files.size());
  for (const auto* file : ordered) {
    std::shared_ptr<const ParsedFile> parsed;
    if (state != nullptr && !file->blob_id.empty()) {
      auto& item = state->items[file->blob_id];
      if (item.parsed == nullptr)
        item.parsed = std::make_shared<const ParsedFile>(parse_policy_file(file->content));
      item.last_load = state->load;
      parsed = item.parsed;
    } else {
      parsed = std::make_shared<const ParsedFile>(parse_policy_file(file->content));
    }
    sources.push_back({file->path, std::move(parsed)});
  }
  if (state != nullptr) state->forget_old();

  auto merged = merge_policy(sources, context);
  for (std::size_t i = 0; i < sources.size(); ++i) {
    if (out.diagnostics.size() >= kMostReported) {
      out.diagnostics.push_back(whole_policy(
          Check::too_many_problems,
          fmt::format("more than {} problems; those of the remaining files are not listed",
                      kMostReported),
          "repair the ones above first"));
      break;
    }
    for (const auto& finding : sources[i].parsed->findings.all())
      out.diagnostics.push_back(
          to_diagnostic(finding, CheckArea::policy, ordered[i]->path, ordered[i]->content));
  }
  for (const auto& [finding, index] : merged.findings)
    out.diagnostics.push_back(
        to_diagnostic(finding, CheckArea::policy, ordered[index]->path, ordered[index]->content));
  sort_diagnostics(out.diagnostics);
  if (has_errors(out.diagnostics)) return out;
  out.policy = std::move(merged.policy);
  out.policy->revision = revision;
  return out;
}

}  // namespace knock
