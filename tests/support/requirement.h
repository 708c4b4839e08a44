// SPDX-License-Identifier: Apache-2.0
// What a test needs beyond this repository: "netns" (network namespaces), "oidc" (the npm provider), "shared" (vectors
// beside the repository). Missing = skipped and counted, or a failure where KNOCK_REQUIRE (comma-separated) names it.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace knock::test {

bool required(std::string_view requirement);

/// KNOCK_NEED("netns", have_namespaces(), "cannot make a network namespace here");
#define KNOCK_NEED(requirement, present, reason)                                    \
  do {                                                                              \
    if (!(present)) {                                                               \
      if (::knock::test::required(requirement))                                     \
        FAIL() << "KNOCK_REQUIRE names " << (requirement) << ", but: " << (reason); \
      GTEST_SKIP() << "needs " << (requirement) << ": " << (reason);                \
    }                                                                               \
  } while (false)

/// The repository's root and the build folder, from the environment ctest sets (or guessed from the working folder).
std::string source_dir();
std::string binary_dir();
/// A fresh folder below the temporary folder, removed when the value dies.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string read_file(const std::string& path);
void write_file(const std::string& path, std::string_view content);

}  // namespace knock::test
