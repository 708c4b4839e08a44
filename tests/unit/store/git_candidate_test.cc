// SPDX-License-Identifier: Apache-2.0
// What somebody proposes: fetched, read like a policy, held against the one in force, and gone
// afterwards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "store/git/git_source.h"
#include "tests/unit/store/git_repository.h"
#include "tests/unit/store/signed_repository.h"

namespace knock {
namespace {

namespace fs = std::filesystem;
using test::GitRepository;
using ::testing::HasSubstr;

constexpr const char* kPulls = "refs/pull/{number}/head";

class GitCandidateTest : public testing::Test {
 protected:
  GitCandidateTest() {
    repository_.commit({{"a.yaml", "knock: 1 # first\n"}});
    in_force_ = repository_.commit({{"a.yaml", "knock: 1 # in force\n"}});
  }
  std::string state() const { return folder_.path() + "/state"; }
  std::unique_ptr<PolicySource> open(std::vector<SignersRule> rules = {},
                                     const std::string& pulls = kPulls) const {
    GitSourceOptions options{repository_.path(), "main", state(), "", std::move(rules)};
    options.pulls = pulls;
    options.largest_candidate = 1u << 20;
    auto source = open_git_source(options);
    EXPECT_TRUE(source) << source.error().text();
    EXPECT_TRUE((*source)->poll(deadline()));
    (*source)->in_force(PolicyRevision(in_force_));
    return std::move(*source);
  }
  static Deadline deadline() { return Deadline::in(Duration::seconds(60)); }
  static Result<Candidate> pull(PolicySource& source, std::uint64_t number,
                                const std::string& commit = "") {
    return source.candidate({number, "", commit}, deadline());
  }
  /// Pull request 7, from this commit on.
  std::string propose(const std::string& content, const std::string& onto) {
    auto id = repository_.commit_tree(
        repository_.tree({GitRepository::file("a.yaml", repository_.blob(content))}), "proposed",
        onto);
    repository_.point("refs/pull/7/head", id);
    return id;
  }
  std::string id_of(const Result<Candidate>& refused) {
    if (refused) return "taken";
    return refused.error().message.substr(0, refused.error().message.find(':'));
  }
  /// Nothing of a candidate is left, and the policy is what it was.
  void expect_forgotten(const std::string& candidate) {
    for (const char* part : {"repository.git", "home", "signers"})
      EXPECT_FALSE(fs::exists(state() + "/candidate/" + part)) << part;
    auto mirror = GitRepository(state() + "/mirror.git");
    EXPECT_THAT(mirror.git({"for-each-ref"}), ::testing::Not(HasSubstr(candidate)));
    EXPECT_THROW(mirror.git({"cat-file", "-e", candidate}), std::runtime_error);
    auto source = open();
    EXPECT_FALSE(source->read(PolicyRevision(candidate)));
    EXPECT_EQ(source->poll(deadline())->value, in_force_);
  }

  test::TemporaryFolder folder_;
  GitRepository repository_{folder_.path() + "/policy.git"};
  std::string in_force_;
};

TEST_F(GitCandidateTest, IsReadAndForgotten) {
  auto id = propose("knock: 1 # proposed\n", in_force_);
  auto got = pull(*open(), 7);
  ASSERT_TRUE(got) << got.error().text();
  EXPECT_EQ(got->snapshot.revision.value, id);
  EXPECT_EQ(got->snapshot.files.at(0).content, "knock: 1 # proposed\n");
  EXPECT_EQ(got->snapshot.subject, "proposed");
  EXPECT_EQ(got->follows.value, in_force_);
  EXPECT_EQ(got->refused_because, "");
  expect_forgotten(id);
}

TEST_F(GitCandidateTest, ABranchByItsName) {
  auto id = propose("knock: 1 # topic\n", in_force_);
  repository_.point("refs/heads/topic", id);
  auto source = open();
  EXPECT_EQ(source->candidate({0, "topic"}, deadline())->snapshot.revision.value, id);
  // Only branches: not what somebody proposes by another way, nor tags, nor refs kept for others.
  EXPECT_EQ(id_of(source->candidate({0, "refs/pull/7/head"}, deadline())), "git.no-ref");
  EXPECT_EQ(id_of(source->candidate({0, "refs/heads/topic"}, deadline())), "git.no-ref");
  for (const char* bad : {"", "..", "a b", "refs/heads/*", "topic:refs/heads/main", "topic~1"})
    EXPECT_EQ(id_of(source->candidate({0, bad}, deadline())), "git.bad-ref") << bad;
  EXPECT_EQ(id_of(source->candidate({0, "nobody"}, deadline())), "git.no-ref");
}

TEST_F(GitCandidateTest, FollowsFromWhatIsInForce) {
  auto source = open();
  auto parent = repository_.git({"rev-parse", "main~1"});
  auto stale = propose("knock: 1 # stale\n", parent);
  auto refused = pull(*source, 7);
  ASSERT_FALSE(refused);
  EXPECT_EQ(id_of(refused), "git.not-descended") << refused.error().text();
  EXPECT_THAT(refused.error().message, HasSubstr(stale.substr(0, 12)));
  EXPECT_THAT(refused.error().message, HasSubstr("git rebase " + in_force_.substr(0, 12)));
  expect_forgotten(stale);

  propose("knock: 1 # of nowhere\n", "");
  EXPECT_EQ(id_of(pull(*source, 7)), "git.not-descended");
  repository_.point("refs/pull/7/head", parent);
  refused = pull(*source, 7);
  EXPECT_EQ(id_of(refused), "git.not-descended");
  EXPECT_THAT(refused.error().message, HasSubstr("already"));

  // A merge of what is in force follows from it.
  auto tree = repository_.git({"rev-parse", stale + "^{tree}"});
  auto merge = repository_.git({"commit-tree", tree, "-p", stale, "-p", in_force_, "-m", "merge"});
  repository_.point("refs/pull/7/head", merge);
  EXPECT_TRUE(pull(*source, 7));
  repository_.point("refs/pull/7/head", in_force_);
  EXPECT_TRUE(pull(*source, 7)) << "nothing new is no error";
}

TEST_F(GitCandidateTest, WhatTheBranchHoldsBeyondWhatIsInForceIsFollowedWhereItIsThere) {
  auto newest = repository_.commit({{"a.yaml", "knock: 1 # waits\n"}});
  auto source = open();
  propose("knock: 1 # from what is in force\n", in_force_);
  EXPECT_EQ(pull(*source, 7)->follows.value, in_force_);
  propose("knock: 1 # rebased\n", newest);
  EXPECT_EQ(pull(*source, 7)->follows.value, newest);
}

TEST_F(GitCandidateTest, WhatIsInForceFromElsewhereIsReplacedByTheBranch) {
  auto source = open();
  source->in_force(PolicyRevision("sha256:" + std::string(64, 'a')));
  propose("knock: 1 # stale\n", repository_.git({"rev-parse", "main~1"}));
  EXPECT_EQ(id_of(pull(*source, 7)), "git.not-descended");
  propose("knock: 1 # fresh\n", in_force_);
  EXPECT_EQ(pull(*source, 7)->follows.value, in_force_);
}

TEST_F(GitCandidateTest, BeforeTheFirstLookNothingIsTaken) {
  propose("knock: 1 # proposed\n", in_force_);
  GitSourceOptions options{repository_.path(), "main", state()};
  options.pulls = kPulls;
  auto source = open_git_source(options);
  ASSERT_TRUE(source);
  (*source)->in_force(PolicyRevision(in_force_));
  auto refused = pull(**source, 7);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::unavailable) << refused.error().text();
  EXPECT_THAT(refused.error().message, HasSubstr("after the next look"));
}

TEST_F(GitCandidateTest, IsHeldAgainstWhatWasAskedFor) {
  auto id = propose("knock: 1 # one\n", in_force_);
  auto source = open();
  EXPECT_TRUE(pull(*source, 7, id));
  propose("knock: 1 # another\n", in_force_);
  EXPECT_EQ(id_of(pull(*source, 7, id)), "git.head-moved");
  EXPECT_EQ(id_of(pull(*source, 8)), "git.no-ref");
}

TEST_F(GitCandidateTest, WithoutATemplateNoPullRequestIsFetched) {
  propose("knock: 1\n", in_force_);
  auto refused = pull(*open({}, ""), 7);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(refused.error().message, HasSubstr("pulls: github"));
}

/// The reader is the policy's own: its table of hostile trees holds here too.
TEST_F(GitCandidateTest, HostileOnesAreRefusedAndForgotten) {
  auto& r = repository_;
  auto source = open();
  auto noise = std::string();
  std::uint32_t state = 1;
  for (int i = 0; i < 3 << 20; ++i) noise += char((state = state * 1664525 + 1013904223) >> 24);
  auto good = r.blob("knock: 1\n");
  const std::pair<std::string, std::string> rows[] = {
      {"tree.link", r.tree({"120000 blob " + r.blob("/etc/passwd") + "\ta.yaml"})},
      {"tree.submodule",
       r.tree({r.file("a.yaml", good), "160000 commit " + std::string(40, '1') + "\tsub"})},
      {"tree.name-of-git", r.raw_tree({{{"100644", ".GIT", good}}})},
      {"tree.no-policy", r.tree({r.file("README", good)})},
      {"tree.file-too-large", r.tree({r.file("a.yaml", r.blob(std::string((1 << 20) + 1, 'x')))})},
      {"git.transfer-too-large", r.tree({r.file("a.yaml", good), r.file("noise", r.blob(noise))})},
      // Neither is too large; together they are.
      {"git.transfer-too-large",
       r.tree({r.file("a.yaml", good), r.file("noise", r.blob(noise.substr(0, 700'000))),
               r.file("more", r.blob(noise.substr(700'000, 700'000)))})},
      {"git.transfer", r.tree({r.file("a.yaml", std::string(40, '2'))})},
  };
  for (const auto& [id, tree] : rows) {
    auto commit = r.commit_tree(tree, "hostile", in_force_);
    r.point("refs/pull/7/head", commit);
    auto refused = pull(*source, 7);
    EXPECT_EQ(id_of(refused), id) << (refused ? "" : refused.error().text());
    expect_forgotten(commit);
  }
}

TEST_F(GitCandidateTest, MoreCommitsThanAnybodyReviewsAreRefused) {
  auto& r = repository_;
  auto tree = r.tree({r.file("a.yaml", r.blob("knock: 1 # many\n"))});
  auto root = [&](int i) { return r.commit_tree(tree, "root " + std::to_string(i), ""); };
  std::vector<std::string> merge{"commit-tree", tree, "-m", "octopus", "-p", in_force_};
  for (int i = 0; i < 1'000; ++i) merge.insert(merge.end(), {"-p", root(i)});
  auto source = open();
  r.point("refs/pull/7/head", r.git(merge));
  auto refused = pull(*source, 7);
  EXPECT_EQ(id_of(refused), "commit.too-many") << (refused ? "" : refused.error().text());
  merge.resize(merge.size() - 2);
  r.point("refs/pull/7/head", r.git(merge));
  auto taken = pull(*source, 7);
  EXPECT_TRUE(taken) << taken.error().text();
}

TEST_F(GitCandidateTest, WhatAKilledProcessLeftIsRemoved) {
  propose("knock: 1 # proposed\n", in_force_);
  auto source = open();
  test::write_file(state() + "/candidate/repository.git/objects/info/alternates", "/nowhere\n");
  test::write_file(state() + "/candidate/signers/x", "x");
  auto got = pull(*source, 7);
  EXPECT_TRUE(got) << got.error().text();
}

TEST_F(GitCandidateTest, SaysWhatSignaturesSpeakAgainstIt) {
  test::SshKeys keys(folder_.path() + "/keys");
  auto ops = keys.signers("ops", keys.line("ana"));
  std::vector<SignersRule> rules{{{}, {ops}, ""}};
  auto tree = repository_.tree({GitRepository::file("a.yaml", repository_.blob("knock: 1 # 2\n"))});
  in_force_ = test::signed_commit(repository_, keys.key("ana"), tree, {in_force_});
  repository_.point("refs/heads/main", in_force_);
  auto source = open(rules);

  auto unsigned_one = propose("knock: 1 # unsigned\n", in_force_);
  auto got = pull(*source, 7);
  ASSERT_TRUE(got) << "it is planned all the same: " << got.error().text();
  EXPECT_THAT(got->refused_because,
              HasSubstr("commit.unsigned: commit " + unsigned_one.substr(0, 12)));
  EXPECT_FALSE(fs::exists(state() + "/candidate/signers"));

  auto next = repository_.tree({GitRepository::file("a.yaml", repository_.blob("knock: 1 # 3\n"))});
  auto eve = test::signed_commit(repository_, keys.key("eve"), next, {in_force_});
  repository_.point("refs/pull/7/head", eve);
  EXPECT_THAT(pull(*source, 7)->refused_because, HasSubstr("commit.not-allowed"));
  auto ana = test::signed_commit(repository_, keys.key("ana"), next, {in_force_});
  repository_.point("refs/pull/7/head", ana);
  EXPECT_EQ(pull(*source, 7)->refused_because, "");
}

/// Nobody knows then whether a signature is missing, so nobody is told that one is.
TEST_F(GitCandidateTest, WhatKeepsSignaturesFromBeingCheckedIsAnErrorOfItsOwn) {
  test::SshKeys keys(folder_.path() + "/keys");
  auto ops = keys.signers("ops", keys.line("ana"));
  auto tree = repository_.tree({GitRepository::file("a.yaml", repository_.blob("knock: 1 # 2\n"))});
  in_force_ = test::signed_commit(repository_, keys.key("ana"), tree, {in_force_});
  repository_.point("refs/heads/main", in_force_);
  auto source = open({{{}, {ops}, ""}});
  auto next = repository_.tree({GitRepository::file("a.yaml", repository_.blob("knock: 1 # 3\n"))});
  repository_.point("refs/pull/7/head",
                    test::signed_commit(repository_, keys.key("ana"), next, {in_force_}));
  EXPECT_EQ(pull(*source, 7)->refused_because, "");
  ASSERT_EQ(::chmod(ops.c_str(), 0666), 0);
  EXPECT_EQ(id_of(pull(*source, 7)), "commit.signers-exposed");
  fs::remove(ops);
  EXPECT_EQ(id_of(pull(*source, 7)), "commit.signers-unreadable");
}

}  // namespace
}  // namespace knock
