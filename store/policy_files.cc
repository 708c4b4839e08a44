// SPDX-License-Identifier: Apache-2.0
#include "store/policy_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"

namespace knock {
namespace {

tl::unexpected<Error> bad_name(std::string_view name, std::string_view why) {
  return fail(ErrorKind::invalid, fmt::format("the name '{}' {}; rename it", printable(name), why));
}

}  // namespace

std::string fold_case(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  return out;
}

bool is_policy_file(std::string_view name) {
  return name.ends_with(".yaml") || name.ends_with(".yml");
}

bool is_hidden(std::string_view name) { return name.starts_with('.'); }

Status check_policy_name(std::string_view name) {
  if (name.empty()) return bad_name(name, "is empty");
  if (name == "." || name == "..") return bad_name(name, "leads to another folder");
  if (name.find('/') != std::string_view::npos) return bad_name(name, "holds a slash");
  if (name.find('\\') != std::string_view::npos)
    return bad_name(name, "holds a backslash, which is a separator elsewhere");
  if (name.size() > 255) return bad_name(name, "is longer than 255 bytes");
  if (invalid_utf8_at(name)) return bad_name(name, "is not UTF-8");
  if (printable(name) != name) return bad_name(name, "holds characters that do not show");
  auto folded = fold_case(name);
  if (folded == ".git" || folded == "git~1")
    return bad_name(name, "is one that Git keeps for itself");
  return {};
}

Status PolicyBudget::entry() {
  if (++entries_ <= kMaxPolicyEntries) return {};
  return fail(
      ErrorKind::invalid,
      fmt::format("more than {} files and folders; is this the right place?", kMaxPolicyEntries));
}

Status PolicyBudget::file(std::string_view path, std::uint64_t bytes) {
  if (bytes > kMaxPolicyFileBytes)
    return fail(ErrorKind::invalid,
                fmt::format("{}: {} bytes; a policy file may have 1 MiB, split it", printable(path),
                            bytes));
  if (++files_ > kMaxPolicyFiles)
    return fail(ErrorKind::invalid, fmt::format("more than {} policy files", kMaxPolicyFiles));
  bytes_ += bytes;
  if (bytes_ > kMaxPolicyBytes) return fail(ErrorKind::invalid, "more than 64 MiB of policy files");
  return {};
}

Status finish_policy_files(std::vector<PolicyFile>& files) {
  if (files.empty())
    return fail(ErrorKind::not_found,
                "no *.yaml or *.yml file is there, which looks like a mistake; to close everything "
                "on purpose, keep one file that says only `knock: 1`");
  std::sort(files.begin(), files.end(),
            [](const PolicyFile& a, const PolicyFile& b) { return a.path < b.path; });
  std::vector<std::pair<std::string, std::string_view>> folded;
  folded.reserve(files.size());
  for (const auto& file : files) folded.emplace_back(fold_case(file.path), file.path);
  std::sort(folded.begin(), folded.end());
  auto same = std::adjacent_find(folded.begin(), folded.end(),
                                 [](const auto& a, const auto& b) { return a.first == b.first; });
  if (same == folded.end()) return {};
  if (same->second == std::next(same)->second)
    return fail(ErrorKind::invalid, printable(same->second) + " is there twice");
  return fail(ErrorKind::invalid,
              fmt::format("{} and {} differ only in the case of letters; rename one",
                          printable(same->second), printable(std::next(same)->second)));
}

}  // namespace knock
