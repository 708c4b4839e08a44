// SPDX-License-Identifier: Apache-2.0
// Which way the arrows point (docs/architecture.md): reads every #include line of the tree and
// prints each that surprised it. A new folder or library belongs into the tables here, with whoever
// may use it; that is the moment to ask why.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "base/text.h"
#include "tests/support/requirement.h"

namespace knock {
namespace {

namespace fs = std::filesystem;

struct Folder {
  std::string_view name;                   // the longest that fits a file decides
  std::vector<std::string_view> includes;  // besides itself; "" = everything but tests
};

const std::vector<Folder> kFolders{
    {"base", {}},
    {"schemas", {"base"}},
    {"reconciler/core", {"base", "schemas", "reconciler/interfaces"}},
    {"reconciler/interfaces", {"base", "schemas"}},
    {"reconciler/loop", {"base", "schemas", "reconciler/core", "reconciler/interfaces"}},
    {"net", {"base"}},
    {"providers", {"base", "schemas", "reconciler/core", "reconciler/interfaces", "net"}},
    {"agents", {"base", "schemas", "reconciler/core", "reconciler/interfaces", "net"}},
    {"agents/host",
     {"base", "schemas", "reconciler/core", "reconciler/interfaces", "net", "agents"}},
    {"sso", {"base", "schemas", "reconciler/interfaces", "net"}},
    {"store", {"base", "schemas", "reconciler/interfaces", "net"}},
    {"proxy", {"base", "schemas", "reconciler/core", "reconciler/interfaces", "net"}},
    {"server",
     {"base", "schemas", "reconciler/core", "reconciler/interfaces", "reconciler/loop", "net",
      "sso"}},
    {"simulation",
     {"base", "schemas", "reconciler/core", "reconciler/interfaces", "reconciler/loop"}},
    {"cli", {""}},
};

/// Folders whose parts do not know each other: two kinds of target share code below or not at all.
const std::set<std::string_view> kSeparateParts{"providers", "agents"};

struct Library {
  std::string_view header;                // beginning of the name between < and >
  std::vector<std::string_view> folders;  // that may include it, in .cc files
  bool small = false;                     // costs a reader nothing: in headers too
};

const std::vector<Library> kLibraries{
    {"boost/json", {"schemas", "sso", "store", "server", "cli", "providers"}},
    {"boost/smart_ptr/intrusive_", {"base"}, true},
    {"boost/", {"net"}},
    {"yaml-cpp/", {"schemas/policy"}},
    {"openssl/", {"base", "net", "sso"}},
    {"sodium", {"sso"}},
    {"curl/", {"net", "cli"}},
    {"seccomp", {"net"}},
    {"git2", {"store/git"}},
    {"sqlite3", {"store/sqlite"}},
    {"libpq", {"store/postgres"}},
    {"nftables/", {"agents"}},
    {"libmnl/", {"agents"}},
    {"libnftnl/", {"agents"}},
    {"spdlog/", {"cli"}},
    {"CLI/", {"cli"}},
};

/// Headers that show a library on purpose. Only .cc files and each other may include them, so
/// nobody pays by accident.
const std::set<std::string_view> kShowALibrary{
    "net/http_server_connection.h",  // shared by the Beast files
    "schemas/json/object_reader.h",  // a thin layer over Boost.JSON, for codecs
    "schemas/json/strict_json.h",    // the same
    "schemas/plan/change_codec.h",   // shared by the codecs of plans
    "schemas/plan/plan_parts.h",
    "store/git/handles.h",  // shared by the files that read the mirror
};

bool within(std::string_view path, std::string_view folder) {
  return folder.empty() || path == folder ||
         (path.starts_with(folder) && path.substr(folder.size()).starts_with('/'));
}

const Folder* folder_of(std::string_view path) {
  const Folder* best = nullptr;
  for (const auto& folder : kFolders)
    if (within(path, folder.name) && (best == nullptr || folder.name.size() > best->name.size()))
      best = &folder;
  return best;
}

/// "agents/nftables" where parts are separate, else the folder itself.
std::string part_of(std::string_view path) {
  auto pieces = split(path, '/');
  if (kSeparateParts.contains(pieces[0]) && pieces.size() > 2)
    return fmt::format("{}/{}", pieces[0], pieces[1]);
  const auto* folder = folder_of(path);
  return std::string(folder != nullptr ? folder->name : pieces[0]);
}

/// cli is included by nobody, so its headers cost nobody else.
bool may_show_a_library(std::string_view file) {
  return !file.ends_with(".h") || kShowALibrary.contains(file) || within(file, "cli");
}

std::optional<std::string> judge_own(std::string_view file, std::string_view included) {
  const auto* folder = folder_of(file);
  if (folder == nullptr) return "this folder is not in the table of layering_test.cc";
  if (within(included, "tests") || within(included, "bench"))
    return "what ships does not include tests";
  if (folder_of(included) == nullptr) return "written from the root of the tree, please";
  if (kShowALibrary.contains(included) && !may_show_a_library(file))
    return "that header shows a library; include it in the .cc";
  if (within(file, "reconciler/core") && included == "base/log.h") return "the core does not log";
  if (part_of(file) == part_of(included)) return std::nullopt;
  for (auto allowed : folder->includes)
    if (within(included, allowed)) return std::nullopt;
  return fmt::format("{} may include {}", part_of(file),
                     folder->includes.empty()
                         ? "nothing of ours"
                         : fmt::format("{}", fmt::join(folder->includes, ", ")));
}

std::optional<std::string> judge_library(std::string_view file, std::string_view included) {
  for (const auto& library : kLibraries) {
    if (!included.starts_with(library.header)) continue;
    bool known = std::any_of(library.folders.begin(), library.folders.end(),
                             [&](auto folder) { return within(file, folder); });
    if (!known) return fmt::format("that library belongs to {}", fmt::join(library.folders, ", "));
    if (!library.small && !may_show_a_library(file)) return "heavy headers stay in .cc files";
    return std::nullopt;
  }
  return std::nullopt;
}

/// One line per include that points the wrong way: "file:line: includes what: why not".
std::vector<std::string> surprises(const std::string& file, std::string_view content) {
  std::vector<std::string> out;
  std::size_t number = 0;
  for (auto line : split(content, '\n')) {
    ++number;
    line = trim(line);
    if (!line.starts_with('#')) continue;
    line = trim(line.substr(1));
    if (!line.starts_with("include")) continue;
    line = trim(line.substr(7));
    if (line.size() < 3) continue;
    bool own = line[0] == '"';
    auto name = line.substr(1, line.find(own ? '"' : '>', 1) - 1);
    auto problem = own ? judge_own(file, name) : judge_library(file, name);
    if (problem) out.push_back(fmt::format("{}:{}: includes {}: {}", file, number, name, *problem));
  }
  return out;
}

std::map<std::string, std::string> sources() {
  std::map<std::string, std::string> out;
  fs::path root(test::source_dir());
  for (const auto& top : fs::directory_iterator(root)) {
    auto name = top.path().filename().string();
    if (!top.is_directory() || name.starts_with('.') || name == "build" || name == "tests" ||
        name == "bench")
      continue;
    for (const auto& item : fs::recursive_directory_iterator(top))
      if (item.path().extension() == ".h" || item.path().extension() == ".cc")
        out[fs::relative(item.path(), root).string()] = test::read_file(item.path().string());
  }
  return out;
}

TEST(Layering, ArrowsPointOneWay) {
  auto files = sources();
  ASSERT_GT(files.size(), 100u) << "KNOCK_SOURCE_DIR does not name the tree";
  for (const auto& [file, content] : files)
    for (const auto& line : surprises(file, content)) ADD_FAILURE() << line;
}

TEST(Layering, EveryIncludedFileOfOursExists) {
  auto files = sources();
  for (const auto& [file, content] : files)
    for (auto line : split(content, '\n')) {
      line = trim(line);
      if (!line.starts_with("#include \"")) continue;
      auto name = std::string(line.substr(10, line.find('"', 10) - 10));
      EXPECT_TRUE(files.contains(name)) << file << " includes " << name;
    }
}

TEST(Layering, EveryFileNamesItsLicenceFirst) {
  for (const auto& [file, content] : sources())
    EXPECT_TRUE(content.starts_with("// SPDX-License-Identifier: Apache-2.0\n")) << file;
}

TEST(Layering, HeadersAreIncludedOnce) {
  for (const auto& [file, content] : sources())
    if (file.ends_with(".h")) EXPECT_NE(content.find("#pragma once\n"), std::string::npos) << file;
}

TEST(Layering, ExceptionsAreStillNeeded) {
  auto files = sources();
  for (auto header : kShowALibrary) EXPECT_TRUE(files.contains(std::string(header))) << header;
}

TEST(Layering, NoticesEveryKindOfWrongArrow) {
  struct {
    const char *file, *include, *reason;
  } rows[] = {
      {"base/ip.cc", "\"schemas/plan/plan.h\"", "nothing of ours"},
      {"schemas/plan/plan.cc", "\"reconciler/core/diff.h\"", "schemas may include base"},
      {"reconciler/core/diff.cc", "\"reconciler/loop/status.h\"", "reconciler/core may include"},
      {"reconciler/core/diff.cc", "\"net/http_client.h\"", "reconciler/core may include"},
      {"reconciler/core/diff.cc", "\"base/log.h\"", "does not log"},
      {"reconciler/loop/timer.cc", "\"store/sqlite/sqlite_store.h\"",
       "reconciler/loop may include"},
      {"reconciler/loop/timer.cc", "\"agents/nftables/provider.h\"", "reconciler/loop may include"},
      {"net/tls.cc", "\"schemas/plan/plan.h\"", "net may include base"},
      {"agents/nftables/provider.cc", "\"agents/iptables/provider.h\"",
       "agents/nftables may include"},
      {"agents/nftables/provider.cc", "\"server/core/controller.h\"",
       "agents/nftables may include"},
      {"providers/edl/provider.cc", "\"providers/nginx/provider.h\"", "providers/edl may include"},
      {"sso/oidc/client.cc", "\"server/front/page.h\"", "sso may include"},
      {"sso/oidc/client.cc", "\"reconciler/core/evaluate.h\"", "sso may include"},
      {"store/git/fetch.cc", "\"reconciler/loop/timer.h\"", "store may include"},
      {"server/core/controller.cc", "\"store/sqlite/sqlite_store.h\"", "server may include"},
      {"server/core/controller.cc", "\"cli/command.h\"", "server may include"},
      {"cli/main.cc", "\"tests/support/requirement.h\"", "does not include tests"},
      {"net/tls.cc", "\"tls_detail.h\"", "from the root"},
      {"net/tls.cc", "\"../base/ip.h\"", "from the root"},
      {"web/page.cc", "\"base/ip.h\"", "not in the table"},
      {"server/front/page.cc", "<sqlite3.h>", "belongs to store/sqlite"},
      {"store/sqlite/database.h", "<sqlite3.h>", "stay in .cc"},
      {"server/front/page.h", "<boost/json/value.hpp>", "stay in .cc"},
      {"server/front/page.h", "\"schemas/json/strict_json.h\"", "shows a library"},
      {"server/front/page.cc", "<boost/asio.hpp>", "belongs to net"},
      {"reconciler/core/diff.cc", "<openssl/evp.h>", "belongs to base, net, sso"},
      {"reconciler/core/diff.cc", "<boost/json.hpp>", "belongs to schemas"},
      {"schemas/plan/plan.h", "<boost/smart_ptr/intrusive_ptr.hpp>", "belongs to base"},
  };
  for (const auto& row : rows) {
    auto got = surprises(row.file, fmt::format("// first\n  #  include {}\n", row.include));
    ASSERT_EQ(got.size(), 1u) << row.file << " " << row.include;
    EXPECT_TRUE(got[0].starts_with(std::string(row.file) + ":2: includes ")) << got[0];
    EXPECT_NE(got[0].find(row.reason), std::string::npos) << got[0];
  }
}

TEST(Layering, LetsRightArrowsPass) {
  struct {
    const char *file, *include;
  } rows[] = {
      {"base/ip.cc", "<openssl/evp.h>"},
      {"base/result.h", "<tl/expected.hpp>"},
      {"schemas/policy/load.cc", "<yaml-cpp/parser.h>"},
      {"schemas/plan/codec.cc", "\"schemas/json/strict_json.h\""},
      {"agents/host/serve.cc", "\"agents/nftables/channel.h\""},
      {"agents/nftables/provider.cc", "\"agents/nftables/channel.h\""},
      {"server/core/controller.cc", "\"sso/oidc/client.h\""},
      {"server/core/controller.cc", "\"server/front/page.h\""},
      {"cli/serve.cc", "\"store/sqlite/sqlite_store.h\""},
      {"cli/serve.cc", "\"agents/nftables/provider.h\""},
      {"store/git/mirror.cc", "\"store/policy_files.h\""},
  };
  for (const auto& row : rows)
    EXPECT_TRUE(surprises(row.file, fmt::format("#include {}\n", row.include)).empty())
        << row.file << " " << row.include;
}

}  // namespace
}  // namespace knock
