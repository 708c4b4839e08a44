// SPDX-License-Identifier: Apache-2.0
// Whose signature lets a commit become policy. Every row is a repository and an answer: the id of
// the refusal, or that it is read.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <set>

#include "store/git/git_source.h"
#include "store/policy_refusal.h"
#include "tests/unit/store/signed_repository.h"

namespace knock {
namespace {

namespace fs = std::filesystem;
using Files = std::map<std::string, std::string>;

/// A repository with one commit in force: by ops, who may do everything but payroll's folder, and
/// payroll's people, who may do that one and nothing else.
class World {
 public:
  World() {
    ops_file = keys.signers("ops.signers", keys.line("ana") + keys.line("olga"));
    pay_file = keys.signers("payroll.signers", keys.line("pay"));
    rules = {{{"payroll/**"}, {pay_file}, ""}, {{}, {ops_file}, ""}};
    base = put("ana", files, {});
    point(base);
  }

  std::string put(const std::string& who, const Files& content,
                  const std::vector<std::string>& parents, const std::string& subject = "change") {
    return test::signed_commit(repository, who.empty() ? "" : keys.key(who),
                               test::tree_of(repository, content), parents, subject);
  }
  void point(const std::string& commit) const { repository.point("refs/heads/main", commit); }
  Files with(const std::string& path, const std::string& content) const {
    Files out = files;
    out[path] = content;
    return out;
  }
  std::unique_ptr<PolicySource> open() const {
    auto source = open_git_source({repository.path(), "main", folder.path() + "/state", "", rules});
    EXPECT_TRUE(source) << source.error().text();
    return std::move(*source);
  }
  /// Polls and reads, as a controller does that has `base` in force.
  Result<PolicySnapshot> judge() const {
    auto source = open();
    if (auto seen = source->poll(deadline()); !seen) return fail(seen.error());
    source->in_force(PolicyRevision(base));
    return read_newest(*source);
  }
  /// The same with nothing in force yet.
  Result<PolicySnapshot> judge_first() const { return read_newest(*open()); }
  static Result<PolicySnapshot> read_newest(PolicySource& source) {
    auto revision = source.poll(deadline());
    if (!revision) return fail(revision.error());
    return source.read(*revision);
  }
  static Deadline deadline() { return Deadline::in(Duration::seconds(60)); }

  test::TemporaryFolder folder;
  test::GitRepository repository{folder.path() + "/policy.git"};
  test::SshKeys keys{folder.path() + "/keys"};
  std::string ops_file, pay_file, base;
  std::vector<SignersRule> rules;
  const Files files{{"groups.yaml", "1"}, {"payroll/rules.yaml", "2"}};
};

struct Row {
  const char* name;
  const char* id;  // of the refusal; "" = it is read
  const char* part;
  void (*make)(World&);
};

std::string change(World& w, const std::string& who, const std::string& path = "groups.yaml",
                   const std::string& content = "new") {
  auto id = w.put(who, w.with(path, content), {w.base});
  w.point(id);
  return id;
}

/// A merge that takes `mine` against both of its parents.
std::string merge(World& w, const std::string& who, const Files& mine, const std::string& a,
                  const std::string& b) {
  auto id = w.put(who, mine, {a, b}, "merge");
  w.point(id);
  return id;
}

const Row kRows[] = {
    {"signed", "", "", [](World& w) { change(w, "ana"); }},
    {"another signer of the file", "", "", [](World& w) { change(w, "olga"); }},
    {"payroll's own", "", "", [](World& w) { change(w, "pay", "payroll/rules.yaml"); }},
    {"a commit of nothing", "", "", [](World& w) { w.point(w.put("ana", w.files, {w.base})); }},
    {"a pattern of principals", "", "",
     [](World& w) {
       w.keys.signers("ops.signers", "*@example.org " + w.keys.public_key("ana") + "\n");
       change(w, "ana");
     }},
    {"a merge by one who may do both", "", "",
     [](World& w) {
       w.rules[0].signers.push_back(w.ops_file);
       auto side = w.put("pay", w.with("payroll/rules.yaml", "3"), {w.base});
       auto main = w.put("ana", w.with("groups.yaml", "3"), {w.base});
       Files both{{"groups.yaml", "3"}, {"payroll/rules.yaml", "3"}};
       merge(w, "ana", both, main, side);
     }},
    {"unsigned", "commit.unsigned", "changes groups.yaml", [](World& w) { change(w, ""); }},
    {"unsigned, below a signed one", "commit.unsigned", "by Ana <ana@example.org> (sly)",
     [](World& w) {
       auto sly = w.put("", w.with("groups.yaml", "x"), {w.base}, "sly");
       w.point(w.put("ana", w.with("groups.yaml", "y"), {sly}));
     }},
    {"unsigned and taken back", "commit.unsigned", "groups.yaml",
     [](World& w) {
       auto sly = w.put("", w.with("groups.yaml", "x"), {w.base});
       w.point(w.put("ana", w.files, {sly}));
     }},
    {"a merge of an unsigned branch", "commit.unsigned", "(branch)",
     [](World& w) {
       auto sly = w.put("", w.with("groups.yaml", "x"), {w.base}, "branch");
       merge(w, "ana", w.with("groups.yaml", "x"), w.base, sly);
     }},
    {"a merge of an unsigned root", "commit.unsigned", "(root)",
     [](World& w) {
       auto root = w.put("", w.files, {}, "root");
       merge(w, "ana", w.files, w.base, root);
     }},
    {"an evil merge", "commit.not-allowed", "changes groups.yaml",
     [](World& w) {
       auto side = w.put("pay", w.with("payroll/rules.yaml", "3"), {w.base});
       Files evil{{"groups.yaml", "evil"}, {"payroll/rules.yaml", "3"}};
       merge(w, "pay", evil, w.base, side);
     }},
    {"a merge that brings back what was", "commit.not-allowed", "changes groups.yaml",
     [](World& w) {
       auto old = w.base;
       w.base = w.put("ana", w.with("groups.yaml", "closed"), {old});
       w.point(w.base);
       auto side = w.put("pay", w.with("payroll/rules.yaml", "3"), {old});
       merge(w, "pay", w.with("payroll/rules.yaml", "3"), w.base, side);
     }},
    {"the same with its parents the other way round", "commit.not-allowed", "changes groups.yaml",
     [](World& w) {
       auto old = w.base;
       w.base = w.put("ana", w.with("groups.yaml", "closed"), {old});
       auto side = w.put("pay", w.with("payroll/rules.yaml", "3"), {old});
       merge(w, "pay", w.with("payroll/rules.yaml", "3"), side, w.base);
     }},
    {"payroll's person elsewhere", "commit.not-allowed", "ops.signers does not allow the key",
     [](World& w) { change(w, "pay"); }},
    {"somebody else in payroll's folder", "commit.not-allowed", "changes payroll/rules.yaml",
     [](World& w) { change(w, "ana", "payroll/rules.yaml"); }},
    {"a file moved out of payroll's folder", "commit.not-allowed", "payroll/rules.yaml",
     [](World& w) {
       w.point(w.put("ana", {{"groups.yaml", "1"}, {"rules.yaml", "2"}}, {w.base}));
     }},
    {"payroll's folder becomes a file", "commit.not-allowed", "payroll/rules.yaml",
     [](World& w) { w.point(w.put("ana", {{"groups.yaml", "1"}, {"payroll", "2"}}, {w.base})); }},
    {"payroll's file becomes a program", "commit.not-allowed", "payroll/rules.yaml",
     [](World& w) {
       auto inside = w.repository.tree({"100755 blob " + w.repository.blob("2") + "\trules.yaml"});
       auto tree = w.repository.tree({w.repository.file("groups.yaml", w.repository.blob("1")),
                                      w.repository.folder("payroll", inside)});
       w.point(test::signed_commit(w.repository, w.keys.key("ana"), tree, {w.base}));
     }},
    {"a stranger", "commit.not-allowed", "ED25519 key SHA256:", [](World& w) { change(w, "eve"); }},
    {"an expired key", "commit.not-allowed", "expired",
     [](World& w) {
       w.keys.signers("ops.signers", w.keys.line("ana", "valid-before=\"20240101\""));
       change(w, "ana");
     }},
    {"a key of tomorrow", "commit.not-allowed", "ops.signers",
     [](World& w) {
       w.keys.signers("ops.signers", w.keys.line("ana", "valid-after=\"20990101\""));
       change(w, "ana");
     }},
    {"a revoked key", "commit.not-allowed", "revoked",
     [](World& w) {
       w.rules[1].revoked = w.keys.signers("revoked", w.keys.public_key("ana") + "\n");
       change(w, "ana");
     }},
    {"a key for other uses", "commit.not-allowed", "ops.signers",
     [](World& w) {
       w.keys.signers("ops.signers", w.keys.line("ana", "namespaces=\"file\""));
       change(w, "ana");
     }},
    {"the signature of another commit", "commit.bad-signature", "is not of this commit",
     [](World& w) {
       auto good = w.put("ana", w.with("groups.yaml", "good"), {w.base});
       auto text = w.repository.git({"cat-file", "commit", good}) + "\n";
       auto tree = test::tree_of(w.repository, w.with("groups.yaml", "evil"));
       text.replace(5, 40, tree);
       w.point(w.repository.git({"hash-object", "-t", "commit", "-w", "--stdin"}, text));
     }},
    {"a signature made for a file", "commit.bad-signature", "something else than git",
     [](World& w) {
       auto plain = w.put("", w.with("groups.yaml", "x"), {w.base});
       auto payload = w.repository.git({"cat-file", "commit", plain}) + "\n";
       test::write_file(w.folder.path() + "/payload", payload);
       test::SshKeys::run({"ssh-keygen", "-q", "-Y", "sign", "-n", "file", "-f", w.keys.key("ana"),
                           w.folder.path() + "/payload"});
       std::string header;
       auto armour = test::read_file(w.folder.path() + "/payload.sig");
       for (auto line : split(armour, '\n'))
         if (!line.empty()) header += (header.empty() ? "gpgsig " : " ") + std::string(line) + "\n";
       auto at = payload.find("\n\n") + 1;
       w.point(w.repository.git({"hash-object", "-t", "commit", "-w", "--stdin"},
                                payload.substr(0, at) + header + payload.substr(at)));
     }},
    {"two signatures", "commit.two-signatures", "more than one signature",
     [](World& w) {
       auto good = w.put("ana", w.with("groups.yaml", "x"), {w.base});
       auto text = w.repository.git({"cat-file", "commit", good}) + "\n";
       auto begin = text.find("gpgsig "), end = text.find("\n\n") + 1;
       auto twice = text.substr(0, end) + text.substr(begin, end - begin) + text.substr(end);
       w.point(w.repository.git({"hash-object", "-t", "commit", "-w", "--stdin", "--literally"},
                                twice));
     }},
    {"a signature of X.509", "commit.unknown-signature", "neither of SSH nor of OpenPGP",
     [](World& w) {
       auto plain = w.put("", w.with("groups.yaml", "x"), {w.base});
       auto text = w.repository.git({"cat-file", "commit", plain}) + "\n";
       text.insert(text.find("\n\n") + 1,
                   "gpgsig -----BEGIN SIGNED MESSAGE-----\n AAAA\n -----END SIGNED MESSAGE-----\n");
       w.point(w.repository.git({"hash-object", "-t", "commit", "-w", "--stdin"}, text));
     }},
    {"a path of no rule", "commit.no-rule", "no rule of require_signed",
     [](World& w) {
       w.rules = {{{"payroll/**"}, {w.pay_file}, ""}};
       change(w, "ana");
     }},
    {"no file of signers", "commit.signers-unreadable", "ops.signers: No such file",
     [](World& w) {
       fs::remove(w.ops_file);
       change(w, "ana");
     }},
    {"an empty file of signers", "commit.signers-unreadable", "it is empty",
     [](World& w) {
       w.keys.signers("ops.signers", "\n");
       change(w, "ana");
     }},
    {"a folder for a file of signers", "commit.signers-unreadable", "it is no file",
     [](World& w) {
       fs::remove(w.ops_file);
       fs::create_directory(w.ops_file);
       change(w, "ana");
     }},
    {"a pipe for a file of signers", "commit.signers-unreadable", "it is no file",
     [](World& w) {
       fs::remove(w.ops_file);
       ASSERT_EQ(::mkfifo(w.ops_file.c_str(), 0644), 0);
       change(w, "ana");
     }},
    {"a file of signers beyond 1 MiB", "commit.signers-unreadable", "larger than 1 MiB",
     [](World& w) {
       w.keys.signers("ops.signers", w.keys.line("ana") + "#" + std::string(1 << 20, 'x') + "\n");
       change(w, "ana");
     }},
    {"armoured keys that are damaged", "commit.signers-unreadable", "armoured keys are damaged",
     [](World& w) {
       w.keys.signers("ops.signers",
                      "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n!!!!\n"
                      "-----END PGP PUBLIC KEY BLOCK-----\n");
       change(w, "ana");
     }},
    {"a list of the revoked that is gone", "commit.signers-unreadable", "/nowhere: No such file",
     [](World& w) {
       w.rules[1].revoked = "/nowhere";
       change(w, "ana");
     }},
    {"a file of signers that others write", "commit.signers-exposed", "chmod go-w",
     [](World& w) {
       fs::permissions(w.ops_file, fs::perms(0666));
       change(w, "ana");
     }},
    {"more commits than can be looked at", "commit.too-many", "more than 1000 commits",
     [](World& w) {
       std::string stream;
       for (int i = 0; i <= 1000; ++i)
         stream += "commit refs/heads/main\ncommitter A <a@b> 1700000000 +0000\ndata 1\nx\n" +
                   (i == 0 ? "from " + w.base + "\n" : std::string()) +
                   "M 100644 inline a.yaml\ndata 4\n" + std::to_string(1000 + i) + "\n";
       w.repository.git({"fast-import", "--quiet"}, stream);
     }},
    {"a commit on the way with folders inside folders", "commit.change-too-large",
     "files and folders",
     [](World& w) {
       auto tree = w.repository.tree({w.repository.file("README", w.repository.blob("1"))});
       for (int level = 0; level < 66; ++level)
         tree = w.repository.tree({w.repository.folder("d", tree)});
       auto bomb = test::signed_commit(w.repository, w.keys.key("ana"), tree, {w.base});
       w.point(w.put("ana", w.files, {bomb}));
     }},
    {"a commit on the way with a million files in seven trees", "commit.change-too-large",
     "files and folders",
     [](World& w) {
       w.rules = {{{}, {w.ops_file}, ""}};
       auto tree = w.repository.tree({w.repository.file("README", w.repository.blob("1"))});
       for (int level = 0; level < 6; ++level) {
         std::vector<std::string> lines;
         for (char c = 'a'; c <= 'j'; ++c)
           lines.push_back(w.repository.folder(std::string(1, c), tree));
         tree = w.repository.tree(lines);
       }
       auto bomb = test::signed_commit(w.repository, w.keys.key("ana"), tree, {w.base});
       w.point(w.put("ana", w.files, {bomb}));
     }},
};

/// "" when it is read.
std::string id_in(const Result<PolicySnapshot>& got) {
  return got ? "" : got.error().message.substr(0, got.error().message.find(':'));
}

TEST(GitSigned, EveryRowGivesItsAnswer) {
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.name);
    World w;
    row.make(w);
    auto got = w.judge();
    EXPECT_EQ(id_in(got), row.id) << (got ? "it is read" : got.error().text());
    if (got) continue;
    EXPECT_NE(got.error().text().find(row.part), std::string::npos) << got.error().text();
    for (char c : got.error().text()) EXPECT_GE(static_cast<unsigned char>(c), 0x20);
  }
}

TEST(GitSigned, EveryCheckHasARow) {
  std::set<std::string> ids;
  for (const auto& row : kRows) ids.insert(row.id);
  for (unsigned i = 0; i <= unsigned(kLastRefusal); ++i) {
    auto id = std::string(id_of(Refusal(i)));
    if (id.starts_with("commit.")) EXPECT_TRUE(ids.contains(id)) << id << " has no row";
  }
}

TEST(GitSigned, TheFirstCommitIsJudgedAsIfItHadWrittenEverything) {
  World w;
  auto got = w.judge_first();
  EXPECT_EQ(id_in(got), "commit.not-allowed") << "ana may not write payroll's folder";
  w.rules[0].signers.push_back(w.ops_file);
  EXPECT_EQ(id_in(w.judge_first()), "");
  w.point(w.put("", w.files, {w.base}));
  EXPECT_EQ(id_in(w.judge_first()), "commit.unsigned") << "whatever lies below it";
  World other;
  other.rules[0].signers.push_back(other.ops_file);
  other.point(other.put("ana", other.files, {other.put("", other.files, {})}));
  EXPECT_EQ(id_in(other.judge_first()), "") << "ana vouches for all that it holds";
  World third;
  third.point(
      third.put("pay", third.with("payroll/rules.yaml", "3"), {third.put("", third.files, {})}));
  EXPECT_EQ(id_in(third.judge_first()), "commit.not-allowed")
      << "pay may not vouch for what somebody else wrote before";
}

TEST(GitSigned, GoingBackNeedsNoSignature) {
  World w;
  auto newer = change(w, "ana");
  auto source = w.open();
  ASSERT_TRUE(source->poll(World::deadline()));
  source->in_force(PolicyRevision(newer));
  fs::remove(w.ops_file);
  EXPECT_TRUE(source->read(PolicyRevision(w.base)));
  EXPECT_TRUE(source->read(PolicyRevision(newer)));
}

TEST(GitSigned, HistoryIsJudgedFromWhatIsInForce) {
  World w;
  auto source = w.open();
  ASSERT_TRUE(source->poll(World::deadline()));
  source->in_force(PolicyRevision(w.base));
  auto refused = change(w, "");
  ASSERT_TRUE(source->poll(World::deadline())) << "a poll brings it, reading refuses it";
  EXPECT_FALSE(source->read(PolicyRevision(refused)));
  auto mended = change(w, "ana");
  auto revision = source->poll(World::deadline());
  ASSERT_TRUE(revision) << revision.error().text();
  EXPECT_TRUE(source->read(PolicyRevision(mended))) << "the unsigned one is gone from the history";
  EXPECT_FALSE(source->read(PolicyRevision(refused)));
}

TEST(GitSigned, OnlyAnOperatorTakesAnotherHistory) {
  World w;
  w.rules[0].signers.push_back(w.ops_file);
  auto source = w.open();
  ASSERT_TRUE(source->poll(World::deadline()));
  source->in_force(PolicyRevision(w.base));
  auto other = w.put("ana", w.with("groups.yaml", "anew"), {});
  w.point(other);
  auto refused = source->poll(World::deadline());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().text().find("git.rewritten"), std::string::npos);
  EXPECT_FALSE(source->read(PolicyRevision(other)));
  ASSERT_TRUE(source->start_anew());
  auto read = source->read(PolicyRevision(other));
  EXPECT_TRUE(read) << read.error().text();
  auto unsigned_one = w.put("", w.with("groups.yaml", "sly"), {});
  w.point(unsigned_one);
  EXPECT_FALSE(source->poll(World::deadline()));
  ASSERT_TRUE(source->start_anew());
  EXPECT_FALSE(source->read(PolicyRevision(unsigned_one))) << "signed it must be all the same";
}

TEST(GitSigned, FindsCommitsByTheBeginningOfTheirIds) {
  World w;
  auto newer = change(w, "ana");
  auto source = w.open();
  ASSERT_TRUE(source->poll(World::deadline()));
  EXPECT_EQ(source->find(newer.substr(0, 8))->value, newer);
  EXPECT_EQ(source->find(w.base)->value, w.base);
  for (auto bad : {"", "abc", "main", "HEAD~1", "ffffffffffff", "--help", "refs/heads/main"})
    EXPECT_FALSE(source->find(bad)) << bad;
  auto apart = w.put("ana", w.with("groups.yaml", "apart"), {});
  EXPECT_FALSE(source->find(apart)) << "of no history that was fetched";
  EXPECT_TRUE(*source->precedes(PolicyRevision(w.base), PolicyRevision(newer)));
  EXPECT_FALSE(*source->precedes(PolicyRevision(newer), PolicyRevision(w.base)));
}

/// What a disk lost says nothing about who signed.
TEST(GitSigned, AFolderOnTheWayThatIsGoneFromTheMirror) {
  World w;
  w.rules = {{{}, {w.ops_file}, ""}};
  auto source = w.open();
  ASSERT_TRUE(source->poll(World::deadline()));
  source->in_force(PolicyRevision(w.base));
  auto middle = w.put("ana", w.with("more/a.yaml", "1"), {w.base});
  w.point(w.put("ana", w.files, {middle}));
  auto revision = source->poll(World::deadline());
  ASSERT_TRUE(revision) << revision.error().text();
  auto id = w.repository.git({"rev-parse", middle + ":more"});
  test::GitRepository mirror(w.folder.path() + "/state/mirror.git");
  mirror.make_loose();
  ASSERT_TRUE(fs::remove(mirror.object_file(id)));
  EXPECT_EQ(id_in(source->read(*revision)), "tree.unreadable");
}

struct PgpRow {
  const char* name;
  const char* commit;  // a file of tests/unit/store/openpgp
  const char* keys;
  const char* id;
  const char* part;
};

const PgpRow kPgpRows[] = {
    {"armoured keys", "good.commit", "keys.asc", "", ""},
    {"binary keys", "good.commit", "ana.gpg", "", ""},
    {"OpenPGP: a stranger", "stranger.commit", "keys.asc", "commit.not-allowed", "No public key"},
    {"OpenPGP: an expired key", "expired.commit", "keys.asc", "commit.not-allowed", "keys.asc"},
    {"OpenPGP: a revoked key", "revoked.commit", "keys.asc", "commit.not-allowed", "keys.asc"},
    {"OpenPGP: a weak digest", "sha1.commit", "keys.asc", "commit.not-allowed", "digest"},
    {"OpenPGP: another commit's", "changed.commit", "keys.asc", "commit.not-allowed",
     "BAD signature"},
};

TEST(GitSigned, OpenPgp) {
  for (const auto& row : kPgpRows) {
    SCOPED_TRACE(row.name);
    test::TemporaryFolder folder;
    test::GitRepository repository{folder.path() + "/policy.git"};
    auto fixtures = test::source_dir() + "/tests/unit/store/openpgp/";
    test::tree_of(repository, {{"a.yaml", "knock: 1\n"}});
    repository.point("refs/heads/main",
                     repository.git({"hash-object", "-t", "commit", "-w", "--stdin"},
                                    test::read_file(fixtures + row.commit)));
    auto keys = folder.path() + "/" + row.keys;
    test::write_file(keys, test::read_file(fixtures + row.keys));
    fs::permissions(keys, fs::perms(0644));
    auto source = open_git_source(
        {repository.path(), "main", folder.path() + "/state", "", {{{}, {keys}, ""}}});
    ASSERT_TRUE(source);
    auto got = World::read_newest(**source);
    EXPECT_EQ(id_in(got), row.id) << (got ? "it is read" : got.error().text());
    if (!got) EXPECT_NE(got.error().text().find(row.part), std::string::npos) << got.error().text();
  }
}

}  // namespace
}  // namespace knock
