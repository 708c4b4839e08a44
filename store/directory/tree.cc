// SPDX-License-Identifier: Apache-2.0
#include "store/directory/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/text.h"
#include "store/policy_files.h"

namespace knock::directory {
namespace {

tl::unexpected<Error> system_error(std::string_view path, int number = errno) {
  auto kind = number == ENOENT || number == ENOTDIR ? ErrorKind::not_found
              : number == EACCES || number == EPERM ? ErrorKind::unauthorized
                                                    : ErrorKind::unavailable;
  return fail(kind, fmt::format("{}: {}", printable(path), std::strerror(number)));
}

/// Between listing and opening, somebody was at work.
tl::unexpected<Error> changed(std::string_view path) {
  return fail(ErrorKind::conflict, fmt::format("{} changed while it was read", printable(path)));
}

std::int64_t nanoseconds(const timespec& time) {
  return std::int64_t(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

Stamp stamp_of(const struct stat& info) {
  return {info.st_dev, info.st_ino, std::uint64_t(info.st_size), nanoseconds(info.st_mtim),
          nanoseconds(info.st_ctim)};
}

/// The kernel itself keeps the path inside the root, however links on the way point (openat2,
/// Linux 5.6). Where it cannot, links are not followed at all. -1 with errno.
int open_beneath(int root, const std::string& path, int flags) {
  open_how how{};
  how.flags = std::uint64_t(flags | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  auto fd = int(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how));
  if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return fd;
  return ::openat(root, path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW);
}

struct CloseFolder {
  void operator()(DIR* folder) const { ::closedir(folder); }
};

class Walk {
 public:
  explicit Walk(int root) : root_(root) {}

  Status folder(int fd, const std::string& path, std::size_t depth) {
    if (depth > kMaxPolicyFolders)
      return fail(ErrorKind::invalid, fmt::format("{}: more than {} folders inside each other",
                                                  printable(path), kMaxPolicyFolders));
    KNOCK_ASSIGN(auto names, names_in(fd, path));
    for (const auto& name : names) KNOCK_CHECK(entry(fd, name, path, depth));
    return {};
  }

  std::vector<Found> found;

 private:
  Result<std::vector<std::string>> names_in(int fd, const std::string& path) {
    int copy = ::openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    std::unique_ptr<DIR, CloseFolder> folder(copy < 0 ? nullptr : ::fdopendir(copy));
    if (!folder) return system_error(path.empty() ? "." : path);
    std::vector<std::string> names;
    for (;;) {
      errno = 0;
      const dirent* item = ::readdir(folder.get());
      if (item == nullptr) break;
      if (is_hidden(item->d_name)) continue;
      KNOCK_CHECK(budget_.entry());
      names.emplace_back(item->d_name);
    }
    if (errno != 0) return system_error(path.empty() ? "." : path);
    std::sort(names.begin(), names.end());
    return names;
  }

  Status entry(int fd, const std::string& name, const std::string& parent, std::size_t depth) {
    auto path = parent.empty() ? name : parent + "/" + name;
    struct stat info{};
    if (::fstatat(fd, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
      return errno == ENOENT ? Status(changed(path)) : Status(system_error(path));
    if (S_ISDIR(info.st_mode)) return subfolder(fd, name, path, depth);
    if (S_ISLNK(info.st_mode)) return link(fd, name, path);
    if (!is_policy_file(name)) return {};
    return file(name, path, info);
  }

  Status subfolder(int fd, const std::string& name, const std::string& path, std::size_t depth) {
    OwnedFd inner(::openat(fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!inner.open()) return system_error(path);
    auto before = found.size();
    KNOCK_CHECK(folder(inner.get(), path, depth + 1));
    if (found.size() == before) return {};  // a folder without policy may be called anything
    auto named = check_policy_name(name);
    if (!named) return fail_within(printable(path), named);
    return {};
  }

  Status link(int fd, const std::string& name, const std::string& path) {
    struct stat info{};
    bool leads_somewhere = ::fstatat(fd, name.c_str(), &info, 0) == 0;
    if (leads_somewhere && S_ISDIR(info.st_mode))
      return fail(
          ErrorKind::invalid,
          fmt::format("{} is a link to a folder; policy lies in plain folders, move it here",
                      printable(path)));
    if (!is_policy_file(name)) return {};
    OwnedFd target(open_beneath(root_, path, O_PATH));
    if (!target.open() && (errno == EXDEV || errno == ELOOP))
      return fail(ErrorKind::invalid,
                  fmt::format("{} is a link that leaves the policy folder (or leads in a circle); "
                              "put the file itself here",
                              printable(path)));
    if (!target.open() || ::fstat(target.get(), &info) != 0) return system_error(path);
    if (S_ISLNK(info.st_mode))
      return fail(ErrorKind::invalid,
                  printable(path) + " is a link, which this kernel cannot follow safely");
    return file(name, path, info);
  }

  Status file(const std::string& name, const std::string& path, const struct stat& info) {
    if (!S_ISREG(info.st_mode))
      return fail(
          ErrorKind::invalid,
          fmt::format("{} is named like a policy file, but is no plain file", printable(path)));
    auto named = check_policy_name(name);
    if (!named) return fail_within(printable(path), named);
    KNOCK_CHECK(budget_.file(path, std::uint64_t(info.st_size)));
    found.push_back({path, stamp_of(info)});
    return {};
  }

  int root_;
  PolicyBudget budget_;
};

}  // namespace

Result<OwnedFd> open_root(const std::string& directory) {
  OwnedFd root(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.open()) return system_error(directory);
  return root;
}

Result<std::vector<Found>> list(const OwnedFd& root) {
  Walk walk(root.get());
  KNOCK_CHECK(walk.folder(root.get(), "", 0));
  std::sort(walk.found.begin(), walk.found.end());
  return std::move(walk.found);
}

Result<std::string> read(const OwnedFd& root, const Found& file) {
  OwnedFd fd(open_beneath(root.get(), file.path, O_RDONLY | O_NONBLOCK));
  if (!fd.open())
    return errno == ENOENT || errno == EAGAIN ? Result<std::string>(changed(file.path))
                                              : Result<std::string>(system_error(file.path));
  std::string content(std::size_t(file.stamp.size) + 1, '\0');  // one more shows a file that grew
  std::size_t size = 0;
  for (ssize_t n = 1; n > 0 && size < content.size(); size += std::size_t(n)) {
    n = ::pread(fd.get(), content.data() + size, content.size() - size, off_t(size));
    if (n < 0 && errno != EINTR) return system_error(file.path);
    if (n < 0) n = 1, size -= 1;  // interrupted: the same place again
  }
  struct stat info{};
  if (::fstat(fd.get(), &info) != 0) return system_error(file.path);
  if (stamp_of(info) != file.stamp || size != file.stamp.size) return changed(file.path);
  content.resize(size);
  return content;
}

}  // namespace knock::directory
