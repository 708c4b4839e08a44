// SPDX-License-Identifier: Apache-2.0
// docs/sign-in.md explains every reason this folder can give, and no other.
#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <set>

#include "tests/support/requirement.h"

namespace knock::test {
namespace {

std::set<std::string> all_matches(const std::string& text, const std::regex& pattern) {
  std::set<std::string> out;
  for (std::sregex_iterator at(text.begin(), text.end(), pattern), end; at != end; ++at)
    out.insert((*at)[1]);
  return out;
}

TEST(SignInPage, has_a_row_for_every_reason) {
  std::string sources;
  for (auto& item : std::filesystem::recursive_directory_iterator(source_dir() + "/sso"))
    if (item.path().extension() == ".cc") sources += read_file(item.path());
  auto given = all_matches(
      sources,
      std::regex(
          "\"((?:callback|code|discovery|keys|provider|settings|token|verifier)\\.[a-z_]+)\""));
  given.erase("verifier.message");  // a line of the operational log
  auto page = read_file(source_dir() + "/docs/sign-in.md");
  auto explained = all_matches(page, std::regex("(?:^|\n)\\| `([a-z_.]+)` \\|"));
  EXPECT_EQ(explained, given);
  EXPECT_GT(given.size(), 30u);
}

}  // namespace
}  // namespace knock::test
