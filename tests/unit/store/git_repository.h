// SPDX-License-Identifier: Apache-2.0
// A real repository made by the `git` program, for tests of the Git source: ordinary commits, and
// hostile ones written object by object.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/text.h"
#include "net/child_process.h"
#include "tests/support/requirement.h"

namespace knock::test {

class GitRepository {
 public:
  explicit GitRepository(std::string path) : path_(std::move(path)) {
    std::filesystem::create_directories(path_);
    git({"init", "--quiet", "--bare", "--initial-branch=main"});
  }

  const std::string& path() const { return path_; }

  /// Standard output without its last newline; throws when git fails.
  std::string git(std::vector<std::string> arguments, std::string input = "") const {
    net::Command command;
    command.argv = {"git", "-c", "safe.directory=*"};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    command.directory = path_;
    command.input = std::move(input);
    command.environment = {{"HOME", path_},
                           {"GIT_CONFIG_NOSYSTEM", "1"},
                           {"GIT_AUTHOR_NAME", author_name},
                           {"GIT_AUTHOR_EMAIL", "ana@example.org"},
                           {"GIT_COMMITTER_NAME", "Committer"},
                           {"GIT_COMMITTER_EMAIL", "c@example.org"},
                           {"GIT_AUTHOR_DATE", "1700000000 +0000"},
                           {"GIT_COMMITTER_DATE", std::to_string(time_) + " +0200"}};
    auto result = net::run(command, Deadline::in(Duration::seconds(60)));
    if (!result) throw std::runtime_error(result.error().text());
    if (result->exit_code != 0)
      throw std::runtime_error("git " + join(arguments, " ") + ": " + result->err);
    return std::string(trim(result->out));
  }

  std::string blob(const std::string& content) const {
    return git({"hash-object", "-w", "--stdin"}, content);
  }
  /// Lines of "mode type id\tname", NUL-ended, without any check of ours or of mktree's sorting.
  std::string tree(const std::vector<std::string>& lines) const {
    std::string input;
    for (const auto& line : lines) input += line + '\0';
    return git({"mktree", "-z", "--missing"}, input);
  }
  static std::string file(const std::string& name, const std::string& id) {
    return "100644 blob " + id + "\t" + name;
  }
  static std::string folder(const std::string& name, const std::string& id) {
    return "040000 tree " + id + "\t" + name;
  }
  /// A tree exactly as written: what mktree would refuse.
  std::string raw_tree(const std::vector<std::array<std::string, 3>>& mode_name_id) const {
    std::string content;
    for (const auto& [mode, name, id] : mode_name_id) {
      content += mode + " " + name + '\0';
      for (std::size_t i = 0; i < id.size(); i += 2)
        content += char(std::stoi(id.substr(i, 2), nullptr, 16));
    }
    return git({"hash-object", "-t", "tree", "-w", "--stdin", "--literally"}, content);
  }
  std::string commit_tree(const std::string& tree, const std::string& subject,
                          const std::string& parent = "") {
    ++time_;
    std::vector<std::string> arguments{"commit-tree", tree};
    if (!parent.empty()) arguments.insert(arguments.end(), {"-p", parent});
    return git(arguments, subject);
  }
  void point(const std::string& ref, const std::string& commit) const {
    git({"update-ref", ref, commit});
  }
  /// One commit of flat files on a branch, after what is there.
  std::string commit(const std::vector<std::pair<std::string, std::string>>& files,
                     const std::string& subject = "change", const std::string& branch = "main") {
    std::vector<std::string> lines;
    for (const auto& [name, content] : files) lines.push_back(file(name, blob(content)));
    return commit_at(tree(lines), subject, branch);
  }
  std::string commit_at(const std::string& tree, const std::string& subject = "change",
                        const std::string& branch = "main") {
    auto ref = "refs/heads/" + branch;
    auto parent = git({"for-each-ref", "--format=%(objectname)", ref});
    auto id = commit_tree(tree, subject, parent);
    point(ref, id);
    return id;
  }

  /// Every object a file of its own, which a test then damages.
  void make_loose() const {
    namespace fs = std::filesystem;
    std::vector<std::string> packs;
    for (const auto& item : fs::directory_iterator(path_ + "/objects/pack"))
      if (item.path().extension() == ".pack") packs.push_back(read_file(item.path().string()));
    fs::remove_all(path_ + "/objects/pack");  // git unpacks only what is not there
    fs::create_directory(path_ + "/objects/pack");
    for (auto& pack : packs) git({"unpack-objects", "-q"}, std::move(pack));
  }
  /// Of a loose object, and writable.
  std::string object_file(const std::string& id) const {
    auto file = path_ + "/objects/" + id.substr(0, 2) + "/" + id.substr(2);
    std::filesystem::permissions(file, std::filesystem::perms(0644));
    return file;
  }

  std::string author_name = "Ana";

 private:
  std::string path_;
  long time_ = 1'700'000'000;
};

}  // namespace knock::test
