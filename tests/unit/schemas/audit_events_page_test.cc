// SPDX-License-Identifier: Apache-2.0
// docs/events.md explains every kind of fact, once, with something to read. Ids of log lines live
// on that page too.
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "tests/conformance/sample_facts.h"
#include "tests/support/requirement.h"

namespace knock {
namespace {

/// Headings of the third level, with the number of words below each.
std::multimap<std::string, int> paragraphs() {
  std::istringstream page(test::read_file(test::source_dir() + "/docs/events.md"));
  std::multimap<std::string, int> out;
  auto current = out.end();
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("#")) {
      current = line.starts_with("### ") ? out.emplace(line.substr(4), 0) : out.end();
      continue;
    }
    std::istringstream words(line);
    for (std::string word; current != out.end() && words >> word;) ++current->second;
  }
  return out;
}

TEST(EventsPage, ExplainsEveryKindOfFactOnce) {
  auto explained = paragraphs();
  for (const auto& fact : test::every_fact()) {
    std::string id(kind_of(fact));
    ASSERT_EQ(explained.count(id), 1u) << id;
    EXPECT_GE(explained.find(id)->second, 15) << id << ": say what it means and what to do";
  }
}

TEST(EventsPage, ExplainsNoIdTwice) {
  auto explained = paragraphs();
  EXPECT_GE(explained.size(), std::variant_size_v<Fact>);
  for (const auto& [id, words] : explained) EXPECT_EQ(explained.count(id), 1u) << id;
}

}  // namespace
}  // namespace knock
