// SPDX-License-Identifier: Apache-2.0
#include "cli/policy_paths.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/owned_fd.h"
#include "base/text.h"
#include "store/policy_files.h"

namespace knock::cli {
namespace {

namespace fs = std::filesystem;

tl::unexpected<Error> cannot(std::string_view what, const std::string& path, int number = errno) {
  return fail(number == ENOENT ? ErrorKind::not_found : ErrorKind::unavailable,
              fmt::format("cannot {} {}: {}", what, printable(path), std::strerror(number)));
}

Status below(const std::string& folder, std::vector<std::string>& out) {
  std::error_code problem;
  fs::recursive_directory_iterator at(folder, problem), end;
  for (std::size_t seen = 0; !problem && at != end; at.increment(problem)) {
    if (++seen > kMaxPolicyEntries)
      return fail(ErrorKind::invalid, fmt::format("more than {} files and folders in {}; is this "
                                                  "the right place?",
                                                  kMaxPolicyEntries, printable(folder)));
    auto name = at->path().filename().string();
    auto status = at->symlink_status(problem);
    if (problem) break;
    if (is_hidden(name)) {
      if (fs::is_directory(status)) at.disable_recursion_pending();
      continue;
    }
    if (fs::is_directory(status) && std::size_t(at.depth()) >= kMaxPolicyFolders)
      return fail(ErrorKind::invalid,
                  fmt::format("{}: more than {} folders inside each other",
                              printable(at->path().string()), kMaxPolicyFolders));
    if (fs::is_regular_file(status) && is_policy_file(name))
      out.push_back(at->path().lexically_normal().string());
  }
  if (problem) return cannot("read", folder, problem.value());
  return {};
}

Status add(const std::string& path, std::vector<std::string>& out) {
  std::error_code problem;
  auto status = fs::symlink_status(path, problem);
  if (!fs::exists(status)) return cannot("find", path, problem ? problem.value() : ENOENT);
  if (fs::is_symlink(status))
    return fail(ErrorKind::invalid,
                printable(path) + " is a link, and links are not followed; name what it leads to");
  if (fs::is_directory(status)) {
    auto before = out.size();
    KNOCK_CHECK(below(path, out));
    if (out.size() > before) return {};
    return fail(ErrorKind::not_found, "there is no *.yaml or *.yml file in " + printable(path));
  }
  if (!fs::is_regular_file(status) || !is_policy_file(path))
    return fail(ErrorKind::invalid,
                printable(path) + " is no policy file; those are called *.yaml or *.yml");
  out.push_back(fs::path(path).lexically_normal().string());
  return {};
}

/// Whether it says what a configuration says, and not what a policy does.
bool is_configuration(const std::string& path) {
  auto content = read_policy_path(path);
  if (!content) return false;
  bool configures = false;
  for (std::string_view line : split(*content, '\n')) {
    if (line.starts_with("knock:")) return false;
    for (std::string_view key : {"owner:", "listen:", "policy:", "store:", "sign_in:"})
      configures |= line.starts_with(key);
  }
  return configures;
}

/// "policies/", of folders that hold policy files.
std::vector<std::string> policy_folders_in(const std::string& folder) {
  std::vector<std::string> out;
  std::error_code problem;
  for (const auto& item : fs::directory_iterator(folder, problem)) {
    auto name = item.path().filename().string();
    std::vector<std::string> files;
    if (is_hidden(name) || !fs::is_directory(item.symlink_status(problem))) continue;
    if (below(item.path().string(), files) && !files.empty())
      out.push_back((fs::path(folder) / name).lexically_normal().string() + "/");
  }
  std::ranges::sort(out);
  return out;
}

Status write_all(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    auto n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return cannot("write", path);
    content.remove_prefix(std::size_t(n));
  }
  return ::fsync(fd) == 0 ? Status() : Status(cannot("write", path));
}

/// A finished file beside `path`, with its mode and, where we may, its owner.
Status write_beside(int fd, const std::string& next, const struct stat& info,
                    std::string_view content) {
  KNOCK_CHECK(write_all(fd, content, next));
  // Owner first: changing it takes some bits of the mode away.
  if (::fchown(fd, info.st_uid, info.st_gid) != 0 && errno != EPERM) return cannot("own", next);
  if (::fchmod(fd, info.st_mode & 07777) != 0) return cannot("set the mode of", next);
  return {};
}

}  // namespace

Result<std::vector<std::string>> policy_paths(const std::vector<std::string>& paths) {
  std::vector<std::string> out;
  for (const auto& path : paths) KNOCK_CHECK(add(path, out));
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

std::string not_a_policy_folder(const std::string& folder) {
  if (!is_configuration((fs::path(folder) / "knock.yaml").string())) return "";
  auto folders = policy_folders_in(folder);
  std::string next = "put the policy files into a folder of their own, and name that";
  if (!folders.empty()) {
    for (auto& name : folders) name = printable(name);
    constexpr std::size_t kMostNamed = 5;
    auto more = folders.size() > kMostNamed ? ", …" : "";
    folders.resize(std::min(folders.size(), kMostNamed));
    next = (folders.size() == 1 ? "name the folder of policy files beside it: "
                                : "name the folder of policy files beside it, one of: ") +
           join(folders, ", ") + more;
  }
  return fmt::format(
      "{} holds knock.yaml, which is the controller's configuration and no policy; {}",
      printable(folder), next);
}

Result<std::string> read_policy_path(const std::string& path) {
  OwnedFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (fd.get() < 0) return cannot("read", path);
  std::string content(kMaxPolicyFileBytes + 1, '\0');
  std::size_t size = 0;
  while (size < content.size()) {
    auto n = ::read(fd.get(), content.data() + size, content.size() - size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return cannot("read", path);
    if (n == 0) break;
    size += std::size_t(n);
  }
  if (size > kMaxPolicyFileBytes)
    return fail(ErrorKind::invalid,
                printable(path) + " is larger than 1 MiB, which no policy file may be; split it");
  content.resize(size);
  return content;
}

Status replace_policy_file(const std::string& path, std::string_view before,
                           std::string_view after) {
  struct stat info{};
  if (::lstat(path.c_str(), &info) != 0) return cannot("read", path);
  KNOCK_ASSIGN(auto now, read_policy_path(path));
  if (!S_ISREG(info.st_mode) || now != before)
    return fail(ErrorKind::conflict,
                printable(path) + " changed while it was read; nothing was written, try again");
  // A leading dot: no reader of the folder takes it for policy.
  auto name = fs::path(path).filename().string();
  auto next = (fs::path(path).parent_path() / ("." + name + ".XXXXXX")).string();
  OwnedFd fd(::mkostemp(next.data(), O_CLOEXEC));
  if (fd.get() < 0) return cannot("write beside", path);
  auto written = write_beside(fd.get(), next, info, after);
  if (written && ::rename(next.c_str(), path.c_str()) != 0) written = cannot("replace", path);
  if (!written) ::unlink(next.c_str());
  return written;
}

}  // namespace knock::cli
