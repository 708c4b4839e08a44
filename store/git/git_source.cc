// SPDX-License-Identifier: Apache-2.0
#include "store/git/git_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/log.h"
#include "base/sha256.h"
#include "base/text.h"
#include "store/git/blame.h"
#include "store/git/candidate.h"
#include "store/git/fetch.h"
#include "store/git/folder_lock.h"
#include "store/git/mirror.h"
#include "store/git/packs.h"
#include "store/git/signatures.h"
#include "store/policy_refusal.h"

namespace knock {
namespace {

namespace fs = std::filesystem;

constexpr Duration kSignatureDeadline = Duration::seconds(60);
/// The newest policy waits for it.
constexpr Duration kPackDeadline = Duration::seconds(10);

std::string short_id(const std::string& id) { return id.substr(0, 12); }

class GitSource final : public PolicySource {
 public:
  GitSource(GitSourceOptions options, std::string ref)
      : options_(std::move(options)), ref_(std::move(ref)) {
    fs::path state(options_.state_folder);
    mirror_ = (state / "mirror.git").string();
    home_ = (state / "home").string();
    signers_ = (state / "signers").string();
    candidate_ = (state / "candidate").string();
    // One folder may serve several sources, and a changed source must start afresh: its refs carry
    // its name.
    auto key = hex64(leading_64_bits(sha256(options_.repository + "\n" + ref_)));
    fetched_ = "refs/knock/" + key + "/fetched";
    seen_ = "refs/knock/" + key + "/accepted";
  }

  Result<PolicyRevision> poll(Deadline deadline) override {
    auto revision = bring_up_to_date(deadline);
    if (!revision) return fail_within(describe(), revision);
    return revision;
  }

  Result<PolicySnapshot> read(const PolicyRevision& revision) override {
    auto snapshot = read_commit(revision.value);
    if (!snapshot)
      return fail_within(fmt::format("{} at {}", describe(), printable(short_id(revision.value))),
                         snapshot);
    return snapshot;
  }

  void in_force(const PolicyRevision& revision) override { told_ = revision.value; }

  Result<PolicyRevision> find(const std::string& name) override {
    KNOCK_ASSIGN(auto mirror, git::Mirror::open(mirror_));
    auto commit = mirror.commit_named(name);
    if (!commit)
      return fail(ErrorKind::not_found,
                  fmt::format("'{}' names no commit that was fetched, or more than one; write more "
                              "of its id (git log shows it), or wait for the next look",
                              printable(name)));
    KNOCK_CHECK(open_for(*commit));
    return PolicyRevision(*commit);
  }

  Result<bool> precedes(const PolicyRevision& older, const PolicyRevision& newer) override {
    KNOCK_ASSIGN(auto mirror, git::Mirror::open(mirror_));
    return mirror.leads_to(older.value, newer.value);
  }

  Result<PolicyRevision> start_anew() override {
    KNOCK_ASSIGN(auto lock,
                 git::FolderLock::take((fs::path(options_.state_folder) / "lock").string(),
                                       Deadline::in(Duration::seconds(20))));
    KNOCK_ASSIGN(auto mirror, git::Mirror::open(mirror_));
    KNOCK_ASSIGN(auto fetched, mirror.commit_at(fetched_));
    if (!fetched) return fail(ErrorKind::not_found, "nothing was fetched yet");
    told_.reset();
    KNOCK_CHECK(mirror.point(seen_, *fetched));
    return PolicyRevision(*fetched);
  }

  Result<LineOrigin> last_change(const PolicyRevision& revision, const std::string& path,
                                 std::uint32_t line, Deadline deadline) override {
    KNOCK_ASSIGN(auto mirror, open_for(revision.value));
    auto whole = options_.path.empty() ? path : options_.path + "/" + path;
    KNOCK_ASSIGN(auto commit,
                 git::commit_of({mirror_, home_, revision.value, whole, line}, deadline));
    return mirror.origin(commit);
  }

  Result<Candidate> candidate(const CandidateName& name, Deadline deadline) override {
    KNOCK_ASSIGN(auto ref, ref_of(name));
    auto what = name.pull > 0 ? fmt::format("pull request {}", name.pull)
                              : fmt::format("branch {}", printable(name.branch));
    auto found = look_at(ref, name.commit, what, deadline);
    if (!found) return fail_within(what + " of git " + options_.repository, found);
    return found;
  }

  std::string describe() const override {
    return fmt::format("git {} {}", options_.repository, options_.ref);
  }

 private:
  Result<PolicyRevision> bring_up_to_date(Deadline deadline) {
    KNOCK_CHECK(git::make_folder(options_.state_folder));
    KNOCK_CHECK(git::make_folder(home_));
    KNOCK_ASSIGN(auto lock, git::FolderLock::take(
                                (fs::path(options_.state_folder) / "lock").string(), deadline));
    KNOCK_CHECK(git::Mirror::open(mirror_));
    KNOCK_CHECK(
        git::fetch({options_.repository, ref_, fetched_, mirror_, home_, options_.largest_transfer},
                   deadline));
    pack_when_many(deadline);
    // Opened again: what git wrote meanwhile is then seen for sure.
    KNOCK_ASSIGN(auto mirror, git::Mirror::open(mirror_));
    KNOCK_ASSIGN(auto now, mirror.commit_at(fetched_));
    if (!now) return fail(ErrorKind::internal, "git fetch ended well but brought nothing");
    KNOCK_ASSIGN(auto before, base(mirror));
    if (before) KNOCK_CHECK(check_history(mirror, *before, *now));
    KNOCK_CHECK(mirror.point(seen_, *now));
    return PolicyRevision(*now);
  }

  /// The fetch ended well, so what goes wrong here is no problem of the policy. It is not tried
  /// again before something else lies there.
  void pack_when_many(Deadline deadline) {
    auto files = git::object_files(mirror_);
    if (!git::worth_packing(files) || files == not_packed_) return;
    not_packed_.reset();
    auto within = Deadline::in(std::min(kPackDeadline, deadline.left()));
    auto packed = git::pack({mirror_, home_, options_.largest_transfer}, within);
    if (packed) return;
    not_packed_ = files;
    log(LogLevel::warning, "policy.mirror-not-packed",
        "The copy of the policy repository could not be packed; the policy is not concerned.",
        {{"mirror", mirror_}, {"problem", packed.error().text()}});
  }

  /// What a candidate must descend from: the commit in force, or where another source's policy is in
  /// force, what the branch held last.
  Result<std::string> candidate_base() const {
    KNOCK_ASSIGN(auto mirror, git::Mirror::open(mirror_));
    KNOCK_ASSIGN(auto seen, mirror.commit_at(seen_));
    if (!seen)
      return fail(ErrorKind::unavailable,
                  "the branch " + options_.ref +
                      " was not fetched yet, so nothing says what a change goes on from; try again "
                      "after the next look at it");
    KNOCK_ASSIGN(auto before, base(mirror));
    return before.value_or(*seen);
  }

  /// A whole name, at the remote.
  Result<std::string> ref_of(const CandidateName& name) const {
    // Whoever may plan may not look at every ref of the remote, so a name is never a whole one.
    std::string ref = "refs/heads/" + name.branch;
    if (name.pull > 0) {
      ref = options_.pulls;
      auto at = ref.find(kPullNumber);
      if (at == std::string::npos)
        return fail(ErrorKind::unsupported,
                    "this controller was not told where pull requests lie: write pulls: github, "
                    "gitlab or refs/…/{number}/… below `policy:` of knock.yaml");
      ref.replace(at, kPullNumber.size(), std::to_string(name.pull));
    }
    if (git::valid_ref(ref)) return ref;
    return refuse(Refusal::bad_ref, fmt::format("'{}' is no name of a branch", printable(ref)));
  }

  Result<Candidate> look_at(const std::string& ref, const std::string& commit,
                            const std::string& what, Deadline deadline) {
    KNOCK_ASSIGN(auto before, candidate_base());
    KNOCK_ASSIGN(
        auto fetched,
        git::FetchedCandidate::fetch(
            {options_.repository, ref, mirror_, candidate_, options_.largest_candidate}, deadline));
    const std::string& head = fetched.commit();
    if (!commit.empty() && head != commit)
      return refuse(Refusal::head_moved,
                    fmt::format("{} ends in {} by now, and {} was asked for; somebody pushed "
                                "meanwhile, and that push has a job of its own",
                                what, short_id(head), printable(short_id(commit))));
    Candidate out;
    KNOCK_CHECK(git::check_length(fetched, before, what, deadline));
    KNOCK_CHECK(git::check_descent(fetched.repository(), before, head, what));
    out.follows = PolicyRevision(before);
    // What the branch holds may wait to come into force, and a merge brings it all.
    KNOCK_ASSIGN(auto mirror, git::Mirror::open(mirror_));
    KNOCK_ASSIGN(auto newest, mirror.commit_at(seen_));
    if (newest) {
      KNOCK_ASSIGN(bool has, fetched.repository().leads_to(*newest, head));
      if (has) out.follows = PolicyRevision(*newest);
    }
    KNOCK_ASSIGN(out.snapshot, fetched.repository().snapshot(head, options_.path, {}));
    // As check_signed(): what came before counts as judged only when it is in force.
    auto judged = told_ == before ? std::optional(before) : std::nullopt;
    if (auto good = git::check_signatures({options_.require_signed, fetched.signers_folder()},
                                          fetched.repository(), judged, head, deadline);
        !good) {
      // Anything else that went wrong says nothing about who signed.
      auto refusal = refusal_of(good.error().message);
      if (!refusal || !is_about_signatures(*refusal)) return fail_within("signatures", good);
      out.refused_because = good.error().message;
    }
    return out;
  }

  /// What a new commit must descend from. In force can be a commit of another source: then, and
  /// when the mirror is new, what is there counts as the start.
  Result<std::optional<std::string>> base(const git::Mirror& mirror) const {
    KNOCK_ASSIGN(auto seen, mirror.commit_at(seen_));
    if (!seen || !told_) return seen;
    KNOCK_ASSIGN(bool ours, mirror.leads_to(*told_, *seen));
    return ours ? told_ : std::nullopt;
  }

  Status check_history(const git::Mirror& mirror, const std::string& before,
                       const std::string& now) const {
    KNOCK_ASSIGN(bool forward, mirror.leads_to(before, now));
    if (forward) return {};
    KNOCK_ASSIGN(bool back, mirror.leads_to(now, before));
    auto there = short_id(now), ours = short_id(before);
    if (back)
      return refuse(
          Refusal::went_back,
          fmt::format("the branch went back to {} (force-push?): {} stays in force. To go "
                      "back to an older policy, revert by a new commit, or say knock "
                      "advance {}",
                      there, ours, there),
          ErrorKind::conflict);
    return refuse(Refusal::rewritten,
                  fmt::format("history was rewritten: the branch now is {} (force-push?): {} stays "
                              "in force. If it was replaced on purpose: knock advance "
                              "--history-replaced",
                              there, ours),
                  ErrorKind::conflict);
  }

  /// The mirror, when that commit is one of this policy's.
  Result<git::Mirror> open_for(const std::string& id) const {
    KNOCK_ASSIGN(auto mirror, git::Mirror::open(mirror_));
    KNOCK_ASSIGN(auto seen, mirror.commit_at(seen_));
    if (!seen) return fail(ErrorKind::not_found, "nothing was fetched yet");
    // A commit that only lies in the mirror (another source's, a refused history's) is not this
    // policy.
    KNOCK_ASSIGN(bool ours, mirror.leads_to(id, *seen));
    if (!ours)
      return fail(ErrorKind::not_found,
                  fmt::format("this is no commit of the history that ends in {}", short_id(*seen)));
    return mirror;
  }

  Result<PolicySnapshot> read_commit(const std::string& id) {
    KNOCK_ASSIGN(auto mirror, open_for(id));
    KNOCK_CHECK(check_signed(mirror, id));
    KNOCK_ASSIGN(auto snapshot, mirror.snapshot(id, options_.path, known_));
    known_ = snapshot.files;
    return snapshot;
  }

  /// Going back is no news: everything up to the commit in force was judged before.
  Status check_signed(const git::Mirror& mirror, const std::string& id) const {
    if (options_.require_signed.empty()) return {};
    std::optional<std::string> from;
    if (told_) {
      KNOCK_ASSIGN(bool forward, mirror.leads_to(*told_, id));
      KNOCK_ASSIGN(bool back, mirror.leads_to(id, *told_));
      if (back) return {};
      if (forward) from = told_;
    }
    return git::check_signatures({options_.require_signed, signers_}, mirror, from, id,
                                 Deadline::in(kSignatureDeadline));
  }

  GitSourceOptions options_;
  std::string ref_;  // whole name
  std::string mirror_, home_, signers_, candidate_, fetched_, seen_;
  std::optional<std::string> told_;  // to be in force
  std::optional<git::ObjectFiles> not_packed_;
  std::vector<PolicyFile> known_;  // of the last commit that was read
};

/// "policies/prod", without slashes at its ends and without steps that lead elsewhere.
Result<std::string> folder_in_tree(const std::string& path) {
  std::string_view rest = path;
  while (rest.ends_with('/')) rest.remove_suffix(1);
  if (rest.empty() && path.empty()) return std::string();
  for (auto part : split(rest, '/'))
    if (part.empty() || part == "." || part == ".." || part.find('\0') != std::string_view::npos)
      return fail(ErrorKind::invalid,
                  fmt::format("'{}' names no folder of the repository", printable(path)));
  return std::string(rest);
}

/// As git tells them apart: host:path has a colon before any slash.
bool is_path(const std::string& repository) {
  return repository.find("://") == std::string::npos &&
         repository.find('/') <= repository.find(':');
}

}  // namespace

Result<std::unique_ptr<PolicySource>> open_git_source(GitSourceOptions options) {
  KNOCK_CHECK(git::check_repository(options.repository));
  auto ref = options.ref.starts_with("refs/") ? options.ref : "refs/heads/" + options.ref;
  if (!git::valid_ref(ref))
    return refuse(Refusal::bad_ref,
                  fmt::format("'{}' is no name of a branch or tag; write main, or refs/tags/v1",
                              printable(options.ref)));
  if (options.state_folder.empty())
    return fail(ErrorKind::invalid, "no folder was named for the mirror of the policy repository");
  KNOCK_ASSIGN(options.path, folder_in_tree(options.path));
  std::error_code error;
  auto state = fs::absolute(options.state_folder, error);
  if (error) return fail(ErrorKind::unavailable, options.state_folder + ": " + error.message());
  options.state_folder = state.string();
  if (is_path(options.repository))  // git runs in another folder
    options.repository = fs::absolute(options.repository, error).string();
  return std::make_unique<GitSource>(std::move(options), std::move(ref));
}

}  // namespace knock
