// SPDX-License-Identifier: Apache-2.0
// Two types of one name in one namespace, in two headers, are one type to the linker: a program that links both destroys
// one as the other, and only some builds show it. So no name is defined twice.
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <regex>
#include <sstream>

#include "tests/support/requirement.h"

namespace {

namespace fs = std::filesystem;
using Names = std::map<std::string, std::string>;  // qualified name → header

/// Definitions at column 0, qualified with the namespace that is open there.
void collect(const std::string& file, const std::string& content, Names& names,
             std::vector<std::string>& twice) {
  static const std::regex opens(R"(^(?:inline )?namespace ([A-Za-z_:]+) \{$)");
  static const std::regex closes(R"(^\}  // namespace.*$)");
  static const std::regex defines(R"(^(?:struct|class|enum class) ([A-Za-z_]+)(?:$| [^;]*$))");
  std::vector<std::string> scopes;
  std::istringstream lines(content);
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (std::regex_match(line, match, opens))
      scopes.push_back(match[1]);
    else if (std::regex_match(line, closes) && !scopes.empty())
      scopes.pop_back();
    else if (std::regex_match(line, match, defines)) {
      std::string name;
      for (const auto& scope : scopes) name += scope + "::";
      name += match[1];
      auto [at, fresh] = names.emplace(name, file);
      if (!fresh && at->second != file)
        twice.push_back(name + " in " + at->second + " and " + file);
    }
  }
}

TEST(OneName, NoTypeIsDefinedInTwoHeaders) {
  Names names;
  std::vector<std::string> twice;
  fs::path root = knock::test::source_dir();
  for (const char* folder : {"base", "schemas", "reconciler", "net", "agents", "providers", "sso",
                             "store", "proxy", "server", "cli", "tests/support"})
    for (const auto& item : fs::recursive_directory_iterator(root / folder))
      if (item.path().extension() == ".h")
        collect(fs::relative(item.path(), root).string(),
                knock::test::read_file(item.path().string()), names, twice);
  EXPECT_GT(names.size(), 150u);
  for (const auto& name : twice) ADD_FAILURE() << name;
}

TEST(OneName, ASecondDefinitionIsSeen) {
  Names names;
  std::vector<std::string> twice;
  collect("a.h", "namespace k {\nstruct Finding {\n};\n}  // namespace k\n", names, twice);
  collect("b.h", "namespace other {\nstruct Finding {\n};\n}  // namespace other\n", names, twice);
  EXPECT_TRUE(twice.empty());
  collect("c.h", "namespace k {\nclass Finding;\nstruct Finding {\n};\n}  // namespace k\n", names,
          twice);
  EXPECT_EQ(twice, std::vector<std::string>{"k::Finding in a.h and c.h"});
}

}  // namespace
