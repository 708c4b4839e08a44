// SPDX-License-Identifier: Apache-2.0
// Commits with SSH signatures, and the files that say whose count.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/unit/store/git_repository.h"

namespace knock::test {

/// Makes keys as `ssh-keygen` does; each name is a person and a principal "NAME@example.org".
class SshKeys {
 public:
  explicit SshKeys(std::string folder) : folder_(std::move(folder)) {
    std::filesystem::create_directories(folder_);
  }

  /// The private key's file, made when it is asked for first.
  std::string key(const std::string& name) const {
    auto path = folder_ + "/" + name;
    if (!std::filesystem::exists(path))
      run({"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path});
    return path;
  }
  std::string public_key(const std::string& name) const {
    return std::string(trim(read_file(key(name) + ".pub")));
  }
  /// One line of allowed_signers: "ana@example.org OPTIONS ssh-ed25519 AAAA… ana".
  std::string line(const std::string& name, const std::string& options = "") const {
    return name + "@example.org " + (options.empty() ? "" : options + " ") + public_key(name) +
           "\n";
  }
  /// Writes a file of signers and gives its path.
  std::string signers(const std::string& file, const std::string& lines) const {
    auto path = folder_ + "/" + file;
    write_file(path, lines);
    std::filesystem::permissions(path, std::filesystem::perms(0644));
    return path;
  }

  static void run(std::vector<std::string> argv) {
    net::Command command;
    command.argv = std::move(argv);
    command.environment = {{"HOME", "/nonexistent"}};
    auto done = net::run(command, Deadline::in(Duration::seconds(60)));
    if (!done || done->exit_code != 0)
      throw std::runtime_error("ssh-keygen: " + (done ? done->err : done.error().text()));
  }

 private:
  std::string folder_;
};

/// One commit, signed by `key` ("" = not at all), on these parents.
inline std::string signed_commit(const GitRepository& repository, const std::string& key,
                                 const std::string& tree, const std::vector<std::string>& parents,
                                 const std::string& subject = "change") {
  std::vector<std::string> arguments{"-c", "gpg.format=ssh", "-c", "user.signingkey=" + key,
                                     "commit-tree"};
  if (!key.empty()) arguments.emplace_back("-S");
  arguments.push_back(tree);
  for (const auto& parent : parents) arguments.insert(arguments.end(), {"-p", parent});
  return repository.git(arguments, subject);
}

/// A tree of files with paths of at most one folder.
inline std::string tree_of(const GitRepository& repository,
                           const std::map<std::string, std::string>& files) {
  std::map<std::string, std::vector<std::string>> folders;
  std::vector<std::string> top;
  for (const auto& [path, content] : files) {
    auto slash = path.find('/');
    if (slash == std::string::npos)
      top.push_back(GitRepository::file(path, repository.blob(content)));
    else
      folders[path.substr(0, slash)].push_back(
          GitRepository::file(path.substr(slash + 1), repository.blob(content)));
  }
  for (const auto& [name, lines] : folders)
    top.push_back(GitRepository::folder(name, repository.tree(lines)));
  return repository.tree(top);
}

}  // namespace knock::test
