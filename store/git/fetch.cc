// SPDX-License-Identifier: Apache-2.0
#include "store/git/fetch.h"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <optional>
#include <utility>

#include "base/failpoint.h"
#include "base/text.h"
#include "store/git/git_child.h"
#include "store/policy_refusal.h"

namespace knock::git {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSchemeLetters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-.";

net::Command command(const Fetch& fetch) {
  auto out = git_command(fetch.mirror, fetch.home,
                         {"-c", "fetch.unpackLimit=1", "fetch", "--quiet", "--no-tags",
                          "--no-recurse-submodules", "--no-filter", "--no-auto-gc",
                          "--no-write-fetch-head", "--refmap=", "--no-prune", "--end-of-options"});
  out.argv.push_back(fetch.repository);
  out.argv.push_back("+" + fetch.from + ":" + fetch.to);
  out.file_bytes = fetch.largest_file;
  out.data_bytes = kLargestMemory;
  return out;
}

/// git killed at its deadline cannot remove its lock files, and every later fetch would fail on
/// them. Nobody else writes here: the caller holds our lock.
void remove_leftovers(const Fetch& fetch) {
  std::error_code ignored;
  fs::path mirror(fetch.mirror);
  for (const auto& name : {fetch.to, std::string("packed-refs"), std::string("shallow"),
                           std::string("HEAD"), std::string("config")})
    fs::remove(mirror / (name + ".lock"), ignored);
  for (const auto& folder : {mirror / "objects", mirror / "objects" / "pack"})
    for (fs::directory_iterator item(folder, ignored), end; item != end; item.increment(ignored)) {
      auto name = item->path().filename().string();
      if (name.starts_with("tmp_") || name.starts_with(".tmp-") || name.starts_with("incoming-") ||
          name.ends_with(".keep"))
        fs::remove_all(item->path(), ignored);
      if (ignored) break;
    }
}

/// What says most: the first fatal line, after the one before it, where ssh or a helper told why.
std::string reason(const std::string& text) {
  std::string_view before, last;
  for (auto line : split(text, '\n')) {
    line = trim(line);
    if (line.empty()) continue;
    before = std::exchange(last, line);
    if (line.starts_with("fatal: ")) break;
  }
  auto shown = [](std::string_view line) {
    if (line.ends_with('.')) line.remove_suffix(1);
    return printable(line.substr(0, 300));
  };
  if (last.empty()) return "it said nothing";
  return before.empty() ? shown(last) : shown(before) + "; " + shown(last);
}

struct Meaning {
  const char* sign;  // in git's or ssh's English
  ErrorKind kind;
  const char* advice;
  std::optional<Refusal> refusal = {};
};

constexpr const char* kTooLarge =
    "a policy repository with its whole history fits into 512 MiB; fetch from one that holds "
    "policy "
    "only";
constexpr const char* kBroken =
    "the repository is damaged, or something on the way is; `git fsck` there says more";

constexpr std::array kMeanings{
    Meaning{"couldn't find remote ref", ErrorKind::not_found,
            "the ref is not there (renamed, deleted, or the repository was emptied); bring it back "
            "or name another",
            Refusal::no_ref},
    Meaning{"dubious ownership", ErrorKind::unauthorized,
            "a local repository must belong to the user that knock runs as; give it to that user, "
            "or fetch over ssh or https"},
    Meaning{"Host key verification failed", ErrorKind::unauthorized,
            "put the server's host key into known_hosts of the user that knock runs as"},
    Meaning{"Permission denied", ErrorKind::unauthorized,
            "the user that knock runs as needs a key that may read the repository"},
    Meaning{"Authentication failed", ErrorKind::unauthorized,
            "knock needs credentials that may read the repository (GIT_ASKPASS, or ssh)"},
    Meaning{"could not read Username", ErrorKind::unauthorized,
            "knock needs credentials that may read the repository (GIT_ASKPASS, or ssh)"},
    Meaning{"File too large", ErrorKind::invalid, kTooLarge, Refusal::transfer_too_large},
    Meaning{"out of memory", ErrorKind::invalid, kTooLarge, Refusal::transfer_too_large},
    Meaning{"Out of memory", ErrorKind::invalid, kTooLarge, Refusal::transfer_too_large},
    Meaning{"upload-pack: not our ref", ErrorKind::unavailable, kBroken, Refusal::transfer},
    Meaning{"did not send all necessary", ErrorKind::unavailable, kBroken, Refusal::transfer},
    Meaning{"bad object", ErrorKind::unavailable, kBroken, Refusal::transfer},
    Meaning{"missing", ErrorKind::unavailable, kBroken, Refusal::transfer},
    Meaning{"corrupt", ErrorKind::unavailable, kBroken, Refusal::transfer},
    Meaning{"inflate", ErrorKind::unavailable, kBroken, Refusal::transfer},
    Meaning{"index-pack", ErrorKind::unavailable, kBroken, Refusal::transfer},
    Meaning{"not allowed", ErrorKind::invalid, "use https, ssh or a path"},
};

/// index-pack, ended by the limit, says nothing of it; whatever else ends it says "fatal:" too.
bool ended_by_limit(const std::string& said) {
  return said.find("invalid index-pack output") != std::string::npos &&
         said.find("fatal: ") == said.rfind("fatal: ") && said.find("error: ") == std::string::npos;
}

tl::unexpected<Error> failed(const std::string& said, const std::string& too_large) {
  bool limit = ended_by_limit(said);
  for (const auto& meaning : kMeanings)
    if (said.find(meaning.sign) != std::string::npos ||
        (limit && meaning.refusal == Refusal::transfer_too_large)) {
      bool other = meaning.refusal == Refusal::transfer_too_large && !too_large.empty();
      auto text = fmt::format("git fetch: {}: {}", reason(said),
                              other ? too_large : std::string(meaning.advice));
      return meaning.refusal ? refuse(*meaning.refusal, text, meaning.kind)
                             : fail(meaning.kind, text);
    }
  return fail(ErrorKind::unavailable,
              fmt::format("git fetch: {}; it is tried again at the next poll", reason(said)));
}

bool has_password(std::string_view url) {
  auto scheme = url.find("://");
  if (scheme == std::string_view::npos) return false;
  auto host = url.substr(scheme + 3);
  host = host.substr(0, host.find('/'));
  auto at = host.rfind('@');
  return at != std::string_view::npos && host.substr(0, at).find(':') != std::string_view::npos;
}

}  // namespace

Status check_repository(const std::string& repository) {
  if (repository.empty()) return refuse(Refusal::bad_repository, "no policy repository is named");
  if (has_password(repository))  // before anything that would show it
    return refuse(Refusal::bad_repository,
                  "the policy repository's URL holds a password, which every user of this machine "
                  "could see; use ssh, or a program named by GIT_ASKPASS");
  auto wrong = [&](std::string_view why) {
    return refuse(Refusal::bad_repository,
                  fmt::format("policy repository '{}': {}", printable(repository), why));
  };
  if (repository[0] == '-') return wrong("it looks like an option");
  if (printable(repository) != repository) return wrong("it holds characters that do not show");
  auto helper = repository.find_first_not_of(kSchemeLetters);
  if (helper != std::string::npos && repository.compare(helper, 2, "::") == 0)
    return wrong("programs as transport are not used; name it by https, ssh or a path");
  auto scheme = repository.find("://");
  if (scheme == std::string::npos) return {};
  auto name = repository.substr(0, scheme);
  if (name == "https" || name == "ssh" || name == "file") return {};
  return wrong(name +
               ":// is not used for policy, because anybody on the way could change it; "
               "use https, ssh or a path");
}

Status fetch(const Fetch& fetch, Deadline deadline) {
  remove_leftovers(fetch);
  KNOCK_FAILPOINT("git.before-fetch");
  KNOCK_ASSIGN(auto finished, net::run(command(fetch), deadline));
  KNOCK_FAILPOINT("git.after-fetch");
  if (finished.exit_code == 0) return {};
  return failed(finished.err, fetch.too_large);
}

}  // namespace knock::git
