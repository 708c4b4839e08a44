// SPDX-License-Identifier: Apache-2.0
// main() of every test executable. A test that needs something the machine may lack calls require("netns", …) from
// requirement.h: it skips with its reason, or fails when KNOCK_REQUIRE names that requirement.
#include <gtest/gtest.h>

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
