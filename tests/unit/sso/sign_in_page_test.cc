// SPDX-License-Identifier: Apache-2.0
// docs/sign-in.md explains every reason that the verifier, core and the portal can give, and no other.
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

std::string sources_of(const std::string& folder) {
  std::string out;
  for (auto& item : std::filesystem::recursive_directory_iterator(source_dir() + folder))
    if (item.path().extension() == ".cc") out += read_file(item.path());
  return out;
}

TEST(SignInPage, has_a_row_for_every_reason) {
  auto sources = sources_of("/sso");
  auto given = all_matches(
      sources,
      std::regex(
          "\"((?:callback|code|discovery|keys|provider|settings|token|verifier)\\.[a-z_]+)\""));
  given.erase("verifier.message");  // a line of the operational log
  // Core's: the first text after refuse( or Refused{, and the one that has a name.
  auto core = read_file(source_dir() + "/server/core/sign_in.cc");
  auto of_core =
      all_matches(core, std::regex("(?:refuse\\(|Refused\\{)[^;{}]*?\"([a-z][a-z.-]*)\""));
  of_core.merge(all_matches(core, std::regex("kBusy = \"([a-z.-]+)\"")));
  EXPECT_GT(of_core.size(), 10u);
  // The portal's own.
  auto portal = sources_of("/server/front") + read_file(source_dir() + "/net/forwarded.cc");
  auto of_portal = all_matches(
      portal, std::regex("\"((?:callback|core|csrf|form|forwarded|http|sign-out)\\.[a-z-]+)\""));
  EXPECT_GT(of_portal.size(), 12u);
  given.merge(of_core);
  given.merge(of_portal);
  auto page = read_file(source_dir() + "/docs/sign-in.md");
  std::set<std::string> explained;
  for (auto& row : all_matches(page, std::regex("\n\\| (`[a-z][^|]*`) \\|")))
    explained.merge(all_matches(row, std::regex("`([a-z_.-]+)`")));
  EXPECT_EQ(explained, given);
  EXPECT_GT(given.size(), 30u);
}

}  // namespace
}  // namespace knock::test
