// SPDX-License-Identifier: Apache-2.0
#include "tests/support/requirement.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace knock::test {
namespace {
std::string environment(const char* name, std::string otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : std::move(otherwise);
}
}  // namespace

bool required(std::string_view requirement) {
  auto all = "," + environment("KNOCK_REQUIRE", "") + ",";
  return all.find("," + std::string(requirement) + ",") != std::string::npos;
}

std::string source_dir() { return environment("KNOCK_SOURCE_DIR", "."); }
std::string binary_dir() { return environment("KNOCK_BINARY_DIR", "build/dev"); }

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "knock-test-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  path_ = pattern;
}
TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(in), {}};
}

void write_file(const std::string& path, std::string_view content) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream out(path, std::ios::binary);
  out << content;
  if (!out.flush()) throw std::runtime_error("cannot write " + path);
}

}  // namespace knock::test
