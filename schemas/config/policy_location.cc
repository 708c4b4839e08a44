// SPDX-License-Identifier: Apache-2.0
// `policy:` of knock.yaml: a folder, or a Git repository and a ref. What stands here reaches the
// command line of `git`, so nothing passes that git could take for an option, a helper program or
// an unauthenticated transport.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "schemas/config/parse.h"
#include "schemas/config/url.h"
#include "schemas/policy/parse_parts.h"

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

/// A forge's name, or the name of a ref with the number in it.
void read_pulls(Findings& findings, const YamlNode& node, PolicyLocation& policy) {
  auto word = read_word(findings, node, "pulls");
  if (!word) return;
  if (*word == "github") *word = "refs/pull/{number}/head";
  if (*word == "gitlab") *word = "refs/merge-requests/{number}/head";
  auto at = word->find(kPullNumber);
  auto example = *word;
  if (at != std::string::npos) example.replace(at, kPullNumber.size(), "1");
  policy.pulls = *word;
  if (at != std::string::npos && example.starts_with("refs/") && is_ref(example) &&
      example.find_first_of("{}") == std::string::npos)
    return;
  findings.error(Check::bad_ref, node.place,
                 fmt::format("{} does not say where pull requests lie", shown(*word)),
                 "write github, gitlab, or a whole ref with {number} in it, quoted: "
                 "\"refs/pull/{number}/head\"");
}

constexpr std::size_t kMostSignersRules = 100;

bool is_pattern(std::string_view text) {
  if (text.empty() || text.size() > 300 || !visible(text)) return false;
  return std::ranges::all_of(split(text, '/'), [](std::string_view part) {
    return !part.empty() && part != "." && part != ".." &&
           (part == "**" || part.find("**") == std::string_view::npos);
  });
}

std::vector<std::string> read_patterns(Findings& findings, const YamlNode& node) {
  std::vector<std::string> out;
  read_list(findings, node, "paths", true, [&](const YamlNode& item) {
    auto text = read_text(findings, item, "paths");
    if (!text) return;
    if (!is_pattern(*text))
      findings.error(Check::bad_signers, item.place,
                     fmt::format("{} is no pattern of paths", shown(*text)),
                     "write paths from the root of the repository, without a slash at either end: "
                     "services/payroll/** or groups.yaml");
    out.push_back(*text);
  });
  return out;
}

/// One path, or a list of them.
std::vector<std::string> read_signer_files(Findings& findings, const YamlNode& node,
                                           std::string_view base, const PolicyLocation& policy) {
  std::vector<std::string> out;
  auto add = [&](const YamlNode& item) {
    auto path = read_path(findings, item, "signers", base);
    if (!path) return;
    // Whoever may push there would say whose signature counts.
    std::string_view there = policy.repository;
    if (there.starts_with("file://")) there.remove_prefix(7);
    if (there.starts_with('/') && (*path + "/").starts_with(std::string(there) + "/"))
      findings.error(Check::bad_signers, item.place,
                     "the file of allowed signers lies in the policy repository itself",
                     "keep it beside knock.yaml, where only this machine's administrators write");
    out.push_back(std::move(*path));
  };
  if (node.is_sequence())
    read_list(findings, node, "signers", true, add);
  else
    add(node);
  return out;
}

void read_signers_rule(Findings& findings, const YamlNode& node, std::string_view base,
                       PolicyLocation& policy) {
  Fields fields(findings, node, "a rule of `require_signed`");
  if (!fields.is_map()) return;
  SignersRule rule;
  if (const auto* paths = fields.take("paths")) rule.paths = read_patterns(findings, *paths);
  if (const auto* signers = fields.need("signers"))
    rule.signers = read_signer_files(findings, *signers, base, policy);
  if (const auto* revoked = fields.take("revoked"))
    rule.revoked = read_path(findings, *revoked, "revoked", base).value_or("");
  fields.finish();
  bool unreachable = !policy.require_signed.empty() && policy.require_signed.back().paths.empty();
  if (unreachable)
    findings.error(Check::bad_signers, node.place,
                   "the rule before this one matches every path, so this one never decides",
                   "put the rule without `paths` last");
  policy.require_signed.push_back(std::move(rule));
}

void read_require_signed(Findings& findings, const YamlNode& node, std::string_view base,
                         PolicyLocation& policy) {
  read_list(findings, node, "require_signed", true, [&](const YamlNode& item) {
    if (policy.require_signed.size() < kMostSignersRules)
      read_signers_rule(findings, item, base, policy);
  });
  if (node.is_sequence() && node.children.size() > kMostSignersRules)
    findings.error(Check::bad_signers, node.place,
                   fmt::format("more than {} rules of signers", kMostSignersRules),
                   "name several patterns in one rule: paths: [a/**, b/**]");
}

void read_window_of_advance(Findings& findings, const YamlNode& node, Advance& advance) {
  Fields fields(findings, node, "`advance`");
  if (!fields.is_map()) return;
  advance.mode = Advance::Mode::window;
  std::vector<NameUse> zones;
  if (const auto* window = fields.need("window")) {
    Findings own(findings.area());  // the checks of a schedule belong to policy
    read_schedule(own, *window, "window", advance.window, zones);
    for (const Problem& problem : own.all())
      findings.error(Check::bad_advance, problem.place, problem.summary, problem.suggestion);
  }
  fields.finish();
  for (const NameUse& zone : zones)
    if (!is_zone_name(zone.name))
      findings.error(Check::bad_advance, zone.place,
                     shown(zone.name) + " is no name of a time zone",
                     "write one of the IANA database, like Europe/Berlin or UTC");
}

void read_advance(Findings& findings, const YamlNode& node, Advance& advance) {
  if (node.is_map()) return read_window_of_advance(findings, node, advance);
  auto word = read_word(findings, node, "advance");
  if (!word || *word == "auto") return;
  advance.mode = Advance::Mode::manual;
  if (*word == "manual") return;
  findings.error(Check::bad_advance, node.place,
                 *word == "window" ? "`advance: window` does not say when the window is open"
                                   : fmt::format("`advance` is not {}", shown(*word)),
                 "write auto, manual, or {window: {days: mon-thu, from: \"09:00\", to: "
                 "\"16:00\", tz: Europe/Berlin}}");
}

}  // namespace

std::string followed_branch(const PolicyLocation& policy) {
  constexpr std::string_view kBranches = "refs/heads/";
  if (policy.repository.empty()) return "";
  if (policy.ref.starts_with(kBranches)) return policy.ref.substr(kBranches.size());
  return policy.ref.starts_with("refs/") ? "" : policy.ref;
}

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
  const auto* pulls = fields.take("pulls");
  if (pulls != nullptr) read_pulls(findings, *pulls, policy);
  const auto* signed_by = fields.take("require_signed");
  if (signed_by != nullptr) read_require_signed(findings, *signed_by, base_directory, policy);
  if (const auto* advance = fields.take("advance"))
    read_advance(findings, *advance, policy.advance);
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
  else if (dir != nullptr && pulls != nullptr)
    findings.error(Check::policy_location, fields.key_place("pulls"),
                   "a folder has no pull requests", "write repo: instead of dir:, or remove it");
  else if (dir != nullptr && signed_by != nullptr)
    findings.error(Check::policy_location, fields.key_place("require_signed"),
                   "a folder has no commits, and so no signatures",
                   "write repo: instead of dir:, or remove it");
}

}  // namespace knock
