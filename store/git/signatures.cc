// SPDX-License-Identifier: Apache-2.0
#include "store/git/signatures.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/text.h"
#include "store/git/signers.h"
#include "store/policy_refusal.h"

namespace knock::git {
namespace {

// At some 10 ms for each, more would not end within the deadline of a look.
constexpr std::size_t kMostCommits = 1000;

bool decides(const SignersRule& rule, const std::string& path) {
  return rule.paths.empty() ||
         std::any_of(rule.paths.begin(), rule.paths.end(),
                     [&](const std::string& pattern) { return path_matches(pattern, path); });
}

std::string file_name(const std::string& path) {
  return printable(path.substr(path.rfind('/') + 1));
}

std::string names_of(const SignersRule& rule) {
  std::vector<std::string> out;
  for (const auto& file : rule.signers) out.push_back(file_name(file));
  return join(out, " or ");
}

class Check {
 public:
  Check(const SignatureRules& rules, const Mirror& mirror, Deadline deadline)
      : rules_(rules.rules), mirror_(mirror), signers_(rules.folder, deadline) {}

  Status commit(const std::string& id, bool whole) {
    auto done = judge(id, whole);
    if (!done) return fail_within(written_by(id), done);
    return done;
  }

 private:
  /// Beside the message and not in it: the log keeps messages, and people's names apart.
  std::string written_by(const std::string& id) const {
    auto origin = mirror_.origin(id);
    if (!origin) return "commit " + id.substr(0, 12);
    return fmt::format("commit {} by {} <{}> ({})", id.substr(0, 12), printable(origin->name),
                       printable(origin->mail), printable(origin->subject.substr(0, 80)));
  }

  Status judge(const std::string& id, bool whole) {
    KNOCK_ASSIGN(auto needed, rules_for(id, whole));
    KNOCK_ASSIGN(auto signature, mirror_.signature(id));
    const auto& [first, path] = *needed.begin();
    if (signature.text.empty())
      return refuse(
          Refusal::unsigned_commit,
          fmt::format("commit {} changes {} and is not signed; {} must sign it (git commit "
                      "-S)",
                      id.substr(0, 12), path, names_of(rules_[first])),
          ErrorKind::unauthorized);
    KNOCK_ASSIGN(auto format, Signers::format_of(signature.text));
    std::string key = "an OpenPGP key";
    auto commit = "commit " + id.substr(0, 12);
    if (format == SignatureFormat::ssh) {
      KNOCK_ASSIGN(key, signers_.ssh_key(signature));
    }
    for (const auto& [rule, what] : needed)
      KNOCK_CHECK(allowed(rules_[rule], commit + " changes " + what, signature, format, key));
    return {};
  }

  /// The rules that decide about what this commit changes, each with one such path. A commit that
  /// changes nothing still needs somebody who may sign something: the last rule.
  Result<std::map<std::size_t, std::string>> rules_for(const std::string& id, bool whole) const {
    std::map<std::size_t, std::string> needed;
    std::string orphan;
    KNOCK_CHECK(mirror_.changes(id, whole, [&](const std::string& path) {
      auto rule = std::find_if(rules_.begin(), rules_.end(),
                               [&](const SignersRule& one) { return decides(one, path); });
      if (rule == rules_.end())
        orphan = path;
      else
        needed.emplace(std::size_t(rule - rules_.begin()), printable(path));
    }));
    if (!orphan.empty())
      return refuse(Refusal::no_rule,
                    fmt::format("commit {} changes {}, and no rule of require_signed says who may; "
                                "add a last rule without `paths`",
                                id.substr(0, 12), printable(orphan)),
                    ErrorKind::unauthorized);
    if (needed.empty()) needed.emplace(rules_.size() - 1, "nothing");
    return needed;
  }

  Status allowed(const SignersRule& rule, const std::string& change,
                 const CommitSignature& signature, SignatureFormat format, const std::string& key) {
    std::vector<std::string> words;
    for (const auto& file : rule.signers) {
      KNOCK_ASSIGN(auto verdict, signers_.allows(file, rule.revoked, signature, format));
      if (verdict.allowed) return {};
      words.push_back(verdict.why);
    }
    Status refused = refuse(Refusal::not_allowed,
                            fmt::format("{}, and {} does not allow the key it is signed with now "
                                        "(unknown there, expired or revoked)",
                                        change, names_of(rule)),
                            ErrorKind::unauthorized);
    return fail_within(fmt::format("signed with {} ({})", key, join(words, "; ")), refused);
  }

  const std::vector<SignersRule>& rules_;
  const Mirror& mirror_;
  Signers signers_;
};

}  // namespace

Status check_signatures(const SignatureRules& rules, const Mirror& mirror,
                        const std::optional<std::string>& base, const std::string& commit,
                        Deadline deadline) {
  if (rules.rules.empty()) return {};
  Check check(rules, mirror, deadline);
  if (!base) return check.commit(commit, true);
  KNOCK_ASSIGN(auto commits, mirror.commits_between(*base, commit, kMostCommits));
  for (const auto& id : commits) KNOCK_CHECK(check.commit(id, false));
  return {};
}

}  // namespace knock::git
