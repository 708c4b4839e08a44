// SPDX-License-Identifier: Apache-2.0
#include "base/shared.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace knock {
namespace {

TEST(Shared, copies_hold_the_same_value_and_not_another_like_it) {
  SharedList<int> list{1, 2, 3};
  SharedList<int> copy = list;
  EXPECT_EQ(copy.data(), list.data());
  SharedText text("payroll");
  SharedText other = text;
  EXPECT_EQ(other.get().data(), text.get().data());
}

TEST(Shared, is_small) {
  EXPECT_EQ(sizeof(SharedList<int>), sizeof(void*));
  EXPECT_EQ(sizeof(SharedText), sizeof(void*));
}

TEST(Shared, an_empty_value_is_like_none) {
  EXPECT_EQ(SharedList<int>(), SharedList<int>(std::vector<int>()));
  EXPECT_EQ(SharedText(), SharedText(""));
  EXPECT_TRUE(SharedText("").empty());
  EXPECT_EQ(SharedList<int>().data(), SharedList<int>(std::vector<int>()).data());
}

TEST(Shared, is_compared_by_what_it_holds) {
  EXPECT_EQ((SharedList<int>{1, 2}), (SharedList<int>{1, 2}));
  EXPECT_NE((SharedList<int>{1, 2}), (SharedList<int>{1}));
  EXPECT_EQ((SharedList<int>{1, 2}), (std::vector<int>{1, 2}));
  EXPECT_LT(SharedText("a"), SharedText("b"));
  EXPECT_EQ(SharedText("a"), "a");
  EXPECT_EQ(SharedText("a"), std::string("a"));
}

TEST(Shared, who_edits_has_a_value_of_its_own) {
  SharedList<int> list{1, 2};
  SharedList<int> before = list;
  list.edit([](std::vector<int>& numbers) { numbers.push_back(3); });
  EXPECT_EQ(list, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(before, (std::vector<int>{1, 2}));
  list.edit([](std::vector<int>& numbers) { numbers.clear(); });
  EXPECT_TRUE(list.empty());
}

TEST(Shared, text_is_printed_like_text) {
  EXPECT_EQ(fmt::format("{:>3}|{}", SharedText("a"), SharedText()), "  a|");
}

}  // namespace
}  // namespace knock
