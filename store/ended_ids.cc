// SPDX-License-Identifier: Apache-2.0
#include "store/ended_ids.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/failpoint.h"
#include "base/owned_fd.h"

namespace knock {
namespace {

constexpr std::string_view kFormat = "knock ended ids 1\n";
constexpr std::size_t kChecked = 48, kFormatSize = 24, kIdSize = 32;

tl::unexpected<Error> cannot(std::string_view what, const std::string& path) {
  int code = errno;
  return fail(code == EACCES || code == EPERM || code == ELOOP ? ErrorKind::unauthorized
                                                               : ErrorKind::unavailable,
              fmt::format("cannot {} {}, where ends of sessions are kept while the log cannot be "
                          "written: {}",
                          what, path, std::strerror(code)));
}

std::string with_checksum(std::string checked) {
  checked.resize(kChecked, '\0');
  auto digest = sha256(checked);
  return checked.append(as_bytes(digest).substr(0, EndedIds::kRecord - kChecked));
}

bool checksum_fits(std::string_view record) {
  return with_checksum(std::string(record.substr(0, kChecked))) == record;
}

std::string header(const std::string& mark) {
  std::string out(kFormat);
  out.resize(kFormatSize, '\0');
  return with_checksum(out + mark);
}

std::string record_of(const SessionId& id, const SessionEnd& end) {
  auto digest = ended_id_of(id);
  std::string out(as_bytes(digest));
  for (int shift = 56; shift >= 0; shift -= 8)
    out += char(std::uint64_t(end.at.ms) >> unsigned(shift));
  out += char(end.cause);
  return with_checksum(std::move(out));
}

EndedId ended_id(std::string_view record) {
  EndedId out;
  std::copy_n(record.begin(), kIdSize, out.id.begin());
  std::uint64_t ms = 0;
  for (std::size_t i = 0; i < 8; ++i) ms = ms << 8 | std::uint8_t(record[kIdSize + i]);
  out.end.at.ms = std::int64_t(ms);
  // An end of a later version's making is an end all the same.
  auto cause = std::uint8_t(record[kIdSize + 8]);
  out.end.cause = cause <= std::uint8_t(EndCause::restored) ? EndCause(cause) : EndCause::revoked;
  return out;
}

bool is_free(std::string_view record) {
  return std::all_of(record.begin(), record.end(), [](char c) { return c == '\0'; });
}

Status check_owner(int fd, const std::string& path, uid_t owner) {
  struct stat about{};
  if (fstat(fd, &about) != 0) return cannot("examine", path);
  if (!S_ISREG(about.st_mode))
    return fail(ErrorKind::unauthorized, path + " is no file; move it away");
  if (about.st_uid != owner)
    return fail(ErrorKind::unauthorized,
                fmt::format("{} belongs to user {}, and the store to user {}: whoever may write it "
                            "can bring ended sessions back. Find out who made it, then `chown {}` "
                            "it, or delete it, which ends every session",
                            path, about.st_uid, owner, owner));
  if ((about.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return fail(
        ErrorKind::unauthorized,
        fmt::format("{} may be written by others (mode {:o}): they can bring ended sessions "
                    "back. `chmod 600` it if nobody did, or delete it, which ends every "
                    "session",
                    path, about.st_mode & 07777));
  return {};
}

Result<std::string> read_all(int fd, const std::string& path) {
  std::string out(EndedIds::kSize + 1, '\0');
  std::size_t size = 0;
  while (size < out.size()) {
    auto got = pread(fd, out.data() + size, out.size() - size, off_t(size));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return cannot("read", path);
    if (got == 0) break;
    size += std::size_t(got);
  }
  out.resize(size);
  return out;
}

Status write_all(int fd, const std::string& path, std::string_view bytes, off_t at) {
  while (!bytes.empty()) {
    auto put = pwrite(fd, bytes.data(), bytes.size(), at);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return cannot("write", path);
    bytes.remove_prefix(std::size_t(put));
    at += put;
  }
  return {};
}

EndedIdsFound parse(std::string_view bytes) {
  EndedIdsFound out;
  out.exists = true;
  auto broken = [&](std::string what) {
    if (out.damage.empty()) out.damage = std::move(what);
  };
  if (bytes.size() != EndedIds::kSize)
    broken(fmt::format("is {} bytes long instead of {}", bytes.size(), EndedIds::kSize));
  auto head = bytes.substr(0, EndedIds::kRecord);
  if (head.size() == EndedIds::kRecord && checksum_fits(head) && head.starts_with(kFormat))
    out.mark = head.substr(kFormatSize, EndedIds::kMark);
  else
    broken("has no header of ours");
  for (std::size_t at = EndedIds::kRecord; at < bytes.size(); at += EndedIds::kRecord) {
    auto record = bytes.substr(at, EndedIds::kRecord);
    if (is_free(record)) continue;
    // Whatever the checksum says: a hash that is whole names a session that ended.
    if (record.size() == EndedIds::kRecord) out.ended.push_back(ended_id(record));
    if (record.size() != EndedIds::kRecord || !checksum_fits(record))
      broken(fmt::format("has a damaged record at byte {}", at));
  }
  return out;
}

}  // namespace

Digest ended_id_of(const SessionId& id) { return sha256("knock ended\n" + id.value); }

Result<EndedIdsFound> EndedIds::read(const std::string& path, uid_t owner) {
  OwnedFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (fd.get() < 0 && errno == ENOENT) return EndedIdsFound{};
  if (fd.get() < 0) return cannot("open", path);
  KNOCK_CHECK(check_owner(fd.get(), path, owner));
  KNOCK_ASSIGN(auto bytes, read_all(fd.get(), path));
  return parse(bytes);
}

Result<std::unique_ptr<EndedIds>> EndedIds::make(const std::string& path, const std::string& mark) {
  auto next = path + ".new";
  (void)unlink(next.c_str());  // of a process that was killed here
  OwnedFd fd(::open(next.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (fd.get() < 0) return cannot("make", path);
  auto filled = [&]() -> Status {
    if (int code = posix_fallocate(fd.get(), 0, off_t(kSize)); code != 0) {
      errno = code;
      return cannot("reserve room for", path);
    }
    // Reserved is not written: blocks that were never written still cost metadata at the first try.
    auto bytes = header(mark);
    bytes.resize(kSize, '\0');
    KNOCK_CHECK(write_all(fd.get(), path, bytes, 0));
    KNOCK_FAILPOINT("ended-ids.before-sync");
    if (fsync(fd.get()) != 0) return cannot("make durable", path);
    KNOCK_FAILPOINT("ended-ids.before-place");
    if (rename(next.c_str(), path.c_str()) != 0) return cannot("put in place", path);
    auto folder = std::filesystem::path(path).parent_path();
    OwnedFd in(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (in.get() < 0 || fsync(in.get()) != 0) return cannot("make durable", path);
    KNOCK_FAILPOINT("ended-ids.after-place");
    return {};
  }();
  if (!filled) {
    (void)unlink(next.c_str());
    return fail(std::move(filled.error()));
  }
  return std::unique_ptr<EndedIds>(new EndedIds(path, fd.release()));
}

Result<std::unique_ptr<EndedIds>> EndedIds::open(const std::string& path,
                                                 const EndedIdsFound& found) {
  OwnedFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (fd.get() < 0) return cannot("open", path);
  if (fchmod(fd.get(), 0600) != 0) return cannot("make private", path);
  KNOCK_ASSIGN(auto bytes, read_all(fd.get(), path));
  auto now = parse(bytes);
  if (!found.exists || !now.damage.empty() || now.mark != found.mark)
    return fail(ErrorKind::conflict, path + " was changed while it was being read");
  auto out = std::unique_ptr<EndedIds>(new EndedIds(path, fd.release()));
  for (std::size_t slot = 1; slot <= kMost; ++slot) {
    auto record = std::string_view(bytes).substr(slot * kRecord, kRecord);
    if (is_free(record)) continue;
    out->slots_.emplace(ended_id(record).id, slot);
    out->free_.erase(slot);
  }
  return out;
}

EndedIds::EndedIds(std::string path, int fd) : path_(std::move(path)), fd_(fd) {
  for (std::size_t slot = 1; slot <= kMost; ++slot) free_.insert(free_.end(), slot);
}

EndedIds::~EndedIds() { close(fd_); }

Status EndedIds::write(std::size_t slot, const std::string& record) {
  KNOCK_CHECK(write_all(fd_, path_, record, off_t(slot * kRecord)));
  // The next try writes the page anew, so a sync that failed once is not believed the second time.
  if (fdatasync(fd_) != 0) return cannot("make durable", path_);
  return {};
}

/// Where nothing failed yet, if there is such a place: one bad block must not stop the others.
std::size_t EndedIds::free_slot() {
  constexpr std::size_t page = 4096 / kRecord;
  for (std::size_t slot : free_)
    if (std::none_of(bad_.begin(), bad_.end(),
                     [&](std::size_t bad) { return bad / page == slot / page; }))
      return slot;
  bad_.clear();
  return *free_.begin();
}

Status EndedIds::keep(const SessionId& id, const SessionEnd& end) {
  auto digest = ended_id_of(id);
  auto at = slots_.find(digest);
  if (at == slots_.end() && free_.empty())
    return fail(ErrorKind::unavailable,
                fmt::format("{} is full: it holds {} ends of sessions that wait for the log", path_,
                            kMost));
  auto slot = at != slots_.end() ? at->second : free_slot();
  auto written = [&]() -> Status {
    KNOCK_FAILPOINT("ended-ids.before-keep");
    KNOCK_CHECK(write(slot, record_of(id, end)));
    KNOCK_FAILPOINT("ended-ids.after-keep");
    return {};
  }();
  if (!written) {
    bad_.insert(slot);
    return written;
  }
  slots_[digest] = slot;
  free_.erase(slot);
  return {};
}

std::vector<Digest> EndedIds::held() const {
  std::vector<Digest> out;
  for (const auto& [id, slot] : slots_) out.push_back(id);
  return out;
}

Status EndedIds::forget(const Digest& id) {
  auto at = slots_.find(id);
  if (at == slots_.end()) return {};
  KNOCK_FAILPOINT("ended-ids.before-forget");
  KNOCK_CHECK(write(at->second, std::string(kRecord, '\0')));
  KNOCK_FAILPOINT("ended-ids.after-forget");
  free_.insert(at->second);
  slots_.erase(at);
  return {};
}

}  // namespace knock
