// SPDX-License-Identifier: Apache-2.0
#include "cli/suggest.h"

#include <gtest/gtest.h>

namespace knock::cli {
namespace {

/// A small tree with every kind of word.
struct Tree {
  Tree() {
    app.fallthrough();
    app.require_subcommand(0, 1);
    app.add_option("--config", text);
    app.add_flag("-q,--quiet", flag);
    auto* plan = app.add_subcommand("plan")->fallthrough();
    plan->add_flag("--detailed-exitcode", flag);
    plan->add_option("--out,-o", text);
    plan->add_option("--format", text)->check(CLI::IsMember({"text", "json"}));
    auto* session = app.add_subcommand("session")->fallthrough();
    session->require_subcommand(1);
    session->add_subcommand("list")->fallthrough();
    auto* revoke = session->add_subcommand("revoke")->fallthrough();
    revoke->add_option("id", text)->required();
    app.add_subcommand("role")->group("");
  }
  /// "" when it is understood.
  std::string says(std::vector<std::string> words) {
    auto reversed = words;
    std::reverse(reversed.begin(), reversed.end());
    try {
      app.parse(reversed);
    } catch (const CLI::ParseError& error) {
      return usage_problem(app, error, words);
    }
    return "";
  }
  CLI::App app{"a tree"};
  std::string text;
  bool flag = false;
};

struct Row {
  std::vector<std::string> words;
  std::string want;
};

TEST(Suggest, NamesWhatWasMeant) {
  const Row rows[] = {
      {{"plan", "--detaild-exitcode"},
       "there is no flag `--detaild-exitcode`; did you mean `--detailed-exitcode`? `knock plan "
       "--help` lists them"},
      {{"plan", "--fromat=json"},
       "there is no flag `--fromat`; did you mean `--format`? `knock plan --help` lists them"},
      {{"plan", "--confg", "x"},
       "there is no flag `--confg`; did you mean `--config`? `knock plan --help` lists them"},
      {{"--quite"},
       "there is no flag `--quite`; did you mean `--quiet`? `knock --help` lists them"},
      {{"plan", "--zzzzzz"}, "there is no flag `--zzzzzz`; `knock plan --help` lists them"},
      {{"plan", "-x"}, "there is no flag `-x`; `knock plan --help` lists them"},
      {{"plam"}, "there is no command `plam`; did you mean `plan`? `knock --help` lists them"},
      {{"--config", "x", "-q", "sesion"},
       "there is no command `sesion`; did you mean `session`? `knock --help` lists them"},
      {{"session", "lst"},
       "there is no command `lst`; did you mean `list`? `knock session --help` lists them"},
      {{"rolf"}, "there is no command `rolf`; `knock --help` lists them"},
      {{"\x1b[2J"}, "there is no command `\\u{1b}[2J`; `knock --help` lists them"},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.words.back());
    EXPECT_EQ(Tree().says(row.words), row.want);
  }
}

TEST(Suggest, AValueIsNoWord) {
  EXPECT_EQ(Tree().says({"plan", "--out", "plam", "--config", "sesion", "-q"}), "");
  // What is wrong here is neither the value nor the flag.
  auto missing = Tree().says({"session", "revoke", "--config", "--quite"});
  EXPECT_EQ(missing, "id is required; --help shows what is possible");
  EXPECT_EQ(Tree().says({"plan", "--format", "yaml"}).find("there is no"), std::string::npos);
}

}  // namespace
}  // namespace knock::cli
