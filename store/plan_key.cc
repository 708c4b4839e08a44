// SPDX-License-Identifier: Apache-2.0
#include "store/plan_key.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/failpoint.h"
#include "base/owned_fd.h"
#include "base/text.h"

namespace knock {
namespace {

constexpr std::string_view kHead = "knock plan key 1 ";
constexpr std::size_t kMostBytes = 200;

std::string path_in(const std::string& folder) { return folder + "/" + std::string(kPlanKeyFile); }

tl::unexpected<Error> cannot(std::string_view what, const std::string& path) {
  return fail(ErrorKind::unavailable,
              fmt::format("{}: cannot be {}: {}", printable(path), what, std::strerror(errno)));
}

tl::unexpected<Error> unfit(ErrorKind kind, const std::string& path, std::string_view why) {
  return fail(kind, fmt::format("{}: {}; remove it, and a new key is made for the next plan",
                                printable(path), why));
}

Result<Secret> content_of(const OwnedFd& file, const std::string& path) {
  struct stat info{};
  if (fstat(file.get(), &info) != 0) return cannot("read", path);
  if (!S_ISREG(info.st_mode)) return unfit(ErrorKind::invalid, path, "is no file");
  if (info.st_uid != geteuid())
    return unfit(
        ErrorKind::unauthorized, path,
        fmt::format("belongs to uid {}, and this process is uid {}", info.st_uid, geteuid()));
  if ((info.st_mode & 077) != 0)
    return unfit(ErrorKind::unauthorized, path,
                 fmt::format("has mode {:o}, so others than its owner may have used it",
                             info.st_mode & 07777));
  std::string text(kMostBytes, '\0');
  auto got = read(file.get(), text.data(), text.size());
  if (got < 0) return cannot("read", path);
  text.resize(std::size_t(got));
  return Secret(std::move(text));
}

Result<Ed25519Key> key_from(const Secret& content, const std::string& path) {
  auto text = content.reveal();
  std::string seed;
  bool good = text.starts_with(kHead) && text.ends_with('\n') &&
              base64url_decode(text.substr(kHead.size(), text.size() - kHead.size() - 1), seed) &&
              seed.size() == Ed25519Key::kSeed;
  Secret kept(std::move(seed));
  if (!good) return unfit(ErrorKind::invalid, path, "is not a key that knock wrote");
  return Ed25519Key(std::move(kept));
}

Status write_whole(const OwnedFd& file, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    auto written = write(file.get(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return cannot("written", path);
    text.remove_prefix(std::size_t(written));
  }
  if (fsync(file.get()) != 0) return cannot("written", path);
  return {};
}

/// Under a name of its own first, so that nobody ever finds half a key.
Status make_file(const std::string& folder, const Ed25519Key& key, Random& random) {
  auto path = path_in(folder);
  auto fresh = path + "." + random.token(8);
  {
    OwnedFd file(open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file.open()) return cannot("written", fresh);
    Secret text(std::string(kHead) + base64url(key.seed().reveal()) + "\n");
    if (auto written = write_whole(file, text.reveal(), fresh); !written) {
      unlink(fresh.c_str());
      return written;
    }
  }
  KNOCK_FAILPOINT("plan-key.before-place");
  // link(), unlike rename(), leaves alone what somebody else has made meanwhile.
  bool linked = link(fresh.c_str(), path.c_str()) == 0 || errno == EEXIST;
  auto problem = errno;
  KNOCK_FAILPOINT("plan-key.after-place");
  unlink(fresh.c_str());
  errno = problem;
  if (!linked) return cannot("written", path);
  OwnedFd directory(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.open() || fsync(directory.get()) != 0) return cannot("written", folder);
  return {};
}

}  // namespace

Result<std::optional<Ed25519Key>> known_plan_key(const std::string& folder) {
  auto path = path_in(folder);
  OwnedFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file.open() && errno == ENOENT) return std::optional<Ed25519Key>();
  if (!file.open() && errno == ELOOP) return unfit(ErrorKind::invalid, path, "is a link");
  if (!file.open()) return cannot("read", path);
  KNOCK_ASSIGN(auto content, content_of(file, path));
  KNOCK_ASSIGN(auto key, key_from(content, path));
  return std::optional(std::move(key));
}

Result<Ed25519Key> plan_key(const std::string& folder, Random& random) {
  KNOCK_ASSIGN(auto known, known_plan_key(folder));
  if (known) return *std::move(known);
  KNOCK_CHECK(make_file(folder, Ed25519Key::make(random), random));
  KNOCK_ASSIGN(auto made, known_plan_key(folder));
  if (!made)
    return fail(ErrorKind::unavailable, printable(path_in(folder)) + ": was removed just now");
  return *std::move(made);
}

}  // namespace knock
