// SPDX-License-Identifier: Apache-2.0
// The scripts for a small tree, and bash itself asked with the one for bash.
#include <gtest/gtest.h>

#include <cstdio>
#include <memory>

#include "base/text.h"
#include "cli/completion_script.h"
#include "tests/support/requirement.h"

namespace knock::cli {
namespace {

struct Tree {
  Tree() {
    app.fallthrough();
    app.add_option("--config", text, "A file");
    app.add_option("--color", text, "auto, always or never")
        ->check(CLI::IsMember({"auto", "always", "never"}));
    auto* plan = app.add_subcommand("plan", "What would change: it's safe")->fallthrough();
    plan->add_option("--format", text, "How")->check(CLI::IsMember({"text", "json"}));
    plan->add_option("--out,-o", text, "Where");
    plan->add_option("--secret", text)->group("");
    auto* session = app.add_subcommand("session", "Live sessions")->fallthrough();
    session->add_subcommand("list", "Who")->fallthrough()->add_flag("--all", flag, "Ended too");
    session->add_subcommand("revoke", "End one")->fallthrough();
    app.add_subcommand("shell", "Which")
        ->fallthrough()
        ->add_option("name", text)
        ->check(CLI::IsMember({"bash", "zsh"}));
    app.add_subcommand("role", "Hidden")->group("");
  }
  CLI::App app{"a tree"};
  std::string text;
  bool flag = false;
};

std::string output_of(const std::string& command) {
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string out;
  for (int c = 0; (c = fgetc(pipe.get())) != EOF;) out += char(c);
  return out;
}

/// What bash offers for the last of the words, separated by blanks.
std::string offered(const std::string& words, std::size_t count) {
  test::TemporaryFolder folder;
  test::write_file(folder.path() + "/script", bash_completion(Tree().app));
  test::write_file(folder.path() + "/ask",
                   "source " + folder.path() + "/script\nCOMP_WORDS=(" + words + ")\nCOMP_CWORD=" +
                       std::to_string(count - 1) + "\n_knock\necho \"${COMPREPLY[*]}\"\n");
  auto out = output_of("bash --norc --noprofile " + folder.path() + "/ask 2>&1");
  return std::string(trim(out));
}

struct Row {
  std::string words;
  std::size_t count;
  std::string want;
};

TEST(Completion, Bash) {
  const Row rows[] = {
      {"knock pl", 2, "plan"},
      {"knock ''", 2, "plan session shell"},
      {"knock plan --fo", 3, "--format"},
      {"knock plan --format ''", 4, "text json"},
      {"knock plan --format = j", 5, "json"},
      {"knock plan --format =", 4, "text json"},
      {"knock --color ''", 3, "auto always never"},
      {"knock plan --color n", 4, "never"},
      {"knock plan --se", 3, ""},
      {"knock session ''", 3, "list revoke"},
      {"knock session list --", 4, "--help --all --config --color"},
      {"knock --config plan ''", 4, "plan session shell"},
      {"knock --config x session r", 5, "revoke"},
      {"knock plan session --fo", 4, "--format"},
      {"knock plan --out ''", 4, ""},
      {"knock shell ''", 3, "bash zsh"},
      {"knock ro", 2, ""},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.words);
    EXPECT_EQ(offered(row.words, row.count), row.want);
  }
}

TEST(Completion, OtherShellsKnowTheSameWords) {
  Tree tree;
  auto zsh = zsh_completion(tree.app), fish = fish_completion(tree.app);
  for (const auto* word :
       {"plan", "session list", "--format", "text", "it'\\''s safe", "Ended too"}) {
    EXPECT_NE(zsh.find(word), std::string::npos) << word;
  }
  EXPECT_NE(
      fish.find("complete -c knock -n '__knock_at plan' -l format -x -a 'text json' -d 'How'"),
      std::string::npos)
      << fish;
  EXPECT_NE(fish.find("-n '__knock_at session' -f -a 'list'"), std::string::npos) << fish;
  for (const auto& script : {zsh, fish, bash_completion(tree.app)}) {
    EXPECT_EQ(script.find("secret"), std::string::npos);
    EXPECT_EQ(script.find("role"), std::string::npos);
  }
}

}  // namespace
}  // namespace knock::cli
