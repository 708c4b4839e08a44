// SPDX-License-Identifier: Apache-2.0
// The table of failpoints and the sources say the same, and a place does what its hook says.
#ifndef KNOCK_FAILPOINTS
#define KNOCK_FAILPOINTS
#endif
#include "base/failpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <regex>
#include <stdexcept>

#include "tests/support/requirement.h"

namespace knock {
namespace {

namespace fs = std::filesystem;
using test::read_file;
using test::source_dir;

/// Every name in a source file, with the files that have it.
std::map<std::string, std::vector<std::string>> places_in_sources() {
  std::map<std::string, std::vector<std::string>> out;
  const std::regex place(R"re(KNOCK_FAILPOINT(?:_SILENT)?\("([^"]*)"\))re");
  for (const char* folder : {"base", "agents", "cli", "net", "providers", "proxy", "reconciler",
                             "schemas", "server", "sso", "store"})
    for (const auto& file : fs::recursive_directory_iterator(source_dir() + "/" + folder)) {
      auto extension = file.path().extension();
      if (extension != ".cc" && extension != ".h") continue;
      auto text = read_file(file.path());
      for (std::sregex_iterator at(text.begin(), text.end(), place), end; at != end; ++at)
        out[(*at)[1]].push_back(fs::relative(file.path(), source_dir()));
    }
  return out;
}

TEST(Failpoints, TheTableNamesEachPlaceInTheSourcesAndNoOther) {
  auto in_sources = places_in_sources();
  ASSERT_GE(in_sources.size(), 50u) << "the sources are not where they are looked for";
  std::vector<std::string> table, found;
  for (const auto& place : failpoint::all()) {
    table.emplace_back(place.name);
    EXPECT_FALSE(place.before.empty()) << place.name;
  }
  for (const auto& [name, files] : in_sources) {
    found.push_back(name);
    EXPECT_EQ(files.size(), 1u) << name << " names more than one place: " << files.front();
  }
  EXPECT_THAT(table, ::testing::ElementsAreArray(found));
}

TEST(Failpoints, EachFolderThatHasPlacesIsCompiledWithThem) {
  // A library that is not named there has places that never stop anything.
  std::map<std::string, std::string> declared;
  for (const auto& [name, files] : places_in_sources()) {
    auto lists = fs::path(source_dir()) / fs::path(files.front()).parent_path() / "CMakeLists.txt";
    auto text = read_file(lists);
    EXPECT_NE(text.find("knock_failpoints("), text.npos)
        << lists << " does not say knock_failpoints(), and " << files.front() << " has " << name;
  }
}

Status effect(int& done) {
  KNOCK_FAILPOINT("test.before");
  ++done;
  KNOCK_FAILPOINT_SILENT("test.after");
  return {};
}

TEST(Failpoints, APlaceDoesWhatItsHookSays) {
  int done = 0;
  EXPECT_TRUE(effect(done));
  std::vector<std::string> seen;
  failpoint::set_hook([&](std::string_view name) -> std::optional<Error> {
    seen.emplace_back(name);
    return std::nullopt;
  });
  EXPECT_TRUE(effect(done));
  EXPECT_THAT(seen, ::testing::ElementsAre("test.before", "test.after"));
  EXPECT_EQ(done, 2);

  failpoint::set_hook([&](std::string_view) {
    return std::optional(Error{ErrorKind::unavailable, "the disk is gone", {}, {}});
  });
  auto failed = effect(done);
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message, "the disk is gone");
  EXPECT_EQ(done, 2);

  failpoint::set_hook([&](std::string_view name) -> std::optional<Error> {
    if (name == "test.after") throw std::runtime_error("stopped");
    return std::nullopt;
  });
  EXPECT_THROW((void)effect(done), std::runtime_error);
  EXPECT_EQ(done, 3);

  failpoint::set_hook({});
  EXPECT_TRUE(effect(done));
  EXPECT_EQ(seen.size(), 2u);
}

}  // namespace
}  // namespace knock
