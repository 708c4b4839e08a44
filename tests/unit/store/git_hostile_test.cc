// SPDX-License-Identifier: Apache-2.0
// Every check of what a Git repository brings has a repository here that only this check refuses,
// with its id. After each, what was in force is still there to be read.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "base/sha256.h"
#include "schemas/policy/load.h"
#include "store/git/git_source.h"
#include "store/policy_refusal.h"
#include "tests/unit/store/git_repository.h"

namespace knock {
namespace {

namespace fs = std::filesystem;
using test::GitRepository;

struct Row {
  const char* name;
  const char* id;  // "" = it is policy
  /// Makes the branch what it should not be.
  void (*make)(GitRepository&);
};

void tree(GitRepository& r, const std::string& id) { r.commit_at(id, "hostile"); }
void lines(GitRepository& r, const std::vector<std::string>& entries) { tree(r, r.tree(entries)); }
std::string good(GitRepository& r) { return r.blob("knock: 1\n"); }
void named(GitRepository& r, const std::string& name) {
  tree(r, r.raw_tree({{"100644", name, good(r)}}));
}
void moded(GitRepository& r, const std::string& mode) {
  tree(r, r.raw_tree({{mode, "a.yaml", good(r)}}));
}
void containing(GitRepository& r, const std::string& text) { r.commit({{"a.yaml", text}}); }
/// Writes a ref without asking git whether it may be.
void ref(GitRepository& r, const std::string& id) {
  test::write_file(r.path() + "/refs/heads/main", id + "\n");
}
std::string raw_commit(GitRepository& r, const std::string& text) {
  return r.git({"hash-object", "-t", "commit", "-w", "--stdin", "--literally"}, text);
}
void many(GitRepository& r, int files, const char* ending) {
  std::vector<std::string> entries;
  auto one = good(r);
  for (int i = 0; i < files; ++i)
    entries.push_back(GitRepository::file(fmt::format("{}{}", i, ending), one));
  lines(r, entries);
}

const Row kTreeRows[] = {
    {"a link", "tree.link",
     [](auto& r) { lines(r, {"120000 blob " + r.blob("/etc/passwd") + "\ta.yaml"}); }},
    {"a link to a folder", "tree.link",
     [](auto& r) {
       lines(r, {r.file("a.yaml", good(r)), "120000 blob " + r.blob("..") + "\tmore"});
     }},
    {"a submodule", "tree.submodule",
     [](auto& r) {
       lines(r, {r.file("a.yaml", good(r)),
                 "160000 commit 1111111111111111111111111111111111111111\tsub"});
     }},
    {"a device", "tree.odd-entry", [](auto& r) { moded(r, "60644"); }},
    {"a pipe", "tree.odd-entry", [](auto& r) { moded(r, "10644"); }},
    {"setuid", "tree.odd-entry", [](auto& r) { moded(r, "104755"); }},
    {"case", "tree.case-clash",
     [](auto& r) { lines(r, {r.file("A.yaml", good(r)), r.file("a.yaml", good(r))}); }},
    {"case of folders", "tree.case-clash",
     [](auto& r) {
       // No two files of them clash, so that only the walk over folders can tell.
       lines(r, {r.folder("A", r.tree({r.file("x.yaml", good(r))})),
                 r.folder("a", r.tree({r.file("y.yaml", good(r))}))});
     }},
    {"twice", "tree.twice",
     [](auto& r) {
       tree(r, r.raw_tree({{"100644", "a.yaml", good(r)}, {"100644", "a.yaml", r.blob("2")}}));
     }},
    {"dot dot", "tree.name-dots",
     [](auto& r) { tree(r, r.raw_tree({{"40000", "..", r.tree({r.file("a.yaml", good(r))})}})); }},
    {"dot", "tree.name-dots",
     [](auto& r) { tree(r, r.raw_tree({{"40000", ".", r.tree({r.file("a.yaml", good(r))})}})); }},
    {".git", "tree.name-of-git",
     [](auto& r) {
       tree(r, r.raw_tree({{"40000", ".git", r.tree({r.file("config", r.blob("1"))})}}));
     }},
    {".GIT", "tree.name-of-git", [](auto& r) { named(r, ".GIT"); }},
    {"git~1", "tree.name-of-git", [](auto& r) { named(r, "GIT~1"); }},
    {".git and a dot", "tree.name-of-git", [](auto& r) { named(r, ".git. ."); }},
    {".git as a stream", "tree.name-of-git", [](auto& r) { named(r, ".git::$INDEX_ALLOCATION"); }},
    {"absolute", "tree.name-slash", [](auto& r) { named(r, "/etc/cron.d/a.yaml"); }},
    {"climbing", "tree.name-slash", [](auto& r) { named(r, "a/../../b.yaml"); }},
    {"backslash", "tree.name-backslash", [](auto& r) { named(r, "..\\a.yaml"); }},
    {"newline", "tree.name-hidden-character", [](auto& r) { named(r, "a\nb.yaml"); }},
    {"escape", "tree.name-hidden-character", [](auto& r) { named(r, "a\x1b[2J.yaml"); }},
    {"bidi", "tree.name-hidden-character", [](auto& r) { named(r, "a\xe2\x80\xae.yaml"); }},
    {"no width", "tree.name-hidden-character", [](auto& r) { named(r, "a\xe2\x80\x8d.yaml"); }},
    {".git with nothing in it", "tree.name-hidden-character",
     [](auto& r) { named(r, ".g\xe2\x80\x8cit"); }},
    {"not UTF-8", "tree.name-encoding", [](auto& r) { named(r, "a\xff.yaml"); }},
    {"a Cyrillic letter", "tree.name-two-scripts",
     [](auto& r) { named(r, "p\xd0\xb0yroll.yaml"); }},
    {"wide letters", "tree.name-two-scripts", [](auto& r) { named(r, "payrol\xef\xbd\x8c.yaml"); }},
    {"long", "tree.name-long", [](auto& r) { named(r, std::string(300, 'a') + ".yaml"); }},
    {"a folder called a file", "tree.not-a-file",
     [](auto& r) {
       tree(r, r.raw_tree({{"100644", "a.yaml", r.tree({r.file("b.yaml", good(r))})}}));
     }},
    {"1 MiB and a byte", "tree.file-too-large",
     [](auto& r) { containing(r, std::string((1 << 20) + 1, 'x')); }},
    {"a scalar of 20 MB", "tree.file-too-large",
     [](auto& r) { containing(r, "owner: \"" + std::string(20'000'000, 'x') + "\"\n"); }},
    {"deep", "tree.too-deep",
     [](auto& r) {
       auto inner = r.tree({r.file("a.yaml", good(r))});
       for (int i = 0; i < 66; ++i) inner = r.tree({r.folder("d", inner)});
       tree(r, inner);
     }},
    {"20,001 files", "tree.too-many-files", [](auto& r) { many(r, 20'001, ".yaml"); }},
    {"100,000 files", "tree.too-many-files", [](auto& r) { many(r, 100'000, ".yaml"); }},
    {"200,001 other files", "tree.too-many-entries", [](auto& r) { many(r, 200'001, ".txt"); }},
    {"a million files in seven trees", "tree.too-many-entries",
     [](auto& r) {
       // Twelve more levels would be a trillion; this many a reader without the limit gets to the end of.
       auto inner = r.tree({r.file("README", r.blob("1"))});
       for (int level = 0; level < 6; ++level) {
         std::vector<std::string> entries;
         for (char c = 'a'; c <= 'j'; ++c) entries.push_back(r.folder(std::string(1, c), inner));
         inner = r.tree(entries);
       }
       tree(r, inner);
     }},
    {"65 MiB", "tree.too-large",
     [](auto& r) {
       std::vector<std::string> entries;
       auto one = r.blob(std::string(1 << 20, 'x'));
       for (int i = 0; i < 65; ++i) entries.push_back(r.file(fmt::format("{}.yaml", i), one));
       lines(r, entries);
     }},
    {"no policy", "tree.no-policy", [](auto& r) { lines(r, {r.file("README", r.blob("1"))}); }},
    {"empty", "tree.no-policy", [](auto& r) { lines(r, {}); }},
};

const Row kRepositoryRows[] = {
    {"the branch is gone", "git.no-ref",
     [](auto& r) { r.git({"update-ref", "-d", "refs/heads/main"}); }},
    {"everything is gone", "git.no-ref",
     [](auto& r) {
       fs::remove_all(r.path());
       GitRepository anew(r.path());
     }},
    {"a tag of that name", "git.no-ref",
     [](auto& r) {
       r.git({"update-ref", "refs/tags/main", "refs/heads/main"});
       r.git({"update-ref", "-d", "refs/heads/main"});
     }},
    {"went back", "git.went-back",
     [](auto& r) { r.point("refs/heads/main", r.git({"rev-parse", "main~1"})); }},
    {"amended", "git.rewritten",
     [](auto& r) {
       auto parent = r.git({"rev-parse", "main~1"});
       r.point("refs/heads/main",
               r.commit_tree(r.tree({r.file("a.yaml", r.blob("knock: 1 # evil"))}), "x", parent));
     }},
    {"another history", "git.rewritten",
     [](auto& r) {
       r.point("refs/heads/main", r.commit_tree(r.tree({r.file("a.yaml", good(r))}), "orphan"));
     }},
    {"the branch is a file", "git.not-a-commit", [](auto& r) { ref(r, good(r)); }},
    {"the branch is a folder", "git.not-a-commit",
     [](auto& r) { ref(r, r.tree({r.file("a.yaml", good(r))})); }},
    {"the branch is a tag of a folder", "git.not-a-commit",
     [](auto& r) {
       auto folder = r.tree({r.file("a.yaml", good(r))});
       ref(r, r.git({"mktag"}, "object " + folder +
                                   "\ntype tree\ntag x\ntagger A <a@b> 1700000000 +0000\n\nx\n"));
     }},
    {"a missing file", "git.transfer",
     [](auto& r) { lines(r, {r.file("a.yaml", std::string(40, '2'))}); }},
    {"a missing folder", "git.transfer",
     [](auto& r) { lines(r, {r.folder("a", std::string(40, '2'))}); }},
    {"a missing parent", "git.transfer",
     [](auto& r) {
       auto content = r.tree({r.file("a.yaml", good(r))});
       ref(r, raw_commit(r, "tree " + content + "\nparent " + std::string(40, '3') +
                                "\nauthor A <a@b> 1700000000 +0000\ncommitter A <a@b> 1700000000 "
                                "+0000\n\nx\n"));
     }},
    {"UTF-16", "git.transfer", [](auto& r) { named(r, std::string("a\0.\0y\0a\0m\0l\0", 12)); }},
    {"no name", "git.transfer", [](auto& r) { named(r, ""); }},
    {"a file called a folder", "git.transfer",
     [](auto& r) { tree(r, r.raw_tree({{"40000", "a", good(r)}})); }},
    {"a commit of nothing", "git.transfer", [](auto& r) { ref(r, raw_commit(r, "\n")); }},
    {"a damaged object", "git.transfer",
     [](auto& r) {
       auto blob = r.blob("knock: 1 # soon damaged\n");
       lines(r, {r.file("a.yaml", blob)});
       auto path = r.path() + "/objects/" + blob.substr(0, 2) + "/" + blob.substr(2);
       fs::permissions(path, fs::perms(0644));
       test::write_file(path, "x");
     }},
    {"a damaged pack", "git.transfer",
     [](auto& r) {
       containing(r, "knock: 1 # packed\n");
       r.git({"repack", "-adq"});
       for (const auto& item : fs::directory_iterator(r.path() + "/objects/pack"))
         if (item.path().extension() == ".pack") {
           fs::permissions(item.path(), fs::perms(0644));
           auto bytes = test::read_file(item.path().string());
           for (std::size_t i = 12; i < bytes.size(); i += 7) bytes[i] = char(bytes[i] ^ 0x55);
           test::write_file(item.path().string(), bytes);
         }
     }},
    {"more than may be sent", "git.transfer-too-large",
     [](auto& r) {
       std::string noise;
       std::uint32_t state = 1;
       for (int i = 0; i < 3 << 20; ++i)
         noise += char((state = state * 1664525 + 1013904223) >> 24);
       lines(r, {r.file("a.yaml", good(r)), r.file("noise.bin", r.blob(noise))});
     }},
};

/// What the loader says about the files: the same chain, one step on.
const Row kContentRows[] = {
    {"an alias bomb", "yaml.anchor",
     [](auto& r) { containing(r, "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n"); }},
    {"a depth bomb", "yaml.depth",
     [](auto& r) { containing(r, std::string(100'000, '[') + std::string(100'000, ']')); }},
    {"NUL", "yaml.hidden-character",
     [](auto& r) { containing(r, std::string("knock: 1\n# \0\n", 13)); }},
    {"UTF-16 content", "yaml.encoding",
     [](auto& r) { containing(r, std::string("\xff\xfek\0n\0o\0c\0k\0", 12)); }},
    {"bidi content", "yaml.hidden-character",
     [](auto& r) { containing(r, "knock: 1 # \xe2\x80\xae\n"); }},
    {"a homoglyph name", "policy.bad-name",
     [](auto& r) {
       containing(r,
                  "knock: 1\ngroups: {\"\xd0\xb0"
                  "dmin\": {local: [a]}}\n");
     }},
};

/// What is around the policy and is nobody's business.
const Row kHarmlessRows[] = {
    {"odd refs beside it", "",
     [](auto& r) {
       for (auto name : {"--upload-pack=touch", "a b", "$(touch x)", "\xd0\xb0"})
         test::write_file(r.path() + "/refs/heads/" + name, r.git({"rev-parse", "main"}) + "\n");
       containing(r, "knock: 1 # odd\n");
     }},
    {"attributes, modules and hooks in the tree", "",
     [](auto& r) {
       auto hooks =
           r.tree({"100755 blob " + r.blob("#!/bin/sh\ntouch /tmp/x\n") + "\tpost-checkout"});
       lines(r, {r.file(".gitattributes", r.blob("* filter=evil\n")),
                 r.file(".gitmodules", r.blob("[submodule \"x\"]\n\turl = --upload-pack=touch\n")),
                 r.folder("hooks", hooks), r.file("a.yaml", good(r))});
     }},
    {"a name in another alphabet", "",
     [](auto& r) {
       named(r, "\xd0\xbf\xd0\xbe\xd0\xbb\xd0\xb8\xd1\x82\xd0\xb8\xd0\xba\xd0\xb0.yaml");
     }},
    {"umlauts", "", [](auto& r) { named(r, "b\xc3\xbcro.yaml"); }},
};

/// A source that has one commit in force; each row gets its own, so that rows do not meet.
class GitHostile : public testing::Test {
 protected:
  template <std::size_t N>
  void every(const Row (&rows)[N]) {
    for (const auto& row : rows) {
      SCOPED_TRACE(row.name);
      judge(row);
    }
  }

  void judge(const Row& row) {
    test::TemporaryFolder folder;
    GitRepository repository(folder.path() + "/policy.git");
    repository.commit({{"a.yaml", "knock: 1 # first\n"}});
    auto in_force = repository.commit({{"a.yaml", "knock: 1 # in force\n"}});
    auto source =
        open_git_source({repository.path(), "main", folder.path() + "/state", "", {}, 1u << 20});
    ASSERT_TRUE(source);
    ASSERT_TRUE((*source)->poll(deadline()));
    (*source)->in_force(PolicyRevision(in_force));
    row.make(repository);
    auto before = names_in(folder.path());
    EXPECT_EQ(answer(**source), row.id);
    EXPECT_EQ(names_in(folder.path()), before) << "something was written beside the state folder";
    auto kept = (*source)->read(PolicyRevision(in_force));
    ASSERT_TRUE(kept) << kept.error().text();
    EXPECT_EQ(kept->files.at(0).content, "knock: 1 # in force\n");
  }

  static Deadline deadline() { return Deadline::in(Duration::seconds(60)); }

  /// "" or the id of what speaks against it.
  static std::string answer(PolicySource& source) {
    auto revision = source.poll(deadline());
    if (!revision) return id_in(revision.error());
    auto snapshot = source.read(*revision);
    if (!snapshot) return id_in(snapshot.error());
    auto load = load_policy(snapshot->files, *revision, {});
    return load.policy ? "" : load.diagnostics.at(0).id;
  }
  static std::string id_in(const Error& error) {
    for (char c : error.text()) EXPECT_GE(static_cast<unsigned char>(c), 0x20) << error.text();
    auto id = error.message.substr(0, error.message.find(':'));
    return id.find(' ') == std::string::npos ? id : error.text();
  }
  static std::set<std::string> names_in(const std::string& folder) {
    std::set<std::string> out;
    for (const auto& item : fs::directory_iterator(folder)) out.insert(item.path().filename());
    return out;
  }
};

TEST_F(GitHostile, Trees) { every(kTreeRows); }
TEST_F(GitHostile, Repositories) { every(kRepositoryRows); }
TEST_F(GitHostile, Contents) { every(kContentRows); }
TEST_F(GitHostile, WhatIsNobodysBusiness) { every(kHarmlessRows); }

TEST_F(GitHostile, FoldersThatAreNotThere) {
  test::TemporaryFolder folder;
  GitRepository repository(folder.path() + "/policy.git");
  repository.commit({{"a.yaml", "knock: 1\n"}});
  const std::pair<const char*, const char*> rows[] = {{"a folder that is not there", "prod"},
                                                      {"a folder that is a file", "a.yaml"}};
  for (const auto& [name, path] : rows) {
    SCOPED_TRACE(name);
    auto source = open_git_source({repository.path(), "main", folder.path() + "/state", path});
    ASSERT_TRUE(source);
    EXPECT_EQ(answer(**source), "tree.no-folder");
  }
}

TEST_F(GitHostile, AddressesAndRefsThatAreNone) {
  auto id = [](std::string repository, std::string name) {
    auto source = open_git_source({std::move(repository), std::move(name), "/tmp/x", ""});
    return source ? std::string() : id_in(source.error());
  };
  const std::pair<const char*, const char*> addresses[] = {
      {"no address", ""},
      {"an address that is an option", "--upload-pack=touch x"},
      {"an address that is a program", "ext::sh -c touch"},
      {"an address without a proof of who answers", "git://h/x"},
      {"an address in plain text", "http://h/x"},
      {"an address with a password", "https://u:p@h/x"},
      {"an address with a line break", "a\nb"},
  };
  for (const auto& [name, repository] : addresses) {
    SCOPED_TRACE(name);
    EXPECT_EQ(id(repository, "main"), "git.bad-repository");
  }
  for (auto name : {"", "a..b", "a b", "a~1", "x.lock", "refs/heads/a:b", "@{-1}", "a\\b"}) {
    SCOPED_TRACE(std::string("the ref '") + name + "'");
    EXPECT_EQ(id("/srv/p.git", name), "git.bad-ref");
  }
}

/// A disk loses things too.
enum class Loss : std::uint8_t { gone, emptied, changed };

struct VanishedRow {
  const char* name;
  const char* path;    // of the policy in the repository
  const char* object;  // as `git rev-parse` finds it
  Loss loss = Loss::gone;
};

const VanishedRow kVanishedRows[] = {
    {"a file that is gone", "", "main:a.yaml"},
    {"a file that is empty on the disk", "", "main:a.yaml", Loss::emptied},
    {"a file whose end is another on the disk", "", "main:a.yaml", Loss::changed},
    {"a folder that is gone", "", "main:more"},
    {"a commit's root that is gone", "", "main^{tree}"},
    {"a commit's root that is gone, above the policy's folder", "more", "main^{tree}"},
    {"the policy's folder that is gone", "more", "main:more"},
};

TEST_F(GitHostile, WhatVanishesFromTheMirror) {
  for (const auto& row : kVanishedRows) {
    SCOPED_TRACE(row.name);
    test::TemporaryFolder folder;
    GitRepository repository(folder.path() + "/policy.git");
    auto inner = repository.tree({repository.file("b.yaml", good(repository))});
    auto noise = repository.blob("knock: 1 # " + to_hex(sha256("a")) + to_hex(sha256("b")) + "\n");
    repository.commit_at(
        repository.tree({repository.file("a.yaml", noise), repository.folder("more", inner)}));
    auto source = open_git_source({repository.path(), "main", folder.path() + "/state", row.path});
    ASSERT_TRUE(source);
    auto revision = (*source)->poll(deadline());
    ASSERT_TRUE(revision);
    auto id = repository.git({"rev-parse", row.object});
    GitRepository mirror(folder.path() + "/state/mirror.git");
    mirror.make_loose();
    auto file = mirror.object_file(id);
    auto bytes = test::read_file(file);
    if (row.loss == Loss::gone) {
      ASSERT_TRUE(fs::remove(file));
    } else if (row.loss == Loss::emptied) {
      fs::resize_file(file, 0);
    } else {
      for (auto i = bytes.size() - 4; i < bytes.size(); ++i) bytes[i] = char(bytes[i] ^ 0x55);
      test::write_file(file, bytes);
    }
    auto got = (*source)->read(*revision);
    EXPECT_EQ(got ? "it is read" : id_in(got.error()), "tree.unreadable");
  }
}

/// Each check of trees and repositories has its row; commits have theirs in git_signed_test, and
/// what is proposed in git_candidate_test.
TEST_F(GitHostile, EveryCheckHasARow) {
  std::set<std::string> ids{"tree.no-folder", "tree.unreadable",   "git.bad-repository",
                            "git.bad-ref",    "git.not-descended", "git.head-moved"};
  for (const auto& row : kTreeRows) ids.insert(row.id);
  for (const auto& row : kRepositoryRows) ids.insert(row.id);
  for (unsigned i = 0; i <= unsigned(kLastRefusal); ++i) {
    auto id = std::string(id_of(Refusal(i)));
    if (!id.starts_with("commit.")) EXPECT_TRUE(ids.contains(id)) << id << " has no row";
  }
}

}  // namespace
}  // namespace knock
