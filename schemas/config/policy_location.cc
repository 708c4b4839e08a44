// SPDX-License-Identifier: Apache-2.0
// `policy:` of knock.yaml: a folder, or a Git repository and a ref. What stands here reaches the
// command line of `git`, so nothing passes that git could take for an option, a helper program or
// an unauthenticated transport.
#include <fmt/format.h>

#include <algorithm>

#include "schemas/config/parse.h"
#include "schemas/config/url.h"

namespace knock {
namespace {

bool visible(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > 0x20 && c != 0x7f; });
}

/// "git@host:path": the short form of ssh.
bool is_scp_form(std::string_view text) {
  auto colon = text.find(':');
  return colon != std::string_view::npos && colon > 0 && text.find('/') > colon &&
         text.substr(colon, 2) != "::" && text.find("://") == std::string_view::npos &&
         colon + 1 < text.size();
}

void read_repository(Findings& findings, const YamlNode& node, std::string_view base,
                     PolicyLocation& policy) {
  auto word = read_word(findings, node, "repo");
  if (!word) return;
  constexpr std::string_view kForms =
      "write https://…, ssh://…, git@host:path, file:///… or a path";
  auto refuse = [&](std::string summary, std::string suggestion) {
    findings.error(Check::bad_repository, node.place, std::move(summary), std::move(suggestion));
  };
  auto url = parse_plain_url(*word);
  bool secret =
      url && url->userinfo &&
      (url->scheme != "ssh" || word->substr(0, word->find('@')).find(':', 6) != std::string::npos);
  if (secret) {
    findings.error(Check::literal_secret, node.place, "the address of `repo` holds a user's secret",
                   "take it out and let git's own credential helper or an ssh key supply it; take "
                   "this one as leaked if the file was ever shared");
    return;
  }
  if (word->starts_with('-') || !visible(*word) || word->find("::") != std::string::npos)
    return refuse("`repo` is not an address that is passed to git", std::string(kForms));
  if (word->starts_with("file:///") || is_scp_form(*word)) {
    policy.repository = *word;
    return;
  }
  if (word->find("://") == std::string::npos) {
    policy.repository = resolve_path(base, *word);
    return;
  }
  bool sound = url && (url->scheme == "https" || url->scheme == "ssh" ||
                       (url->scheme == "http" && url->on_loopback()));
  if (!sound)
    return refuse("`repo` is not reached over a transport that proves who answers",
                  std::string(kForms));
  policy.repository = *word;
}

/// The rules of git-check-ref-format that matter to us, and no leading dash.
bool is_ref(std::string_view text) {
  if (text.empty() || text.size() > 200 || text.front() == '-' || text.front() == '/' ||
      text.back() == '/' || text.back() == '.' || text.ends_with(".lock"))
    return false;
  for (std::string_view bad : {"..", "@{", "//", "/."})
    if (text.find(bad) != std::string_view::npos) return false;
  return visible(text) && text.find_first_of("~^:?*[\\") == std::string_view::npos;
}

void read_ref(Findings& findings, const YamlNode& node, PolicyLocation& policy) {
  auto word = read_word(findings, node, "ref");
  if (!word) return;
  policy.ref = *word;
  if (!is_ref(*word))
    findings.error(Check::bad_ref, node.place,
                   fmt::format("{} is not the name of a branch, a tag or a commit", shown(*word)),
                   "write for example main, release/2027 or refs/tags/v3");
}

}  // namespace

void read_policy_location(Findings& findings, const YamlNode& node, std::string_view base_directory,
                          PolicyLocation& policy) {
  Fields fields(findings, node, "`policy`");
  if (!fields.is_map()) return;
  auto before = findings.all().size();
  const auto* dir = fields.take("dir");
  const auto* repo = fields.take("repo");
  const auto* ref = fields.take("ref");
  if (dir != nullptr)
    policy.directory = read_path(findings, *dir, "dir", base_directory).value_or("");
  if (repo != nullptr) read_repository(findings, *repo, base_directory, policy);
  if (ref != nullptr) read_ref(findings, *ref, policy);
  if (const auto* poll = fields.take("poll"))
    policy.poll = read_duration(findings, *poll, "poll").value_or(Duration{});
  fields.refuse({"require_signed", "advance"});
  fields.finish();
  if (findings.all().size() != before) return;
  if ((dir == nullptr) == (repo == nullptr))
    findings.error(Check::policy_location, node.place,
                   dir != nullptr ? "`policy` names a folder and a repository"
                                  : "`policy` names neither a folder nor a repository",
                   "write dir: PATH, or repo: ADDRESS with ref: BRANCH");
  else if (dir != nullptr && ref != nullptr)
    findings.error(Check::policy_location, fields.key_place("ref"), "a folder has no `ref`",
                   "remove it, or write repo: instead of dir:");
}

}  // namespace knock
