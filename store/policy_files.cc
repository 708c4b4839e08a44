// SPDX-License-Identifier: Apache-2.0
#include "store/policy_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "store/policy_refusal.h"

namespace knock {
namespace {

tl::unexpected<Error> bad_name(Refusal refusal, std::string_view name, std::string_view why) {
  return refuse(refusal, fmt::format("the name '{}' {}; rename it", printable(name), why));
}

bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }

/// The characters of valid UTF-8 beyond ASCII.
std::vector<char32_t> beyond_ascii(std::string_view text) {
  std::vector<char32_t> out;
  for (std::size_t i = 0; i < text.size();) {
    auto first = static_cast<unsigned char>(text[i]);
    std::size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (length == 1) {
      ++i;
      continue;
    }
    char32_t c = first & (0xffu >> (length + 1));
    for (std::size_t n = 1; n < length && i + n < text.size(); ++n)
      c = c << 6 | (static_cast<unsigned char>(text[i + n]) & 0x3f);
    out.push_back(c);
    i += length;
  }
  return out;
}

/// Letters that are drawn like Latin ones: Greek, Cyrillic, Armenian, Cherokee, and those that
/// Unicode has for mathematics and for East Asian typewriters.
bool looks_latin(char32_t c) {
  constexpr std::pair<char32_t, char32_t> kRanges[] = {
      {0x0370, 0x03ff}, {0x0400, 0x052f}, {0x0530, 0x058f}, {0x13a0, 0x13ff},  {0x1c80, 0x1c8f},
      {0x1f00, 0x1fff}, {0x2100, 0x214f}, {0x2160, 0x218f}, {0x2c80, 0x2cff},  {0x2de0, 0x2dff},
      {0xa640, 0xa69f}, {0xab70, 0xabbf}, {0xff00, 0xffef}, {0x1d400, 0x1d7ff}};
  return std::any_of(std::begin(kRanges), std::end(kRanges),
                     [&](const auto& range) { return c >= range.first && c <= range.second; });
}

/// "groups.yaml" with one letter of another alphabet, which no reviewer sees.
bool mixes_scripts(std::string_view name) {
  auto stem = name.substr(0, name.rfind('.'));
  auto others = beyond_ascii(stem);
  return std::any_of(stem.begin(), stem.end(), is_letter) &&
         std::any_of(others.begin(), others.end(), looks_latin);
}

/// ".git" as file systems of Windows and macOS know it too: trailing dots and spaces, a stream
/// after a colon, a short name.
bool is_git_folder(std::string_view name) {
  auto folded = fold_case(name.substr(0, name.find(':')));
  while (folded.ends_with('.') || folded.ends_with(' ')) folded.pop_back();
  if (folded == ".git") return true;
  return folded.size() == 5 && folded.starts_with("git~") && folded[4] >= '0' && folded[4] <= '9';
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
  if (name.empty() || name == "." || name == "..")
    return bad_name(Refusal::name_dots, name, "leads to another folder");
  if (name.find('/') != std::string_view::npos)
    return bad_name(Refusal::name_slash, name, "holds a slash");
  if (name.find('\\') != std::string_view::npos)
    return bad_name(Refusal::name_backslash, name,
                    "holds a backslash, which is a separator elsewhere");
  if (name.size() > 255) return bad_name(Refusal::name_long, name, "is longer than 255 bytes");
  if (invalid_utf8_at(name)) return bad_name(Refusal::name_encoding, name, "is not UTF-8");
  if (printable(name) != name)
    return bad_name(Refusal::name_hidden_character, name, "holds characters that do not show");
  if (mixes_scripts(name))
    return bad_name(Refusal::name_two_scripts, name,
                    "mixes Latin letters with letters of another alphabet that look the same");
  if (is_git_folder(name))
    return bad_name(Refusal::name_of_git, name, "is one that Git keeps for itself");
  return {};
}

Status PolicyBudget::entry() {
  if (++entries_ <= kMaxPolicyEntries) return {};
  return refuse(
      Refusal::too_many_entries,
      fmt::format("more than {} files and folders; is this the right place?", kMaxPolicyEntries));
}

Status PolicyBudget::file(std::string_view path, std::uint64_t bytes) {
  if (bytes > kMaxPolicyFileBytes)
    return refuse(Refusal::file_too_large,
                  fmt::format("{}: {} bytes; a policy file may have 1 MiB, split it",
                              printable(path), bytes));
  if (++files_ > kMaxPolicyFiles)
    return refuse(Refusal::too_many_files,
                  fmt::format("more than {} policy files", kMaxPolicyFiles));
  bytes_ += bytes;
  if (bytes_ > kMaxPolicyBytes)
    return refuse(Refusal::too_large, "more than 64 MiB of policy files");
  return {};
}

Status finish_policy_files(std::vector<PolicyFile>& files) {
  if (files.empty())
    return refuse(
        Refusal::no_policy,
        "no *.yaml or *.yml file is there, which looks like a mistake; to close everything "
        "on purpose, keep one file that says only `knock: 1`",
        ErrorKind::not_found);
  std::sort(files.begin(), files.end(),
            [](const PolicyFile& a, const PolicyFile& b) { return a.path < b.path; });
  std::vector<std::pair<std::string, std::string_view>> folded;
  folded.reserve(files.size());
  for (const auto& file : files) folded.emplace_back(fold_case(file.path), file.path);
  std::sort(folded.begin(), folded.end());
  auto same = std::adjacent_find(folded.begin(), folded.end(),
                                 [](const auto& a, const auto& b) { return a.first == b.first; });
  if (same == folded.end()) return {};
  return refuse(Refusal::case_clash,
                fmt::format("{} and {} differ only in the case of letters; rename one",
                            printable(same->second), printable(std::next(same)->second)));
}

}  // namespace knock
