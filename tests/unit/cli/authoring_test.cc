// SPDX-License-Identifier: Apache-2.0
// init, fmt, schema, migrate and completion as a person types them.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <boost/json.hpp>
#include <cstdio>
#include <filesystem>

#include "base/text.h"
#include "schemas/config/config.h"
#include "schemas/policy/format.h"
#include "tests/support/requirement.h"

namespace knock {
namespace {

namespace fs = std::filesystem;

struct Ran {
  int code = -1;
  std::string out;  // standard output
  std::string err;
};

class Authoring : public testing::Test {
 protected:
  std::string at(const std::string& name) const { return folder_.path() + "/" + name; }
  void write(const std::string& name, const std::string& content) const {
    fs::create_directories(fs::path(at(name)).parent_path());
    test::write_file(at(name), content);
  }
  /// In the folder, as a shell runs it.
  Ran knock(const std::string& arguments) const {
    auto command = "cd " + folder_.path() + " && " + fs::absolute(test::binary_dir()).string() +
                   "/cli/knock " + arguments + " 2>" + errors_.path() + "/err";
    FILE* pipe = popen(command.c_str(), "r");
    Ran run;
    for (int c = 0; (c = fgetc(pipe)) != EOF;) run.out += char(c);
    int status = pclose(pipe);
    run.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    run.err = test::read_file(errors_.path() + "/err");
    return run;
  }
  test::TemporaryFolder folder_, errors_;
};

const std::string kUntidy = "knock:   1\n# note\ngroups: { a: {idp: 'x'} }\n";
const std::string kTidy = "knock: 1\n# note\ngroups: {a: {idp: x}}\n";

TEST_F(Authoring, FmtRewritesAndNamesWhatItRewrote) {
  write("p/a.yaml", kUntidy), write("p/b.yaml", kTidy), write("p/c.json", kUntidy);
  auto run = knock("fmt p");
  EXPECT_EQ(run.code, 0);
  EXPECT_EQ(run.out, "p/a.yaml\n");
  EXPECT_EQ(run.err, "2 files, 1 formatted\n");
  EXPECT_EQ(test::read_file(at("p/a.yaml")), kTidy);
  EXPECT_EQ(test::read_file(at("p/c.json")), kUntidy);
  run = knock("fmt");
  EXPECT_EQ(run.code, 0);
  EXPECT_EQ(run.out, "");
  EXPECT_EQ(run.err, "2 files, nothing to format\n");
}

/// The folder that `knock init` made, and not the one of its policy: one mistake, one sentence.
TEST_F(Authoring, AFolderWithAConfigurationIsNoPolicy) {
  ASSERT_EQ(knock("init . --ci none").code, 0);
  for (const char* words : {"validate", "validate .", "validate --policy .", "test --policy .",
                            "plan --policy .", "apply --policy .", "migrate ."}) {
    auto run = knock(words);
    EXPECT_EQ(run.code, 3) << words << run.err;
    EXPECT_EQ(run.err,
              "knock: . holds knock.yaml, which is the controller's configuration and no policy; "
              "name the folder of policy files beside it: policies/\n")
        << words;
    EXPECT_EQ(run.out, "") << words;
  }
  EXPECT_EQ(knock("validate policies").code, 0);
  EXPECT_EQ(knock("fmt --check policies").code, 0);
  // What the file says counts, and not its name.
  write("mine/knock.yaml", kTidy);
  EXPECT_EQ(knock("validate mine").err.find("configuration"), std::string::npos);
  EXPECT_EQ(knock("fmt --check .").code, 0) << "a configuration has a layout too";
  fs::remove_all(at("policies")), fs::remove_all(at("mine"));
  EXPECT_NE(knock("validate").err.find("into a folder of their own"), std::string::npos);
}

TEST_F(Authoring, FmtCheckWritesNothing) {
  write("a.yaml", kUntidy), write("b.yaml", kTidy);
  auto run = knock("fmt --check a.yaml b.yaml");
  EXPECT_EQ(run.code, 1);
  EXPECT_EQ(run.out, "a.yaml\n");
  EXPECT_EQ(test::read_file(at("a.yaml")), kUntidy);
  EXPECT_EQ(knock("fmt --check b.yaml").code, 0);
  run = knock("fmt --check --json");
  EXPECT_EQ(run.code, 1);
  EXPECT_EQ(run.out, "{\"files\":2,\"changed\":[{\"file\":\"a.yaml\"}],\"refused\":[]}\n");
}

TEST_F(Authoring, FmtDiffShowsAndWritesNothing) {
  write("a.yaml", kUntidy);
  auto run = knock("fmt --diff");
  EXPECT_EQ(run.code, 0);
  EXPECT_EQ(run.out,
            "--- a.yaml\n+++ a.yaml (formatted)\n@@ -1,3 +1,3 @@\n-knock:   1\n+knock: 1\n # note\n"
            "-groups: { a: {idp: 'x'} }\n+groups: {a: {idp: x}}\n");
  EXPECT_EQ(test::read_file(at("a.yaml")), kUntidy);
  EXPECT_EQ(knock("fmt --diff --check").code, 1);
}

TEST_F(Authoring, FmtLeavesWhatDoesNotParse) {
  const std::string broken = "knock: 1\nknock: 1\na:   b\n";
  write("broken.yaml", broken), write("other.yaml", kUntidy);
  auto run = knock("fmt");
  EXPECT_EQ(run.code, 3);
  EXPECT_EQ(run.out, "other.yaml\n");
  EXPECT_NE(run.err.find("broken.yaml:2:1: error:"), std::string::npos) << run.err;
  EXPECT_NE(run.err.find("1 left as written"), std::string::npos) << run.err;
  EXPECT_EQ(test::read_file(at("broken.yaml")), broken);
  EXPECT_EQ(test::read_file(at("other.yaml")), kTidy);
}

TEST_F(Authoring, FmtOfStandardInput) {
  write("a.yaml", kUntidy), write("broken.yaml", "a: [\n");
  auto run = knock("fmt --stdin <a.yaml");
  EXPECT_EQ(run.code, 0);
  EXPECT_EQ(run.out, kTidy);
  EXPECT_EQ(knock("fmt --stdin --check <a.yaml").code, 1);
  run = knock("fmt --stdin <broken.yaml");
  EXPECT_EQ(run.code, 3);
  EXPECT_EQ(run.out, "");
  EXPECT_NE(run.err.find("<stdin>"), std::string::npos) << run.err;
  EXPECT_EQ(knock("fmt --stdin a.yaml").code, 64);
}

TEST_F(Authoring, FmtDoesNotFollowLinks) {
  write("outside/a.yaml", kUntidy), write("p/b.yaml", kTidy);
  fs::create_symlink(at("outside/a.yaml"), at("p/a.yaml"));
  fs::create_directory_symlink(at("outside"), at("p/folder"));
  auto run = knock("fmt p");
  EXPECT_EQ(run.code, 0);
  EXPECT_EQ(test::read_file(at("outside/a.yaml")), kUntidy);
  EXPECT_EQ(knock("fmt p/a.yaml").code, 1);
  EXPECT_EQ(test::read_file(at("outside/a.yaml")), kUntidy);
}

TEST_F(Authoring, SchemaIsTheOneOfTheTree) {
  EXPECT_EQ(knock("schema").out,
            test::read_file(test::source_dir() + "/schemas/policy/policy.v1.schema.json"));
  auto of_config = test::read_file(test::source_dir() + "/schemas/config/config.v1.schema.json");
  EXPECT_EQ(knock("schema config").out, of_config);
  EXPECT_EQ(knock("schema policy").out, knock("schema").out);
  EXPECT_EQ(knock("schema --config").out, of_config) << "as it was before";
  // Everywhere else it names a file.
  EXPECT_EQ(knock("--config other.yaml schema").out, knock("schema").out);
  EXPECT_EQ(knock("schema --config other.yaml").out, knock("schema").out);
  EXPECT_EQ(knock("schema config --config other.yaml").out, of_config);
  EXPECT_EQ(knock("schema firewall").code, 64);
}

/// The file that an editor reads because of the first line.
std::string schema_beside(const std::string& path) {
  constexpr std::string_view kStart = "# yaml-language-server: $schema=";
  auto text = test::read_file(path);
  auto line = text.substr(0, text.find('\n'));
  if (!line.starts_with(kStart)) return "no such line: " + line;
  return (fs::path(path).parent_path() / line.substr(kStart.size())).string();
}

TEST_F(Authoring, InitWritesFilesThatEditorsUnderstandOffline) {
  auto run = knock("init here");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(test::read_file(schema_beside(at("here/policies/main.yaml"))), knock("schema").out);
  EXPECT_EQ(test::read_file(schema_beside(at("here/knock.yaml"))), knock("schema config").out);
  auto config = load_config("knock.yaml", test::read_file(at("here/knock.yaml")), at("here"));
  EXPECT_TRUE(config.config) << to_text(config.diagnostics);
  // What init writes is what the commands of its own CI job want.
  EXPECT_EQ(knock("fmt --check here/policies").code, 0) << knock("fmt --diff here/policies").out;
  EXPECT_EQ(knock("fmt --check here").code, 0) << knock("fmt --diff here").out;
  EXPECT_EQ(knock("--config here/knock.yaml validate here/policies").code, 0);
  EXPECT_EQ(knock("migrate here/policies").code, 0);
}

/// What our own tests run, and nothing older: the examples are walked through by a test.
TEST_F(Authoring, InitWritesTheJobOfTheForge) {
  auto example = [](const std::string& name) {
    return test::read_file(test::source_dir() + "/examples/ci/" + name);
  };
  auto run = knock("init a");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(test::read_file(at("a/policies/.github/workflows/policy.yml")), example("github.yml"));
  EXPECT_FALSE(fs::exists(at("a/policies/.gitlab-ci.yml")));
  EXPECT_EQ(knock("init b --ci gitlab").code, 0);
  EXPECT_EQ(test::read_file(at("b/policies/.gitlab-ci.yml")), example("gitlab.yml"));
  EXPECT_FALSE(fs::exists(at("b/policies/.github")));
  EXPECT_EQ(knock("init c --ci none").code, 0);
  EXPECT_FALSE(fs::exists(at("c/policies/.github")));
  EXPECT_FALSE(fs::exists(at("c/policies/.gitlab-ci.yml")));
  EXPECT_EQ(knock("init d --ci bitbucket").code, 64);
  // The three commands that a reviewer relies on.
  for (const char* name : {"github.yml", "gitlab.yml", "plain.sh"})
    for (const char* words : {"knock test --policy", "--format markdown", "--reviewed"})
      EXPECT_NE(example(name).find(words), std::string::npos) << name << " " << words;
}

TEST_F(Authoring, InitOverwritesNothing) {
  write("policies/policy.v1.schema.json", "mine");
  auto run = knock("init");
  EXPECT_NE(run.out.find("kept  "), std::string::npos) << run.out;
  EXPECT_EQ(test::read_file(at("policies/policy.v1.schema.json")), "mine");
}

TEST_F(Authoring, MigrateSaysThatThereIsNothingToDo) {
  write("a.yaml", kUntidy), write("b.yaml", kTidy);
  auto run = knock("migrate");
  EXPECT_EQ(run.code, 0);
  EXPECT_EQ(run.out, "2 files of version 1, the newest of the language; nothing to do\n");
  EXPECT_EQ(test::read_file(at("a.yaml")), kUntidy);
  write("b.yaml", "knock: 2\n");
  run = knock("migrate .");
  EXPECT_EQ(run.code, 3);
  EXPECT_EQ(run.out, "");
  EXPECT_NE(run.err.find("b.yaml:1:8: error:"), std::string::npos) << run.err;
  EXPECT_NE(run.err.find("[policy.header-version]"), std::string::npos) << run.err;
}

TEST_F(Authoring, BashCompletesTheRealTree) {
  auto script = knock("completion bash");
  ASSERT_EQ(script.code, 0);
  write("knock.bash", script.out);
  auto offered = [&](const std::string& words, int last) {
    write("ask", "source ./knock.bash\nCOMP_WORDS=(" + words + ")\nCOMP_CWORD=" +
                     std::to_string(last) + "\n_knock\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n");
    auto run = knock("version >/dev/null && bash --norc --noprofile ask");
    return run.out + run.err;
  };
  EXPECT_EQ(offered("knock pl", 1), "plan\n");
  EXPECT_EQ(offered("knock plan --fo", 2), "--format\n");
  EXPECT_NE(offered("knock plan --format ''", 3).find("json\n"), std::string::npos);
  EXPECT_EQ(offered("knock session gr", 2), "grant\n");
  EXPECT_EQ(offered("knock completion ''", 2), "bash\nzsh\nfish\n");
  EXPECT_EQ(knock("completion tcsh").code, 64);
}

TEST_F(Authoring, MistypedFlagsAreUnderstood) {
  auto run = knock("plan --detaild-exitcode");
  EXPECT_EQ(run.code, 64);
  EXPECT_EQ(
      run.err,
      "knock: there is no flag `--detaild-exitcode`; did you mean `--detailed-exitcode`? `knock "
      "plan --help` lists them\n");
  EXPECT_NE(knock("palns").err.find("there is no command `palns`"), std::string::npos);
}

}  // namespace
}  // namespace knock
