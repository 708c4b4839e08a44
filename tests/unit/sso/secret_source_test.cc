// SPDX-License-Identifier: Apache-2.0
#include "sso/secret_source.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "base/log.h"
#include "tests/support/requirement.h"

namespace knock::sso {
namespace {

using Kind = SecretReference::Kind;

Result<Secret> get(Kind kind, std::string value) {
  return resolve({kind, std::move(value)}, Deadline::in(Duration::seconds(10)));
}

struct Lines final : LogSink {
  Lines() { set_log_sink(this); }
  ~Lines() override { set_log_sink(nullptr); }
  void write(LogLevel, std::string_view id, std::string_view,
             const std::vector<LogField>&) override {
    ids.emplace_back(id);
  }
  std::vector<std::string> ids;
};

TEST(SecretSource, from_the_environment) {
  setenv("KNOCK_TEST_SECRET", "s3cret\n", 1);
  EXPECT_EQ(get(Kind::environment, "KNOCK_TEST_SECRET")->reveal(), "s3cret");
  unsetenv("KNOCK_TEST_SECRET");
  auto missing = get(Kind::environment, "KNOCK_TEST_SECRET");
  EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
  EXPECT_NE(missing.error().text().find("env:KNOCK_TEST_SECRET"), std::string::npos);
}

TEST(SecretSource, from_a_file) {
  knock::test::TemporaryFolder folder;
  auto path = folder.path() + "/secret";
  Lines lines;
  struct Row {
    std::string content;
    std::string want;  // "" = refused
  } rows[] = {{"abc", "abc"},
              {"abc\n", "abc"},
              {"abc\r\n", "abc"},
              {"abc\n\n", "abc\n"},
              {" a b ", " a b "},
              {std::string(kLongestSecret, 'x'), std::string(kLongestSecret, 'x')},
              {std::string(kLongestSecret, 'x') + "\r\n", std::string(kLongestSecret, 'x')},
              {std::string(kLongestSecret + 1, 'x'), ""},
              {"", ""},
              {"\n", ""},
              {std::string("a\0b", 3), ""}};
  for (auto& row : rows) {
    knock::test::write_file(path, row.content);
    chmod(path.c_str(), 0640);
    auto secret = get(Kind::file, path);
    if (row.want.empty()) {
      ASSERT_FALSE(secret) << row.content.size();
      EXPECT_EQ(secret.error().kind, ErrorKind::invalid);
    } else {
      ASSERT_TRUE(secret) << secret.error().text();
      EXPECT_TRUE(secret->equals(row.want));
    }
  }
  EXPECT_TRUE(lines.ids.empty());
  EXPECT_EQ(get(Kind::file, folder.path() + "/none").error().kind, ErrorKind::not_found);
  EXPECT_EQ(get(Kind::file, folder.path()).error().kind, ErrorKind::invalid);
}

TEST(SecretSource, a_file_everybody_may_read_is_a_warning) {
  knock::test::TemporaryFolder folder;
  auto path = folder.path() + "/secret";
  knock::test::write_file(path, "abc");
  chmod(path.c_str(), 0644);
  Lines lines;
  ASSERT_TRUE(get(Kind::file, path));
  EXPECT_EQ(lines.ids, (std::vector<std::string>{"secret.readable"}));
}

TEST(SecretSource, from_a_command) {
  EXPECT_EQ(get(Kind::command, "printf  a%sc b")->reveal(), "abc");
  EXPECT_EQ(get(Kind::command, "echo $HOME;id")->reveal(), "$HOME;id") << "there is no shell";
  EXPECT_EQ(get(Kind::command, "").error().kind, ErrorKind::invalid);
  EXPECT_EQ(get(Kind::command, "true").error().kind, ErrorKind::invalid);
  EXPECT_EQ(get(Kind::command, "knock-no-such-command").error().kind, ErrorKind::not_found);
  EXPECT_EQ(resolve({Kind::command, "sleep 60"}, Deadline::in(Duration{100})).error().kind,
            ErrorKind::timeout);
  knock::test::TemporaryFolder folder;
  auto path = folder.path() + "/fails";
  knock::test::write_file(path, "#!/bin/sh\necho half-of-it\necho reason >&2\nexit 3\n");
  chmod(path.c_str(), 0755);
  auto failed = get(Kind::command, path);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().kind, ErrorKind::internal);
  EXPECT_NE(failed.error().text().find("reason"), std::string::npos);
  EXPECT_EQ(failed.error().text().find("half-of-it"), std::string::npos);
}

}  // namespace
}  // namespace knock::sso
